"""Interrupts wait where something must not be left half done, and count once."""

import os
import signal
import subprocess
import sys

import pytest

from sendline_worker.stack import interrupts


def handlers():
    return [signal.getsignal(each) for each in interrupts.INTERRUPTS]


def test_an_interrupt_waits_for_the_end_of_the_block():
    before = handlers()
    done = []

    def work():
        with interrupts.deferred():
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [True]
    assert handlers() == before


def test_only_the_first_interrupt_raises():
    before = handlers()
    try:
        interrupts.once()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for each, handler in zip(interrupts.INTERRUPTS, before, strict=True):
            signal.signal(each, handler)


def test_a_child_takes_no_interrupt_before_it_admits_them():
    lines = [
        "import os, signal",
        "from sendline_worker.stack import interrupts",
        "os.kill(os.getpid(), signal.SIGINT)",
        "interrupts.admit()",
        "os.kill(os.getpid(), signal.SIGINT)",
        "print('alive', flush=True)",
        "os.kill(os.getpid(), signal.SIGTERM)",
    ]
    with interrupts.kept_from_children():
        child = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True)
    out, _ = child.communicate(timeout=20)
    assert (out, child.returncode) == ("alive\n", -signal.SIGTERM)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(interrupts.INTERRUPTS)
