"""The producer's process, which may be killed anywhere, and the file of what was acknowledged to it."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chaos.messages import Batch, Campaign
from sendline import LedgerRefused, LedgerUnavailable, Message, PartlyAccepted, Producer
from sendline.settings import Settings

if TYPE_CHECKING:
    from ctypes import Array, c_byte

IN_CALL, SHALL_DIE = range(2)
"""What the producer and its killer tell each other: it is in a call; it shall die right behind one."""
AGAIN: Final = 0.2
"""Seconds until a call that failed is made again."""


class Acknowledged:
    """Which message got which id, one line each, on disk before the sender goes on."""

    def __init__(self, path: Path) -> None:
        """Open it for writing; what a killed writer left half written is taken off."""
        whole = path.read_bytes() if path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.truncate(path, len(kept))
        self.numbers = {number for number, _ in read_acknowledged(path)}

    def add(self, messages: Sequence[Message]) -> None:
        """Write down what send() or send_many() returned."""
        lines = [f"{message.metadata['n']} {message.id}\n" for message in messages]
        os.write(self._file, "".join(lines).encode())
        os.fsync(self._file)
        self.numbers.update(int(message.metadata["n"]) for message in messages)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_acknowledged(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the id of each acknowledgement."""
    if path.exists():
        for line in path.read_text().splitlines():
            number, _, message_id = line.partition(" ")
            yield int(number), message_id


def send_all(
    settings: Settings,
    campaign: Campaign,
    path: Path,
    began: float,
    told: "Array[c_byte]",
    *,
    on_ready: Callable[[], None],
) -> int:
    """Send what is not acknowledged yet, each batch when it is due; return 0 once all are.

    `told` says whether it is in a call, to whoever wants to kill it there; and that it shall die by kill -9
    between the ledger's answer and writing that down, a moment that is too short to be hit from outside.
    """
    acknowledged = Acknowledged(path)
    on_ready()
    with Producer(settings=settings) as producer:
        for batch in campaign.batches():
            time.sleep(max(0.0, began + batch.due - time.monotonic()))
            while missing := [n for n in batch.numbers if n not in acknowledged.numbers]:
                told[IN_CALL] = 1
                got, failed = _send(producer, campaign, batch, missing)
                told[IN_CALL] = 0
                if got and told[SHALL_DIE]:
                    os.kill(os.getpid(), signal.SIGKILL)
                acknowledged.add(got)
                if failed:
                    time.sleep(AGAIN)
    acknowledged.close()
    return 0


def _send(
    producer: Producer, campaign: Campaign, batch: Batch, missing: Sequence[int]
) -> tuple[list[Message], bool]:
    """Return what was acknowledged, and whether the call failed."""
    fields = [campaign.message(number) for number in missing]
    try:
        if len(batch.numbers) == 1:
            return [producer.send(**fields[0])], False
        return producer.send_many(fields), False
    except PartlyAccepted as error:
        return error.accepted, True
    except (LedgerUnavailable, LedgerRefused):
        return [], True
