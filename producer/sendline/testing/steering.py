"""What a test does in the place of workers, providers and people: the steering half of an outbox."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.codes import ErrorCode
from sendline.contract.errors import LedgerUnavailable, UnknownMessage
from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keywords
from sendline.contract.message import Message
from sendline.contract.numbers import parse_number
from sendline.contract.status import Status
from sendline.ledger import inbound
from sendline.ledger.limits import Limits
from sendline.testing.answering import MemoryLedger
from sendline.testing.memory import Memory
from sendline.testing.moves import NO_ACCOUNT, NoSuchMove, where_to

if TYPE_CHECKING:
    from sendline.settings import Settings
    from sendline.testing.entry import Entry
    from sendline.testing.memory import Accounts

_ACCEPTED: Final = {Status.SENT, Status.DELIVERED, Status.UNDELIVERED}
_BY_A_CLAIM: Final = {*_ACCEPTED, Status.SENDING, Status.RETRYING, Status.UNCERTAIN, Status.FAILED}
_CODES: Final = {
    Status.RETRYING: ErrorCode.UNAVAILABLE,
    Status.UNCERTAIN: ErrorCode.PERHAPS_ACCEPTED,
    Status.FAILED: ErrorCode.REJECTED,
    Status.UNDELIVERED: ErrorCode.UNREACHABLE,
}
"""Why a message comes to a status, where the test does not say."""


class Steering:
    """Moves messages along the table of docs/lifecycle.md, and lets people write in."""

    def __init__(self, accounts: "Accounts | None" = None) -> None:
        """Begin empty. `accounts`: names with their senders, as workers would publish them."""
        self._memory = Memory(accounts)
        self._ledger = MemoryLedger(self._memory)
        self._regions: list[str] = []
        self._keywords = Keywords()

    def _heed(self, settings: "Settings") -> None:
        """Read numbers and keywords as a producer with these settings does."""
        words = (settings.stop_words, settings.start_words, settings.help_words)
        self._keywords = Keywords(*map(frozenset, words))
        if settings.default_region and settings.default_region not in self._regions:
            self._regions.append(settings.default_region)

    def deliver(self, message: Message | str) -> Message:
        """Let a message be sent and delivered. Raises NoSuchMove where it can't be."""
        return self.advance(message, Status.DELIVERED)

    def fail(self, message: Message | str, code: ErrorCode | str | None = None, reason: str = "") -> Message:
        """Let a message fail: what was sent is `undelivered`, anything else is refused and `failed`."""
        with self._memory.lock:
            sent = self._entry(message).state is Status.SENT
            return self.advance(
                message, Status.UNDELIVERED if sent else Status.FAILED, code=code, reason=reason
            )

    def advance(
        self,
        message: Message | str,
        status: Status | str,
        *,
        code: ErrorCode | str | None = None,
        reason: str = "",
        provider_id: str | None = None,
    ) -> Message:
        """Bring a message to `status`, by every move on the way, and return it as it then stands.

        Times don't matter: a message that is not due is sent all the same. `code` and `reason` tell why;
        `provider_id` is the provider's, once it is sent. What is `sent` waits for its receipt, as with an
        account that reports deliveries. What is `uncertain` goes on to `retrying` by itself where its policy
        is to resend.

        Raises NoSuchMove where the table has no way there, or the recipient has opted out, or the campaign
        rests; UnknownMessage.
        """
        wanted = Status(status)
        with self._memory.lock:
            entry = self._entry(message)
            told = len(self._memory.events)
            because = _CODES.get(wanted, "") if code is None else code
            came_from = entry.state
            self._bring(entry, wanted, str(because), reason, provider_id)
            self._ledger.campaigns.look_after()
            news = entry.message().timeline[told and -(len(self._memory.events) - told) :]
            if len(self._memory.events) == told or wanted not in {each.status for each in news}:
                raise _no_way(entry, came_from, wanted)
            return self._shown(entry)

    def _bring(self, entry: "Entry", to: Status, code: str, reason: str, provider_id: str | None) -> None:
        moves = self._ledger.moves
        if entry.waits and to in _BY_A_CLAIM:
            moves.claim(entry)
        if entry.state is Status.SENDING and to in _ACCEPTED:
            said = reason if to is Status.SENT else ""
            moves.send(entry, said, provider_id or f"recorded-{entry.claim}")
            if to is Status.SENT:
                return
        if to in _ACCEPTED:
            moves.prove(entry, to, code, reason)
        elif entry.state is Status.SENDING:
            self._settle(entry, to, code, reason)
        elif entry.state is Status.UNCERTAIN and to is Status.RETRYING:
            moves.decide_to_resend(entry, reason)
        elif entry.state is Status.UNCERTAIN and to is Status.FAILED:
            moves.decide_to_fail(entry, reason)
        elif entry.waits:
            self._end(entry, to, reason)

    def _settle(self, entry: "Entry", to: Status, code: str, reason: str) -> None:
        moves = self._ledger.moves
        if to is Status.CREATED:
            moves.give_back(entry, code or ErrorCode.HANDED_BACK, reason, unsent=True)
        elif to is Status.RETRYING:
            moves.give_back(entry, code, reason)
        elif to is Status.UNCERTAIN:
            moves.doubt(entry, code, reason)
        elif to is Status.FAILED:
            moves.give_up(entry, to, code, reason)
        elif to is Status.CANCELED:
            moves.cancel(entry)
            moves.give_back(entry, code or ErrorCode.UNAVAILABLE, reason)

    def _end(self, entry: "Entry", to: Status, reason: str) -> None:
        if to is Status.EXPIRED:
            self._ledger.moves.expire(entry, *([reason] if reason else []))
        elif to is Status.CANCELED:
            self._ledger.moves.cancel(entry)

    def fail_next(
        self, error: ErrorCode | Exception | type[Exception] = LedgerUnavailable, *, times: int = 1
    ) -> None:
        """Let the next `times` calls that send go wrong.

        An ErrorCode: the message is accepted, and then fails for that reason. An exception: send() raises it,
        and nothing is accepted.
        """
        if isinstance(error, type):
            error = error("asked for by outbox.fail_next()")
        with self._memory.lock:
            self._memory.failures.extend([error] * times)

    def suppress(self, number: str) -> None:
        """Put a number on the suppression list, as if its owner had opted out."""
        with self._memory.lock:
            self._memory.suppressed.add(self.number(number))

    def unsuppress(self, number: str) -> None:
        """Take a number off the suppression list."""
        with self._memory.lock:
            self._memory.suppressed.discard(self.number(number))

    def receive(
        self, *, from_: str, text: str, to: str | None = None, account: str | None = None
    ) -> InboundMessage:
        """Let somebody write to one of your numbers; STOP and START hold from then on.

        `to` is the number that was written to: by default the sender of the newest message to `from_`, or the
        first sender of an account. inbound() yields what came in.
        """
        sender = self.number(from_)
        with self._memory.lock:
            place = len(self._memory.inbound)
            arrival = inbound.Arrival(
                account=account or next(iter(self._memory.directory.accounts), NO_ACCOUNT),
                sender=sender,
                to=self.number(to) if to else self._written_to(sender),
                text=text,
                keyword=self._keywords.read(text),
                provider_id=f"recorded-in-{place + 1}",
            )
            self._ledger.run(inbound.inbound(Limits(), [arrival]))
            [came] = self._ledger.run(inbound.inbound_after(place, block_ms=None))
            return came

    def _written_to(self, sender: str) -> str:
        ours: list[Any] = [e.sender for e in self._memory.entries.values() if e.to == sender and e.sender]
        cards = self._memory.directory.accounts.values()
        ours = ours[-1:] or [number for card in cards for number in card.senders]
        if not ours:
            raise ValueError("to: say which of your numbers was written to; no message and no account tells")
        return str(ours[0])

    def number(self, number: str) -> str:
        """Return a number as people write it in E.164; raises ValueError."""
        wrong = ValueError("never tried")
        for region in [None, *self._regions]:
            try:
                return parse_number(number, region)
            except ValueError as error:
                wrong = error
        raise ValueError(f"{number!r}: {wrong}")

    def _entry(self, message: Message | str) -> "Entry":
        text = message if isinstance(message, str) else message.id
        entry = self._memory.entries.get(ids.to_bytes(text) or b"")
        if entry is None:
            raise UnknownMessage(text)
        return entry

    def _shown(self, entry: "Entry") -> Message:
        return replace(entry.message(), text=entry.said)


def _no_way(entry: "Entry", came_from: Status, wanted: Status) -> NoSuchMove:
    stands = f"it is {entry.state}"
    if entry.state is not came_from:
        why = entry.message().timeline[-1].reason
        stands = f"it was {came_from} and came to {entry.state}" + (f": {why}" if why else "")
    return NoSuchMove(
        f"message {entry.text_id} can't become {wanted}: {stands}; from there it may become {where_to(entry)}"
    )
