"""How the simulator can behave, as data, and what becomes of a message that meets each behaviour.

A recipient whose number ends in `9KKd` meets the behaviour of kind `KK` (`d` is any digit): all other
numbers, and kinds that nobody has, are ordinary. `docs/simulator.md` is tested against this table.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from sendline.contract.status import Status

BIG: Final = 10 * 1024 * 1024
"""How many bytes the behaviour `huge_body` answers with."""


class Act(Enum):
    """What happens to the connection."""

    ANSWER = auto()
    HANG = auto()
    """No answer until the client goes away or the hang limit is over; then a reset."""
    RESET = auto()
    """A TCP reset (RST) in place of an answer."""
    RESET_EARLY = auto()
    """The same, before the body is read where nothing in the body decides about it."""
    CUT = auto()
    """The beginning of an answer, then the connection is closed."""


class Body(Enum):
    """What an answer carries."""

    OWN = auto()
    """What the provider documents."""
    GARBAGE = auto()
    HTML = auto()
    EMPTY = auto()
    HUGE = auto()
    BAD_UTF8 = auto()


class Report(StrEnum):
    """What a receipt says."""

    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class Way(Enum):
    """How a receipt is written, and where it goes."""

    PLAIN = auto()
    RESPELLED = auto()
    """The message's id is in capitals, with blanks around it."""
    ASTRAY = auto()
    """It goes to a path where nobody listens."""


@dataclass(frozen=True, slots=True)
class Step:
    """One receipt; it follows the one before after the receipt delay and `after` more seconds."""

    report: Report
    after: float = 0.0
    way: Way = Way.PLAIN


SENT, DELIVERED, UNDELIVERED = Step(Report.SENT), Step(Report.DELIVERED), Step(Report.UNDELIVERED)
USUAL: Final = (SENT, DELIVERED)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way to behave. `hold` and `resend` are the final status under each policy for `uncertain`."""

    name: str
    kind: int | None
    what: str
    hold: Status = Status.DELIVERED
    resend: Status = Status.DELIVERED
    traced: Status | None = None
    """The final status under `hold` where a receipt or a search finds the message without its answer."""
    act: Act = Act.ANSWER
    status: int | None = None
    """The status answered; None: the one with which the provider accepts."""
    body: Body = Body.OWN
    retry_after: float | None = None
    delay: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest wait before the answer, in seconds."""
    accepts: bool = False
    """The provider keeps the message, whatever it answers."""
    receipts: tuple[Step, ...] = USUAL
    """What it reports, in this order, of a message that it keeps."""
    early_receipts: bool = False
    """All receipts are posted before the answer is written."""
    first_only: bool = False
    """By number: only the first request for a message meets it, the next are ordinary."""
    stops_account: bool = False
    """Sendline stops the whole account for it, so other messages wait as well."""


def _clear() -> tuple[Behaviour, ...]:
    """Return what leaves no doubt: slow, or certainly not accepted."""
    failed = Status.FAILED
    return (
        Behaviour("ordinary", None, "accepts at once, then reports sent and delivered", accepts=True),
        Behaviour("slow", 0, "accepts after 2 s", accepts=True, delay=(2, 2)),
        Behaviour("jittery", 1, "accepts after 0 to 1 s", accepts=True, delay=(0, 1)),
        Behaviour("throttled", 10, "429 with Retry-After: 1", status=429, retry_after=1, first_only=True),
        Behaviour("throttled_bare", 11, "429 without Retry-After", status=429, first_only=True),
        Behaviour("unavailable", 12, "503 without Retry-After", status=503, first_only=True),
        Behaviour(
            "unavailable_until", 13, "503 with Retry-After: 1", status=503, retry_after=1, first_only=True
        ),
        Behaviour("unavailable_always", 14, "503 every time", failed, failed, status=503),
        Behaviour("refused", 15, "400 every time: refuses the message for good", failed, failed, status=400),
        Behaviour("unauthorized", 16, "401", status=401, first_only=True, stops_account=True),
        Behaviour(
            "redirect", 17, "302 to /_simulator/trap, which counts who follows",
            status=302, body=Body.EMPTY, first_only=True, stops_account=True,
        ),
    )  # fmt: skip


def _doubtful(name: str, kind: int, what: str, **more: object) -> Behaviour:
    """Return a behaviour that leaves in doubt whether the message was accepted. It was not."""
    hold = Status.UNCERTAIN
    return Behaviour(name, kind, what, hold, first_only=True, **more)  # type: ignore[arg-type]


def _doubt() -> tuple[Behaviour, ...]:
    """Return what begins as a request should and ends in doubt; the message is not accepted."""
    return (
        _doubtful("error", 20, "500", status=500),
        _doubtful("hang", 21, "reads the request, then never answers", act=Act.HANG),
        _doubtful("reset_early", 22, "resets the connection before it reads", act=Act.RESET_EARLY),
        _doubtful("reset", 23, "reads the request, then resets the connection", act=Act.RESET),
        _doubtful("garbage", 24, "200 and random bytes", status=200, body=Body.GARBAGE),
        _doubtful("html", 25, "200 and an HTML page", status=200, body=Body.HTML),
        _doubtful("empty", 26, "200 and no body", status=200, body=Body.EMPTY),
        _doubtful("huge_body", 27, "200 and a body of 10 MB", status=200, body=Body.HUGE),
        _doubtful("bad_utf8", 28, "200 and JSON that is not UTF-8", status=200, body=Body.BAD_UTF8),
        _doubtful("cut", 29, "200 and half an answer, then closes", status=200, act=Act.CUT),
    )  # fmt: skip


