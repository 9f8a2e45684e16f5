"""`sendline spool`: what send() keeps on this machine's disk while Redis is away, and `deliver`."""

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import typer

from sendline.contract import ids
from sendline.contract.message import instant, stamp
from sendline.spool import SpoolDirectory, Tally
from sendline.spool.delivery import Delivery
from sendline_worker.answers.spelling import counted, spell
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sendline.settings import Settings

app = make_app()

REASONS: Final = {
    "conflict": "its idempotency key was used for other content",
    "stale": "it is older than what the ledger is sure to remember: it may have been accepted before",
    "damaged": "its file is not what was written",
}
"""Why a message was kept aside, for people."""


@app.callback(invoke_without_command=True)
def spool(context: typer.Context, *, config: Config = None, json: Json = False) -> None:
    """Show how many messages wait in this machine's spool_dir, for how long, and which were refused.

    While Redis is away, send() keeps messages there, and any app of this machine delivers them as soon as it
    is back. A refused one is never delivered: look into its file, and delete that.

    \b
    Examples:
      sendline spool
      sendline spool --json
      sendline spool deliver
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if context.invoked_subcommand is not None:
        if config or json:
            raise Failure(None, "options come after the command: sendline spool deliver --json")
        return
    directory = _open(opening.load(config))
    with _readable(directory):
        waiting, refused = directory.waiting(), directory.refused()
    oldest = _made_at(waiting[0]) if waiting else None
    if json:
        print_json(
            {
                "path": str(directory.path),
                "waiting": len(waiting),
                "oldest": None if oldest is None else stamp(instant(oldest * 1000)),
                "refused": [{"id": ids.to_text(each), "why": why} for each, why in refused.items()],
            }
        )
        return
    since = "" if oldest is None else f", the oldest for {spell(time.time() - oldest)}"
    print_line(f"{counted(len(waiting), 'message')} waiting{since}; {len(refused)} refused")
    if refused:
        rows = [(ids.to_text(each), why, REASONS[why]) for each, why in refused.items()]
        print_table(("refused", "file", "why"), rows)


@app.command()
def deliver(*, config: Config = None, json: Json = False) -> int:
    """Deliver now what waits in this machine's spool_dir; exits 1 where anything is left or refused.

    It may run while apps send, and be interrupted: every message is accepted once.

    \b
    Examples:
      sendline spool deliver
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    directory = _open(settings)
    with opening.ledger(settings) as ledger, _readable(directory), directory.delivering() as is_ours:
        if not is_ours:
            raise Failure("spool_dir", "another process is delivering it at this moment", 1)
        with _progress(len(directory.waiting())) as progress:
            tally = Delivery(directory, ledger, settings).run(progress)
    if json:
        print_json(_plain(tally))
    else:
        words = [f"{number} {name}" for name, number in _plain(tally).items() if number or name == "accepted"]
        print_line("WRONG" if tally.refused or tally.left else "ok", ", ".join(words))
    return 1 if tally.refused or tally.left else 0


def _open(settings: "Settings") -> SpoolDirectory:
    if settings.spool_dir is None:
        raise Failure("spool_dir", "not set, so send() keeps nothing here; set it where the app runs, too")
    return SpoolDirectory(settings.spool_dir, settings.spool_most, create=False)


@contextlib.contextmanager
def _readable(directory: SpoolDirectory) -> "Iterator[None]":
    try:
        yield
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise Failure("spool_dir", f"{directory.path}: {why}") from None


@contextlib.contextmanager
def _progress(number: int) -> "Iterator[Callable[[Tally], bool]]":
    """Tell on a terminal how far it is, on one line that goes away at the end."""
    shown = sys.stderr.isatty()

    def tell(tally: Tally) -> bool:
        if shown:
            sys.stderr.write(f"\r\x1b[K{tally.done} of {number} delivered")
            sys.stderr.flush()
        return True

    try:
        yield tell
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _made_at(message_id: bytes) -> float:
    """Return when a message was made, as its id says: seconds since the epoch."""
    return ids.time_of(message_id) / 1000


def _plain(tally: Tally) -> dict[str, Any]:
    return {
        "accepted": tally.accepted,
        "expired": tally.expired,
        "answered": tally.answered,
        "refused": tally.refused,
        "left": tally.left,
    }
