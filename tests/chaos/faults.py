"""What each kind of fault does to the running parts: a table from its name to a context manager.

Each yields how many messages it leaves in doubt as it begins: so many may be sent twice under `resend`.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Final

import redis

from chaos.ground import Ground
from chaos.plan import Fault
from chaos.sending import IN_CALL, SHALL_DIE
from chaos.supervised import Supervised, kill_child
from waiting import poll

Injection = Callable[[Ground, Fault], AbstractContextManager[int]]

SPARE: Final = 64 * 1024
"""Bytes of memory, or of the disk, that are left."""
_BEHAVIOURS: Final = {
    "provider down": "unavailable_always",
    "provider throttles": "throttled",
    "provider slow": "slow",
    "provider hangs": "hang",
    "provider accepts and hangs": "accepted_hang",
    "provider resets": "reset_early",
    "provider drops": "accepted_reset",
    "provider errs": "accepted_error",
    "provider garbles": "accepted_garbage",
    "provider breaks off": "cut",
}


class Missed(Exception):
    """The fault had nothing to hit: its part did not run."""


def _running(part: Supervised) -> Supervised:
    if not part.is_running:
        raise Missed
    return part


@contextlib.contextmanager
def _child_killed(ground: Ground, fault: Fault) -> Iterator[int]:
    part = _running(ground.workers[fault.part])
    doubts = ground.watch.sending()
    if not kill_child(part.tree(), fault.number):
        raise Missed
    yield doubts


@contextlib.contextmanager
def _killed(ground: Ground, fault: Fault) -> Iterator[int]:
    part = _running(ground.workers[fault.part])
    doubts = ground.watch.sending()
    with part.held_down():
        part.kill(alone=fault.name == "parent killed")
        yield doubts


@contextlib.contextmanager
def _worker_frozen(ground: Ground, fault: Fault) -> Iterator[int]:
    part = _running(ground.workers[fault.part])
    doubts = ground.watch.sending()
    with part.frozen():
        yield doubts


@contextlib.contextmanager
def _rolling_restart(ground: Ground, fault: Fault) -> Iterator[int]:
    _running(ground.workers[fault.part]).ask_to_end()
    yield 0


@contextlib.contextmanager
def _receiver_killed(ground: Ground, fault: Fault) -> Iterator[int]:
    part = _running(ground.receiver)
    with part.held_down():
        part.kill()
        yield 0


@contextlib.contextmanager
def _producer_killed(ground: Ground, fault: Fault) -> Iterator[int]:
    part = _running(ground.producer)
    [process, *_] = part.tree() or [None]
    if process is None:
        raise Missed

    over = threading.Event()

    def kill_in_a_call() -> None:
        while not ground.told[IN_CALL] and not over.wait(0.0002):
            pass
        time.sleep(fault.number % 20_000 / 1_000_000)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_in_a_call, daemon=True)
    with part.held_down():
        if fault.number % 2:
            ground.told[SHALL_DIE] = 1
        else:
            killer.start()
        yield 0
        over.set()
        if killer.is_alive():
            killer.join()
        part.kill()
        ground.told[IN_CALL] = ground.told[SHALL_DIE] = 0


@contextlib.contextmanager
def _server_down(ground: Ground, fault: Fault) -> Iterator[int]:
    doubts = ground.watch.sending()
    if fault.name == "server killed":
        ground.server.kill()
    else:
        ground.server.shut_down()
    try:
        yield doubts
    finally:
        ground.server.start()


@contextlib.contextmanager
def _disk_full(ground: Ground, fault: Fault) -> Iterator[int]:
    doubts = ground.watch.sending()
    ground.server.fill_disk(SPARE)
    try:
        yield doubts
    finally:
        ground.server.kill()  # it may have ended by itself by now
        ground.server.start()


@contextlib.contextmanager
def _server_frozen(ground: Ground, fault: Fault) -> Iterator[int]:
    doubts = ground.watch.sending()
    with ground.server.frozen():
        yield doubts


@contextlib.contextmanager
def _clients_killed(ground: Ground, fault: Fault) -> Iterator[int]:
    ground.server.kill_clients()
    yield 0


@contextlib.contextmanager
def _out_of_memory(ground: Ground, fault: Fault) -> Iterator[int]:
    with ground.server.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used + SPARE)
    try:
        yield 0
    finally:
        poll(lambda: _has_all_memory(ground), 20)


def _has_all_memory(ground: Ground) -> bool:
    with contextlib.suppress(redis.RedisError), ground.server.client() as client:
        return bool(client.config_set("maxmemory", 0))
    return False


@contextlib.contextmanager
def _redis_link(ground: Ground, fault: Fault) -> Iterator[int]:
    link = ground.redis_links[fault.part]
    doubts = ground.watch.sending()
    match fault.name:
        case "redis black hole":
            link.freeze()
            yield doubts
        case "redis cut":
            link.cut()
            yield 0
        case "redis refused":
            link.refuse()
            link.cut()
            yield 0
            link.refuse(on=False)
        case "reply dropped":
            link.drop_replies(round(fault.strength), after=b"FCALL")
            yield 0
            link.drop_none()
        case "redis far":
            link.delay(fault.strength)
            yield 0
            link.delay(0)


@contextlib.contextmanager
def _provider_link(ground: Ground, fault: Fault) -> Iterator[int]:
    link = ground.provider_links[fault.part]
    match fault.name:
        case "provider black hole":
            yield link.freeze()
        case "provider cut":
            yield link.cut()
        case "provider refused":
            link.refuse()
            yield link.cut()
            link.refuse(on=False)
        case "answer dropped":
            link.drop_replies(round(fault.strength), after=b"POST ")
            yield round(fault.strength)
            link.drop_none()
        case "idle closed":
            before = link.closed_idle
            link.close_idle(fault.strength, fault.number, under_request=True)
            yield 0
            link.close_idle(0)
            ground.doubts += link.closed_idle - before
        case "provider far":
            link.delay(fault.strength)
            yield 0
            link.delay(0)


@contextlib.contextmanager
def _provider(ground: Ground, fault: Fault) -> Iterator[int]:
    behaviour = _BEHAVIOURS[fault.name]
    more: dict[str, float] = {"probability": fault.strength, "seed": fault.number}
    if behaviour == "slow":
        more = {"delay": (0.0, fault.strength)}
    if behaviour == "throttled":
        more["retry_after"] = 1.0
    ground.simulator.behave(behaviour, **more)
    try:
        yield 0
    finally:
        ground.simulator.clear()


INJECTIONS: Final[dict[str, Injection]] = {
    "child killed": _child_killed,
    "parent killed": _killed,
    "worker killed": _killed,
    "worker frozen": _worker_frozen,
    "rolling restart": _rolling_restart,
    "receiver killed": _receiver_killed,
    "producer killed": _producer_killed,
    "server killed": _server_down,
    "server restarted": _server_down,
    "disk full": _disk_full,
    "server frozen": _server_frozen,
    "clients killed": _clients_killed,
    "out of memory": _out_of_memory,
    "redis black hole": _redis_link,
    "redis cut": _redis_link,
    "redis refused": _redis_link,
    "reply dropped": _redis_link,
    "redis far": _redis_link,
    "provider black hole": _provider_link,
    "provider cut": _provider_link,
    "provider refused": _provider_link,
    "answer dropped": _provider_link,
    "idle closed": _provider_link,
    "provider far": _provider_link,
    **dict.fromkeys(_BEHAVIOURS, _provider),
}


@contextlib.contextmanager
def inject(ground: Ground, fault: Fault) -> Iterator[int]:
    """Let the fault be while a block lasts. Raises Missed where there was nothing to hit."""
    with ExitStack() as effect:
        try:
            doubts = effect.enter_context(INJECTIONS[fault.name](ground, fault))
        except redis.RedisError:
            raise Missed from None
        yield doubts
