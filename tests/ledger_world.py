"""The ledger's verbs in short, on a clock that tests set: what tests of the ledger are written with."""

import itertools
import json
import math
from collections import Counter
from hashlib import sha1

from sendline.contract import ids
from sendline.contract.accounts import AccountCard, Capabilities, RouteRule
from sendline.contract.draft import Draft
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.segments import measure
from sendline.contract.status import Status
from sendline.ledger import doubts, suppression, verbs, work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.directory import Directory
from sendline.ledger.keys import KEYS, account_key, line_key, message_key
from sendline.ledger.limits import Limits
from sendline.ledger.lines import SENDER_MARK
from sendline.ledger.record import digest

CLOCK = "local us = redis.call('GET', 'test:now') return {us:sub(1, -7), us:sub(-6)}"
"""The body of the scripts' clock in tests: the instant in µs that a key holds."""

START = 1_700_000_000_000_000
TO, SENDER = "+13115552367", "+13115552368"
OTHER_SENDERS = tuple(f"+131155524{number:02d}" for number in range(20))
WAKE = Wake("wakes", b"envelope")


def sender_row(sender=SENDER, campaign=""):
    """Return the row of what one sender sends, where an account of the route limits senders."""
    return (
        campaign
        + "@"
        + (sha1(sender.encode(), usedforsecurity=False).hexdigest()[:SENDER_MARK] if sender else "")
    )


class Clock:
    """The ledger's clock, in microseconds; it stands still until it is told otherwise."""

    def __init__(self, raw):
        self._raw = raw
        self.us = START
        self.advance(0)

    def advance(self, seconds):
        self.us += round(seconds * 1_000_000)
        self._raw.set("test:now", self.us)

    @property
    def ms(self):
        return self.us // 1000


def account_limits(name, rate=1000.0, burst=100, in_flight=None, on_uncertain=None, *, asks=False, **others):
    """Return limits of an account; `others` as AccountLimits names them: unit, daily_cap, sender_rate, ..."""
    return AccountLimits(name, rate, burst, in_flight, on_uncertain, asks, **others)


def publish_accounts(ledger, *accounts, routes=(), wake=WAKE, **limits):
    """Publish accounts as a worker does: names, or AccountLimits; `limits` go for the names."""
    given = [account_limits(a, **limits) if isinstance(a, str) else a for a in accounts]
    cards = {a.name: AccountCard(a.name, Capabilities(), (SENDER,)) for a in given}
    directory = Directory(cards, tuple(RouteRule(prefix, names) for prefix, names in routes))
    ledger.run(configure(Limits(), json.dumps(directory.to_plain()), wake, given))


