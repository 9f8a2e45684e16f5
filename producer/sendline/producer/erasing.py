"""How all that is kept of a number is erased, as a plan: messages to it, messages from it, its opt-out."""

from typing import TYPE_CHECKING

from sendline.contract.erased import Erased
from sendline.contract.errors import InvalidMessage
from sendline.contract.numbers import parse_number
from sendline.ledger import erasing, notices
from sendline.ledger.erasing import AT_ONCE, BEGINNING, Blanked, Forgotten
from sendline.ledger.limits import Limits
from sendline.producer.finding import Search, trail_of
from sendline.producer.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.producer.trails import Met
    from sendline.settings import Settings
    from sendline.spool import Shelter
    from sendline.spool.erasing import Taken


def erase(
    settings: "Settings", limits: Limits, spool: "Shelter | None", number: str, *, keep_opt_out: bool
) -> Plan[Erased]:
    """Erase all that is kept of a number, in the spool, too, where there is one.

    Called again it erases what has come since, or what an earlier call that was cut off left.
    Raises InvalidMessage, LedgerError, ConfigurationError.
    """
    to = recipient_of(number, settings.default_region)
    taken = (yield from spool.erase(limits, to, settings.retention)) if spool else None
    blanked = yield from _blank_messages(limits, to)
    forgotten = yield from _forget(limits, to, keep_opt_out=keep_opt_out)
    return erased(blanked, forgotten, taken)


def recipient_of(number: str, region: str | None) -> str:
    """Return a number that is to be erased, in international form. Raises InvalidMessage."""
    try:
        return parse_number(number, region)
    except ValueError as problem:
        raise InvalidMessage("number", str(problem)) from None


def erased(blanked: "Sequence[Blanked]", forgotten: Forgotten, taken: "Taken | None" = None) -> Erased:
    """Return what was done to messages, to what the number wrote, and in the spool, where there is one."""
    return Erased(
        messages=len(blanked) - blanked.count("nothing"),
        canceled=blanked.count("canceled"),
        under_way=blanked.count("under way"),
        inbound=forgotten.wrote,
        rejected=forgotten.unreadable,
        opted_out=forgotten.was_listed,
        spooled=taken.messages if taken else 0,
        spool_left=taken.left if taken else 0,
    )


def _blank_messages(limits: Limits, to: str) -> Plan[list[Blanked]]:
    trail = trail_of(limits, Search(to=to), "to", ())
    blanked: list[Blanked] = []
    while True:
        some: Sequence[Met] | None = yield from trail.next()
        if some is None:
            return blanked
        for first in range(0, len(some), AT_ONCE):
            blanked += yield erasing.erase(limits, to, [met.id for met in some[first : first + AT_ONCE]])


def _forget(limits: Limits, number: str, *, keep_opt_out: bool) -> Plan[Forgotten]:
    marks: list[str] = yield notices.marks()
    for mark in marks:
        yield erasing.unsay(limits, number, mark)
    wrote, place, first = 0, BEGINNING, None
    while place:
        forgotten: Forgotten = yield erasing.forget(limits, number, place, keep_opt_out=keep_opt_out)
        first = first or forgotten
        wrote, place = wrote + forgotten.wrote, forgotten.place
    return Forgotten(wrote, b"", bool(first and first.was_listed), first.unreadable if first else 0)
