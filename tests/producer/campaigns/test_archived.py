"""Final messages of campaigns: their records lie in an archive, and nobody who asks for them sees that."""

import pytest

from sendline import Status
from sendline.contract import ids
from sendline.ledger import audit, work
from sendline.ledger.keys import KEYS, message_key
from sendline.ledger.limits import Limits
from sendline_worker.audit.audit import Audit
from sendline_worker.audit.repair import Repair

SENDER = "+13115552368"
LIMITS = Limits()


def people(number):
    return [
        {
            "to": f"+1311{5_550_000 + place}",
            "name": f"a name that takes more bytes than an entry may, {place}",
        }
        for place in range(number)
    ]


@pytest.fixture
def sent(producer, hands, publish):
    """Founds a campaign and lets all of it be sent; returns it."""

    publish("main", rate=1_000_000, burst=1_000_000)

    def make(number, deadline=3600, **fields):
        fields = {"text": "Hi {{ name }}", "sender": SENDER, "recipients": people(number), **fields}
        campaign = producer.campaign("sale", **fields)
        campaign.start()
        assert hands.send_all(deadline=deadline) == number
        return campaign

    return make


@pytest.fixture
def report(ledger):
    """Takes in what a provider tells of messages."""

    def take(campaign, status, some=slice(None)):
        told = [
            work.Reported("main", status, provider_id=each.provider_id)
            for each in list(campaign.messages())[some]
        ]
        return set(ledger.run(work.receive(LIMITS, told)))

    return take


def records(raw):
    """Ids of messages that have a record of their own."""
    return [
        key
        for key in raw.scan_iter(KEYS["message"] + "*", count=1000)
        if len(key) == len(message_key(b"")) + 16
    ]


def shelves(raw):
    return list(raw.scan_iter(KEYS["archive"] + "*", count=1000))


def all_of(raw):
    return b"".join(b"".join(raw.hvals(key)) for key in raw.scan_iter("sl:f*"))


def faults_of(ledger):
    return [finding.what for finding in Audit(ledger, LIMITS, pause=0).run().findings]


def test_what_is_delivered_is_read_as_before(sent, report, raw):
    campaign = sent(50)
    before = list(campaign.messages())
    assert len(records(raw)) == 50
    assert report(campaign, Status.DELIVERED) == {"applied"}
    after = list(campaign.messages())
    assert records(raw) == []
    assert [each.id for each in after] == [each.id for each in before]
    for old, new in zip(before, after, strict=True):
        assert (old.to, old.sender, old.provider_id, old.created_at) == (
            new.to,
            new.sender,
            new.provider_id,
            new.created_at,
        )
        assert new.timeline[:-1] == old.timeline
        assert new.status is Status.DELIVERED


def test_what_reports_no_deliveries_is_archived_once_it_is_sent(sent, raw, hands):
    campaign = sent(20, deadline=0)
    assert records(raw) == []
    assert [each.status for each in campaign.messages()] == [Status.SENT] * 20
    hands.tick()
    assert campaign.progress().summary == "finished"


def test_it_takes_few_bytes(sent, report, raw):
    campaign = sent(2_000)
    report(campaign, Status.DELIVERED)
    assert {raw.object("encoding", key) for key in shelves(raw)} == {b"listpack"}
    assert sum(raw.hlen(key) for key in shelves(raw)) == 2_000
    digits = {len(key) - len(KEYS["archive"]) - 6 for key in shelves(raw)}
    assert digits == {1, 2}
    assert sum(raw.memory_usage(key, samples=0) for key in shelves(raw)) / 2_000 < 90


