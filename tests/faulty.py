"""All of Sendline in processes of its own, with every process and every connection in the test's hand."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
from pydantic import SecretStr

from judge import Judge
from parts import quick_settings
from places import data_directory
from proxy import Proxy
from sendline.settings import AccountSettings, Settings
from sendline_worker.providers.registry import simulated_account
from sendline_worker.serving import listening
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.simulator.options import SimulatorOptions
from sendline_worker.simulator.server import serve_on
from sendline_worker.stack import Part, targets
from sendline_worker.tokens import CallbackUrls
from servers import DURABLE, ValkeyServer, free_port

ACCOUNT = "main"
LEASE = 6.0
"""Seconds; longer than any call in these tests, and short enough to be waited for."""
SECRET = "a key that signs tokens in tests"
RECEIPT_RETRIES = (0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0, 8.0, 8.0)


def simulate(listener: Any, callback_url: str, *, on_ready: Callable[..., None]) -> int:
    """Run the simulator."""
    options = SimulatorOptions(
        callback_url=callback_url, receipt_delay=(0.02, 0.1), receipt_retries=RECEIPT_RETRIES
    )
    return serve_on(options, listener, on_ready=on_ready)


class Whole:
    """A server, a provider, a receiver and workers; `redis` and `provider` are the proxies before the two.

    Of what it starts, only the worker and the receiver meet the proxies: `judge` looks past them.
    """

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.directory = directory
        self._changes = changes
        self._exits = contextlib.ExitStack()
        self.workers: list[Part] = []
        self._ports = {"receiver": free_port()}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            print(self.logs())  # noqa: T201 - pytest shows it with the failure
        self._exits.close()

    @property
    def worker(self) -> Part:
        """The worker that was started last."""
        return self.workers[-1]

    def start_worker(
        self, target: Callable[..., int] = targets.worker, *arguments: Any, **changes: Any
    ) -> Part:
        """Start a worker, also one beside another; `changes` are to its settings only."""
        settings = self.settings.model_copy(update=changes)
        log = self.directory / f"worker-{len(self.workers)}.log"
        part = Part("worker", target, settings, *arguments, log=log)
        self.workers.append(self._started(part))
        return part

    def start_receiver(self, target: Callable[..., int] = targets.receiver, *arguments: Any) -> Part:
        """Start the receiver, also once more after it has ended."""
        log = self.directory / "receiver.log"
        with listening("127.0.0.1", self._ports["receiver"]) as listener:
            self.receiver = self._started(
                Part("receiver", target, self.settings, listener, *arguments, log=log)
            )
        return self.receiver

    def logs(self, lines: int = 40) -> str:
        """Return the last lines of each log."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted(self.directory.glob("*.log"))
        )

    def _start(self) -> None:
        enter = self._exits.enter_context
        self.server = enter(ValkeyServer(*DURABLE, "--logfile", str(self.directory / "server.log")))
        self.redis = enter(Proxy(self.server.socket))
        with listening("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            url = CallbackUrls(self._receiver_url, (SecretStr(SECRET),)).account_url(ACCOUNT)
            simulator = Part("simulator", simulate, listener, url, log=self.directory / "simulator.log")
            simulator.begin()
            self._exits.callback(_end, simulator)
        self.provider = enter(Proxy(("127.0.0.1", port)))
        self.settings = self._settings()
        self.simulator = enter(SimulatorClient(f"http://127.0.0.1:{port}"))
        self.past_proxies = self.settings.model_copy(update={"redis_url": SecretStr(self.server.url)})
        self.judge = enter(Judge(self.past_proxies, self.simulator))
        self.start_receiver()
        simulator.await_ready()

    def _settings(self) -> Settings:
        account = {**simulated_account(self.provider.http_url), **self._changes.pop("account", {})}
        return quick_settings(
            **{
                "redis_url": SecretStr(self.redis.redis_url),
                "accounts": {ACCOUNT: AccountSettings.model_validate(account)},
                "public_url": self._receiver_url,
                "secret_key": (SecretStr(SECRET),),
                "lease": LEASE,
                **self._changes,
            }
        )

    @property
    def _receiver_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['receiver']}"

    def _started(self, part: Part) -> Part:
        part.begin()
        self._exits.callback(_end, part)
        part.await_ready()
        return part


@contextlib.contextmanager
def whole(**changes: Any) -> Iterator[Whole]:
    """A Whole in a directory of its own; no worker runs yet."""
    with data_directory() as place, Whole(Path(place), **changes) as made:
        yield made


def processes(part: Part) -> list[psutil.Process]:
    """The part's process and all below it."""
    assert part.pid is not None
    parent = psutil.Process(part.pid)
    return [parent, *parent.children(recursive=True)]


def children(part: Part) -> list[psutil.Process]:
    """The processes below the part's own."""
    return processes(part)[1:]


def lasts(seconds: float) -> Callable[[], bool]:
    """A condition that comes true after `seconds`: for faults that must last so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _end(part: Part) -> None:
    """End a part that may be frozen, killed, or ended already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in processes(part):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    part.end()
