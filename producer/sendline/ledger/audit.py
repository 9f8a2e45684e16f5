"""What an audit reads of the ledger, in small steps. Nothing here changes anything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.status import CODES, WAITING
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS, account_key, message_key
from sendline.ledger.limits import Limits
from sendline.ledger.lines import mark_of
from sendline.ledger.recall import recall
from sendline.ledger.record import (
    UNREADABLE,
    Flag,
    Record,
    digest,
    pack,
    readable,
    unpack,
    unpack_provider_id,
)
from sendline.ledger.rows import row_of
from sendline.ledger.scripts import script

SCANNED: Final = 1000
"""Keys that one step looks at."""

_ID: Final = 16
_BEGINNING: Final = 6
"""Bytes of ids that a shelf of the archive is named by."""
_DIGEST: Final = 10


@dataclass(frozen=True, slots=True)
class Keys:
    """What one step of a scan found. `cursor` is 0 at the end. A key may come more than once."""

    cursor: int
    messages: tuple[bytes, ...]
    """Ids."""
    index: tuple[bytes, ...]
    """Names of shelves of the index of provider ids."""
    idempotency: tuple[bytes, ...]
    """Digests of idempotency keys."""
    rows: tuple[str, ...]
    """Of lines, as `lane code:route`, and `:row` unless that is empty."""
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """A message with all that belongs to it. Instants in milliseconds of the server's clock."""

    message_id: bytes
    now: int
    exists: bool
    record: Record | None
    """None where there is none, or none that can be read."""
    lives_on: int
    """Milliseconds; -1: for ever."""
    timer: int | None = None
    asked: bool = False
    """Whether it is held for its provider, or a person, to tell its fate."""
    late: bool = False
    """Whether its provider is asked about it as sent, and its receipt as late."""
    places: int | None = None
    """How often its id stands in its own row: 0, 1 or 2 for more; None: not looked for."""
    elsewhere: frozenset[str] = field(default=frozenset())
    """Other rows in which its id stands, of those looked into."""

    @property
    def rows(self) -> frozenset[str]:
        """Return the two rows in which its id may stand: with its sender's mark, and without.

        Which one it is changes with what its accounts limit; the next claim takes it from one to the other.
        """
        record = self.record
        if record is None:
            return frozenset()
        line = f"{record.lane}:{record.route.decode()}"
        if not record.route:
            return frozenset((line,))
        bulk = record.lane == LANE_CODES[Lane.BULK]
        campaign = record.campaign.decode() if bulk else ""
        return frozenset((row_of(line, campaign), row_of(line, f"{campaign}@{mark_of(record.sender)}")))

    @property
    def is_queued(self) -> bool:
        """Whether it waits in its line."""
        record = self.record
        return record is not None and record.state in WAITING and bool(record.flags & Flag.QUEUED)


def scan(cursor: int, *, part: int = 0, parts: int = 1) -> Call[Keys]:
    """Read the names of some keys; where `parts` is more than 1, only of messages of one `part`."""

    def read(reply: Any) -> Keys:
        found: list[bytes] = reply[1]
        return Keys(
            int(reply[0]),
            tuple(_after(found, "message", _ID)),
            tuple(_after(found, "index")),
            tuple(_after(found, "idempotency", _DIGEST)),
            tuple(name.decode() for name in _after(found, "line")),
            tuple(name.decode() for name in _after(found, "account")),
        )

    pattern = b"sl:*" if parts == 1 else message_key(b"?" * (_ID - 1)) + _last_bytes(part, parts)
    return Call("SCAN", [cursor, "MATCH", pattern, "COUNT", SCANNED], read)


def scan_archive(cursor: int, *, part: int, parts: int) -> Call[tuple[int, list[bytes]]]:
    """Read the names of some shelves of the archive, with records of one `part` of the messages."""

    def read(reply: Any) -> tuple[int, list[bytes]]:
        return int(reply[0]), _after(reply[1], "archive")

    first, size = part * 16 // parts, 16 // parts  # of what the first half of an id's last byte may be
    digits = "0123456789abcdef"[first : first + size]
    pattern = f"{KEYS['archive']}{'?' * _BEGINNING}[{digits}]*"
    return Call("SCAN", [cursor, "MATCH", pattern, "COUNT", SCANNED], read)


def filed(shelves: Sequence[bytes]) -> Call[list[bytes]]:
    """Read the ids of the messages whose records stand on shelves of the archive."""
    return Call(script("filed"), [*shelves], list)


def part_of(message_id: bytes, parts: int) -> int:
    """Return the part of the messages that an id belongs to, of `parts`: a power of 2, at most 16."""
    return message_id[-1] * parts // 256 if message_id else 0


def _last_bytes(part: int, parts: int) -> bytes:
    """Return the pattern of the last bytes of a part's ids, which are random."""
    first, size = part * 256 // parts, 256 // parts
    return b"[" + bytes([first]) + b"-" + bytes([first + size - 1]) + b"]"


