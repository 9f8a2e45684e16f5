"""A worker that must be replaced ends at once with its children, whatever hangs in it."""

import subprocess
import sys
import textwrap

import psutil
import pytest

from waiting import poll

PROGRAM = """
    import logging, os, signal, sys, threading, time
    from billiard import Process
    from sendline_worker.ending import end_at_once, end_without
    from sendline_worker.logs import set_up_logs

    def child():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)

    if __name__ == "__main__":
        children = [Process(target=child) for _ in range(3)]
        for each in children:
            each.start()
        os.kill(children[0].pid, signal.SIGSTOP)
        print(*(each.pid for each in children), flush=True)
        set_up_logs("worker")
        if "locked" in sys.argv:
            logging.getLogger().handlers[0].acquire()
        sys.stdin.readline()
        threading.Thread(target=end_at_once, args=("the last words",)).start()
        threading.Event().wait()
"""


@pytest.fixture
def program(tmp_path):
    """Start the program; yields it and its children."""
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(PROGRAM))
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, file, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("locked", [False, True], ids=["", "the log hangs"])
def test_it_ends_with_its_children_stopped_ones_too_and_says_why(program, locked):
    process, children = program(*["locked"] * locked)
    assert len(children) == 3
    _, err = process.communicate("go\n", timeout=20)
    assert process.returncode == 1
    poll(lambda: not any(each.is_running() for each in children))
    if not locked:
        assert err.endswith("ERROR   the last words\n")


@pytest.mark.parametrize("parent_is_there", [True, False])
def test_a_child_that_starts_when_its_parent_is_gone_ends(parent_is_there):
    code = "import os; from sendline_worker.ending import end_without; end_without({}); print('here')"
    parent = "os.getppid()" if parent_is_there else "0"
    ended = subprocess.run(
        [sys.executable, "-c", code.format(parent)], check=False, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stdout) == ((0, "here\n") if parent_is_there else (1, ""))
