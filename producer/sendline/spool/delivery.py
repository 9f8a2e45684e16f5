"""From the spool into the ledger: in order, in batches, each message once."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sendline.contract import ids
from sendline.ledger import durability, verbs
from sendline.ledger.limits import Limits
from sendline.producer.core import BATCH
from sendline.spool.entry import PAST, Damaged, Entry, Newer

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings
    from sendline.spool.directory import SpoolDirectory

log = logging.getLogger("sendline.spool")


@dataclass(slots=True)
class Tally:
    """What became of the messages that were looked at."""

    accepted: int = 0
    """The ledger has them now; `expired` and `answered` count apart."""
    expired: int = 0
    """The ledger has them, and their validity had ended before."""
    answered: int = 0
    """Another message stands for them: it had their idempotency key, and their content."""
    refused: int = 0
    """Kept aside."""
    left: int = 0
    """They can't be read at present, or were written by a later release: they wait on."""

    @property
    def done(self) -> int:
        """Return how many wait no more."""
        return self.accepted + self.expired + self.answered + self.refused


class Delivery:
    """Hands what waits in a spool to the ledger."""

    def __init__(self, directory: "SpoolDirectory", ledger: "Ledger", settings: "Settings") -> None:
        """`ledger` is used by nobody else at the same time."""
        self._directory = directory
        self._ledger = ledger
        self._settings = settings
        self._limits = Limits.of(settings)
        self._left: set[bytes] = set()

    def run(self, after_batch: Callable[[Tally], bool]) -> Tally:
        """Deliver what waits now, the oldest first; the caller holds the directory's lock.

        `after_batch` is told how far it is, and says whether to go on. What was delivered is removed when the
        ledger has it, not before: who dies between the two makes others deliver it again, and an id is
        accepted once. Raises LedgerError or OSError.
        """
        tally = Tally()
        waiting = self._directory.waiting()
        if waiting and self._settings.durability != "memory":
            durability.demand_of(self._ledger)
        for start in range(0, len(waiting), BATCH):
            self._deliver(self._readable(waiting[start : start + BATCH], tally), tally)
            if not after_batch(tally):
                break
        self._directory.sweep(time.time())
        return tally

    def _deliver(self, entries: list[Entry], tally: Tally) -> None:
        if not entries:
            return
        now_ms = round(time.time() * 1000)
        drafts = [entry.due(now_ms) for entry in entries]
        verdicts = self._ledger.run(verbs.accept(self._limits, drafts))
        self._directory.note_reached()
        for entry, draft, verdict in zip(entries, drafts, verdicts, strict=True):
            if isinstance(verdict, verbs.Conflict):
                self._refuse(entry.draft.id, "conflict", tally, entry)
                continue
            if isinstance(verdict, verbs.Known):
                tally.answered += 1
                told = ids.to_text(entry.draft.id), ids.to_text(verdict.message_id)
                log.info("message %s of the spool has the idempotency key of %s, which stands for it", *told)
            elif draft.valid_for_ms == PAST:
                tally.expired += 1
            else:
                tally.accepted += 1
            self._directory.remove(entry)

    def _readable(self, message_ids: Sequence[bytes], tally: Tally) -> list[Entry]:
        """Return those that can be delivered; what can't be is kept aside, and holds up no other."""
        entries: list[Entry] = []
        now_ms = round(time.time() * 1000)
        for message_id in message_ids:
            try:
                entry = self._directory.read(message_id)
            except Damaged as error:
                log.error("message %s of the spool is damaged: %s", ids.to_text(message_id), error)
                self._refuse(message_id, "damaged", tally)
                continue
            except (Newer, OSError) as error:
                self._leave(message_id, str(error) if isinstance(error, Newer) else type(error).__name__)
                tally.left += 1
                continue
            if entry is None:
                continue  # somebody else delivered it
            if entry.is_stale(now_ms, self._settings.retention):
                self._refuse(message_id, "stale", tally, entry)
            else:
                entries.append(entry)
        return entries

    def _leave(self, message_id: bytes, why: str) -> None:
        if message_id not in self._left:
            self._left.add(message_id)
            log.warning("message %s of the spool is left there: %s", ids.to_text(message_id), why)

    def _refuse(self, message_id: bytes, why: str, tally: Tally, entry: Entry | None = None) -> None:
        self._directory.set_aside(message_id, why, entry)
        tally.refused += 1
        log.error("message %s of the spool is kept aside: %s", ids.to_text(message_id), why)
