"""A small model of what the ledger promises, in plain Python: what its scripts are compared with."""

from dataclasses import dataclass

from account_model import State
from ledger_world import TO, account_limits
from sendline.contract.lane import LANE_CODES, Lane, OnUncertain
from sendline.contract.status import EDGES, WAITING, Cause, Status
from sendline.ledger.limits import Limits
from sendline.ledger.record import timeline

ACCOUNTS = {
    "a": account_limits("a", rate=5, burst=4, asks=True, receipt_time=60),
    "b": account_limits("b", rate=50, burst=5, in_flight=4, on_uncertain="resend"),
}
ROUTES = ("a", "b", "a,b")
PASSED_ON = "b,a"
"""The route of what `a` did not accept."""
CAMPAIGNS = ("spring", "fall")
RECIPIENTS = (TO, "+13115552370", "+13115552371")
LIMITS = Limits(deadline=500, retention=1000, max_attempts=3)
DEADLINE = LIMITS.deadline * 1000
LEASE = 90
GRACE = 21
"""Milliseconds by which a token may be older than the call that takes it, rounded up."""
ALLOWED = {
    proof: {(edge.source, edge.target) for edge in EDGES if proof or edge.cause is not Cause.PROOF}
    for proof in (True, False)
}


@dataclass
class Told:
    """What the model knows of one message. Times in ms."""

    id: bytes
    route: str
    lane: Lane
    asked: OnUncertain | None
    expires_at: int
    timer: int | None
    queued: bool = False
    status: Status = Status.CREATED
    attempts: int = 0
    token: int = 0
    """Of its newest claim; 0 once that was judged."""
    account: str = ""
    canceled: bool = False
    retried: bool = False
    doubted: bool = False
    """It was sent again although an earlier attempt may have been accepted."""
    provider_id: str | None = None
    late: int = 0
    """Outcomes that came after their claim had ended."""
    campaign: str | None = None
    to: str = TO
    late_at: int | None = None
    """When its receipt is late: its timer while it is sent."""
    ask_at: int | None = None
    """When its provider is asked about it, since its receipt is late."""
    ends_at: int = 0
    """When it is final as sent."""

    @property
    def waits(self) -> bool:
        return self.status in WAITING

    @property
    def sends(self) -> bool:
        return self.status is Status.SENDING

    @property
    def place(self) -> tuple[int, str, str]:
        """The lane, the route and the row in which it stands while it is queued."""
        return LANE_CODES[self.lane], self.route, self.campaign or "" if self.lane is Lane.BULK else ""

    @property
    def is_held(self) -> bool:
        """Whether it is uncertain and not final yet."""
        return self.status is Status.UNCERTAIN and self.timer is not None

    @property
    def resends(self) -> bool:
        policy = ACCOUNTS[self.account].on_uncertain if self.account else None
        asked = self.asked or policy or ("resend" if self.lane is Lane.URGENT else "hold")
        return asked == "resend"


@dataclass(frozen=True)
class Outcome:
    """What an attempt comes to. Times in s."""

    target: Status
    delay: int
    counted: bool
    named: bool
    effect: str
    onward: bool = False

    @property
    def names(self) -> bool:
        return self.named and self.target is Status.SENT


HANDED_BACK = Outcome(Status.CREATED, -1, counted=False, named=False, effect="")


