"""Limits, lanes and fairness, as the provider sees them: the benchmark's measurements, but shorter.

What the ledger decides is held exactly; what depends on how busy this machine is, loosely. The figures
themselves are the benchmark's business.
"""

import functools
import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("pacing")]

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "pacing.py"
RATE = 40
"""Messages a second, which all processes share."""
FEW_AND_SHORT = {"connections": 40, "call_timeout": 4.0}
"""Settings with which calls that hang fill the workers within two seconds, and end soon after the test."""


@pytest.fixture
def pacing(monkeypatch):
    """The benchmark, as a module."""
    spec = importlib.util.spec_from_file_location("pacing", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pacing", module)
    spec.loader.exec_module(module)
    return module


def measure(pacing, scenario, *, processes=2, seconds, rates=(), bulk=0):
    figures = pacing.SCENARIOS[scenario](pacing.Asked(processes, seconds, rates, bulk))
    return {(each.case, each.what): each.value for each in figures}


def test_a_limit_is_a_limit_and_is_used_by_account_and_by_sender(pacing):
    found = measure(pacing, "rates", processes=4, seconds=3, rates=[RATE])
    assert len(found) == 6
    for (case, what), value in found.items():
        if what == "over at the claims":
            assert value <= 1.001, case
        elif what == "over at the provider":
            assert value <= 1 + RATE * 0.2, case
        else:
            assert value >= 0.9, case


def test_urgent_messages_overtake_and_bulk_still_moves(pacing):
    found = measure(pacing, "urgent", seconds=8, bulk=3000)
    assert found["urgent over 3,000 bulk messages", "median"] < 0.5
    assert 0.03 <= found["urgent messages without end", "bulk's share"] <= 0.1


def test_a_provider_that_hangs_slows_no_other(pacing, monkeypatch):
    monkeypatch.setattr(pacing, "house", functools.partial(pacing.house, **FEW_AND_SHORT))
    [used] = measure(pacing, "hanging", seconds=8).values()
    assert used >= 0.9
