"""Limits, lanes and fairness, as the provider sees them: the benchmark's measurements, but shorter.

What the ledger decides is held exactly; what depends on how busy this machine is, loosely. The figures
themselves are the benchmark's business.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("pacing")]

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "pacing.py"


def measure(*arguments):
    command = [sys.executable, str(BENCHMARK), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    return {(each["case"], each["what"]): each["value"] for each in json.loads(done.stdout)}


@pytest.mark.parametrize(("processes", "rate"), [(1, 10), (4, 100)])
def test_a_limit_is_a_limit_and_is_used_by_account_and_by_sender(processes, rate):
    found = measure("rates", "--rates", rate, "--processes", processes, "--seconds", 3)
    assert len(found) == 6
    for (case, what), value in found.items():
        if what == "over at the claims":
            assert value <= 1.001, case
        elif what == "over at the provider":
            assert value <= 1 + rate * 0.2, case
        else:
            assert value >= 0.9, case


def test_urgent_messages_overtake_and_bulk_still_moves():
    found = measure("urgent", "--bulk", 3000, "--seconds", 8)
    assert found["urgent over 3,000 bulk messages", "median"] < 0.5
    assert 0.03 <= found["urgent messages without end", "bulk's share"] <= 0.1


def test_a_provider_that_hangs_slows_no_other():
    [used] = measure("hanging", "--seconds", 8).values()
    assert used >= 0.9
