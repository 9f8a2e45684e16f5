"""One line of the log for each request: nothing of its path, its texts, numbers or key but what is public."""

import logging
import time
from typing import TYPE_CHECKING, Final

from sendline_worker.api.auth import CALLER, Caller

if TYPE_CHECKING:
    from starlette.types import Scope

log = logging.getLogger("sendline.api")

_NOBODY: Final = "-"


def note(scope: "Scope", status: int, begun: float) -> None:
    """Log what became of a request that came at `begun`, by the performance counter."""
    if log.isEnabledFor(logging.INFO):
        took = (time.perf_counter() - begun) * 1000
        log.info(
            "%s %s: %s, key %s, %.1f ms", scope["method"], template(scope), status or "gone", who(scope), took
        )


def template(scope: "Scope") -> str:
    """Return the path of the route, its parameters not filled in."""
    route = scope.get("route")
    return str(getattr(route, "path", _NOBODY))


def who(scope: "Scope") -> str:
    """Return the id of the key that asks."""
    caller: Caller | None = scope.get(CALLER)
    return _NOBODY if caller is None else caller.key.id
