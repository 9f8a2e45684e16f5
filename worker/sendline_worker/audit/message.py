"""What must be true of a single message, whatever else there is."""

from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.status import FINAL, WAITING, Status
from sendline.ledger.record import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.ledger.audit import Examined
    from sendline.ledger.limits import Limits
    from sendline.ledger.record import Record

OVERDUE_MS: Final = 10_000
"""How late the tick may be with a message."""
CLOCKS_APART_MS: Final = 600_000
"""How far a producer's clock, from which ids have their time, may be from the server's."""
UNREADABLE: Final = "has a record that can't be read"

_FOR_EVER: Final = -1


def faults(found: "Examined", limits: "Limits") -> frozenset[str]:
    """Return what isn't so with one message."""
    return frozenset(_faults(found, limits))


def must_be_there(message_id: bytes, now: int, limits: "Limits") -> bool:
    """Return whether a message is too young for its record to have ended; `now` in milliseconds."""
    age = now - ids.time_of(message_id)
    return age < limits.retention * 1000 - CLOCKS_APART_MS


def _faults(found: "Examined", limits: "Limits") -> "Iterator[str]":
    record = found.record
    if record is None:
        yield from [UNREADABLE] if found.exists else _of_nothing(found, limits)
        return
    if found.timer is not None and found.timer <= found.now - OVERDUE_MS:
        yield "is overdue: its timer has passed and nobody looked at it"
    if found.late and record.state is not Status.SENT:
        yield f"is {record.state.value}, and is asked about as if it were sent"
    if record.state in WAITING:
        yield from _of_waiting(found, record)
        return
    if record.flags & Flag.QUEUED:
        yield "is marked as waiting in a line, and does not wait"
    if record.state is Status.SENDING:
        yield from _of_sending(found)
    elif is_held(found, record):
        yield from _of_held(found, record)
    else:
        yield from _of_settled(found, record)


def is_held(found: "Examined", record: "Record") -> bool:
    """Return whether it is uncertain, and not final by its deadline yet."""
    ends = found.lives_on != _FOR_EVER
    over = not record.text or record.created + record.due <= found.now
    return record.state is Status.UNCERTAIN and not (ends and over)


def _of_nothing(found: "Examined", limits: "Limits") -> "Iterator[str]":
    if found.timer is not None:
        yield "has a timer, and no record"
    if found.asked:
        yield "is held as uncertain, and has no record"
    if found.late:
        yield "is asked about, and has no record"
    if found.elsewhere and must_be_there(found.message_id, found.now, limits):
        yield "stands in a line, and has no record"


def _of_waiting(found: "Examined", record: "Record") -> "Iterator[str]":
    if found.lives_on != _FOR_EVER:
        yield "waits, and its record is about to vanish"
    if found.asked:
        yield "waits, and is held as uncertain at once"
    if found.elsewhere:
        yield "waits, and stands in a line that is not its own"
    yield from _of_queued(found, record) if found.is_queued else _of_waiting_for_its_time(found, record)
    if (found.places or 0) > 1:
        yield "stands in its line more than once"


def _of_queued(found: "Examined", record: "Record") -> "Iterator[str]":
    if found.places == 0:
        yield "waits in a line, and does not stand there"
    if record.due:
        yield "waits in a line and for its time at once"
    ends = _ends(record)
    if ends is not None:
        yield from _of_timer(found, ends, "waits, and no timer looks after it")


def _of_waiting_for_its_time(found: "Examined", record: "Record") -> "Iterator[str]":
    if found.places:
        yield "waits for its time, and stands in a line"
    due, ends = record.created + record.due, _ends(record)
    if record.due or found.timer in (None, due):
        until = due if ends is None else min(due, ends)
        yield from _of_timer(found, until, "waits, and no timer looks after it")
    else:
        yield "waits neither in a line nor for its time"


def _ends(record: "Record") -> int | None:
    """Return the end of its validity (ms); None where its campaign's is looked at for all its messages."""
    if record.flags & Flag.TEMPLATED and not record.expires:
        return None
    ends: int = record.created + record.expires
    return ends


def _of_timer(found: "Examined", instant: int, missing: str) -> "Iterator[str]":
    """Return what isn't so with a timer that must be at `instant`; any that has passed is as good."""
    if found.timer is None:
        yield missing
    elif found.timer != instant and max(found.timer, instant) > found.now:
        yield "has a timer at another instant than its record says"


def _of_sending(found: "Examined") -> "Iterator[str]":
    if found.timer is None:
        yield "is being sent without an end of its claim"
    if found.lives_on != _FOR_EVER:
        yield "is being sent, and its record is about to vanish"
    if found.asked:
        yield "is being sent, and is held as uncertain at once"


def _of_held(found: "Examined", record: "Record") -> "Iterator[str]":
    yield from _of_timer(found, record.created + record.due, "is uncertain without a deadline")
    if not found.asked:
        yield "is uncertain, and is not among those held as uncertain"
    if found.lives_on != _FOR_EVER:
        yield "is uncertain, and its record is about to vanish"


def _of_settled(found: "Examined", record: "Record") -> "Iterator[str]":
    word = "final" if record.state in FINAL else record.state.value
    if record.text:
        yield f"is {word}, and its text is still held"
    if found.lives_on == _FOR_EVER:
        yield f"is {word}, and its record never ends"
    if found.timer is not None and not _awaits_receipt(found, record):
        yield f"is {word}, and has a timer"
    if found.asked:
        yield f"is {word}, and is held as uncertain"


def _awaits_receipt(found: "Examined", record: "Record") -> bool:
    """Return whether it is sent, and its timer the instant at which its receipt is late.

    That is before its deadline; from then on its provider is asked, and it has no timer any more.
    """
    ends = record.created + record.due
    return record.state is Status.SENT and not found.late and found.timer is not None and found.timer < ends
