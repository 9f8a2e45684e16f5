"""Accepted means on disk: counted where it happens, in the server's system calls."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "durability.py"
SENDS = 60


@pytest.mark.skipif(shutil.which("strace") is None, reason="the fsyncs can only be counted with strace")
def test_under_disk_each_reply_follows_an_fsync_and_under_memory_none_does():
    ended = subprocess.run(
        [sys.executable, BENCHMARK, "--messages", str(SENDS), "--json"],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )

    disk, memory = json.loads(ended.stdout)

    assert (disk["counted_sends"], memory["counted_sends"]) == (SENDS, SENDS)
    assert disk["fsyncs"] >= SENDS
    assert memory["fsyncs"] < SENDS / 10