def _after(found: list[bytes], kind: str, length: int | None = None) -> list[bytes]:
    prefix = KEYS[kind].encode()
    rests = [key[len(prefix) :] for key in found if key.startswith(prefix)]
    return [rest for rest in rests if length is None or len(rest) == length]


def keys_held() -> Call[int]:
    """Read how many keys the server holds."""
    return Call("DBSIZE", [], int)


def examine(
    limits: Limits, message_ids: Sequence[bytes], rows: Iterable[str] | None = None
) -> Call[list[Examined]]:
    """Read messages; where `rows` are given, also where their ids stand: in their own row and in those."""

    def read(reply: Any) -> list[Examined]:
        now = reply[0]
        return [
            Examined(
                message_id,
                now,
                exists=bool(raw),
                record=readable(raw),
                lives_on=lives_on,
                timer=int(float(timer)) if timer else None,
                asked=bool(asked),
                late=bool(late),
                places=places if places >= 0 else None,
                elsewhere=frozenset(name.decode() for name in others),
            )
            for message_id, (raw, lives_on, timer, asked, late, places, others) in zip(
                message_ids, reply[1:], strict=True
            )
        ]

    searched = b"" if rows is None else pack(sorted(rows))
    return Call(script("examine"), [limits.packed, searched, *message_ids], read)


def records_there(message_ids: Sequence[bytes]) -> Call[int]:
    """Read how many of the messages have a record."""
    return recall(message_ids, lambda raws: sum(raw is not None for raw in raws))


def raw_records(message_ids: Sequence[bytes]) -> Call[list[bytes | None]]:
    """Read the records of messages, as they are stored."""
    return recall(message_ids, list)


def timers(cursor: int) -> Call[tuple[int, list[bytes]]]:
    """Read the ids of some timers."""
    return _members("timers", cursor)


def questions(cursor: int) -> Call[tuple[int, list[bytes]]]:
    """Read the ids of some messages that are held for their fate to be told."""
    return _members("uncertain", cursor)


def late(cursor: int) -> Call[tuple[int, list[bytes]]]:
    """Read the ids of some messages that are sent and asked about."""
    return _members("unreported", cursor)


def _members(key: str, cursor: int) -> Call[tuple[int, list[bytes]]]:
    return Call(
        "ZSCAN", [KEYS[key], cursor, "COUNT", SCANNED], lambda reply: (int(reply[0]), list(reply[1][::2]))
    )


def indexed(limits: Limits, digests: Sequence[bytes]) -> Call[list[bytes | None]]:
    """Read which messages the digests of provider ids point to."""
    return Call(script("indexed"), [limits.packed, *digests], list)


def shelved(limits: Limits, shelves: Sequence[bytes]) -> Call[Mapping[bytes, bytes]]:
    """Read the entries of shelves of the index: digests of provider ids, and the messages they point to."""

    def read(reply: Any) -> dict[bytes, bytes]:
        return dict(zip(reply[::2], reply[1::2], strict=True))

    return Call(script("shelved"), [limits.packed, *shelves], read)


def remembered(digests: Sequence[bytes]) -> Call[list[bytes | None]]:
    """Read which messages the digests of idempotency keys point to: an id, and 8 bytes of content digest."""
    return Call("MGET", [KEYS["idempotency"].encode() + each for each in digests], list)


def index_digest(account: str, record: Record) -> bytes:
    """Return the digest under which a record's provider id is found, if `account` carried it."""
    return digest(account, unpack_provider_id(record.provider_id) or "")


def index_digests(record: Record) -> frozenset[bytes]:
    """Return every digest under which the index may name a record."""
    if not record.provider_id:
        return frozenset()
    accounts = {record.account.decode(), *record.route.decode().split(",")}
    return frozenset(index_digest(account, record) for account in accounts)


def parked() -> Call[dict[bytes, bool]]:
    """Read the digests of the parked receipts, and whether each can be read."""

    def read(reply: Any) -> dict[bytes, bool]:
        return {name: _is_receipt(raw) for name, raw in zip(reply[::2], reply[1::2], strict=True)}

    return Call("HGETALL", [KEYS["parked"]], read)


def _is_receipt(raw: bytes) -> bool:
    try:
        receipt = unpack(raw)
    except UNREADABLE:
        return False
    return isinstance(receipt, list) and len(receipt) > 2 and receipt[0] in CODES.values()  # noqa: PLR2004 - status, code, reason


def parked_until() -> Call[list[bytes]]:
    """Read the digests of the parked receipts that have an end."""
    return Call("ZRANGE", [KEYS["parked_at"], 0, -1], list)


def flying(account: str) -> Call[int]:
    """Read how many calls the account has under way, by its count."""
    return Call("HGET", [account_key(account), "flying"], lambda reply: int(reply or 0))


def sequence() -> Call[int]:
    """Read the number of the newest event: it rises with each change of a status."""
    return Call("HGET", [KEYS["meta"], "seq"], lambda reply: int(reply or 0))
