"""The verbs that workers use: claim, settle, sign off, tick, and receipts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sendline.contract.codes import ErrorCode
from sendline.contract.status import CODES, Status
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.recall import recall
from sendline.ledger.record import Record, digest, pack, pack_provider_id, short
from sendline.ledger.scripts import script

_BEHIND = -2
HEAD = -1
"""As a settlement's delay: back to the head of its line."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's time-limited right to send one message."""

    message_id: bytes
    token: int
    account: str
    record: Record


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one call of claim brought. Instants in microseconds of the server's clock."""

    claims: tuple[Claim, ...]
    now: int
    next_at: int | None
    """When something may go next; None: nothing waits in any line."""
    signed_off: bool
    late: bool = False
    """A later call of the same dispatcher came first: this one did nothing."""
    behind: bool = False
    """The ledger came back from an older state: nothing is claimed until `sendline recover`."""
    full: frozenset[str] = frozenset()
    """Accounts that have their share of the connections: more may go when a call of theirs ends."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the accounts of a process share its connections: none takes them all by hanging on every call.

    Dynamic thresholds, after A. K. Choudhury and E. L. Hahne, "Dynamic queue length thresholds for
    shared-memory packet switches", IEEE/ACM Transactions on Networking 6 (2), 1998: what one may hold is a
    multiple of what is free. One that hangs stops by itself while some is left for others; where nobody else
    needs it, it still gets most of all; and no share has to be set. The multiple is two: one alone has two
    thirds of all, six that hang leave a thirteenth. That bounds urgent messages, too. What is kept for them
    counts as free only when nothing else is.
    """

    free: int
    kept_for_urgent: int
    """So many of them are for urgent messages."""
    calls: Mapping[str, int]
    """Calls under way, by account."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a dispatcher asks for. Times in seconds."""

    dispatcher: str
    number: int
    """Rises with each call; the same number again is the same call again."""
    room: int
    room_below_urgent: int
    lease: float
    horizon: float
    """What may go within it is worth staying awake for."""
    promise: float
    """It claims again within this time, if it has room left."""
    may_sign_off: bool
    """It may end where it finds nothing, and another dispatcher is awake."""
    shares: tuple[float, float] = (0.05, 0.05)
    """The parts of an account's rate that are kept for `normal` and for `bulk` messages."""
    sharing: Sharing | None = None
    """None: the connections are not shared."""


def claim(limits: Limits, request: ClaimRequest) -> Call[Claimed]:
    """Take what may go now, with its rate tokens, over all routes."""

    def read(reply: Any) -> Claimed:
        now, next_at, signed_off, full, *rows = reply
        each = iter(rows)
        claims = tuple(
            Claim(message_id, token, account.decode(), Record(raw))
            for message_id, token, account, raw in zip(each, each, each, each, strict=True)
        )
        upcoming = next_at if next_at > 0 else None
        return Claimed(
            claims,
            now,
            upcoming,
            signed_off == 1,
            late=next_at == -1,
            behind=next_at == _BEHIND,
            full=frozenset(name.decode() for name in full),
        )

    shared = request.sharing
    arguments: list[Argument] = [
        limits.packed,
        request.dispatcher,
        request.number,
        request.room,
        request.room_below_urgent,
        round(request.lease * 1000),
        round(request.horizon * 1_000_000),
        round(request.promise * 1000),
        int(request.may_sign_off),
        pack([round(share * 1_000_000) for share in request.shares]),
        pack([shared.free, shared.kept_for_urgent, dict(shared.calls)] if shared else []),
    ]
    return Call(script("claim"), arguments, read)


def sign_off(
    limits: Limits, dispatcher: str, number: int, *, horizon: float, unanswered: int = 0
) -> Call[bool]:
    """End a slice; True where the wake went back to the queue: work is near, or nobody else is awake.

    `horizon` in seconds. `number` is of the same row as the claims'. What the claim number `unanswered` took
    goes back unsent.
    """
    horizon_us = round(horizon * 1_000_000)
    arguments: list[Argument] = [limits.packed, dispatcher, number, horizon_us, unanswered]
    return Call(script("signoff"), arguments, lambda reply: reply == 1)


AccountEffect = Literal["", "open", "pause", "stop", "fail"]
"""What an attempt says of its account: it works, it shall pause, it is stopped, it failed; or nothing."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one attempt came to, as the ledger shall write it. Times in seconds."""

    message_id: bytes
    token: int
    account: str
    target: Status
    counted: bool = True
    """Whether it counts as an attempt."""
    delay: float = 0
    """`retrying`: the next attempt is due in so long; HEAD: back to the head of its line."""
    deadline: float = 0
    """`sent`: final in so long; 0 where the account reports no deliveries."""
    provider_id: str | None = None
    code: ErrorCode | None = None
    reason: str = ""
    effect: AccountEffect = ""
    pause: float = 0
    onward: bool = False
    """`retrying`: the next account of its route is tried next."""


