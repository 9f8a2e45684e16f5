"""Whatever happens to a campaign, in whatever order, its counts add up and are what its records are."""

import contextlib
from collections import Counter
from datetime import timedelta

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger_world import publish_accounts
from producer.campaigns.conftest import Hands
from sendline import Producer
from sendline.contract.campaign import ENDED, CampaignState
from sendline.contract.errors import InvalidCampaign
from sendline.contract.status import Status
from sendline.ledger import suppression, work
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from sendline_worker.audit import Audit

PEOPLE = 12


class Campaigns(RuleBasedStateMachine):
    """A campaign, a dispatcher by hand, and everything that people and providers may do."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self.url)
        with redis.Redis.from_url(self.url) as server:
            server.flushall()
        publish_accounts(self.ledger, "main", "spare", routes=[("+", ("main", "spare"))], burst=1000)
        self.producer = Producer(settings=Settings(redis_url=self.url, durability="memory"))
        self.hands = Hands(self.ledger)
        self.claims: list[work.Claim] = []
        self.sent: list[work.Claim] = []
        self.arrived: Counter[bytes] = Counter()

    @initialize(doubles=st.integers(0, 3), bad=st.integers(0, 3), pause_at=st.sampled_from([None, 0.5]))
    def founded(self, doubles, bad, pause_at):
        rows = [{"to": f"+1311555{place:04}", "name": "x"} for place in range(PEOPLE)]
        rows += rows[:doubles] + [{"to": "nobody", "name": "x"}] * bad
        self.campaign = self.producer.campaign(
            "sale", text="Hi {{ name }}", recipients=rows, pause_at=pause_at, pause_over=10
        )
        imported = self.campaign.progress().imported
        assert (imported.accepted, imported.duplicates, imported.rejected) == (PEOPLE, doubles, bad)

    @rule(what=st.sampled_from(["start", "pause", "resume", "pause", "resume"]))
    def steered(self, what):
        with contextlib.suppress(InvalidCampaign):  # not from the state that it is in
            getattr(self.campaign, what)()

    @rule(chance=st.integers(0, 9))
    def canceled(self, chance):
        if chance == 0 and self.campaign.progress().state not in ENDED:
            self.campaign.cancel()

    @rule(chance=st.integers(0, 9))
    def its_time_is_over(self, chance):
        """Its validity has ended; or it was not started in time."""
        if chance == 0 and self.campaign.progress().state not in ENDED:
            with redis.Redis.from_url(self.url) as server:
                server.hset("sl:c:sale", "ends", 1)

    @rule(room=st.integers(1, 8))
    def claimed(self, room):
        state = self.campaign.progress().state
        claims = self.hands.claim(room)
        assert not claims or state is CampaignState.RUNNING
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(
            [Status.SENT, Status.SENT, Status.FAILED, Status.RETRYING, Status.UNCERTAIN, Status.CREATED]
        ),
        deadline=st.sampled_from([0, 3600]),
    )
    def settled(self, data, outcome, deadline):
        claim = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        fields = {"deadline": deadline} if outcome is Status.SENT else {}
        if outcome in (Status.RETRYING, Status.CREATED):
            fields = {"delay": data.draw(st.sampled_from([-1, 0])), "counted": outcome is Status.RETRYING}
        self.hands.settle([claim], outcome, **fields)
        if outcome is Status.SENT:
            self.sent.append(claim)
            self.arrived[claim.message_id] += 1

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), status=st.sampled_from([Status.DELIVERED, Status.UNDELIVERED]))
    def reported(self, data, status):
        claim = self.sent[data.draw(st.integers(0, len(self.sent) - 1))]
        report = work.Reported("main", status, message_id=claim.message_id)
        self.ledger.run(work.receive(self.hands.limits, [report]))

    @rule(place=st.integers(0, PEOPLE - 1))
    def one_is_canceled(self, place):
        message = list(self.campaign.messages())[place]
        self.producer.cancel(message.id)

    @rule(place=st.integers(0, PEOPLE - 1))
    def one_opts_out(self, place):
        self.ledger.run(suppression.suppress(self.hands.limits, [f"+1311555{place:04}"], "asked"))

    @rule()
    def ticked(self):
        self.hands.tick()

    @invariant()
    def the_counts_add_up_and_are_what_the_records_are(self):
        if not hasattr(self, "campaign"):
            return
        now = self.campaign.progress()
        found = Counter(message.status for message in self.campaign.messages())
        assert {status: number for status, number in now.statuses.items() if number} == dict(found)
        assert sum(now.statuses.values()) == now.imported.accepted == PEOPLE

    @invariant()
    def finished_means_that_every_message_is_final(self):
        if hasattr(self, "campaign") and self.campaign.progress().state is CampaignState.FINISHED:
            assert all(message.final for message in self.campaign.messages())

    def teardown(self):
        try:
            if hasattr(self, "campaign"):
                assert max(self.arrived.values(), default=0) <= 1
                assert Audit(self.ledger, Limits()).run().findings == ()
        finally:
            self.producer.close()
            self.ledger.close()


def test_whatever_happens_the_counts_add_up(redis_url):
    Campaigns.url = redis_url
    machine = Campaigns.TestCase
    machine.settings = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=timedelta(seconds=20),
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()
