"""What an audit reads of the ledger, in small steps, and what must be true of a single message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sendline.contract.status import FINAL, WAITING, Status
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS, account_key
from sendline.ledger.limits import Limits
from sendline.ledger.record import Flag, Record, digest, lane_of, unpack_provider_id
from sendline.ledger.scripts import script

SCANNED: Final = 1000
"""Keys that one step looks at."""
OVERDUE_MS: Final = 10_000
"""How late the tick may be with a message."""

_ID: Final = 16
_DIGEST: Final = 10
_FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True)
class Keys:
    """What one step of a scan found. `cursor` is 0 at the end. A key may come more than once."""

    cursor: int
    messages: tuple[bytes, ...]
    """Ids."""
    index: tuple[bytes, ...]
    """Digests of account and provider id."""
    lines: tuple[str, ...]
    """As `lane code:route`."""
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """A message with all that belongs to it. Instants in milliseconds of the server's clock."""

    message_id: bytes
    now: int
    record: Record | None
    lives_on: int
    """Milliseconds; -1: for ever."""
    timer: int | None
    places: int | None
    """How often its id stands in its line: 0, 1 or 2 for more; None: not counted."""

    @property
    def line(self) -> str:
        """Its line, as `lane code:route`."""
        return "" if self.record is None else f"{self.record.lane}:{self.record.route.decode()}"

    @property
    def is_queued(self) -> bool:
        """Whether it waits in its line."""
        record = self.record
        return record is not None and record.state in WAITING and bool(record.flags & Flag.QUEUED)


def scan(cursor: int) -> Call[Keys]:
    """Read the names of some keys."""

    def read(reply: Any) -> Keys:
        found: list[bytes] = reply[1]
        return Keys(
            int(reply[0]),
            tuple(_after(found, "message", _ID)),
            tuple(_after(found, "index", _DIGEST)),
            tuple(name.decode() for name in _after(found, "line")),
            tuple(name.decode() for name in _after(found, "account")),
        )

    return Call("SCAN", [cursor, "MATCH", "sl:*", "COUNT", SCANNED], read)


def _after(found: list[bytes], kind: str, length: int | None = None) -> list[bytes]:
    prefix = KEYS[kind].encode()
    rests = [key[len(prefix) :] for key in found if key.startswith(prefix)]
    return [rest for rest in rests if length is None or len(rest) == length]


def examine(limits: Limits, message_ids: Sequence[bytes]) -> Call[list[Examined]]:
    """Read messages; of a single one also its places in its line."""

    def read(reply: Any) -> list[Examined]:
        now = reply[0]
        return [
            Examined(
                message_id,
                now,
                Record(raw) if raw else None,
                lives_on,
                int(float(timer)) if timer else None,
                places if places >= 0 else None,
            )
            for message_id, (raw, lives_on, timer, places) in zip(message_ids, reply[1:], strict=True)
        ]

    return Call(script("examine"), [limits.packed, *message_ids], read)


def line_part(line: str, start: int, count: int) -> Call[list[bytes]]:
    """Read `count` ids of a line, named as `lane code:route`, from place `start` on."""
    return Call("LRANGE", [KEYS["line"] + line, start, start + count - 1], list)


def line_ready_at(line: str) -> Call[int | None]:
    """Read when something of a line may go, in microseconds; None where it is not announced."""
    lane, _, route = line.partition(":")
    return Call("ZSCORE", [KEYS["ready"] + lane, route], lambda at: None if at is None else int(float(at)))


def line_length(line: str) -> Call[int]:
    """Read how many ids a line holds."""
    return Call("LLEN", [KEYS["line"] + line], int)


def timers(cursor: int) -> Call[tuple[int, list[bytes]]]:
    """Read the ids of some timers."""
    return Call(
        "ZSCAN",
        [KEYS["timers"], cursor, "COUNT", SCANNED],
        lambda reply: (int(reply[0]), list(reply[1][::2])),
    )


def indexed(digests: Sequence[bytes]) -> Call[list[bytes | None]]:
    """Read which messages the digests of provider ids point to."""
    return Call("MGET", [KEYS["index"].encode() + each for each in digests], list)


def flying(account: str) -> Call[int]:
    """Read how many calls the account has under way, by its count."""
    return Call("HGET", [account_key(account), "flying"], lambda reply: int(reply or 0))


def sequence() -> Call[int]:
    """Read the number of the newest event: it rises with each change of a status."""
    return Call("HGET", [KEYS["meta"], "seq"], lambda reply: int(reply or 0))


def line_name(line: str) -> str:
    """Return a line's name for people."""
    lane, _, route = line.partition(":")
    return f"{lane_of(int(lane)).value} line of {route.replace(',', ' or ') or 'messages without a route'}"


def is_indexed_rightly(found: Examined, index: bytes) -> bool:
    """Return whether the index entry `index` is of an account and the provider id of the message."""
    record = found.record
    if record is None:
        return True  # past its retention: the entry ends by itself
    provider_id = unpack_provider_id(record.provider_id) or ""
    accounts = {record.account.decode(), *record.route.decode().split(",")}
    return any(digest(account, provider_id) == index for account in accounts)


def faults(found: Examined) -> list[str]:
    """Return what isn't so with one message."""
    record = found.record
    if record is None:
        return [] if found.timer is None else ["has a timer, and no record"]
    said = _overdue(found)
    if record.state in WAITING:
        return said + _waiting_faults(found, record)
    if record.flags & Flag.QUEUED:
        said.append("is marked as waiting in a line, and does not wait")
    if record.state is Status.SENDING:
        if found.timer is None:
            said.append("is being sent without an end of its claim")
        if found.lives_on != _FOR_EVER:
            said.append("is being sent, and its record is about to vanish")
        return said
    held = record.state is Status.UNCERTAIN and found.lives_on == _FOR_EVER
    return said + (_held_faults(found) if held else _settled_faults(found, record))


def _overdue(found: Examined) -> list[str]:
    if found.timer is None or found.timer > found.now - OVERDUE_MS:
        return []
    return ["is overdue: its timer has passed and nobody looked at it"]


def _waiting_faults(found: Examined, record: Record) -> list[str]:
    said = []
    if found.timer is None:
        said.append("waits, and no timer looks after it")
    if found.lives_on != _FOR_EVER:
        said.append("waits, and its record is about to vanish")
    if found.is_queued:
        if found.places == 0:
            said.append("waits in a line, and does not stand there")
        if record.due:
            said.append("waits in a line and for its time at once")
    elif found.places:
        said.append("waits for its time, and stands in a line")
    elif not record.due:
        said.append("waits neither in a line nor for its time")
    if (found.places or 0) > 1:
        said.append("stands in its line more than once")
    return said


def _held_faults(found: Examined) -> list[str]:
    return ["is uncertain without a deadline"] if found.timer is None else []


def _settled_faults(found: Examined, record: Record) -> list[str]:
    word = "final" if record.state in FINAL else record.state.value
    said = []
    if record.text:
        said.append(f"is {word}, and its text is still held")
    if found.lives_on == _FOR_EVER:
        said.append(f"is {word}, and its record never ends")
    if found.timer is not None:
        said.append(f"is {word}, and has a timer")
    return said