def test_a_later_receipt_corrects_it_and_keeps_it_no_longer(sent, report, raw):
    campaign = sent(30, recipients=[{"to": each["to"], "name": "Ada"} for each in people(30)])
    report(campaign, Status.UNDELIVERED)
    assert records(raw) == []
    for key in shelves(raw):
        raw.pexpire(key, 100_000)
    assert report(campaign, Status.DELIVERED, slice(10)) == {"applied"}
    statuses = [each.status for each in campaign.messages()]
    assert statuses == [Status.DELIVERED] * 10 + [Status.UNDELIVERED] * 20
    assert max(raw.pttl(key) for key in [*shelves(raw), *records(raw)]) <= 100_000
    assert campaign.progress().statuses[Status.DELIVERED] == 10
    assert report(campaign, Status.DELIVERED, slice(10)) == {"unchanged"}


def test_proof_that_a_failed_one_was_sent_gives_it_a_record_of_its_own_again(producer, hands, ledger, raw):
    campaign = producer.campaign(
        "sale", text="Hi", sender=SENDER, recipients=[{"to": each["to"]} for each in people(5)]
    )
    campaign.start()
    [first, *others] = hands.claim()
    hands.settle([first, *others], Status.FAILED, code="rejected")
    assert records(raw) == []
    proof = work.Reported("main", Status.SENT, message_id=first.message_id, provider_id="p-1")
    assert ledger.run(work.receive(LIMITS, [proof])) == ["applied"]
    assert records(raw) == [message_key(first.message_id)]
    assert sum(raw.hlen(key) for key in shelves(raw)) == 4
    delivered = work.Reported("main", Status.DELIVERED, provider_id="p-1")
    assert ledger.run(work.receive(LIMITS, [delivered, delivered])) == ["applied", "unchanged"]
    assert campaign.progress().statuses[Status.DELIVERED] == 1
    assert faults_of(ledger) == []


def test_a_row_is_not_imported_again_once_its_message_is_archived(producer, hands, report, raw):
    def cut():
        yield from people(40)
        raise KeyboardInterrupt

    fields = {"text": "Hi {{ name }}", "sender": SENDER}
    with pytest.raises(KeyboardInterrupt):
        producer.campaign("sale", recipients=cut(), batch=10, **fields)
    campaign = producer.campaign("sale")
    campaign.start()
    hands.send_all(deadline=3600)
    report(campaign, Status.DELIVERED)
    assert records(raw) == []
    raw.hset(f"{KEYS['campaign']}sale", "line", 0)  # as if the ledger had forgotten how far it came
    producer.campaign("sale", recipients=people(60), **fields)
    assert hands.send_all() == 60 - campaign.progress().statuses[Status.DELIVERED]
    assert campaign.progress().imported.accepted == 60


def test_each_shelf_ends_when_the_last_of_it_may_go(sent, report, raw):
    campaign = sent(100)
    report(campaign, Status.DELIVERED)
    kept = [*shelves(raw), *raw.scan_iter(KEYS["patterns"] + "*")]
    retention = LIMITS.retention * 1000
    assert all(retention - 60_000 < raw.pttl(key) <= retention for key in kept)


def test_an_archived_recipient_is_erased_whole(producer, sent, report, raw):
    campaign = sent(30)
    report(campaign, Status.DELIVERED)
    to = people(30)[0]["to"]
    held = all_of(raw)
    assert producer.erase(to).messages == 1
    [erased] = [each for each in campaign.messages() if not each.to]
    assert erased.status is Status.DELIVERED
    assert not any(each.to == to for each in campaign.messages())
    number = int(to).to_bytes(8, "big")
    assert number in held
    assert number not in all_of(raw)


def test_patterns_name_nobody(sent, report, raw):
    campaign = sent(30)
    report(campaign, Status.DELIVERED)
    patterns = b"".join(b"".join(raw.hvals(key)) for key in raw.scan_iter(KEYS["patterns"] + "*"))
    assert patterns
    for each in campaign.messages():
        assert int(each.to).to_bytes(8, "big") not in patterns
        assert ids.to_bytes(each.provider_id) not in patterns


