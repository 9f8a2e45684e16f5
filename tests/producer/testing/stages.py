"""Two stages for the same scenes: a recording producer with its outbox, a real one with workers' verbs."""

import contextlib
import re
import time

from ledger_world import SENDER, TO
from sendline import NotFinal, Producer, SendlineError, Status
from sendline.contract import ids
from sendline.contract.codes import ErrorCode
from sendline.contract.keywords import Keywords
from sendline.ledger import inbound, work
from sendline.ledger.limits import Limits
from sendline.testing import NoSuchMove, RecordingProducer

ACCOUNTS = {name: [SENDER] for name in ("main", "spare", "third", "fourth")}
WAITING = {Status.CREATED, Status.RETRYING}
BY_A_CLAIM = set(Status) - {Status.CREATED, Status.EXPIRED, Status.CANCELED, Status.SUPPRESSED}
REASON = "the test says so"
CODES = {
    Status.RETRYING: ErrorCode.UNAVAILABLE,
    Status.UNCERTAIN: ErrorCode.PERHAPS_ACCEPTED,
    Status.FAILED: ErrorCode.REJECTED,
    Status.UNDELIVERED: ErrorCode.UNREACHABLE,
}


def fields(**others):
    return {"to": TO, "text": "Hello", "sender": SENDER} | others


class Stage:
    """What scenes are played on: it writes down what is seen, without what differs from run to run."""

    def __init__(self, producer):
        self.producer = producer
        self.seen = []
        self.known = {}

    def name(self, message_id):
        """Return what stands for an id: the same on both stages."""
        return self.known.setdefault(message_id, f"message {len(self.known)}")

    def note(self, *what):
        self.seen.append(what)

    def look(self, message):
        """Write down a message, as it stands."""
        plain = message.to_dict()
        plain["id"] = self.name(message.id)
        for name in ("expires_at", "due_at"):
            plain[name] = plain[name] is not None
        if message.status is Status.RETRYING:
            del plain["due_at"]  # until it is due: what is retried in memory has no time
        del plain["created_at"]
        plain["timeline"] = [(e["status"], e["code"], e["reason"]) for e in plain["timeline"]]
        self.note(plain)
        return message

    def refused(self, call, *arguments, **named):
        """Write down which error a call raises, and what it says."""
        try:
            found = call(*arguments, **named)
        except SendlineError as error:
            said = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", lambda m: self.known.get(m[0], "?"), str(error))
            attributes = {k: v for k, v in vars(error).items() if isinstance(v, str | int)}
            attributes.pop("message_id", None)
            self.note(type(error).__name__, said, attributes)
            return error
        raise AssertionError(f"not refused: {found}")

    def look_at_all(self):
        """Write down all events, and the counts."""
        for event in self.producer.events(after=0, timeout=0.05):
            named = self.known.get(event.message_id, "?")
            self.note(event.seq, named, event.status, event.code, event.reason)
        self.note(self.producer.counts())

    def progress(self, campaign):
        plain = campaign.progress().to_dict()
        times = ("created_at", "start_at", "started_at", "ends_at", "ended_at")
        self.note(plain | {name: plain[name] is not None for name in times})

    def advance(self, message, status, *, code=None, reason=REASON):
        """Bring a message to a status, or do nothing where that can't be; write down how it stands."""
        code = CODES.get(status, "") if code is None else code
        self._advance(message, Status(status), code, reason)
        return self.look(self.producer.get(message.id))

    def is_not_final(self, message):
        self.note(type(self.refused(self.producer.wait, message.id, timeout=0.01)) is NotFinal)

    def close(self):
        self.producer.close()


