"""Which providers there are. The one place, apart from their own packages, where their names stand."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from sendline.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sendline_worker.providers.base import Adapter
    from sendline_worker.providers.drop_in import Face

ADAPTERS: Final = {
    "kore": "sendline_worker.providers.kore.adapter:Kore",
    "opentact": "sendline_worker.providers.opentact.adapter:OpenTact",
}
"""Each provider's adapter, as module:class. A module is loaded only when an account needs it."""

SIMULATED: Final = {name: f"sendline_worker.providers.{name}.simulated:routes" for name in ADAPTERS}
"""Each provider's face in the simulator, as module:function."""

DROP_INS: Final = {"opentact": "sendline_worker.providers.opentact.drop_in:routes"}
"""The providers whose face Sendline itself has, for apps that call them today, as module:function."""

DEMO: Final = "opentact"
"""The provider whose simulated account `sendline up` and `sendline demo` use."""


class AdapterClass(Protocol):
    """How an adapter is made; raises ConfigurationError with one line that names the option and the fix."""

    def __call__(
        self, options: "Mapping[str, object]", *, name: str, not_accepted: frozenset[int] = ...
    ) -> "Adapter":
        """Return the adapter of the account `name`; its owner knows `not_accepted` to accept nothing."""
        ...


def adapter_class(provider: str) -> AdapterClass:
    """Return the adapter of `provider`; raises ConfigurationError where there is none."""
    if provider not in ADAPTERS:
        raise ConfigurationError(f"provider: no adapter is named {provider}; known: {', '.join(ADAPTERS)}")
    return cast("AdapterClass", _load(ADAPTERS[provider]))


def simulated_faces() -> "tuple[Callable[[Any], Iterable[Any]], ...]":
    """Return, for every provider, the function that makes its routes in the simulator."""
    return tuple(_load(path) for path in SIMULATED.values())


def drop_in_faces() -> "tuple[Face, ...]":
    """Return, for every provider that has one, the function that makes its face before Sendline."""
    return tuple(_load(path) for path in DROP_INS.values())


def simulated_account(base_url: str) -> dict[str, object]:
    """Return the configuration of an account at the simulator's `base_url`, as sendline.toml holds it."""
    account = _load(f"sendline_worker.providers.{DEMO}.simulated:account")(base_url)
    return {"provider": DEMO, **account}


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
