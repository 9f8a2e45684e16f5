"""What is started again when it ended by itself, and for how long; real processes, and a clock in hand."""

import logging
import os
import signal

import pytest

import odd_parts
from sendline_worker.stack import Part, PartFailed, PartRefused, Supervisor
from sendline_worker.stack.part import START
from sendline_worker.stack.supervisor import ENDS_MOST, FIRST_WAIT, WITHIN
from waiting import poll


class Parts:
    """A stack of one part, which runs the next of `targets` with each start; the last one for ever."""

    server = None

    def __init__(self, name, *targets):
        self.name, self.targets, self.starts = name, list(targets), 0
        self.part = None
        self.start_again(name).await_ready()

    @property
    def parts(self):
        return (self.part,)

    def start_again(self, name):
        assert name == self.name
        if self.part is not None:
            self.part.end()
        target = self.targets.pop(0) if len(self.targets) > 1 else self.targets[0]
        self.part = Part(name, target, log=None)
        self.part.begin()
        self.starts += 1
        return self.part


@pytest.fixture
def run():
    """Start a stack of one part; it is ended at the end."""
    made = []

    def run(name, *targets):
        made.append(Parts(name, *targets))
        return made[-1]

    yield run
    for each in made:
        each.part.end()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def look_until(keeper, condition):
    poll(lambda: keeper.look() or condition(), timeout=30)


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("name", ["worker", "receiver", "api"])
def test_a_part_that_ends_by_itself_is_started_again_and_told_of_in_one_line(run, caplog, name):
    caplog.set_level(logging.INFO, "sendline.stack")
    stack = run(name, odd_parts.runs)
    keeper = Supervisor(stack)
    os.kill(stack.part.pid, signal.SIGKILL)
    look_until(keeper, lambda: "runs again" in caplog.text)
    assert stack.starts == 2
    assert warned(caplog) == [
        f"the {name} ended by itself (SIGKILL); it is started again in {FIRST_WAIT:g} s"
    ]


def test_it_waits_longer_each_time_and_gives_up_at_last(run, caplog):
    stack, clock = run("worker", odd_parts.ends_at_once), Clock()
    keeper = Supervisor(stack, clock=clock)
    for end in range(1, ENDS_MOST):
        look_until(keeper, lambda: len(warned(caplog)) == end)  # noqa: B023 - called at once
        wait = FIRST_WAIT * 2 ** (end - 1)
        clock.now += wait - 0.01
        keeper.look()
        assert stack.starts == end
        clock.now += 0.02
        keeper.look()
        assert stack.starts == end + 1
    with pytest.raises(PartFailed, match=r"the worker ended by itself 5 times within 60 s, .* exit code 7"):
        look_until(keeper, lambda: False)


def test_a_part_that_ends_now_and_then_is_never_given_up(run, caplog):
    stack, clock = run("worker", odd_parts.ends_at_once), Clock()
    keeper = Supervisor(stack, clock=clock)
    for end in range(1, ENDS_MOST + 2):
        look_until(keeper, lambda: len(warned(caplog)) == end)  # noqa: B023 - called at once
        clock.now += WITHIN
        keeper.look()
    assert set(warned(caplog)) == {"the worker ended by itself (exit code 7); it is started again in 0.5 s"}


def test_what_must_be_mended_first_is_not_tried_again(run):
    stack, clock = run("worker", odd_parts.ends_at_once, odd_parts.refuses), Clock()
    keeper = Supervisor(stack, clock=clock)
    poll(lambda: not stack.part.is_running())
    keeper.look()
    clock.now += 1
    with pytest.raises(PartRefused, match="worker: redis_url: wrong"):
        look_until(keeper, lambda: False)
    assert stack.starts == 2


def test_a_part_that_waits_for_another_is_waited_for(run):
    stack, clock = run("worker", odd_parts.ends_at_once, odd_parts.waits), Clock()
    keeper = Supervisor(stack, clock=clock)
    poll(lambda: not stack.part.is_running())
    keeper.look()
    clock.now += 1
    keeper.look()
    assert stack.starts == 2
    poll(lambda: stack.part.is_ready() or stack.part._waits)
    clock.now += 10 * START
    keeper.look()
    assert stack.part.is_running()


def test_a_part_that_keeps_something_is_not_started_again(run):
    stack = run("simulator", odd_parts.ends_at_once)
    poll(lambda: not stack.part.is_running())
    with pytest.raises(PartFailed, match=r"the simulator ended by itself \(exit code 7\)"):
        Supervisor(stack).look()
