"""Until when the call of a claim may begin."""

import pytest

from sendline.ledger.record import FIELDS, Record, pack
from sendline_worker.dispatch.latest import BEGIN_WITHIN, latest

CREATED = 1_700_000_000_000
ASKED_AT = 5000.0


def record(expires):
    values = dict.fromkeys(FIELDS, 0) | {"created": CREATED, "expires": expires}
    return Record(pack(list(values.values())))


def test_a_claim_holds_its_slot_for_a_second():
    found = latest(record(3_600_000), asked_at=ASKED_AT, now=CREATED * 1000)
    assert (found.at, found.otherwise) == (ASKED_AT + BEGIN_WITHIN, "its claim grew too old")
    assert BEGIN_WITHIN == 1.0


@pytest.mark.parametrize("left", [0.999, 0.25, 0.0, -2.0])
def test_nothing_begins_after_its_validity(left):
    claimed_at = CREATED + 3_600_000 - left * 1000
    found = latest(record(3_600_000), asked_at=ASKED_AT, now=round(claimed_at * 1000))
    assert found.at == pytest.approx(ASKED_AT + left, abs=1e-5)
    assert "validity" in found.otherwise
