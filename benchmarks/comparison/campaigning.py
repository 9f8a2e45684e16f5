"""What a campaign costs: from its file into the ledger, while it waits, and when all is sent."""

import tempfile
import time
from pathlib import Path
from typing import Final

from campaigns import SENDER, TEXT, write_file

from comparison.figures import Book
from comparison.house import house
from comparison.places import server
from comparison.processes import wait
from comparison.session import Asked, Session
from comparison.turns import TINY
from sendline import Status

PART: Final = "a campaign, from its file"
RECIPIENTS: Final = 50_000
WARM: Final = 500
"""Recipients of a campaign before it, so that nothing is new to the server."""


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Import a campaign, let it be sent, weigh the ledger before and after."""
    least = 25_000 if asked.scale >= TINY else 1_000
    number = max(least, round(RECIPIENTS * asked.scale))
    session.say(f"a campaign of {number:,}")
    session.provider.reset()
    with tempfile.TemporaryDirectory(prefix="sl") as name, server(Path(name), "v") as valkey:
        folder = Path(name)
        with house(folder, session.provider.url, valkey, processes=2) as running:
            for place, rows, first in (("warm", WARM, number), ("sale", number, 0)):
                write_file(folder / place, rows, first)
            create = running.producer.campaign
            create("warm", text=TEXT, sender=SENDER, recipients=folder / "warm").start()
            wait(lambda: session.provider.count() >= WARM, 30, "the first campaign")
            before, own, redis, began = (
                valkey.weight(),
                time.process_time(),
                valkey.spent(),
                time.perf_counter(),
            )
            sale = create("sale", text=TEXT, sender=SENDER, recipients=folder / "sale")
            own, took = time.process_time() - own, time.perf_counter() - began
            redis = valkey.spent() - redis
            waiting = valkey.weight() - before
            sale.start()
            wait(lambda: session.provider.count() >= WARM + number, 120, "a campaign to be sent")
            wait(lambda: sale.progress().statuses[Status.SENT] >= number, 20, "its counts")
            final = valkey.weight() - before
    for what, unit, value in (
        ("rows a second", "", number / took),
        ("CPU a row", "µs", own / number * 1e6),
        ("Redis CPU a row", "µs", redis / number * 1e6),
        ("Redis memory, waiting", "B", waiting / number),
        ("Redis memory, final", "B", final / number),
    ):
        book.add(PART, "Sendline", what, unit, value)
    book.note(PART, f"`Producer.campaign(...)` of a CSV of {number:,} rows, 60 bytes each, with a template")
    book.note(
        PART,
        "`python benchmarks/campaigns.py` measures two campaigns of a million, stream of events included",
    )
