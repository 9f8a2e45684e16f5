"""The comparison runs whole, tells all it should, and says where a target is not kept."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from places import data_directory

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
LONGEST = 230
"""Seconds that a busy machine may take: a quiet one takes less than 40."""
SIDES = ("Sendline", "Celery, prefork", "Celery, threads", "bare, httpx over aiohttp", "bare, aiohttp")


pytestmark = pytest.mark.timeout(LONGEST + 20)


def compare(output, *arguments):
    places = [str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])]
    with data_directory() as kept:
        return subprocess.run(
            [sys.executable, "-m", "comparison", *arguments, "--output", str(output)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "TMPDIR": kept},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """What the parts tell, so small that the figures mean nothing; but for those with many processes."""
    output = tmp_path_factory.mktemp("results")
    parts = ["turns", "accepting", "urgent", "campaign", "provider"]
    small = ["--rounds", "1", "--scale", "0.01", "--processes", "1", "--quick"]
    ran = compare(output, *parts, *small, "--json")
    assert ran.returncode in {0, 1}, ran.stderr[-2000:]
    return output, json.loads(ran.stdout), ran.returncode


def figures(told):
    return {(each["part"], each["who"], each["what"]): each["values"] for each in told["figures"]}


@pytest.mark.acceptance
def test_no_part_fails(tiny):
    assert tiny[1]["failures"] == []


@pytest.mark.acceptance
@pytest.mark.parametrize("who", SIDES)
def test_every_side_has_its_rate_its_cpu_and_its_memory(tiny, who):
    found = figures(tiny[1])
    for what in ("messages a second", "CPU a message", "resident memory"):
        [value] = found["1 worker process", who, what]
        assert value > 0


@pytest.mark.acceptance
def test_what_only_a_queue_has_is_told_of_both_queues(tiny):
    found = figures(tiny[1])
    for who in SIDES[:3]:
        for what in ("Redis CPU a message", "Redis memory, waiting", "Redis memory, sent"):
            assert found["1 worker process", who, what][0] > 0
    for part in ("handing in one by one", "handing in in bulk"):
        assert len({who for each, who, _ in found if each == part}) == 2


@pytest.mark.acceptance
def test_every_target_of_these_parts_is_judged(tiny):
    told = " ".join(each["what"] for each in tiny[1]["targets"])
    for words in (
        *("against the bare client", "best plain Celery", "`apply_async`", "bulk accept", "urgent"),
        *("a single message waits", "a single message is final", "a recipient waits"),
    ):
        assert words in told


@pytest.mark.acceptance
def test_its_exit_code_says_whether_all_targets_are_kept(tiny):
    _, told, code = tiny
    assert code == (0 if all(each["kept"] for each in told["targets"]) else 1)


@pytest.mark.acceptance
def test_it_writes_tables_with_their_conditions_and_a_plot(tiny):
    output, told, _ = tiny
    text = (output / "results.md").read_text()
    for part in {each["part"] for each in told["figures"]}:
        assert f"## {part[0].upper()}{part[1:]}\n" in text
        assert told["notes"][part]
    assert "appendfsync always" in text
    assert not re.search(r"/(home|root|tmp|work)/", text)
    assert (output / "results.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (output / "results.svg").read_text()


def test_a_part_that_is_not_there_is_refused_in_one_line(tmp_path):
    ran = compare(tmp_path, "throughputs")
    assert ran.returncode == 2
    assert "throughputs: no such part; there are turns, accepting" in ran.stderr
