"""The short form of `make receipts`: receipts that misbehave, judged by the provider's own log."""

import pytest

from reported.run import run

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("receipts"), pytest.mark.timeout(240)]

MESSAGES = 600
SEED = 20


def test_every_message_ends_where_the_providers_log_puts_it_and_forged_receipts_change_nothing(tmp_path):
    result = run(SEED, MESSAGES, tmp_path)

    assert result.offenders == ()
    assert result.verdict.unclear == 0, "each receipt was answered in the end"
    assert result.faults == ("receiver killed", "ledger killed", "ledger frozen", "receiver killed")
    answers = result.verdict.by_answer
    assert answers["503"] > 0, "the ledger was away, and receipts were refused"
    assert set(answers) - {"200", "404", "503"}, "the receiver was away, and receipts found nobody"
    assert answers["404"] > MESSAGES / 20, "some went astray"
    assert len({kind for kind, _ in result.forged}) == 6
    assert (
        min(result.verdict.by_status[each] for each in ("delivered", "undelivered", "sent")) > MESSAGES / 20
    )
