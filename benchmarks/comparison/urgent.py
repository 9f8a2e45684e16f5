"""How long an urgent message takes to the provider while a campaign saturates the workers."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from comparison.contestants import Celery, Stage
from comparison.figures import Book
from comparison.house import house
from comparison.latency import write_down
from comparison.places import server
from comparison.plain.sending import QUEUE, URGENT, WebApp
from comparison.processes import wait
from comparison.session import Asked, Session
from comparison.turns import TINY
from comparison.work import SENDER, numbered, recipient, text

PART: Final = "urgent: send() to arrival while a campaign saturates the workers"
SAMPLES: Final = 100
"""Urgent messages of a round."""
APART: Final = 0.05
RATES: Final = {"Sendline": 4_500, "Celery": 700}
"""More messages a second than any of them sends on such a machine: so much waits that it lasts."""
WARM: Final = 1.5
"""Seconds that a campaign runs before the first urgent message."""

Send = Callable[[tuple[str, str]], None]


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Let both take turns."""
    samples = max(10, round(SAMPLES * asked.scale))
    for number in range(asked.rounds):
        for who, campaign in (("Sendline", sendline_campaign), ("Celery", plain_campaign)):
            session.say(f"round {number + 1}: urgent, {who}")
            waiting = round(RATES[who] * (samples * APART * 1.5 + WARM + 1))
            if asked.scale < TINY:
                waiting //= 4
            session.provider.reset()
            with (
                tempfile.TemporaryDirectory(prefix="sl") as folder,
                campaign(session, Path(folder), waiting) as send,
            ):
                took = probe(session, send, samples)
                over = session.provider.count() - samples >= waiting
            write_down(book, PART, who, took)
            if over:
                book.doubt(f"urgent, {who}: the campaign was over before the last urgent message")
    book.note(
        PART, 'Sendline: `sendline worker --processes 2`, one campaign in lane bulk, `send(lane="urgent")`'
    )
    book.note(
        PART,
        "Celery: two `celery worker --pool threads`, one for the campaign (20 threads), one for urgent (16)",
    )
    book.note(PART, f"one urgent message every {APART * 1000:.0f} ms")


def probe(session: Session, send: Send, samples: int) -> list[float]:
    """Send urgent messages; return the milliseconds each took."""
    begin = session.provider.count()
    wait(lambda: session.provider.count() > begin + 50, 60, "the campaign to run")
    send((recipient(0), text("first", 0)))
    wait(lambda: session.provider.arrivals("first"), 30, "the first urgent message", every=0.25)
    time.sleep(WARM)
    sent: dict[str, float] = {}
    for number in range(samples):
        message = recipient(number), text("urgent", number)
        sent[f"urgent {number}"] = at = time.monotonic()
        send(message)
        time.sleep(max(0.0, at + APART - time.monotonic()))

    def all_there() -> dict[str, float]:
        found = session.provider.arrivals("urgent")
        return found if len(found) >= samples else {}

    arrived = wait(all_there, 20, "all urgent messages", every=0.5)
    return [(arrived[key] - at) * 1000 for key, at in sent.items()]


@contextmanager
def sendline_campaign(session: Session, folder: Path, waiting: int) -> Iterator[Send]:
    """Run a campaign of Sendline's."""
    with (
        server(folder, "v") as valkey,
        house(folder, session.provider.url, valkey, processes=2) as running,
    ):
        running.halt()
        running.send_many(numbered("m", 0, waiting), lane="bulk", campaign="sale")
        running.resume()
        yield lambda message: running.send(message, lane="urgent")


@contextmanager
def plain_campaign(session: Session, folder: Path, waiting: int) -> Iterator[Send]:
    """Run one of the plain program's, with a queue of its own for what is urgent."""
    with server(folder, "v") as valkey, closing(WebApp(valkey.url)) as app, ExitStack() as exits:
        for place, (to, said) in enumerate(numbered("m", 0, waiting)):
            app.send(str(place), to, SENDER, said)
        stage = Stage(folder, session.provider, session.at, valkey)
        for queue, threads in ((URGENT, 16), (QUEUE, 20)):
            celery = Celery("threads", threads, queue)
            exits.enter_context(celery.command(queue, valkey, stage.at, folder))

        def send(message: tuple[str, str]) -> None:
            app.send(message[1][:12], message[0], SENDER, message[1], URGENT)

        yield send
