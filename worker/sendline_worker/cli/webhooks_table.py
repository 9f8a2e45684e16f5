"""How endpoints are shown: a table for people, plain types for programs; no query or login of a URL."""

from typing import TYPE_CHECKING, Any, Final

from sendline.contract.message import stamp
from sendline_worker.answers.endpoints import public
from sendline_worker.cli.printing import print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.ledger.notices import Endpoint

HEADS: Final = ("mark", "state", "waiting", "under way", "lost", "told", "told last", "URL")
SPARE: Final = ("told last", "told", "under way")
"""Columns that a narrow terminal does without, the first of them first."""
STATES: Final = ("stopped", "fails", "waits", "idle")
ILL: Final = STATES[:2]


def named(endpoint: "Endpoint") -> dict[str, Any]:
    """Return what names the endpoint, for programs."""
    return {"mark": endpoint.mark, "url": public(endpoint.url)}


def state(endpoint: "Endpoint") -> str:
    """Return one of STATES."""
    if endpoint.stopped_at is not None:
        return "stopped"
    if endpoint.failures:
        return "fails"
    return "waits" if endpoint.waiting else "idle"


def why(endpoint: "Endpoint") -> str:
    """Return since when it is stopped or fails, why, and when it is tried next; nothing where it is well."""
    if endpoint.stopped_at is not None:
        return f"since {stamp(endpoint.stopped_at)}: {endpoint.reason}"
    if not endpoint.failures:
        return ""
    rests = f"; next try {stamp(endpoint.rests_until)}" if endpoint.rests_until else ""
    return f"since {stamp(endpoint.failing_since)}, {endpoint.failures} in vain: {endpoint.reason}{rests}"


def show(shown: "Sequence[Endpoint]") -> None:
    """Print the endpoints, and what may be done about them."""
    absent = print_table(HEADS, [_row(each) for each in shown], spare=SPARE)
    if absent:
        print_line(f"left out, for want of room: {', '.join(absent)}; --json shows them")
    ill = [each for each in shown if state(each) in ILL]
    if ill:
        print_line("")
    for each in ill:
        print_line(f"{each.mark} {'is stopped' if each.stopped_at else 'fails'} {why(each)}")
    if any(each.stopped_at for each in shown):
        print_line("what is stopped is told nothing: `sendline webhooks resume MARK` takes it up again")
    if any(each.lost for each in shown):
        print_line("what is lost is kept: `sendline webhooks replay MARK` tells it after all")


def _row(endpoint: "Endpoint") -> tuple[str, ...]:
    numbers = (endpoint.waiting, endpoint.under_way, endpoint.lost, endpoint.told)
    told_last = stamp(endpoint.told_at) or ""
    return endpoint.mark, state(endpoint), *map(str, numbers), told_last, public(endpoint.url)


def plain(endpoint: "Endpoint") -> dict[str, Any]:
    """Return plain JSON types."""
    ill = state(endpoint) in ILL
    return {
        **named(endpoint),
        "state": state(endpoint),
        "waiting": endpoint.waiting,
        "under_way": endpoint.under_way,
        "lost": endpoint.lost,
        "told": endpoint.told,
        "told_at": stamp(endpoint.told_at),
        "failures": endpoint.failures,
        "failing_since": stamp(endpoint.failing_since),
        "reason": endpoint.reason if ill else None,
        "next_try": stamp(endpoint.rests_until),
        "stopped_at": stamp(endpoint.stopped_at),
    }
