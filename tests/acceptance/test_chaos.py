"""The short form of `make chaos`: a campaign under random faults, judged by its three witnesses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.messages import Campaign
from chaos.plan import plan
from chaos.run import run

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("chaos"), pytest.mark.timeout(280)]

RUNS = {"hold": Campaign(2360, 1200, 35.0), "resend": Campaign(1954, 650, 20.0)}
"""The seeds are those, of the first few thousand, whose short plans hold the most kinds of faults in all."""


@pytest.mark.parametrize("policy", RUNS)
def test_under_random_faults_nothing_is_lost_and_nothing_sent_twice_but_what_was_in_doubt(policy, tmp_path):
    campaign = RUNS[policy]

    result = run(campaign, policy, tmp_path, lambda _: None)

    verdict = result.verdict
    assert [str(offender) for offender in verdict.offenders] == []
    assert verdict.accepted == campaign.total
    assert verdict.lost == 0
    assert verdict.twice <= verdict.bound
    assert sum(result.faults.values()) > campaign.seconds / 3
    assert verdict.by_status["delivered"] > campaign.total / 3


def test_the_plan_can_be_printed_without_being_carried_out():
    words = [sys.executable, "-m", "chaos", "--list", "--seed", "5", "--seconds", "60"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    listed = subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in listed.splitlines()] == [f"{fault.at:.2f}" for fault in plan(5, 60)]