def _lost(name: str, kind: int, what: str, **more: object) -> Behaviour:
    """Return a behaviour that accepts the message and does not say so."""
    return _doubtful(name, kind, what, accepts=True, traced=Status.DELIVERED, **more)


def _answer_lost() -> tuple[Behaviour, ...]:
    """Return what accepts the message and loses the answer."""
    return (
        _lost("accepted_error", 30, "accepts, then answers 500", status=500),
        _lost("accepted_reset", 31, "accepts, then resets the connection", act=Act.RESET),
        _lost("accepted_hang", 32, "accepts, then never answers", act=Act.HANG),
        _lost("accepted_garbage", 33, "accepts, then answers 200 and random bytes",
              status=200, body=Body.GARBAGE),
    )  # fmt: skip


def _reports() -> tuple[Behaviour, ...]:
    """Return what accepts as it should and then reports in an unusual way."""
    late = (Step(Report.SENT, 5.0), DELIVERED)
    twice = (SENT, SENT, DELIVERED, DELIVERED, DELIVERED)
    respelled = tuple(Step(each.report, way=Way.RESPELLED) for each in USUAL)
    astray = tuple(Step(each.report, way=way) for each in USUAL for way in (Way.ASTRAY, Way.PLAIN))
    undelivered, sent = Status.UNDELIVERED, Status.SENT
    return (
        Behaviour("late", 40, "reports 5 s later than usual", accepts=True, receipts=late),
        Behaviour("duplicate", 41, "reports sent twice, delivered three times", accepts=True, receipts=twice),
        Behaviour("reordered", 42, "reports delivered, then sent", accepts=True, receipts=(DELIVERED, SENT)),
        Behaviour("early", 43, "reports all before it answers", accepts=True, early_receipts=True),
        Behaviour("silent", 44, "never reports", sent, sent, accepts=True, receipts=()),
        Behaviour("sent_only", 45, "reports sent, no more", sent, sent, accepts=True, receipts=(SENT,)),
        Behaviour("undelivered", 46, "reports sent, then undelivered", undelivered, undelivered,
                  accepts=True, receipts=(SENT, UNDELIVERED)),
        Behaviour("corrected", 47, "reports undelivered, then corrects it to delivered", accepts=True,
                  receipts=(SENT, UNDELIVERED, DELIVERED)),
        Behaviour("early_undelivered", 48, "reports undelivered, then sent, before it answers",
                  undelivered, undelivered, accepts=True, receipts=(UNDELIVERED, SENT),
                  early_receipts=True),
        Behaviour("respelled", 49, "reports with its id in capitals, blanks around it", accepts=True,
                  receipts=respelled),
        Behaviour("astray", 50, "sends each receipt to a wrong path first", accepts=True, receipts=astray),
    )  # fmt: skip


ALL: Final[tuple[Behaviour, ...]] = (*_clear(), *_doubt(), *_answer_lost(), *_reports())
BY_NAME: Final[dict[str, Behaviour]] = {each.name: each for each in ALL}
BY_KIND: Final[dict[int, Behaviour]] = {each.kind: each for each in ALL if each.kind is not None}
ORDINARY: Final = BY_NAME["ordinary"]


def of_number(to: str) -> Behaviour:
    """Return how the simulator behaves towards the recipient `to`."""
    end = to[-4:]
    if len(end) == 4 and end[0] == "9" and end.isdecimal():  # noqa: PLR2004
        return BY_KIND.get(int(end[1:3]), ORDINARY)
    return ORDINARY


def expected(to: str, *, resend: bool = False, traced: bool = False, receipts: bool = True) -> Status:
    """Return the final status of a message to `to` that Sendline sends with its default policy.

    `resend`: its policy for `uncertain` is to resend (lane `urgent`), not to hold. `traced`: requests carry
    a callback URL per message, or the account can be searched. `receipts`: the provider reports deliveries.
    """
    behaviour = of_number(to)
    status = behaviour.resend if resend else behaviour.hold
    if traced and not resend and behaviour.traced is not None:
        status = behaviour.traced
    if not receipts and status in {Status.DELIVERED, Status.UNDELIVERED}:
        return Status.SENT
    return status


def number_for(name: str, *, prefix: str = "+1311555", digit: int = 0) -> str:
    """Return a recipient that meets the behaviour `name`; `prefix` lacks the last four digits."""
    kind = BY_NAME[name].kind
    if kind is None:
        return f"{prefix}000{digit}"
    return f"{prefix}9{kind:02d}{digit}"


def table() -> str:
    """Return the behaviours as the Markdown table that docs/simulator.md shows."""
    rows = [
        "| number ends in | name | what it does | when | under `hold` | under `resend` |",
        "|---|---|---|---|---|---|",
    ]
    for each in ALL:
        ends = "any other" if each.kind is None else f"9{each.kind:02d}d"
        when = "first request" if each.first_only else "always"
        hold = f"`{each.hold}`" + (f", traced `{each.traced}`" if each.traced else "")
        rows.append(f"| {ends} | `{each.name}` | {each.what} | {when} | {hold} | `{each.resend}` |")
    return "\n".join(rows)
