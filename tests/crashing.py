"""Crash points: named steps on a message's way at which a test lets the process end, or stand still.

The product has no hook for it: in a process that a test starts, `install` puts itself around the product's
own functions, by their names. A step does nothing until it is armed, by a file that the first process to
pass takes away: so it happens once, and the processes that come after live.
"""

import functools
import importlib
import inspect
import itertools
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from waiting import poll

if TYPE_CHECKING:
    import socket

    from sendline.settings import Settings

SLICE = 3.0
"""Seconds a slice of a brief worker lasts."""
CRASHING_SLICE, LINGER, PROMISE = 1.5, 0.3, 1.0
"""The same of a crashing worker; how long its dispatchers stay awake for nothing, and are believed to be."""

Who = Literal["producer", "child", "parent", "receiver"]
Passage = Callable[[dict[str, Any], Any], bool]
"""Whether a call (its arguments by their names, its result) is the one that is meant."""


@dataclass(frozen=True, slots=True)
class Step:
    """A place in the product's code. `where` is module:Class.method or module:function."""

    who: Who
    where: str
    moment: Literal["before", "after"]
    when: Passage = lambda _arguments, _result: True
    in_hand: bool = False
    """Whether what the process had claimed may be of unknown fate afterwards."""


def _verb(name: str, result: Callable[[Any], bool] = lambda _: True) -> Passage:
    """Calls of one of the ledger's scripts, whose result is such."""
    return lambda given, got: getattr(given["call"].target, "name", "") == name and result(got)


def _sends(arguments: dict[str, Any], _result: Any) -> bool:
    """Requests that send a message, not those that ask about one: only they must begin in time."""
    return arguments.get("begin_by", math.inf) < math.inf


LEDGER, ASYNC_LEDGER = "sendline.ledger.connection:Ledger.run", "sendline.ledger.connection:AsyncLedger.run"
DISPATCH = "sendline_worker.dispatch"

STEPS: dict[str, Step] = {
    "accept, not sent yet": Step("producer", LEDGER, "before", _verb("accept")),
    "accept, executed": Step("producer", LEDGER, "after", _verb("accept")),
    "claim, not sent yet": Step("child", ASYNC_LEDGER, "before", _verb("claim")),
    "claim, executed": Step(
        "child", ASYNC_LEDGER, "after", _verb("claim", lambda got: bool(got.claims)), in_hand=True
    ),
    "attempt, nothing composed": Step(
        "child", f"{DISPATCH}.attempt:Carrier._attempt", "before", in_hand=True
    ),
    "call, nothing connected": Step(
        "child",
        "sendline_worker.wire.wire:Wire._exchange",
        "before",
        _sends,
        in_hand=True,
    ),
    "call, connected": Step("child", "sendline_worker.wire.wire:_begin", "before", _sends, in_hand=True),
    "call, before its first byte": Step(
        "child", "sendline_worker.wire.wire:_begin", "after", _sends, in_hand=True
    ),
    "call, written": Step(
        "child",
        "sendline_worker.wire.connection:Connection.data_received",
        "before",
        in_hand=True,
    ),
    "call, answered": Step(
        "child",
        "sendline_worker.wire.wire:Wire.call",
        "after",
        _sends,
        in_hand=True,
    ),
    "outcome, handed to the settler": Step("child", f"{DISPATCH}.settler:Settler.put", "after", in_hand=True),
    "settle, not sent yet": Step("child", ASYNC_LEDGER, "before", _verb("settle"), in_hand=True),
    "settle, executed": Step("child", ASYNC_LEDGER, "after", _verb("settle"), in_hand=True),
    "claim, signed off": Step(
        "child", ASYNC_LEDGER, "after", _verb("claim", lambda got: got.signed_off), in_hand=True
    ),
    "slice over, not signed off": Step(
        "child", f"{DISPATCH}.dispatcher:Dispatcher._sign_off", "before", in_hand=True
    ),
    "slice over, signed off": Step(
        "child", f"{DISPATCH}.dispatcher:Dispatcher._sign_off", "after", in_hand=True
    ),
    "task over, not acknowledged": Step(
        "child", f"{DISPATCH}.runtime:Runtime.run_slice", "after", in_hand=True
    ),
    "tick, not sent yet": Step("parent", LEDGER, "before", _verb("tick")),
    "tick, executed": Step("parent", LEDGER, "after", _verb("tick", lambda got: got.mine)),
    "shutdown, calls under way": Step("child", f"{DISPATCH}.runtime:Runtime._close", "before", in_hand=True),
    "shutdown, drained": Step("child", f"{DISPATCH}.dispatcher:Dispatcher.drain", "after", in_hand=True),
    "shutdown, written": Step("child", f"{DISPATCH}.settler:Settler.flush", "after"),
    "shutdown, the parent": Step("parent", "sendline_worker.tick:Ticker.stop", "before", in_hand=True),
    "receipt, not stored": Step("receiver", ASYNC_LEDGER, "before", _verb("receive")),
    "receipt, stored": Step("receiver", ASYNC_LEDGER, "after", _verb("receive")),
}
"""Every step between accept and settle."""


