"""A new round of a campaign: its recipients are those of its messages that came to a bad end.

They are written to a temporary file before any is imported: one line for each message of the campaign, empty
where that is not sent again. So a round is streamed however large it is, and a recipient's line is its place
in the campaign, so that a round whose import was cut off goes on even where more has failed meanwhile.
"""

import json
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from sendline.campaigns import steering
from sendline.campaigns.recipients import Columns
from sendline.contract.campaign import BAD, ENDED, CampaignSpec
from sendline.contract.errors import CampaignConflict, CampaignExists
from sendline.ledger import campaigns
from sendline.ledger.recall import recall
from sendline.ledger.record import UNREADABLE, Flag, Record, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sendline.campaigns.fields import CampaignFields
    from sendline.contract.campaign import Imported
    from sendline.ledger.campaigns import Found
    from sendline.producer.plan import Plan

    Founding = Callable[[str, CampaignFields, str | None], Plan["T"]]
    """What founds a campaign of that name, with those fields, for that owner."""

T = TypeVar("T")

PAGE: Final = 500
"""Messages that are read at once."""
COLUMNS: Final = Columns(to=" to", sender=" sender", not_before=" not_before")
"""No variable of a template can have a name that begins with a space."""


@contextmanager
def _temporary_file() -> "Iterator[IO[bytes]]":
    with TemporaryFile(prefix="sendline-") as file:
        yield file


def make_round(
    name: str,
    new_name: str | None,
    found: "Founding[T]",
    on_progress: "Callable[[Imported], None]" = lambda _: None,
    opened: "Callable[[], AbstractContextManager[IO[bytes]]]" = _temporary_file,
) -> "Plan[T]":
    """Found a new round of the campaign `name` by `found`, or go on with its import; return what that does.

    It has the campaign's owner. `opened` opens the file for its recipients, which is gone behind the block.
    Raises InvalidCampaign, and CampaignConflict where none failed.
    """
    there = yield from steering.find(name)
    with opened() as file:
        if not (yield from write_round(name, file)):
            raise none_failed(name)
        file.seek(0)
        fields = round_fields(there.spec, file)
        fields["on_progress"] = on_progress
        made = new_name or (yield from round_name(there.spec, there.owner))
        return (yield from found(made, fields, there.owner))


def write_round(name: str, file: IO[bytes]) -> "Plan[int]":
    """Write the recipients of a new round of the campaign `name`, as JSON lines; return how many there are.

    A message that is no longer kept, or whose record is damaged, is left out.
    """
    start: int | None = 0
    written = 0
    while start is not None:
        ids: list[bytes] = yield campaigns.members(name, start, PAGE)
        lines: list[bytes] = (yield recall(ids, lambda raws: list(map(_line, raws)))) if ids else []
        file.write(b"".join(lines))
        written += sum(line != b"\n" for line in lines)
        start = start + PAGE if len(ids) == PAGE else None
    return written


def round_fields(spec: CampaignSpec, file: IO[bytes]) -> "CampaignFields":
    """Return the arguments of a campaign that sends what `spec` says to the recipients in `file`."""
    return {
        "text": spec.text,
        "recipients": file,
        "columns": COLUMNS,
        "format": "jsonl",
        "encoding": "utf-8",
        "sender": spec.sender,
        "account": spec.account,
        "valid_for": spec.valid_for,
        "on_uncertain": spec.on_uncertain,
        "callback_url": spec.callback_url,
        "window": spec.window,
        "default_zone": spec.default_zone,
        "keep_duplicates": spec.keep_duplicates,
        "pause_at": spec.pause_at,
        "pause_over": spec.pause_over,
        "price": spec.price,
    }


def round_name(spec: CampaignSpec, owner: str | None = None) -> "Plan[str]":
    """Return the name of a campaign's next round: NAME.2, NAME.3, ...; of a round, the one behind it.

    What is another's than `owner`'s is no round, whatever it sends. A round whose import was cut off is the
    next one still. Raises CampaignExists where the next one was imported whole: the same people would get it
    twice.
    """
    stem, number = yield from _stem(spec, owner)
    while True:
        number += 1
        name = f"{stem}.{number}"
        there: Found | None = yield campaigns.read_campaign(name)
        if there is None:
            return name
        if _is_alike(there, spec, owner):
            if _takes_more(there):
                return name
            raise CampaignExists(
                "name",
                f"{name} was made of what failed, and is {there.progress.summary}; go on with that one",
            )


def none_failed(name: str) -> CampaignConflict:
    """Return the error of a campaign that needs no new round."""
    return CampaignConflict("name", f"campaign {name} has no message that failed and is still kept")


def _stem(spec: CampaignSpec, owner: str | None) -> "Plan[tuple[str, int]]":
    """Return the name of the first round, and the number of this one."""
    stem, _, number = spec.name.rpartition(".")
    if stem and number.isascii() and number.isdecimal():
        first: Found | None = yield campaigns.read_campaign(stem)
        if first is not None and _is_alike(first, spec, owner):
            return stem, int(number)
    return spec.name, 1


def _is_alike(there: "Found", spec: CampaignSpec, owner: str | None) -> bool:
    return there.owner == owner and replace(there.spec, name="") == replace(spec, name="")


def _takes_more(there: "Found") -> bool:
    return not there.progress.imported.complete and there.progress.state not in ENDED


def _line(raw: bytes | None) -> bytes:
    """Return the line of the message with that record; it is empty where that is not sent again."""
    try:
        return _recipient(Record(raw)) if raw else b"\n"
    except UNREADABLE:
        return b"\n"


def _recipient(record: Record) -> bytes:
    if record.state not in BAD or not record.flags & Flag.TEMPLATED:
        return b"\n"
    values: dict[bytes, bytes] = unpack(record.extras) if record.extras else {}
    row: dict[str, Any] = {name.decode(): value.decode() for name, value in values.items()}
    row |= {" to": record.to.decode(), " sender": record.sender.decode(), " not_before": ""}
    return json.dumps(row).encode() + b"\n"
