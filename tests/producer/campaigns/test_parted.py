"""Founding a campaign and importing its recipients apart: one file, each recipient once."""

import pytest

from sendline.campaigns import steering
from sendline.campaigns.importing import STRETCH
from sendline.contract import ids
from sendline.contract.accounts import AccountCard, Capabilities
from sendline.contract.draft import Rules
from sendline.contract.errors import CampaignConflict, InvalidCampaign
from sendline.ledger import campaigns
from sendline.ledger.limits import Limits

LIMITS = Limits()
RULES = Rules(accounts={"main": AccountCard("main", Capabilities(), ("+13115552368",))})
SPEC = {"text": "Hi {{ name }}", "sender": "+13115552368"}


def rows(number, first=0):
    return "to,name\n" + "".join(f"+1311{5550000 + first + place},Ada\n" for place in range(number))


@pytest.fixture
def do(producer):
    """Carry out a plan."""
    return producer._do


@pytest.fixture
def enroll(do, tmp_path):
    """Import a text as a file."""

    def enroll(content, **named):
        path = tmp_path / "people.csv"
        path.write_text(content)
        with path.open("rb") as file:
            return do(steering.enroll(LIMITS, RULES, "sale", file, {"format": "csv"}, **named))

    return enroll


@pytest.fixture
def sale(do):
    assert do(steering.found(LIMITS, RULES, "sale", SPEC, "shop"))


def members(ledger):
    return ledger.run(campaigns.members_number("sale"))


def test_founding_it_again_is_no_news_before_and_after_its_import(do, sale, enroll):
    assert not do(steering.found(LIMITS, RULES, "sale", SPEC, "shop"))
    enroll(rows(3))
    assert not do(steering.found(LIMITS, RULES, "sale", SPEC, "shop"))
    for fields, owner in (({**SPEC, "text": "Bye"}, "shop"), (SPEC, "other"), (SPEC, None)):
        with pytest.raises(CampaignConflict):
            do(steering.found(LIMITS, RULES, "sale", fields, owner))


def test_the_same_founding_at_the_same_instant_founds_one(ledger, sale):
    spec = ledger.run(campaigns.read_campaign("sale")).spec
    verdict, own = ledger.run(campaigns.found(LIMITS, spec, ids.new_id(), source=None, owner="shop"))
    assert (verdict, own) == ("same", ledger.run(campaigns.read_campaign("sale")).own)


def test_a_file_is_imported_once_however_often_it_comes(ledger, sale, enroll):
    first = enroll(rows(700))
    assert (first.accepted, first.complete) == (700, True)
    assert enroll(rows(700)) == first
    assert members(ledger) == 700


def test_another_file_is_refused_once_an_import_has_begun(ledger, sale, enroll):
    class Cut(Exception):
        pass

    calls = []

    def cut(rejected):
        calls.append(rejected)
        if len(calls) > 1:
            raise Cut

    with pytest.raises(Cut):
        enroll(rows(2 * STRETCH), on_rejected=cut)
    assert members(ledger) == STRETCH
    with pytest.raises(CampaignConflict, match="not the file"):
        enroll(rows(2 * STRETCH, first=7))
    assert enroll(rows(2 * STRETCH)).accepted == members(ledger) == 2 * STRETCH
    with pytest.raises(CampaignConflict, match="takes no more recipients"):
        enroll(rows(5))


def test_the_first_source_that_is_bound_stays(ledger, sale):
    own = ledger.run(campaigns.read_campaign("sale")).own
    assert ledger.run(campaigns.bind(LIMITS, "sale", own, "a")) == "a"
    assert ledger.run(campaigns.bind(LIMITS, "sale", own, "b")) == "a"
    assert ledger.run(campaigns.bind(LIMITS, "sale", ids.new_id(), "b")) is None
    assert ledger.run(campaigns.bind(LIMITS, "none", own, "b")) is None
    assert ledger.run(campaigns.read_campaign("none")) is None


def test_a_file_that_can_not_be_read_leaves_the_campaign_free_for_another(sale, enroll, ledger):
    for wrong in ("", "a,b\n1,2\n", "to\n+13115550001\n"):
        with pytest.raises(InvalidCampaign):
            enroll(wrong)
    assert ledger.run(campaigns.read_campaign("sale")).source == ""
    assert enroll(rows(2)).accepted == 2


def test_rejects_are_told_of_what_an_earlier_import_was_done_with_too(sale, enroll):
    content = rows(3) + "12,Bob\n"
    told = [[], []]
    for heard in told:
        enroll(content, on_rejected=heard.extend)
    assert [[each.line for each in heard] for heard in told] == [[5], [5]]


def test_a_campaign_that_was_canceled_takes_no_file(do, sale, enroll):
    do(steering.steer(LIMITS, "sale", "cancel"))
    with pytest.raises(CampaignConflict, match="canceled"):
        enroll(rows(1))


def test_only_the_senders_of_who_imports_are_taken(sale, enroll):
    told = []
    content = "to,name,sender\n+13115550001,Ada,+13115552368\n+13115550002,Ada,+13115552399\n"
    imported = enroll(content, senders=("+13115552368",), on_rejected=told.extend)
    assert (imported.accepted, [each.reason for each in told]) == (1, ["sender: the API key may not use it"])


def test_campaigns_are_read_behind_an_instant_the_newest_first(do, ledger):
    for name in ("one", "two", "three"):
        do(steering.found(LIMITS, RULES, name, SPEC))
    found = ledger.run(campaigns.founded(2**53, 0, 10))
    assert {name for name, _ in found} == {"one", "two", "three"}
    assert ledger.run(campaigns.founded(2**53, 1, 1)) == found[1:2]
    assert ledger.run(campaigns.founded(found[-1][1] - 1, 0, 10)) == []
