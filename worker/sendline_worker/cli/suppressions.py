"""`sendline suppressions`: the recipients who have opted out, and to whom nothing is sent."""

import json as plain_json
import sys
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from sendline.contract.message import stamp
from sendline.contract.numbers import parse_number
from sendline.ledger import suppression
from sendline.ledger.limits import Limits
from sendline.ledger.suppression import AT_ONCE, INBOUND, Suppression
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

app = make_app()

LONGEST_LINE: Final = 4096
"""Bytes of a line that are read at once: a file that is none of numbers harms nothing."""
NAMED: Final = 5
"""Further lines with a mistake that one error names."""
PROGRESS_EVERY: Final = 10_000
"""Lines between two words of progress while a file is read."""

Numbers = Annotated[
    list[str] | None, typer.Argument(metavar="NUMBER", help="Phone numbers, as +13115552367.")
]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="PATH", help="Read them from a file, one a line; - is standard input."),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Kept with the numbers.")]


@app.command("list")
def show(*, config: Config = None, json: Json = False) -> None:
    """List the numbers that are never sent to, whole, with since when and why. In no order.

    \b
    Examples:
      sendline suppressions list
      sendline suppressions list --json > suppressions.json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.ledger(opening.load(config)) as ledger:
        number = ledger.run(suppression.count())
        if not json:
            print_line("ok", "no number is on the list" if not number else f"{number} on the list")
        _print(_listed(ledger), {"number": number}, json=json)


@app.command()
def add(
    *,
    numbers: Numbers = None,
    file: File = None,
    reason: Reason = "a person said so",
    config: Config = None,
    json: Json = False,
) -> None:
    """Put numbers on the list: nothing is sent to them any more, by any account.

    What waits for them already is suppressed when its turn comes. A number that is listed stays as it is.

    \b
    Examples:
      sendline suppressions add +13115552367 --reason 'asked by mail'
      sendline suppressions add --file opted-out.txt
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if reason == INBOUND:
        raise Failure("reason", f"{INBOUND!r} stands for who answered STOP; use other words")
    settings = opening.load(config)
    call = partial(_suppress, Limits.of(settings), reason)
    changed, number = _change(settings, _given(numbers, file, settings, json=json), call, json=json)
    if json:
        print_json({"added": changed, "listed_before": number - changed})
        return
    print_line("ok", f"{changed} added{_others(number - changed, 'on the list before')}")


@app.command()
def remove(*, numbers: Numbers = None, file: File = None, config: Config = None, json: Json = False) -> None:
    """Take numbers off the list: what is accepted from now on is sent to them again.

    Messages that were suppressed stay so. Do it for who asked for it only: who answered STOP is taken off
    by answering START.

    \b
    Examples:
      sendline suppressions remove +13115552367
      grep -v '^#' back-again.txt | sendline suppressions remove --file -
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    call = partial(suppression.unsuppress, Limits.of(settings))
    changed, number = _change(settings, _given(numbers, file, settings, json=json), call, json=json)
    if json:
        print_json({"removed": changed, "not_listed": number - changed})
        return
    print_line("ok", f"{changed} removed{_others(number - changed, 'not on the list')}")


@app.command()
def check(*, numbers: Numbers = None, file: File = None, config: Config = None, json: Json = False) -> int:
    """Say which of some numbers are on the list. Exits 1 where one of them is.

    \b
    Examples:
      sendline suppressions check +13115552367
      sendline suppressions check --file recipients.txt --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    given = _given(numbers, file, settings, json=json)
    found: list[Suppression] = []
    with opening.ledger(settings) as ledger:
        for some in _batches(given):
            found += [entry for entry in ledger.run(suppression.is_suppressed(some)) if entry]
    if not json:
        print_line("warn" if found else "ok", f"{len(found)} of {len(given)} on the list")
    _print([found], {"checked": len(given), "number": len(found)}, json=json)
    return 1 if found else 0


def _suppress(limits: Limits, reason: str, numbers: "Sequence[str]") -> Any:
    return suppression.suppress(limits, numbers, reason)


def _others(number: int, where: str) -> str:
    return f", {number} {where}" if number else ""