class Model:
    """Every message, line and account, as the calls so far have left them."""

    def __init__(self, clock):
        self._clock = clock
        self.messages: dict[bytes, Told] = {}
        self.lines: dict[tuple[int, str, str], list[bytes]] = {}
        self.accounts = {name: State() for name in ACCOUNTS}
        self.index: dict[tuple[str, str], bytes] = {}
        self.parked: dict[tuple[str, str], Status] = {}
        self.suppressed: set[str] = set()
        self.newest_token = 0
        self.dead = 0
        self.may_go_again: set[bytes] = set()
        """What was held, and may be sent again: a person said so, or its own claim did."""

    @property
    def now(self) -> int:
        return self._clock.ms

    def accept(self, draft, route, delay, valid_for):
        expires_at = self.now + (delay + valid_for) * 1000
        timer = min(self.now + delay * 1000, expires_at)
        told = Told(
            *(draft.id, route, draft.lane, draft.on_uncertain, expires_at, timer),
            campaign=draft.campaign,
            to=draft.to,
        )
        self.messages[told.id] = told
        if told.to in self.suppressed:
            told.status, told.timer = Status.SUPPRESSED, None
        elif not delay:
            self._enter_line(told)

    def take(self, claim):
        """Take a message for a claim; fail where the claim may not have it."""
        told = self.messages[claim.message_id]
        assert told.waits
        assert told.to not in self.suppressed, "sent to somebody who has opted out"
        assert self.line(told)[0] == told.id, "not the first of its row"
        assert told.expires_at > self.now
        assert claim.record.text == b"Hello"
        assert claim.token > self.newest_token
        self.line(told).pop(0)
        assert claim.account == self._choice(told.route), (told, claim.account, self.accounts, self.now)
        account = self.accounts[claim.account]
        assert account.paused_until <= self.now
        if account.stopped:
            account.paused_until = self.now + LEASE * 1000
        account.claimed.append(self._instant(claim))
        told.status, told.account, told.token = Status.SENDING, claim.account, claim.token
        told.attempts, told.queued, told.timer = told.attempts + 1, False, self.now + LEASE * 1000
        self.newest_token = claim.token

    def _instant(self, claim):
        """The instant of the token: a little while ago where it came while work was waiting."""
        entry = timeline(claim.record.timeline, claim.record.created)[-1]
        assert entry.status is Status.SENDING
        at = round(entry.at.timestamp() * 1000)
        assert self.now - GRACE <= at <= self.now
        return at * 1000

    def _choice(self, route):
        for name in route.split(","):
            if not self.accounts[name].stopped or self.accounts[name].paused_until <= self.now:
                return name
        return None

    def is_under_way(self, claim) -> bool:
        told = self.messages[claim.message_id]
        return told.token == claim.token and told.sends

    def hand_back(self, claims):
        """Give back unsent what these claims took, as far as they still hold it."""
        for claim in reversed(claims):
            if self.is_under_way(claim):
                self._give_back(self.messages[claim.message_id], HANDED_BACK)

    def settle(self, claim, outcome, provider_id, *, repeated):
        """Settle a claim and return the ledger's word for it."""
        told = self.messages[claim.message_id]
        key = claim.account, provider_id
        if told.token != claim.token:
            judged = told.token == 0 and told.attempts > 0
            learned = judged and self._learn_late(told, key)
            self.dead += not repeated
            told.late += not repeated
            return "learned" if learned else "dead"
        held = told.is_held and told.timer > self.now and outcome.target is not Status.UNCERTAIN
        if not (told.sends or held):
            return "learned" if self._learn_late(told, key) else "again"
        if held:
            self.may_go_again.add(told.id)
        self._affect(told, claim, outcome.effect)
        if outcome.target in WAITING:
            self._give_back(told, outcome)
        elif outcome.target is Status.UNCERTAIN:
            self._doubt(told, max(outcome.delay, 0))
        elif outcome.target is Status.SENT:
            told.attempts = max(told.attempts, 1)
            self._entrust(told)
            if provider_id:
                self._learn(told, key)
        else:
            self.give_up(told, outcome.target)
        return "settled"

    def _affect(self, told, claim, effect):
        account = self.accounts[claim.account]
        if effect in ("pause", "stop") or claim.token > account.stopped_after:
            account.affect(effect, told.id, claim.token, self.newest_token, self.now)

    def _give_back(self, told, outcome):
        told.attempts -= not outcome.counted
        if told.canceled:
            if told.status is Status.UNCERTAIN and not told.doubted:
                told.status = Status.RETRYING
            self.give_up(told, Status.CANCELED)
            return
        again = told.retried or told.status is Status.UNCERTAIN
        told.status = Status.RETRYING if again else outcome.target
        told.retried = told.status is Status.RETRYING
        if outcome.onward and told.route == f"{told.account},{told.route[-1]}":
            told.route = f"{told.route[-1]},{told.account}"
        if outcome.delay < 0:
            self._enter_line(told, at=0)
            account = self.accounts[told.account]
            if outcome.target is Status.CREATED and account.stopped:
                account.paused_until = 0
        elif outcome.onward and outcome.delay == 0:
            self._enter_line(told)
        else:
            told.timer = min(self.now + outcome.delay * 1000, told.expires_at)

    def _doubt(self, told, delay):
        if told.canceled or not told.resends or told.attempts >= LIMITS.max_attempts:
            told.status, told.timer = Status.UNCERTAIN, self.now + DEADLINE
        else:
            self._resend(told, delay)

    def _resend(self, told, delay):
        told.status, told.timer = Status.RETRYING, min(self.now + delay * 1000, told.expires_at)
        told.retried, told.doubted, told.route = True, True, told.account

    def decide(self, message_id, decision):
        """Let a person decide and return the ledger's word for it."""
        told = self.messages[message_id]
        if told.status is not Status.UNCERTAIN:
            return "settled"
        if told.timer is None or told.timer <= self.now:
            return "over"
        if decision == "fail":
            self.finish(told, Status.FAILED)
        elif told.canceled:
            return "canceled"
        elif told.expires_at <= self.now:
            return "expired"
        else:
            self.may_go_again.add(told.id)
            self._resend(told, 0)
        return "decided"

    def receive(self, message_id, status, key):
        """Take in what a receipt tells of a message and return the ledger's word for it."""
        told = self.messages[message_id]
        learns = key is not None and told.attempts > 0 and told.provider_id is None
        if learns:
            told.provider_id = key[1]
            self.index[key] = told.id
        applied = self._prove(told, status)
        if learns:
            self._unpark(told, key)
        return "applied" if applied else "unchanged"

    def park(self, status, key):
        kept = self.parked.get(key)
        if kept is None or (kept != Status.DELIVERED and status != Status.SENT):
            self.parked[key] = Status(status)

    def cancel(self, message_id):
        told = self.messages[message_id]
        if told.waits:
            told.canceled = told.doubted
            self.give_up(told, Status.CANCELED)
        elif told.sends:
            told.canceled = True
        return told.status

    def tick(self):
        """Look at what is due."""
        due = sorted((told.timer, told.id) for told in self.messages.values() if told.timer is not None)
        for timer, id_ in due:
            if timer <= self.now:
                self._look(self.messages[id_])
        for told in self.messages.values():
            self._look_at_sent(told)

    def _look(self, told):
        if told.sends:
            told.token = 0
            self._doubt(told, 0)
        elif told.status is Status.UNCERTAIN:
            told.timer = None
        elif told.expires_at <= self.now:
            self.give_up(told, Status.EXPIRED)
        else:
            self._enter_line(told)

    def _look_at_sent(self, told):
        if told.late_at is not None and told.late_at <= self.now:
            told.late_at = None
            if told.provider_id is not None and told.ends_at > self.now:
                told.ask_at = self.now
        if told.ask_at is not None and told.ask_at <= self.now - DEADLINE:
            told.ask_at = None

    # Places

    def line(self, told):
        return self.lines.setdefault(told.place, [])

    def finish(self, told, status):
        told.status, told.timer, told.late_at, told.ask_at = status, None, None, None
        self._leave_line(told)

    def give_up(self, told, status):
        """End what is not sent any more; what may have been sent earlier is uncertain instead."""
        if told.status is Status.UNCERTAIN and (told.doubted or status is not Status.FAILED):
            return
        if told.doubted:
            self._leave_line(told)
            told.status, told.timer = Status.UNCERTAIN, self.now + DEADLINE
        else:
            self.finish(told, status)

    def _enter_line(self, told, at=None):
        line = self.line(told)
        line.insert(len(line) if at is None else at, told.id)
        told.queued, told.timer = True, told.expires_at

    def _leave_line(self, told):
        if told.queued:
            told.queued = False
            self.line(told).remove(told.id)

    # Proof

    def _entrust(self, told):
        told.status, told.timer, told.ends_at = Status.SENT, None, self.now + DEADLINE
        wait = ACCOUNTS[told.account].receipt_time
        told.late_at = self.now + wait * 1000 if wait else None
        self._leave_line(told)

    def _prove(self, told, status):
        if status is None or (told.status, Status(status)) not in ALLOWED[told.attempts > 0]:
            return False
        if status == Status.SENT:
            self._entrust(told)
        else:
            self.finish(told, Status(status))
        return True

    def _learn_late(self, told, key):
        """Learn a provider's id from what changes nothing else; not where it is another message's."""
        if key[1] is None or told.provider_id is not None or self.index.get(key, told.id) != told.id:
            return False
        self._learn(told, key)
        return True

    def _learn(self, told, key):
        if told.provider_id is None:
            told.provider_id = key[1]
            self.index[key] = told.id
        self._unpark(told, key)

    def _unpark(self, told, key):
        status = self.parked.pop(key, None)
        if status:
            self._prove(told, status)
