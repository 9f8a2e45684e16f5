"""What a test looks at: the messages that the app has sent, with the assertions that people write."""

import re
from typing import TYPE_CHECKING, Final

from sendline.contract.status import Status
from sendline.ledger.record import Flag
from sendline.testing.steering import Steering

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

    from sendline.contract.message import Message
    from sendline.testing.entry import Entry

CODE: Final = r"(?<!\d)\d{4,8}(?!\d)"
"""A one-time code: four to eight digits that stand alone."""
_NEVER_SENT: Final = {Status.SUPPRESSED, Status.CANCELED, Status.EXPIRED}
_LISTED: Final = 20
"""Messages that a failure lists."""


class Outbox(Steering):
    """Every message that was handed to a recording producer. Safe in threads.

    outbox.assert_sent(to="+1 311 555 2367", text_contains="Your code")
    """

    @property
    def messages(self) -> "list[Message]":
        """Return every message that was accepted, in order, as it stands now, with its text.

        Of a campaign, those that were imported once it has started. The ledger itself erases a text when it
        is needed no more; here it stays.
        """
        with self._memory.lock:
            self._ledger.campaigns.look_after()
            return [self._shown(entry) for entry in self._memory.entries.values() if self._has_begun(entry)]

    @property
    def last(self) -> "Message":
        """Return the newest message. Raises AssertionError where there is none."""
        found = self.messages
        if not found:
            raise AssertionError("nothing was sent: the outbox is empty")
        return found[-1]

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> "Iterator[Message]":
        return iter(self.messages)

    def __bool__(self) -> bool:
        """Be true although it is empty: an outbox is there or not."""
        return True

    def __repr__(self) -> str:
        return f"<Outbox of {len(self)} messages>"

    def sent_to(self, number: str) -> "list[Message]":
        """Return what was sent, or is to be sent, to a number (as people write it), in order.

        Without what was held back: the recipient had opted out, or it was canceled, or over, before that.
        """
        wanted = self.number(number)
        return [message for message in self._sent() if message.to == wanted]

    def assert_sent(
        self,
        *,
        to: str | None = None,
        text: str | None = None,
        text_contains: str | None = None,
        sender: str | None = None,
        times: int | None = 1,
    ) -> "Message":
        """Assert that exactly `times` messages are like this (None: one or more); return the newest."""
        if times is not None and times < 1:
            raise ValueError("times: at least 1; use assert_not_sent() for none")
        found = self._matching(to, text, text_contains, sender)
        if not found or (times is not None and len(found) != times):
            wanted = "at least one message" if times is None else _number(times)
            self._complain(
                f"expected {wanted} {_like(to, text, text_contains, sender)}, and there "
                f"{'is' if len(found) == 1 else 'are'} {len(found) or 'none'}"
            )
        return found[-1]

    def assert_not_sent(
        self,
        *,
        to: str | None = None,
        text: str | None = None,
        text_contains: str | None = None,
        sender: str | None = None,
    ) -> None:
        """Assert that no message is like this."""
        found = self._matching(to, text, text_contains, sender)
        if found:
            like = _like(to, text, text_contains, sender)
            self._complain(
                f"expected no message {like}, and there {'is' if len(found) == 1 else 'are'} {len(found)}"
            )

    def assert_nothing_sent(self) -> None:
        """Assert that nothing was sent, nor is to be sent, to anybody."""
        number = len(self._sent())
        if number:
            self._complain(
                f"expected that nothing was sent, and there {'is' if number == 1 else 'are'} {number}"
            )

    def code_for(self, number: str, pattern: str = CODE) -> str:
        """Return the one-time code in the newest message to a number: what `pattern` matches first.

        Of a pattern with groups, the first group. Raises AssertionError where there is none.
        """
        found = self.sent_to(number)
        if not found:
            self._complain(f"expected a code for {number}, and nothing was sent there")
        match = re.search(pattern, found[-1].text or "")
        if match is None:
            self._complain(f"nothing in the newest message to {number} matches {pattern!r}")
        return str(match[1] if match.re.groups else match[0])

    def clear(self) -> None:
        """Begin anew: forget messages, events, campaigns, opt-outs, what came in, and any fail_next()."""
        self._memory.clear()

    def _sent(self) -> "list[Message]":
        return [m for m in self.messages if m.attempts or m.status not in _NEVER_SENT]

    def _matching(
        self, to: str | None, text: str | None, text_contains: str | None, sender: str | None
    ) -> "list[Message]":
        found = self._sent() if to is None else self.sent_to(to)
        if sender is not None:
            names = {sender, self._as_number(sender)}
            found = [m for m in found if m.sender in names]
        if text is not None:
            found = [m for m in found if m.text == text]
        if text_contains is not None:
            found = [m for m in found if text_contains in (m.text or "")]
        return found

    def _as_number(self, sender: str) -> str:
        try:
            return self.number(sender)
        except ValueError:
            return sender  # a name

    def _has_begun(self, entry: "Entry") -> bool:
        if not entry.has(Flag.TEMPLATED):
            return True
        return "started" in self._memory.campaigns[entry.campaign].times

    def _complain(self, problem: str) -> "NoReturn":
        raise AssertionError(f"{problem}.\n{_listed(self.messages)}")


def _number(times: int) -> str:
    return "1 message" if times == 1 else f"{times} messages"


def _like(to: str | None, text: str | None, text_contains: str | None, sender: str | None) -> str:
    said = [
        f"to {to}" if to is not None else "",
        f"from {sender}" if sender is not None else "",
        f"with the text {text!r}" if text is not None else "",
        f"whose text contains {text_contains!r}" if text_contains is not None else "",
    ]
    return " ".join(filter(None, said)) or "at all"


def _listed(messages: "Sequence[Message]") -> str:
    if not messages:
        return "The outbox is empty."
    head = f"The outbox has {_number(len(messages))}:"
    left = len(messages) - _LISTED
    more = [f"  (the {left} before are left out)"] if left > 0 else []
    return "\n".join([head, *more, *map(_line, messages[-_LISTED:])])


def _line(message: "Message") -> str:
    sender = f" from {message.sender}" if message.sender else ""
    why = f" ({message.error})" if message.error else ""
    return f"  to {message.to}{sender}, {message.status}{why}: {message.text!r}"