class Fuses:
    """Arms steps, by files in `directory`, for processes that have them installed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory

    def arm(self, name: str, passage: int = 1, sign: signal.Signals = signal.SIGKILL) -> None:
        """Let the process that makes the `passage`-th passage from now on send itself `sign`."""
        assert name in STEPS
        for number in range(passage, 0, -1):
            self._file(name, number).write_text(str(int(sign)))

    def is_armed(self, name: str) -> bool:
        """Return whether it has not happened yet."""
        return self._file(name, 1).exists()

    def await_blown(self, name: str, timeout: float = 20) -> int:
        """Wait until it has happened; return the process id."""
        spent = self._file(name, 0)
        poll(spent.exists, timeout)
        process_id = int(poll(spent.read_text))
        spent.unlink()
        return process_id

    def pass_(self, name: str) -> None:
        """Be a process that passes."""
        for number in itertools.count(1):
            if not self._file(name, number).exists():
                break
        for left in range(number - 1, 0, -1):
            try:
                sign = int(self._file(name, left).read_text())
                self._file(name, left).unlink()
            except FileNotFoundError:
                continue  # another process was quicker
            if left == 1:
                self._file(name, 0).write_text(str(os.getpid()))
                signal.pthread_kill(threading.get_ident(), sign)  # this thread goes not one step further
            return

    def _file(self, name: str, number: int) -> Path:
        return self._directory / f"{name}.{number}"


def resolve(where: str) -> tuple[Any, str]:
    """Return what holds the function, and the function's name; raises where it is gone."""
    module, _, path = where.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    getattr(owner, name)
    return owner, name


def install(fuses: Fuses, *who: Who) -> None:
    """Put every step of `who` in this process, and those it will fork, around the product's functions."""
    for name, step in STEPS.items():
        if step.who in who:
            owner, attribute = resolve(step.where)
            setattr(owner, attribute, _around(getattr(owner, attribute), name, step, fuses))


def _around(function: Any, name: str, step: Step, fuses: Fuses) -> Any:
    signature = inspect.signature(function)

    def passes(moment: str, given: tuple[Any, ...], named: dict[str, Any], result: Any = None) -> None:
        if step.moment == moment and step.when(signature.bind(*given, **named).arguments, result):
            fuses.pass_(name)

    @functools.wraps(function)
    async def awaited(*given: Any, **named: Any) -> Any:
        passes("before", given, named)
        result = await function(*given, **named)
        passes("after", given, named, result)
        return result

    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        passes("before", given, named)
        result = function(*given, **named)
        passes("after", given, named, result)
        return result

    return awaited if inspect.iscoroutinefunction(function) else called


# What runs in processes that tests start: see sendline_worker.stack.targets


def crashing_worker(settings: "Settings", fuses: Fuses, *, on_ready: Callable[..., None]) -> int:
    """Run a worker with the steps in it, with short slices of time, and soon woken after a kill."""
    from sendline_worker.dispatch import dispatcher

    dispatcher.LINGER = dispatcher.NEAR = LINGER  # type: ignore[misc]
    dispatcher.PROMISE = PROMISE  # type: ignore[misc]
    install(fuses, "child", "parent")
    return brief_worker(settings, CRASHING_SLICE, on_ready=on_ready)


def brief_worker(settings: "Settings", seconds: float = SLICE, *, on_ready: Callable[..., None]) -> int:
    """Run a worker with short slices of time, so that wakes come and go."""
    from sendline_worker.dispatch import runtime
    from sendline_worker.stack.targets import worker

    runtime.SLICE = seconds  # type: ignore[misc]
    return worker(settings, on_ready=on_ready)


def crashing_receiver(
    settings: "Settings", listener: "socket.socket", fuses: Fuses, *, on_ready: Callable[..., None]
) -> int:
    """Run a receiver with the steps in it."""
    from sendline_worker.stack.targets import receiver

    install(fuses, "receiver")
    return receiver(settings, listener, on_ready=on_ready)


def crashing_producer(
    settings: "Settings",
    batches: list[list[dict[str, Any]]],
    told: Path,
    fuses: Fuses,
    *,
    on_ready: Callable[..., None],
) -> int:
    """Send `batches`; write the id and the text of each message to `told` once send_many() returned it."""
    from sendline import Producer

    install(fuses, "producer")
    with Producer(settings=settings) as producer, told.open("a") as file:
        on_ready()
        for batch in batches:
            for message in producer.send_many(batch):
                file.write(f"{message.id} {message.text}\n")
            file.flush()
    return 0


def returned(told: Path) -> Iterator[tuple[str, str]]:
    """What send_many() returned before its process ended: ids and texts."""
    for line in told.read_text().splitlines():
        message_id, _, text = line.partition(" ")
        yield message_id, text


def off_worker(settings: "Settings", seconds: float, *, on_ready: Callable[..., None]) -> int:
    """Run a worker whose clock is `seconds` off."""
    import time

    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + round(seconds * 1e9)
    from sendline_worker.stack.targets import worker

    return worker(settings, on_ready=on_ready)
