"""Starts the parts in the order in which they need each other, and ends them in the reverse."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pydantic import SecretStr

from sendline.contract.errors import ConfigurationError
from sendline.settings import AccountSettings, Settings
from sendline_worker.embedded import EmbeddedServer, secret_key
from sendline_worker.providers.registry import simulated_account
from sendline_worker.serving import base_url, listening
from sendline_worker.stack import interrupts
from sendline_worker.stack.part import Part
from sendline_worker.stack.targets import api, receiver, simulator, worker
from sendline_worker.tokens import CallbackUrls

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

SIMULATED: Final = "demo"
"""The name of the account that the simulator serves."""


class Stack:
    """Everything on one machine. A context manager: what was started is ended, whatever happens.

    Without a `redis_url` an embedded server is started in `directory`; without accounts the simulator
    stands in the provider's place. A configured port that is taken is an error; a default one gives way to
    a free one.
    """

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        *,
        logs: Path | None = None,
        http_api: bool = False,
        say: "Callable[[str], None]" = lambda _: None,
    ) -> None:
        """Prepare. `logs` is a directory for the parts' logs; None: they share our terminal.

        With `http_api` the HTTP API is one of the parts. `say` hears of each step.
        """
        self.settings = settings
        self.directory = directory
        self.simulator_url: str | None = None
        self.receiver_url: str | None = None
        self.api_url: str | None = None
        self._logs = logs
        self._http_api = http_api
        self._say = say
        self._parts: list[Part] = []
        self._exits = ExitStack()
        self._server: EmbeddedServer | None = None
        self._listeners: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def simulates(self) -> bool:
        """Whether the simulator stands in the provider's place."""
        return self.simulator_url is not None

    @property
    def server(self) -> EmbeddedServer | None:
        """The embedded server; None where a Redis is configured."""
        return self._server

    def part(self, name: str) -> Part:
        """Return the part `name`: simulator, receiver, api or worker."""
        return next(part for part in self._parts if part.name == name)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The simulator, if there is one, the receiver, the HTTP API, if it was asked for, and the worker."""
        return tuple(self._parts)

    def start_worker(self) -> None:
        """Start the worker, also once more after it has ended."""
        self.start_again("worker").await_ready()

    def start_receiver(self) -> None:
        """Start the receiver once more after it has ended, at the same address."""
        self.start_again("receiver").await_ready()

    def start_again(self, name: str) -> Part:
        """Start a part but the simulator once more after it has ended; return it without waiting for it."""
        self.part(name).end()
        part = self._worker() if name == "worker" else self._listens(name)
        self._parts = [part if each.name == name else each for each in self._parts]
        part.begin()
        return part

    def failed(self) -> str | None:
        """Return the name of a part that ended by itself, or None."""
        if self._server is not None and not self._server.is_running():
            return "the embedded server"
        return next((part.name for part in self._parts if not part.is_running()), None)

    def stop(self) -> list[str]:
        """End all parts, the worker first; return the names of those that had to be forced."""
        forced = []
        with interrupts.deferred():
            for part in reversed(self._parts):
                part.ask_to_end()
                if not part.end():
                    forced.append(part.name)
            self._parts.clear()
            self._exits.close()
        return forced

    def _start(self) -> None:
        s = self.settings
        if s.redis_url is None:
            self._say("embedded server")
            self._server = self._exits.enter_context(EmbeddedServer(self.directory, s.durability))
            self._update(redis_url=SecretStr(self._server.url))
        if not s.secret_key:
            self._update(secret_key=(secret_key(self.directory),))
        with ExitStack() as listeners:
            parts = [*self._http_parts(listeners), self._worker()]
            for part in parts:
                self._say(part.name)
                self._parts.append(part)
                part.begin()
            for part in parts:
                part.await_ready()

    def _http_parts(self, listeners: ExitStack) -> list[Part]:
        """Return the simulator, if it is needed, the receiver, and the HTTP API, if it was asked for.

        Simulator and receiver know each other's URLs from here. The sockets of the receiver and the API stay
        open: what comes while one of them is replaced waits for the next one.
        """
        s = self.settings
        self.receiver_url = self._keep_open("receiver", s.receiver_host, s.receiver_port)
        if self._http_api:
            self.api_url = self._keep_open("api", s.api_host, s.api_port)
        parts = []
        if not s.accounts:
            simulates = listeners.enter_context(
                self._listener("simulator", s.simulator_host, s.simulator_port)
            )
            self.simulator_url = base_url(simulates)
            account = AccountSettings.model_validate(simulated_account(self.simulator_url))
            self._update(accounts={SIMULATED: account}, public_url=self.receiver_url)
            # What a user enters in the account's profile at a real provider
            callback_url = CallbackUrls(self.receiver_url, self.settings.secret_key).account_url(SIMULATED)
            parts.append(Part("simulator", simulator, simulates, callback_url, log=self._log("simulator")))
        parts += [self._listens(name) for name in self._listeners]
        return parts

    def _keep_open(self, name: str, host: str, port: int) -> str:
        """Let a part's socket listen as long as the stack is there; return its URL."""
        self._listeners[name] = self._exits.enter_context(self._listener(name, host, port))
        return base_url(self._listeners[name])

    def _listens(self, name: str) -> Part:
        """Return the receiver or the HTTP API, on its socket."""
        target = {"receiver": receiver, "api": api}[name]
        return Part(name, target, self.settings, self._listeners[name], log=self._log(name))

    def _worker(self) -> Part:
        return Part("worker", worker, self.settings, log=self._log("worker"))

    def _listener(self, name: str, host: str, port: int) -> "socket.socket":
        """Return a listening socket. The default port gives way to any free one where it is taken."""
        problem = ""
        for each in (port,) if f"{name}_port" in self.settings.model_fields_set else (port, 0):
            try:
                return listening(host, each)
            except ConfigurationError as error:
                problem = str(error).rpartition(": ")[0]  # what follows names options that this command lacks
        fix = f"choose another (0 takes a free one), or another {name}_host"
        raise ConfigurationError(f"{name}_port: {problem}; {fix}")

    def _log(self, name: str) -> Path | None:
        return self._logs / f"{name}.log" if self._logs else None

    def _update(self, **changes: object) -> None:
        self.settings = self.settings.model_copy(update=changes)