def test_an_audit_counts_it(sent, report, ledger):
    campaign = sent(1_500)
    report(campaign, Status.DELIVERED, slice(1_200))
    assert faults_of(ledger) == []
    parts = [
        [each for shelf in _names(ledger, part) for each in ledger.run(audit.filed([shelf]))]
        for part in range(4)
    ]
    assert sorted(len(each) > 200 for each in parts) == [True] * 4
    found = [each for part in parts for each in part]
    assert len(found) == len(set(found)) == 1_200
    assert all(audit.part_of(each, 4) == place for place, part in enumerate(parts) for each in part)


def _names(ledger, part):
    cursor, names = 0, []
    while True:
        cursor, found = ledger.run(audit.scan_archive(cursor, part=part, parts=4))
        names += found
        if not cursor:
            return dict.fromkeys(names)


def test_an_audit_names_what_is_damaged_there(sent, report, ledger, raw):
    campaign = sent(30)
    report(campaign, Status.DELIVERED)
    [shelf, *_] = shelves(raw)
    [entry, *_] = raw.hkeys(shelf)
    raw.hset(shelf, entry, b"\xc1")
    assert faults_of(ledger) == ["has a record that can't be read"]


def test_a_shelf_that_would_be_kept_for_ever_is_mended(sent, report, ledger, raw):
    campaign = sent(30)
    report(campaign, Status.DELIVERED)
    [shelf, *_] = shelves(raw)
    raw.persist(shelf)
    assert len(faults_of(ledger)) == 1
    Repair(ledger, LIMITS, Audit(ledger, LIMITS, pause=0), lease=90).run()
    assert raw.pttl(shelf) > 0
    assert faults_of(ledger) == []


def test_what_differs_in_too_much_keeps_a_record_of_its_own(producer, hands, publish, ledger, raw):
    publish("main", rate=1_000_000, burst=1_000_000)
    fields = {"text": "Hi", "sender": SENDER, "recipients": [{"to": each["to"]} for each in people(60)]}
    producer.campaign("sale", **fields).start()
    for place, claim in enumerate(hands.claim()):
        hands.settle([claim], Status.FAILED, code="rejected", reason=f"{place}: " + "no, " * 20)
    assert sum(raw.hlen(key) for key in shelves(raw)) == 16  # patterns, each of one message
    assert len(records(raw)) == 60 - 16
    reasons = {each.timeline[-1].reason for each in producer.campaign("sale").messages()}
    assert len(reasons) == 60
    assert faults_of(ledger) == []


def test_those_that_fit_nowhere_leave_the_patterns_to_others(producer, hands, publish, ledger, raw):
    publish("main", rate=1_000_000, burst=1_000_000)
    long = [{**each, "more": "x" * 60} for each in people(30)]
    producer.campaign("sale", text="Hi {{ name }}{{ more }}", sender=SENDER, recipients=long).start()
    claims = hands.claim()
    hands.settle(claims[:20], Status.FAILED, code="rejected")
    assert raw.keys(KEYS["patterns"] + "*") == []
    hands.settle(claims[20:], deadline=0)
    assert sum(raw.hlen(key) for key in shelves(raw)) == 10
    assert all(raw.pttl(key) > 0 for key in raw.scan_iter(KEYS["patterns"] + "*"))


def test_a_record_that_leaves_a_shelf_without_an_end_has_one(sent, report, ledger, raw):
    campaign = sent(20, recipients=[{"to": each["to"], "name": "Ada"} for each in people(20)])
    report(campaign, Status.UNDELIVERED)
    for key in shelves(raw):
        raw.persist(key)
    news = [
        work.Reported(
            "main", Status.DELIVERED, provider_id=each.provider_id, reason=f"{place} " + "a reason " * 9
        )
        for place, each in enumerate(campaign.messages())
    ]
    assert set(ledger.run(work.receive(LIMITS, news))) == {"applied"}
    assert len(records(raw)) == 20 - 15  # the other patterns
    assert all(raw.pttl(key) > 0 for key in records(raw))
    assert [each.status for each in campaign.messages()] == [Status.DELIVERED] * 20