Settled = Literal["settled", "again", "learned", "dead", "unknown", "late"]


def settle(
    limits: Limits, dispatcher: str, number: int, settlements: Sequence[Settlement]
) -> Call[list[Settled]]:
    """Write what attempts came to. A claim that is no longer theirs changes nothing ("dead").

    `number` rises with each call of `dispatcher`; the same number is the same call again.
    """
    packed = map(_packed_settlement, settlements)
    return Call(script("settle"), [limits.packed, dispatcher, number, *packed], _words)


def _packed_settlement(s: Settlement) -> bytes:
    provider_id = s.provider_id
    return pack(
        [
            s.message_id,
            s.token,
            CODES[s.target],
            int(s.counted),
            s.delay if s.delay == HEAD else round(s.delay * 1000),
            round(s.deadline * 1000),
            pack_provider_id(provider_id) if provider_id else b"",
            digest(s.account, provider_id) if provider_id else b"",
            s.code or "",
            short(s.reason),
            s.effect,
            round(s.pause * 1000),
            s.account,
            int(s.onward),
        ]
    )


class Reported(NamedTuple):
    """What a provider told of one message, found by `message_id` (from our token) or `provider_id`."""

    account: str
    status: Status | None
    message_id: bytes | None = None
    provider_id: str | None = None
    code: ErrorCode | None = None
    reason: str = ""
    guessed: bool = False
    """`message_id` is what a search found: refused where the provider's id is known as another message's."""


Received = Literal["applied", "unchanged", "parked", "foreign", "unknown"]


def receive(limits: Limits, reports: Sequence[Reported]) -> Call[list[Received]]:
    """Take receipts in."""
    return Call(script("receive"), [limits.packed, pack([_told(each) for each in reports])], _words)


def _told(report: Reported) -> list[object]:
    account, status, message_id, provider_id, code, reason, guessed = report
    return [
        account,
        message_id or b"",
        pack_provider_id(provider_id) if provider_id else b"",
        digest(account, provider_id) if provider_id else b"",
        -1 if status is None else CODES[status],
        code or "",
        short(reason),
        int(guessed),
    ]


def _words(reply: Any) -> list[Any]:
    return [word.decode() for word in reply]


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick did."""

    mine: bool
    """Whether this worker ticks; else another does."""
    looked_at: int
    behind: bool = False
    """The ledger came back from an older state: nothing moves by itself until `sendline recover`."""


def tick(limits: Limits, worker: str, *, lock: float, most: int) -> Call[Ticked]:
    """Keep house: due retries, dead claims, deadlines, a wake. `lock`: seconds for which others don't."""
    arguments: list[Argument] = [limits.packed, worker, round(lock * 1000), most]
    return Call(script("tick"), arguments, lambda reply: Ticked(reply[0] == 1, reply[1], reply[2] == 1))


@dataclass(frozen=True, slots=True)
class Routing:
    """The route found for a message that was accepted before any account was known."""

    message_id: bytes
    lane: int
    route: tuple[str, ...]
    """Empty: nothing can carry it."""
    reason: str = ""


def unrouted(lane: int, most: int) -> Call[list[bytes]]:
    """Read the ids of messages that have no route yet."""
    return Call("LRANGE", [f"{KEYS['line']}{lane}:", 0, most - 1], list)


def route(limits: Limits, routings: Sequence[Routing]) -> Call[int]:
    """Give messages their routes; return how many moved."""
    return Call(script("route"), [limits.packed, *map(_packed_routing, routings)], int)


def _packed_routing(r: Routing) -> bytes:
    code = "" if r.route else ErrorCode.NO_ROUTE
    return pack([r.message_id, r.lane, ",".join(r.route), code, short(r.reason)])


def bell(seconds: float) -> Call[bool]:
    """Wait up to `seconds` for work to arrive; True where it did."""
    return Call("BLPOP", [KEYS["bell"], seconds], lambda reply: reply is not None)


def read_record(message_id: bytes) -> Call[Record | None]:
    """Read the stored record of a message."""
    return recall([message_id], lambda raws: Record(raws[0]) if raws[0] else None)


def is_configured() -> Call[bool]:
    """Return whether the ledger holds a wake: not after it was emptied."""
    return Call("EXISTS", [KEYS["wake"]], lambda reply: reply == 1)
