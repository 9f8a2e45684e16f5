"""The table of behaviours, as data."""

from pathlib import Path

import pytest

from sendline.contract.status import Status
from sendline_worker.simulator.behaviours import ALL, BY_KIND, Act, expected, number_for, of_number, table

DOCS = Path(__file__).parents[3] / "docs" / "simulator.md"


def test_the_documented_table_is_the_one_in_the_code():
    assert table() in DOCS.read_text(encoding="utf-8")


def test_names_and_kinds_are_each_used_once():
    kinds = [each.kind for each in ALL]
    assert len({each.name for each in ALL}) == len(ALL)
    assert len(set(kinds)) == len(kinds)
    assert all(kind is None or 0 <= kind <= 99 for kind in kinds)


@pytest.mark.parametrize("behaviour", ALL, ids=lambda each: each.name)
def test_every_behaviour_has_numbers_that_meet_it(behaviour):
    for digit in range(10):
        assert of_number(number_for(behaviour.name, digit=digit)) is behaviour


@pytest.mark.parametrize("to", ["+13115552367", "+13115559990", "+13115558150", "+1311555"])
def test_other_numbers_are_ordinary_and_delivered(to):
    assert of_number(to).name == "ordinary"
    assert expected(to) is Status.DELIVERED


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("refused", Status.FAILED),
        ("undelivered", Status.UNDELIVERED),
        ("early_undelivered", Status.UNDELIVERED),
        ("hang", Status.UNCERTAIN),
        ("silent", Status.SENT),
        ("error", Status.UNCERTAIN),
        ("unavailable", Status.DELIVERED),
        ("unavailable_always", Status.FAILED),
        ("accepted_reset", Status.UNCERTAIN),
        ("throttled", Status.DELIVERED),
    ],
)
def test_the_expected_status_under_hold(name, status):
    assert expected(number_for(name)) is status


def test_resending_delivers_what_holding_leaves_uncertain():
    doubtful = [each for each in BY_KIND.values() if each.hold is Status.UNCERTAIN]
    assert len(doubtful) == 14
    assert {expected(number_for(each.name), resend=True) for each in doubtful} == {Status.DELIVERED}


def test_a_traced_message_is_delivered_where_it_was_accepted():
    for each in BY_KIND.values():
        if each.hold is Status.UNCERTAIN:
            status = Status.DELIVERED if each.accepts else Status.UNCERTAIN
            assert expected(number_for(each.name), traced=True) is status


def test_without_receipts_sent_is_the_end():
    assert expected("+13115552367", receipts=False) is Status.SENT
    assert expected(number_for("undelivered"), receipts=False) is Status.SENT
    assert expected(number_for("refused"), receipts=False) is Status.FAILED
    assert expected(number_for("hang"), receipts=False) is Status.UNCERTAIN


def test_a_doubtful_behaviour_ends_in_doubt_only_once():
    assert all(each.first_only for each in ALL if each.hold is Status.UNCERTAIN)


def test_only_an_answer_in_full_tells_the_expected_outcome():
    assert all(each.hold is Status.UNCERTAIN for each in ALL if each.act is not Act.ANSWER)