class World:
    """One ledger, its clock, and every verb with defaults that suit most tests."""

    def __init__(self, ledger, raw, clock, limits=None):
        self.ledger, self.raw, self.clock = ledger, raw, clock
        self.limits = limits or Limits()
        self._numbers = Counter()
        self._settles = Counter()
        self._made = itertools.count(1)

    def configure(self, *accounts, **limits):
        publish_accounts(self.ledger, *accounts, **limits)

    def draft(
        self,
        route="main",
        *,
        lane="normal",
        key=None,
        delay=0,
        valid_for=3600,
        on_uncertain=None,
        campaign=None,
        **others,
    ):
        fields = {
            "id": ids.new_id(),
            "to": TO,
            "text": "Hello",
            "sender": SENDER,
            "account": None,
            "route": tuple(route.split(",")) if route else (),
            "lane": Lane(lane),
            "not_before_ms": self.clock.ms + round(delay * 1000) if delay else 0,
            "valid_for_ms": round(valid_for * 1000),
            "on_uncertain": on_uncertain and OnUncertain(on_uncertain),
            "idempotency_key": key,
            "campaign": campaign,
        } | others
        return Draft(segments=measure(fields["text"]).count if fields["text"] else 0, **fields)

    def accept_drafts(self, *drafts):
        return self.ledger.run(verbs.accept(self.limits, drafts))

    def accept(self, route="main", **fields):
        """Accept one message and return its id."""
        draft = self.draft(route, **fields)
        assert self.accept_drafts(draft) == [verbs.New(self.clock.ms)]
        return draft.id

    def accept_many(self, number, route="main", **fields):
        drafts = [self.draft(route, **fields) for _ in range(number)]
        assert len(self.accept_drafts(*drafts)) == number
        return [draft.id for draft in drafts]

    def claim(self, room=10, below=None, *, by="d1", number=None, **times):
        """Claim; the call's number rises by itself."""
        if number is None:
            number = self._numbers[by] + 1
        self._numbers[by] = max(self._numbers[by], number)
        asked = {"lease": 90, "horizon": 2, "promise": 5, "may_sign_off": False} | times
        request = work.ClaimRequest(by, number, room, room if below is None else below, **asked)
        return self.ledger.run(work.claim(self.limits, request))

    def claim_one(self, **asked):
        [claim] = self.claim(1, **asked).claims
        return claim

    def settle(self, claim, target, **fields):
        """Settle one claim and return the ledger's word for it."""
        if target is Status.SENT:
            fields = {"deadline": 3600} | fields
        settlement = work.Settlement(claim.message_id, claim.token, claim.account, Status(target), **fields)
        [word] = self.settle_many([settlement])
        return word

    def settle_many(self, settlements, *, by="s1", number=None):
        """Settle; the call's number rises by itself."""
        if number is None:
            number = self._settles[by] + 1
        self._settles[by] = max(self._settles[by], number)
        return self.ledger.run(work.settle(self.limits, by, number, settlements))

    def sign_off(self, *, by="d1", number=None, horizon=2, unanswered=0):
        """Sign off; the call's number is of the same row as the claims'."""
        if number is None:
            number = self._numbers[by] + 1
        self._numbers[by] = max(self._numbers[by], number)
        return self.ledger.run(work.sign_off(self.limits, by, number, horizon=horizon, unanswered=unanswered))

    def decide(self, decision, *message_ids, reason="said so"):
        """Decide about uncertain messages and return the ledger's word for each."""
        return self.ledger.run(doubts.decide(self.limits, decision, message_ids, reason))

    def inquire(self, *accounts):
        """Return the ids of what `accounts` are asked about now."""
        return [asked.message_id for asked in self.ledger.run(doubts.inquire(self.limits, accounts))]

    def receive(self, status, *, account="main", **fields):
        report = work.Reported(account, Status(status) if status else None, **fields)
        [word] = self.ledger.run(work.receive(self.limits, [report]))
        return word

    def tick(self, by="w1", *, lock=5, most=1000):
        return self.ledger.run(work.tick(self.limits, by, lock=lock, most=most))

    def cancel(self, message_id):
        return self.ledger.run(verbs.cancel(self.limits, message_id))

    def suppress(self, *numbers, why="said so"):
        return self.ledger.run(suppression.suppress(self.limits, numbers, why))

    def unsuppress(self, *numbers):
        return self.ledger.run(suppression.unsuppress(self.limits, numbers))

    def get(self, message_id):
        return self.ledger.run(verbs.get(message_id))

    def record(self, message_id):
        return self.ledger.run(work.read_record(message_id))

    def counts(self):
        """The statuses that messages have, without the zeros; `accepted` is checked to be their sum."""
        counts = self.ledger.run(verbs.counts())
        assert counts.pop("accepted") == sum(counts.values())
        return {status: number for status, number in counts.items() if number}

    def events(self, after=0):
        found, newest = [], after
        while more := self.ledger.run(verbs.events_after(newest, block_ms=None)):
            found += more
            newest = more[-1].seq
        return found

    def history(self, message_id):
        """The statuses that the events tell of one message, in order."""
        text = ids.to_text(message_id)
        return [str(event.status) for event in self.events() if event.message_id == text]

    # Behind the verbs: where things stand in Redis

    def line(self, route="main", lane=1, row=""):
        """The ids that stand in one row of a line, first to last."""
        return self.raw.lrange(line_key(lane, route, row), 0, -1)

    def rows(self, route="main", lane=1):
        """The rows of a line that take turns, the next one first."""
        return [row.decode() for row in self.raw.zrange(f"{KEYS['rows']}{lane}:{route}", 0, -1)]

    def held_rows(self, route="main", lane=1):
        """The rows of a line that a sender's limit holds, and until when (us)."""
        found = self.raw.zrange(f"{KEYS['held']}{lane}:{route}", 0, -1, withscores=True)
        return {row.decode(): int(at) for row, at in found}

    def ready(self, lane=1):
        return {
            name.decode(): int(at)
            for name, at in self.raw.zrange(KEYS["ready"] + str(lane), 0, -1, withscores=True)
        }

    def timers(self):
        return {id_: int(at) for id_, at in self.raw.zrange(KEYS["timers"], 0, -1, withscores=True)}

    def uncertain(self):
        """The uncertain messages by the instant (ms) at which they are asked about; None: never."""
        found = self.raw.zrange(KEYS["uncertain"], 0, -1, withscores=True)
        return {id_: None if at == math.inf else int(at) for id_, at in found}

    def unreported(self):
        """What is sent, and its receipt late, by the instant (ms) at which it is asked about."""
        return {id_: int(at) for id_, at in self.raw.zrange(KEYS["unreported"], 0, -1, withscores=True)}

    def account(self, name="main"):
        found = self.raw.hgetall(account_key(name))
        return {key.decode(): value.decode() for key, value in found.items()}

    def flying(self, name="main"):
        return int(self.account(name).get("flying", 0))

    def wakes(self):
        return self.raw.llen(WAKE.queue)

    def bells(self):
        return self.raw.llen(KEYS["bell"])

    def ttl(self, message_id):
        """Seconds for which its record is kept; None: without end."""
        left = self.raw.pttl(message_key(message_id))
        return None if left < 0 else left / 1000

    def holder_of(self, account, provider_id):
        """The id of the message that a provider's id leads to."""
        name = digest(account, provider_id)
        shelves = self.raw.scan_iter(KEYS["index"] + "*")
        return next((found for shelf in shelves if (found := self.raw.hget(shelf, name))), None)
