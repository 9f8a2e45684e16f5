"""Receipts, which a benchmark of their own measures; and how much the provider can carry."""

import json
import resource
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final
from urllib.parse import urlsplit

from receipts_parts import Load, load

from comparison.figures import Book
from comparison.processes import BENCHMARKS, Command
from comparison.session import Asked, Session
from comparison.work import SENDER, numbered

RECEIPTS, PROVIDER = "receipts", "the provider alone"
LONGEST: Final = 300
"""Seconds that one of them may take."""
CONNECTIONS: Final = 900
SECONDS: Final = 2.0


def capacity(session: Session, book: Book, asked: Asked) -> None:
    """Load the provider with more than any contestant does."""
    session.say("the provider's capacity")
    session.provider.reset()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    connections = min(CONNECTIONS, hard - 100)
    before, seconds = session.provider.spent(), max(0.5, SECONDS * min(1, asked.scale))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        many = (connections, seconds, True)
        seen: Load = pool.submit(load, session.provider.port, posts(session), *many).result(60)
    spent = session.provider.spent() - before
    book.add(PROVIDER, "provider", "requests a second", "", seen.done / seen.seconds)
    book.add(PROVIDER, "provider", "CPU a request", "µs", spent / seen.done * 1e6)
    book.add(PROVIDER, "provider", "its CPU", "% of a core", spent / seen.seconds * 100)
    book.add(PROVIDER, "provider", "the generator's CPU", "% of a core", seen.own_cpu * 100)
    book.note(PROVIDER, "`python -m comparison.provider --delay 0.05`")
    book.note(PROVIDER, f"posts over {connections} connections, each as soon as its last was answered")


def posts(session: Session) -> list[bytes]:
    """Return whole requests."""
    url = urlsplit(session.at.url)
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in session.at.headers.items())
    bodies = (json.dumps({"from": SENDER, "to": to, "text": text}) for to, text in numbered("m", 0, 1000))
    return [f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode() for body in bodies]


def run(session: Session, script: str, arguments: Sequence[str]) -> Any:
    """Run a script of this folder; return the JSON that it prints."""
    session.say(f"{script} {' '.join(arguments)}")
    command = [sys.executable, str(BENCHMARKS / script), *arguments, "--json"]
    with Command(command, session.place / f"{script}.log", ends_by=signal.SIGINT) as running:
        told = running.finish(LONGEST)
    lines = [line for line in told.splitlines() if line[:1] in "[{"]
    if not lines:
        raise RuntimeError(f"{script}: {told[-800:]}")
    return json.loads(lines[-1])


def receipts(session: Session, book: Book, asked: Asked) -> None:
    """Take the figures of receipts.py."""
    arguments = ["--seconds", f"{max(0.5, SECONDS * min(1, asked.scale)):g}", "--rounds", str(asked.rounds)]
    told = run(session, "receipts.py", arguments)
    names = {"receiver": "Sendline's receiver", "route": "a route of Starlette's", "bare": "a bare handler"}
    for turn in told["turns"]:
        who = names[turn["who"]]
        book.add(RECEIPTS, who, "receipts a second", "", turn["a_second"])
        book.add(RECEIPTS, who, "CPU a receipt", "µs", turn["cpu_us"])
        if turn["who"] == "receiver":
            book.add(RECEIPTS, who, "Redis CPU a receipt", "µs", turn["server_cpu_us"])
        book.add(RECEIPTS, who, "p50", "ms", turn["p50_ms"])
        book.add(RECEIPTS, who, "p99", "ms", turn["p99_ms"])
    if told["generator_is_the_limit"]:
        book.doubt("receipts: the load generator was near a whole core")
    book.note(RECEIPTS, f"`python benchmarks/receipts.py {' '.join(arguments)}`")
    book.note(
        RECEIPTS, "the handlers only read and answer; the receiver has each receipt on disk before it answers"
    )
