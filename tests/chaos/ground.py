"""The parts of a run and the links between them: started, kept running, ended."""

import threading
import time
from collections import deque
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any, Final, Self

from pydantic import SecretStr

from chaos.kinds import CALL, LEASE, REDIS_LINKS
from chaos.messages import ACCOUNTS, Campaign
from chaos.sending import send_all
from chaos.supervised import Supervised
from parts import quick_settings
from proxy import Proxy
from sendline.contract.errors import LedgerError
from sendline.ledger import verbs
from sendline.ledger.connection import Ledger
from sendline.settings import AccountSettings, Settings
from sendline_worker.serving import base_url, listening
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.simulator.options import SimulatorOptions
from sendline_worker.simulator.server import serve_on
from sendline_worker.stack import Part
from sendline_worker.stack.targets import receiver, worker
from sendline_worker.tokens import CallbackUrls
from servers import DURABLE, ValkeyServer

RATE: Final = 150.0
"""Of each of the two accounts, messages a second."""
SENDER: Final = "+13115552368"
KEY: Final = "a key for this run only"
LOOK: Final = 0.1
"""Seconds between two looks at the counts."""
RECEIPT_RETRIES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Seconds; the provider tries a receipt again for longer than any fault lasts."""


def simulate(listener: Any, callback_url: str, seed: int, log: Path, *, on_ready: Any) -> int:
    """Run the simulator; it is no part of what is tested, and never harmed."""
    options = SimulatorOptions(
        callback_url=callback_url, seed=seed, log_file=log, receipt_retries=RECEIPT_RETRIES
    )
    return serve_on(options, listener, on_ready=on_ready)


class Watch:
    """Reads the counts again and again, past all links, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._seen: deque[tuple[float, int]] = deque(maxlen=50)
        self.counts: dict[str, int] = {}
        """As they were last."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def sending(self) -> int:
        """Return how many messages are `sending` now, at most: the highest that was seen in half a second."""
        if not self._seen:
            return 0
        newest = self._seen[-1][0]
        return max(number for at, number in list(self._seen) if at > newest - 0.5)

    def _run(self) -> None:
        with closing(Ledger(self._url, timeout=0.3)) as ledger:
            while not self._ended.wait(LOOK):
                try:
                    self.counts = ledger.run(verbs.counts())
                except LedgerError:
                    continue
                self._seen.append((time.monotonic(), self.counts["sending"]))


class Ground:
    """All that runs. A context manager: whatever happens, everything is ended."""

    def __init__(self, campaign: Campaign, policy: str, directory: Path) -> None:
        """Prepare. `directory` takes the logs and what was acknowledged."""
        self.campaign = campaign
        self.policy = policy
        self.directory = directory
        self.acknowledged = directory / "acknowledged.txt"
        self.told = RawArray("b", 2)
        self.began = 0.0
        """When the faults' time began, on the monotonic clock."""
        self.doubts = 0
        """How many messages were on the wire when something happened that leaves them in doubt."""
        self.server = ValkeyServer(*DURABLE, "--logfile", str(directory / "server.log"))
        self.watch = Watch(self.server.url)
        self._events = (directory / "events.log").open("w", buffering=1)
        self._exits = ExitStack()
        self._exits.callback(self._events.close)
        self.redis_links: list[Proxy] = []
        self.provider_links: list[Proxy] = []
        self.workers: list[Supervised] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def parts(self) -> tuple[Supervised, ...]:
        """All that is tested."""
        return (*self.workers, self.receiver, self.producer)

    @property
    def settings(self) -> Settings:
        """Settings that lead past all links."""
        return self._settings(self.server.url, self._simulator_url)

    def tend(self) -> None:
        """Start again what has ended."""
        for part in self.parts:
            part.tend()

    def begin_sending(self) -> None:
        """Start the producer; from now on time counts."""
        self.began = time.monotonic()
        self.producer.start()

    def tell(self, what: str) -> None:
        """Write down what happens, with the seconds since the beginning and the time of day."""
        seconds = time.monotonic() - self.began if self.began else 0.0
        self._events.write(f"{seconds:8.2f}  {datetime.now(UTC):%H:%M:%S.%f}  {what}\n")

    def _start(self) -> None:
        enter = self._exits.enter_context
        enter(self.server)
        receives, simulates = listening("127.0.0.1", 0), listening("127.0.0.1", 0)
        enter(receives)
        enter(simulates)
        self._simulator_url, self._receiver_url = base_url(simulates), base_url(receives)
        self.redis_links = [enter(Proxy(self.server.socket)) for _ in REDIS_LINKS]
        at = simulates.getsockname()
        self.provider_links = [enter(Proxy((at[0], at[1]))) for _ in range(2)]
        urls = CallbackUrls(self._receiver_url, (SecretStr(KEY),))
        self._exits.callback(self._end_parts)
        log, seed = self.directory / "provider.jsonl", self.campaign.seed
        self._simulator = self._part(
            "simulator", simulate, simulates, urls.account_url(ACCOUNTS[0]), seed, log
        )
        self.receiver = self._part("receiver", receiver, self._behind(2), receives)
        self.workers = [self._part(f"worker {n}", worker, self._behind(n)) for n in range(2)]
        self.producer = Supervised(
            "producer",
            lambda: self._made("producer", send_all, self._behind(3), *self._sent()),
            self.tell,
            once=True,
        )
        for part in (self._simulator, self.receiver, *self.workers):
            part.start()
        for part in (self._simulator, self.receiver, *self.workers):
            part.await_ready()
        self.simulator = enter(closing(SimulatorClient(self._simulator_url)))
        self.watch.start()
        self._exits.callback(self.watch.stop)

    def _end_parts(self) -> None:
        for part in (*self.workers, *(getattr(self, n) for n in self._others() if hasattr(self, n))):
            part.ask_to_end()
        for part in (*self.workers, *(getattr(self, n) for n in self._others() if hasattr(self, n))):
            part.end()

    def _others(self) -> tuple[str, ...]:
        return ("producer", "receiver", "_simulator")

    def _sent(self) -> tuple[Any, ...]:
        return self.campaign, self.acknowledged, self.began, self.told

    def _part(self, name: str, target: Any, *arguments: Any) -> Supervised:
        return Supervised(name, lambda: self._made(name, target, *arguments), self.tell)

    def _made(self, name: str, target: Any, *arguments: Any) -> Part:
        return Part(name, target, *arguments, log=self.directory / f"{name.replace(' ', '-')}.log")

    def _behind(self, link: int) -> Settings:
        provider = self.provider_links[link % len(self.provider_links)]
        return self._settings(self.redis_links[link].redis_url, provider.http_url)

    def _settings(self, redis_url: str, provider_url: str) -> Settings:
        return quick_settings(
            redis_url=SecretStr(redis_url),
            public_url=self._receiver_url,
            secret_key=(SecretStr(KEY),),
            accounts={name: self._account(name, provider_url) for name in ACCOUNTS},
            lease=LEASE,
            call_timeout=CALL,
            max_attempts=20,
            retry_base=0.3,
            retry_max=4.0,
            connections=40,
            events_kept=1_000_000,
        )

    def _account(self, name: str, provider_url: str) -> AccountSettings:
        return AccountSettings.model_validate(
            {
                "provider": "opentact",
                "base_url": provider_url,
                "api_key": f"simulated-{name}",
                "generation": "A" if name == "traced" else "C",
                "senders": [SENDER],
                "rate": RATE,
                "on_uncertain": self.policy,
            }
        )
