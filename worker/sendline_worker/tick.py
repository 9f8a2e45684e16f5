"""The once-a-second housekeeping, in a thread of each worker's parent; the ledger lets one of them do it."""

import logging
import os
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, ClassVar, Final

from sendline.contract.draft import Rules, route_for
from sendline.contract.errors import CannotCarry, LedgerError, UnknownAccount
from sendline.contract.lane import Lane
from sendline.ledger import work
from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import Wake, calendar, configure
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.ledger.recovery import WHAT_HAPPENED
from sendline.ledger.releases import forget_earlier
from sendline.ledger.standing import clock, flow
from sendline.settings import bounds, ledger_url
from sendline_worker import elapsed
from sendline_worker.accounts import directory_json, directory_of
from sendline_worker.alerts import Alerts
from sendline_worker.days import midnights
from sendline_worker.ending import UNHEALTHY, end_at_once
from sendline_worker.watch import Watch
from sendline_worker.windows import publish_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sendline.settings import Settings
    from sendline_worker.accounts import Account

log = logging.getLogger("sendline.worker")

EVERY: Final = 1.0
"""Seconds between two ticks."""
LOCK: Final = 2.5
"""Seconds after its last tick until another worker takes over."""
MOST: Final = 500
"""Messages one call looks at, so that no call holds the ledger up."""
LONGEST: Final = 0.7
"""Seconds after which the rest waits for the next tick: a canceled campaign may have millions."""
CALENDARS_EVERY: Final = 3600.0
"""Seconds after which the coming midnights are published anew; each time those of a week."""


class Ticker:
    """Publishes what this worker knows, then keeps house, and watches whether work that may go is claimed."""

    patience: ClassVar[float] = bounds.NO_CLAIM
    """Seconds after which a worker that should claim, and does not, is ended. Tests shorten it."""

    def __init__(self, settings: "Settings", accounts: "Mapping[str, Account]", wake: Wake) -> None:
        """Prepare, without connecting."""
        self._settings = settings
        self._limits = Limits.of(settings)
        self._ledger = Ledger(ledger_url(settings), timeout=bounds.LEDGER_ANSWER)
        self._directory = directory_of(accounts, settings)
        self._account_limits = [account.limits for account in accounts.values()]
        self._wake = wake
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sendline-tick", daemon=True)
        self._away = False
        self._behind = False
        self._published = False
        self._watch = Watch(self.patience)
        self._calendars_due = 0.0
        providers = {name: account.settings.provider for name, account in accounts.items()}
        self._alerts = Alerts(self._ledger, settings.alert_command, providers)

    def start(self) -> None:
        """Publish, now or as soon as the ledger takes it, and begin to tick."""
        self._reaches_ledger(self._publish)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=EVERY + 1)
        self._alerts.stop()
        self._ledger.close()

    def tick(self) -> None:
        """Keep house once. Raises LedgerError."""
        if not self._published or not self._ledger.run(work.is_configured()):
            self._publish()
        elif elapsed.now() >= self._calendars_due:
            self._publish_calendars()
        until = elapsed.now() + LONGEST
        while True:
            ticked = self._ledger.run(work.tick(self._limits, self._name, lock=LOCK, most=MOST))
            self._tell(behind=ticked.behind)
            if ticked.behind or not ticked.mine:
                return
            if ticked.looked_at < MOST or elapsed.now() > until:
                break
        self._find_routes()
        self._alerts.look()

    def _tell(self, *, behind: bool) -> None:
        """Say once that dispatching has stopped on purpose, and once that it goes on."""
        if behind and not self._behind:
            log.error("nothing is sent: %s; run `sendline recover`", WHAT_HAPPENED)
        elif self._behind and not behind:
            log.warning("the ledger has recovered: dispatching goes on")
        self._behind = behind

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            if self._reaches_ledger(self.tick):
                self._reaches_ledger(self._look)

    def _reaches_ledger(self, do: "Callable[[], None]") -> bool:
        """Do one thing; return False where the ledger is away. A fault in it does not end the thread."""
        try:
            do()
        except LedgerError as error:
            self._watch.forget()  # whoever can't reach the ledger can't claim
            if not self._away:
                log.warning("the tick waits: %s", error)
            self._away = True
            return False
        except Exception:
            log.exception("a tick failed; the next one comes in %g s", EVERY)
            return True
        if self._away:
            log.info("the ledger is back")
        self._away = False
        return True

    def _look(self) -> None:
        """End this worker where work may go and nobody claims it. Raises LedgerError."""
        stuck = self._watch.look(self._ledger.run(flow(self._limits)), time.monotonic())
        if stuck is not None and not self._ended.is_set():
            end_at_once(
                f"unhealthy: {stuck}; this worker and its processes end now with exit code {UNHEALTHY}, "
                "for what supervises it to start it again"
            )

    def _publish(self) -> None:
        call = configure(self._limits, directory_json(self._directory), self._wake, self._account_limits)
        self._ledger.run(call)
        self._publish_calendars()
        forget_earlier(self._ledger)
        self._published = True

    def _publish_calendars(self) -> None:
        """Publish the midnights between which daily caps count; where none may count, only if some were."""
        now = self._ledger.run(clock()) // 1000
        for account in self._account_limits:
            capped = account.daily_cap or account.sender_daily_cap or account.time_zone != "UTC"
            if capped or self._ledger.run(account_state(account.name)).days:
                self._ledger.run(calendar(account.name, midnights(now, account.time_zone)))
        publish_windows(self._ledger, now)
        self._calendars_due = elapsed.now() + CALENDARS_EVERY

    def _find_routes(self) -> None:
        """Give routes to messages that were accepted before any account was known."""
        for lane in range(len(Lane)):
            waiting = self._ledger.run(work.unrouted(lane, MOST))
            if waiting:
                routings = [self._routing(message_id, lane) for message_id in waiting]
                self._ledger.run(work.route(self._limits, routings))

    def _routing(self, message_id: bytes, lane: int) -> work.Routing:
        record = self._ledger.run(work.read_record(message_id))
        if record is None:
            return work.Routing(message_id, lane, (), "its record is gone")
        rules = Rules(accounts=self._directory.accounts, routes=self._directory.routes)
        try:
            route = route_for(
                rules,
                to=record.to.decode(),
                sender=record.sender.decode() or None,
                text=record.text.decode() or None,
                account=record.account.decode() or None,
                message_id=message_id,
            )
        except (CannotCarry, UnknownAccount) as error:
            return work.Routing(message_id, lane, (), str(error))
        return work.Routing(message_id, lane, route, "" if route else "no account may carry it")