class InMemory(Stage):
    """A recording producer, steered by its outbox."""

    def __init__(self):
        super().__init__(RecordingProducer(accounts=ACCOUNTS))
        self.outbox = self.producer.outbox
        self.suppress = self.outbox.suppress

    def _advance(self, message, status, code, reason):
        provider_id = f"p of {self.name(message.id)}"
        with contextlib.suppress(NoSuchMove):
            self.outbox.advance(message, status, code=code, reason=reason, provider_id=provider_id)

    def receive(self, text):
        self.outbox.receive(from_=TO, text=text, to=SENDER, account="main")

    def settle_down(self):
        """Nothing: the double does at once what a tick does."""


class OnLedger(Stage):
    """A real producer on a real server, steered by the verbs that workers use."""

    def __init__(self, world, settings):
        super().__init__(Producer(settings=settings))
        self.world = world
        world.clock.us = int(time.time() * 1_000_000)
        world.clock.advance(0)
        world.configure(*ACCOUNTS, rate=10_000, burst=1000)
        self.claims = {}
        self.arrived = 0

    def suppress(self, number):
        self.world.suppress(number)

    def receive(self, text):
        self.arrived += 1
        keyword = Keywords().read(text)
        one = inbound.Arrival("main", TO, SENDER, text, keyword, f"recorded-in-{self.arrived}")
        self.world.ledger.run(inbound.inbound(Limits(), [one]))

    def settle_down(self):
        self.world.clock.advance(2)
        self.world.tick()

    def _advance(self, message, status, code, reason):
        raw = ids.to_bytes(message.id)
        stands = self._status(message)
        if stands in WAITING and status in BY_A_CLAIM:
            self._claim(message, raw)
            stands = self._status(message)
        if stands is Status.SENDING and status is not Status.SENDING:
            self._settle(self.claims[raw], status, code, reason)
        elif stands in WAITING and status is Status.EXPIRED:
            self._expire(raw)
        elif stands in WAITING and status is Status.CANCELED:
            self.producer.cancel(message.id)
        elif status in (Status.SENT, Status.DELIVERED, Status.UNDELIVERED):
            account = message.account or self.producer.get(message.id).account
            self.world.receive(status, account=account, message_id=raw, code=code or None, reason=reason)
        elif status in (Status.RETRYING, Status.FAILED) and stands is Status.UNCERTAIN:
            self.world.decide("fail" if status is Status.FAILED else "resend", raw, reason=reason)

    def _claim(self, message, raw):
        """Claim this message and no other: it is the first that waits for its account."""
        self.settle_down()
        others = dict.fromkeys(set(ACCOUNTS) - {message.route[0]}, 1)
        claimed = self.world.claim(1, lease=90_000, sharing=work.Sharing(1, 0, others)).claims
        assert [claim.message_id for claim in claimed] in ([raw], [])
        self.claims |= {claim.message_id: claim for claim in claimed}

    def _settle(self, claim, status, code, reason):
        settle = self.world.settle
        provider_id = f"p of {self.name(ids.to_text(claim.message_id))}"
        if status in (Status.SENT, Status.DELIVERED, Status.UNDELIVERED):
            said = reason if status is Status.SENT else ""
            settle(claim, Status.SENT, reason=said, provider_id=provider_id, deadline=72 * 3600)
            if status is not Status.SENT:
                self.world.receive(
                    status,
                    account=claim.account,
                    message_id=claim.message_id,
                    code=code or None,
                    reason=reason,
                )
        elif status is Status.CREATED:
            settle(claim, status, counted=False, delay=-1, code=code or ErrorCode.HANDED_BACK, reason=reason)
        elif status is Status.CANCELED:
            self.world.cancel(claim.message_id)
            settle(claim, Status.RETRYING, delay=1, code=code or ErrorCode.UNAVAILABLE, reason=reason)
        elif status in (Status.RETRYING, Status.UNCERTAIN, Status.FAILED):
            settle(claim, status, delay=1, code=code or None, reason=reason)

    def _expire(self, raw):
        """Let the validity of this one end."""
        record = self.world.record(raw)
        self.world.clock.us = (record.created + record.expires + 1) * 1000
        self.world.clock.advance(0)
        self.world.tick()

    def _status(self, message):
        return self.producer.get(message.id).status