def _listed(ledger: "Ledger") -> "Iterator[list[Suppression]]":
    """Read the list, some numbers at a time."""
    cursor = None
    while cursor != 0:
        cursor, entries = ledger.run(suppression.suppressed(cursor or 0))
        yield entries


def _print(pages: "Iterable[list[Suppression]]", facts: dict[str, int], *, json: bool) -> None:
    """Print numbers page by page, however many there are: one line each, or one JSON object on one line."""
    write, separator = sys.stdout.write, ""
    if json:
        write(plain_json.dumps(facts)[:-1] + ', "suppressions": [')
    for entries in pages:
        for entry in entries:
            write(separator + plain_json.dumps(_plain(entry)) if json else _line(entry))
            separator = ", "
    if json:
        write("]}\n")
    sys.stdout.flush()


def _line(entry: Suppression) -> str:
    why = "answered a stop word" if entry.why == INBOUND else entry.why
    by = f" (account {entry.account})" if entry.account else ""
    return f"{entry.number:<16}  {stamp(entry.since)}  {why}{by}\n"


def _plain(entry: Suppression) -> dict[str, Any]:
    return {
        "number": entry.number,
        "since": stamp(entry.since),
        "why": entry.why,
        "account": entry.account,
    }


def _change(
    settings: "Settings", given: list[str], call: "Callable[[list[str]], Any]", *, json: bool
) -> tuple[int, int]:
    """Run `call` on all numbers, some at a time; return how many it changed, and how many there were."""
    changed = done = 0
    with opening.ledger(settings) as ledger:
        for some in _batches(given):
            changed += ledger.run(call(some))
            done += len(some)
            if len(given) > AT_ONCE:
                _tell(f"\r  {done} of {len(given)}" + ("\n" if done == len(given) else ""), json=json)
    return changed, len(given)


def _batches(given: list[str]) -> "Iterator[list[str]]":
    rest = iter(given)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _given(numbers: list[str] | None, file: str | None, settings: "Settings", *, json: bool) -> list[str]:
    """Return the numbers meant, each once, all checked before anything is done."""
    if numbers and file is not None:
        raise Failure("--file", "and numbers exclude each other; give one of them")
    region = settings.default_region
    if file is not None:
        with _opened(file) as stream:
            return _read(stream, region, json=json)
    if not numbers:
        raise Failure("number", "missing; give NUMBER, or --file PATH")
    found: dict[str, None] = {}
    for place, text in enumerate(numbers, 1):
        try:
            found[parse_number(text, region)] = None
        except ValueError as error:
            which = f"the {place}. one is " if len(numbers) > 1 else ""
            raise Failure("number", f"{which}{error}; nothing was done") from None
    return list(found)


def _opened(path: str) -> "AbstractContextManager[BinaryIO]":
    if path == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise Failure("file", f"{path} can't be read: {(error.strerror or str(error)).lower()}") from None


def _read(stream: BinaryIO, region: str | None, *, json: bool) -> list[str]:
    """Return the numbers of a file, one a line; empty lines are passed over."""
    found: dict[str, None] = {}
    mistakes: list[int] = []
    first, place = "", 0
    for place, raw in enumerate(iter(partial(stream.readline, LONGEST_LINE), b""), 1):
        text = raw.decode("utf-8-sig", errors="replace").strip()
        try:
            if text:
                found[parse_number(text, region)] = None
        except ValueError as error:
            first = first or str(error)
            mistakes.append(place)
        if place % PROGRESS_EVERY == 0:
            _tell(f"\r  {place} lines read", json=json)
    if place >= PROGRESS_EVERY:
        _tell("\n", json=json)
    if mistakes:
        more = mistakes[1:]
        named = ", ".join(map(str, more[:NAMED])) + (", ..." if len(more) > NAMED else "")
        others = f"; {len(more)} more can't be read: {named}" if more else ""
        raise Failure("file", f"line {mistakes[0]}: {first}{others}; nothing was done")
    if not found:
        raise Failure("file", "holds no number; write one a line")
    return list(found)


def _tell(word: str, *, json: bool) -> None:
    """Tell how far it is, to a person who watches."""
    if sys.stderr.isatty() and not json:
        sys.stderr.write(word)
        sys.stderr.flush()
