"""The Celery app: it starts, spreads, supervises and ends dispatchers. What they do is not its business.

A task of Celery is only a wake. Losing one, or running ten, harms nothing: all truth is in the ledger.
The settings and why each is as it is: docs/operations.md.
"""

import logging
import os
from multiprocessing.sharedctypes import RawValue
from typing import TYPE_CHECKING, Any, Final

from billiard import pool
from celery import Celery, bootsteps, signals
from kombu.utils.json import dumps

from sendline.ledger.accounts import Wake
from sendline.settings import bounds, ledger_url
from sendline_worker import broker
from sendline_worker.dispatch.runtime import Runtime
from sendline_worker.tick import Ticker
from sendline_worker.webhooks.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sendline.settings import Settings
    from sendline_worker.accounts import Account

log = logging.getLogger("sendline.worker")

QUEUE: Final = "dispatch"
TASK: Final = "sendline.dispatch"
BROKER_ANSWER: Final = 3
"""Seconds for an answer of the broker: where Redis has gone silent, a stop waits for two of them."""
PREFIX: Final = "sendline:celery:"
"""Before every key of Celery's, so that another app's Celery on the same Redis is not met."""


class Fleet:
    """What the worker's parent and children share: settings, accounts, and the byte that says stop."""

    def __init__(self, settings: "Settings", accounts: "Mapping[str, Account]") -> None:
        """Made before the fork. A plain byte without a lock: a killed child could keep a lock."""
        self.settings = settings
        self.accounts = accounts
        self._stop = RawValue("b", 0)
        self._runtime: Runtime | None = None

    def stop(self) -> None:
        """Tell every process that the worker shuts down."""
        self._stop.value = 1

    def is_stopping(self) -> bool:
        """Return whether the worker shuts down."""
        return bool(self._stop.value)

    def runtime(self) -> Runtime:
        """Return this process' runtime; make it if there is none yet."""
        if self._runtime is None or self._runtime.pid != os.getpid():
            self._runtime = Runtime(self.settings, self.accounts, self.is_stopping)
        return self._runtime

    def close(self) -> None:
        """Finish what this process has on the wire."""
        if self._runtime is not None and self._runtime.pid == os.getpid():
            self._runtime.close()
            self._runtime = None


def make_app(fleet: Fleet) -> Celery:
    """Return the Celery app of a worker."""
    broker.install()
    app = Celery("sendline", broker=broker_url(ledger_url(fleet.settings)), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_default_exchange="",
        task_default_routing_key=QUEUE,
        broker_transport_options={
            "global_keyprefix": PREFIX,
            "socket_timeout": BROKER_ANSWER,
            "socket_connect_timeout": BROKER_ANSWER,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "visibility_timeout": bounds.VISIBILITY_TIMEOUT,
            "unacked_restore_interval": 10,
            "retry_on_timeout": False,
            "max_connections": 50,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_time_limit=bounds.TASK_TIME_LIMIT,
        task_track_started=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
    )

    @app.task(name=TASK)
    def dispatch() -> None:
        fleet.runtime().run_slice()

    app.steps["worker"].add(_tick_step(fleet, app))
    app.steps["worker"].add(_teller_step(fleet))
    _connect_signals(fleet)
    return app


def broker_url(url: str) -> str:
    """Return kombu's form of a ledger URL: unix:///a/b.sock is redis+socket:///a/b.sock."""
    if url.startswith("unix:"):
        return "redis+socket:" + url.removeprefix("unix:").replace("?db=", "?virtual_host=")
    return url


def wake_of(app: Celery) -> Wake:
    """Return the Celery message that starts a dispatcher, as kombu itself serializes it."""
    caught: list[Wake] = []
    with app.connection_for_write() as connection:
        channel: Any = connection.channel()

        def catch(queue: str, message: dict[str, Any], **_options: Any) -> None:
            caught.append(Wake(PREFIX + queue, dumps(message).encode()))

        channel._put = catch
        with app.amqp.Producer(channel) as producer:
            app.send_task(TASK, producer=producer, exchange="", routing_key=QUEUE, ignore_result=True)
    [wake] = caught
    return wake


def _tick_step(fleet: Fleet, app: Celery) -> type[bootsteps.StartStopStep]:
    class TickStep(bootsteps.StartStopStep):
        """Publishes the configuration and ticks, in a thread of the worker's parent."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self.ticker = Ticker(fleet.settings, fleet.accounts, wake_of(app))

        def start(self, parent: Any) -> None:
            self.ticker.start()

        def stop(self, parent: Any) -> None:
            self.ticker.stop()

    return TickStep


def _teller_step(fleet: Fleet) -> type[bootsteps.StartStopStep]:
    class TellerStep(bootsteps.StartStopStep):
        """Tells the endpoints of apps, in a thread of the worker's parent."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self.teller = Teller(fleet.settings)

        def start(self, parent: Any) -> None:
            self.teller.start()

        def stop(self, parent: Any) -> None:
            self.teller.stop()

    return TellerStep


def _connect_signals(fleet: Fleet) -> None:
    def child_starts(**_: Any) -> None:
        # A child that ends waits up to 30 s for its parent to have heard of every task it has done. But a
        # parent that is told to end as a task begins may listen no more. Nor need it: a wake is only a hint.
        pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 0
        fleet.runtime()

    def child_ends(exitcode: int = 0, **_: Any) -> None:
        fleet.close()
        os._exit(exitcode)  # at once: billiard would rest for a second first

    def shuts_down(**_: Any) -> None:
        if not fleet.is_stopping():
            log.info("shutting down: claiming stops, calls under way are finished")
        fleet.stop()

    signals.worker_process_init.connect(child_starts, weak=False)
    signals.worker_process_shutdown.connect(child_ends, weak=False)
    signals.worker_shutting_down.connect(shuts_down, weak=False)
