"""Apps that spool and die: programs that tests run in processes of their own, and kill."""

import itertools
import os
import signal
import sys
import time
from pathlib import Path

from sendline import Producer
from sendline.contract.errors import LedgerError
from sendline.ledger.connection import Ledger
from sendline.settings import Settings, ledger_url
from sendline.spool import SpoolDirectory
from sendline.spool.delivery import Delivery

TO, SENDER = "+13115552367", "+13115552368"
PACE = 0.02
"""Seconds between two messages of an app, at the least."""
TOUCHES = frozenset({"open", "os.link", "os.rename", "os.remove", "os.utime", "os.scandir"})


def dying_at(number: int, path: Path) -> None:
    """Let this process be killed right before it touches something in the directory `path` the n-th time.

    A file that is written is cut off in the middle of it.
    """
    touches = itertools.count(1)

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if event in TOUCHES and any(
            str(path) in os.fsdecode(each) for each in arguments[:2] if _is_path(each)
        ):
            die()

    def die() -> None:
        if next(touches) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    syncing = os.fsync

    def fsync(descriptor: int) -> None:
        before = os.fstat(descriptor).st_size
        if next(touches) == number:
            if before and Path(f"/proc/self/fd/{descriptor}").resolve().is_file():
                os.truncate(f"/proc/self/fd/{descriptor}", before // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        syncing(descriptor)
        die()

    os.fsync = fsync
    sys.addaudithook(look)


def _is_path(value: object) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


def in_children(work, path: Path) -> int:
    """Do `work(n)` in forked processes that die at their n-th touch, n = 1, 2, ... until one lives.

    Return how many died.
    """
    for number in itertools.count(1):
        child = os.fork()
        if child == 0:
            try:
                dying_at(number, path)
                work(number)
            finally:
                os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return number - 1
    raise AssertionError


def send_and_die() -> None:
    """Send message number n, with its key, in a process that dies at its n-th touch of the spool."""
    settings = Settings()
    assert settings.spool_dir is not None

    def send(number: int) -> None:
        producer = Producer(settings=settings)
        message = producer.send(TO, str(number), SENDER, idempotency_key=f"key {number}")
        os.write(1, f"{number} {message.id}\n".encode())

    os.write(1, f"died {in_children(send, settings.spool_dir)}\n".encode())


def send_many_and_die() -> None:
    """Send three messages at once, the second with a key, in a process that dies at its n-th touch."""
    settings = Settings()
    assert settings.spool_dir is not None

    def send(number: int) -> None:
        producer = Producer(settings=settings)
        texts = [f"{number}{letter}" for letter in "abc"]
        many = [{"to": TO, "text": text, "sender": SENDER, "idempotency_key": text} for text in texts]
        del many[0]["idempotency_key"], many[2]["idempotency_key"]
        for text, message in zip(texts, producer.send_many(many), strict=True):  # type: ignore[arg-type]
            os.write(1, f"{text} {message.id}\n".encode())

    os.write(1, f"died {in_children(send, settings.spool_dir)}\n".encode())


def deliver_and_die() -> None:
    """Deliver the spool in processes that die at their n-th touch of it."""
    settings = Settings()
    assert settings.spool_dir is not None
    directory = SpoolDirectory(settings.spool_dir, settings.spool_most)

    def deliver(_: int) -> None:
        ledger = Ledger(ledger_url(settings))
        with directory.delivering():
            Delivery(directory, ledger, settings).run(lambda _: True)

    os.write(1, f"died {in_children(deliver, settings.spool_dir)}\n".encode())


def app() -> None:
    """Send numbered messages without an end, every second one with a key; write down what was returned.

    Arguments: the file to write to, the first number, what keys begin with.
    """
    file, first, tag = sys.argv[2:]
    notes = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Producer() as producer:
        for number in itertools.count(int(first)):
            time.sleep(PACE)
            key = f"{tag} {number}" if number % 2 else None
            try:
                message = producer.send(TO, f"{tag} {number}", SENDER, idempotency_key=key)
            except LedgerError:
                continue
            os.write(notes, f"{number} {message.id}\n".encode())


if __name__ == "__main__":
    programs = {"send": send_and_die, "send_many": send_many_and_die, "deliver": deliver_and_die, "app": app}
    programs[sys.argv[1]]()
