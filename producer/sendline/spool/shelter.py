"""What a producer does with a spool: keep what the ledger can't take, deliver it later, know what waits."""

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sendline.contract import ids
from sendline.contract.errors import IdempotencyConflict, LedgerError, LedgerUnavailable, SendlineError
from sendline.ledger.faults import AllInUse
from sendline.producer.plan import Aside
from sendline.spool.directory import SpoolDirectory
from sendline.spool.drainer import Drainer
from sendline.spool.entry import Entry
from sendline.spool.erasing import Taken, take_out

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from sendline.contract.draft import Draft
    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits
    from sendline.producer.plan import Plan
    from sendline.settings import Settings

log = logging.getLogger("sendline.spool")

A = TypeVar("A")

BELIEVED_AWAY: Final = 1.0
"""Seconds for which a ledger that was away is not asked again by send(): no request waits for it in vain."""


class Shelter:
    """The spool of one producer. Safe in threads and forks."""

    def __init__(self, directory: SpoolDirectory, drainer: Drainer, timeout: float) -> None:
        """`timeout`, in seconds, bounds how long close() tries to deliver."""
        self._directory = directory
        self._drainer = drainer
        self._timeout = timeout
        self._away: LedgerUnavailable | None = None
        self._away_at = self._ask_again_at = 0.0
        self._asking = threading.RLock()
        self._asked_in = os.getpid()
        self._looked_in = 0

    @classmethod
    def of(cls, settings: "Settings", connect: "Callable[[], Ledger]") -> "Shelter | None":
        """Return the spool that `settings` ask for; None: they ask for none. Raises ConfigurationError."""
        if settings.spool_dir is None:
            return None
        directory = SpoolDirectory(settings.spool_dir, settings.spool_most)
        return cls(directory, Drainer(directory, settings, connect), settings.redis_timeout)

    def look(self) -> "Generator[Any, Any, None]":
        """Deliver what an earlier process has left: once in each process, when it first uses the producer."""
        if self._looked_in != os.getpid():
            self._looked_in = os.getpid()
            yield Aside(self._start_where_needed)

    def ask(self) -> LedgerUnavailable | None:
        """Return why the ledger was away a moment ago; None: the caller asks it now.

        Once that is BELIEVED_AWAY ago, one caller is told to ask, and the others go on to write to the disk
        until it has its answer. Where it never gets one, somebody else is told.
        """
        if self._away is None:
            return None
        with self._lock():
            now = time.monotonic()
            if self._away is None or self._directory.reached_at() > self._away_at:
                return None
            if now <= self._ask_again_at:
                return self._away
            self._ask_again_at = now + self._timeout + BELIEVED_AWAY
            return None

    def note_away(self, error: LedgerUnavailable) -> LedgerUnavailable:
        """Take note that the ledger is away; return why. It was not asked where no connection was free."""
        why = LedgerUnavailable(str(error))  # without the frames that the error itself holds
        if isinstance(error, AllInUse):
            return why
        with self._lock():
            self._away, self._away_at = why, time.time()
            self._ask_again_at = time.monotonic() + BELIEVED_AWAY
        return why

    def note_answer(self) -> None:
        """Take note that the ledger has answered, whatever it said."""
        if self._away is not None:
            self._away = None
            if self._drainer.is_at_work:
                self._drainer.start(at_once=True)

    def take(
        self,
        drafts: "Sequence[Draft]",
        accept: "Callable[[Sequence[Draft]], Generator[Any, Any, Sequence[A | SendlineError]]]",
        away: LedgerUnavailable | None = None,
    ) -> "Generator[Any, Any, list[A | Entry | SendlineError]]":
        """Accept messages by the plan `accept`, or onto the disk where the ledger is `away`.

        Each gets what `accept` says of it, or its entry in the spool, or its own error. A message whose
        idempotency key waits in the spool is that one once more. A late one is not kept: only the ledger
        knows whether it repeats another.
        """
        yield from self.look()
        standing: list[Draft | SendlineError] = [*drafts]
        if any(each.idempotency_key and self._directory.has_key(each.idempotency_key) for each in drafts):
            standing = yield Aside(lambda: [self._standing(each) for each in drafts])
        asked = [each for each in standing if not isinstance(each, SendlineError)]
        answers: list[A | Entry | SendlineError] = []
        if asked:
            away = away or self.ask()
            if away is None:
                try:
                    answers = [*(yield from accept(asked))]
                except LedgerUnavailable as error:
                    away = self.note_away(error)
                except LedgerError:
                    self.note_answer()
                    raise
                else:
                    self.note_answer()
            if away is not None:
                why = away
                answers = yield Aside(lambda: self._keep(asked, why))
        found = iter(answers)
        return [each if isinstance(each, SendlineError) else next(found) for each in standing]

    def find(self, message_id: bytes) -> "Generator[Any, Any, Entry | None]":
        """Read a message that waits here; None where it does not."""
        yield from self.look()
        if not self._directory.holds(message_id):
            return None
        found: Entry | None = yield Aside(lambda: self._directory.find(message_id))
        return found

    def due(self, entry: Entry) -> "Draft":
        """Return a message that waits here as it is accepted now."""
        return entry.due(_now_ms())

    def erase(self, limits: "Limits", number: str, retention: float) -> "Plan[Taken]":
        """Take out the messages to a number, and what else is kept here of it. See take_out()."""
        return take_out(self._directory, limits, number, retention)

    def close(self) -> None:
        """Try once more to deliver what this process has left here, within the timeout."""
        self._drainer.close(self._timeout)
        self._looked_in = 0

    def _lock(self) -> threading.RLock:
        """Return what one thread of this process holds while it decides, and a handler of signals in it."""
        if self._asked_in != os.getpid():
            self._asking = threading.RLock()  # a thread of the parent may have held the other
            self._asked_in = os.getpid()
        return self._asking

    def _start_where_needed(self) -> None:
        if not self._directory.is_empty():
            self._drainer.start(at_once=True)

    def _standing(self, draft: "Draft") -> "Draft | SendlineError":
        """Return the message itself, or the one with its idempotency key that waits here."""
        earlier = self._directory.with_key(draft.idempotency_key) if draft.idempotency_key else None
        if earlier is None:
            return draft
        if earlier.draft.fingerprint != draft.fingerprint:
            return IdempotencyConflict(ids.to_text(earlier.draft.id))
        return earlier.due(_now_ms())

    def _keep(self, drafts: "Sequence[Draft]", away: LedgerUnavailable) -> list[Entry | SendlineError]:
        now_ms = _now_ms()
        answers: list[Entry | SendlineError] = []
        found = iter(self._directory.keep([Entry(draft, now_ms) for draft in drafts if not draft.late]))
        for kept in (away if draft.late else next(found) for draft in drafts):
            if isinstance(kept, OSError):
                why = kept.strerror or str(kept) or type(kept).__name__
                answers.append(LedgerUnavailable(f"{away}; nor can spool_dir take the message: {why}"))
            else:
                answers.append(kept)
        number = sum(isinstance(each, Entry) for each in answers)
        if number:
            if not self._drainer.is_at_work:
                log.warning("messages are kept in %s: %s", self._directory.path, away)
            self._drainer.start()
        return answers


def _now_ms() -> int:
    return round(time.time() * 1000)
