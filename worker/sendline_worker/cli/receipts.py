"""`sendline receipts`: what providers reported. `rejected` shows what could not be read."""

import base64
import codecs
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.message import stamp
from sendline.ledger.rejected import MOST, clear_rejected, count_rejected, rejected
from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line, print_table

if TYPE_CHECKING:
    from sendline.ledger.rejected import Rejected

app = make_app()

SHOWN: Final = 20
BEGINNING: Final = 60
"""Characters of a body in the table."""


@app.callback()
def receipts() -> None:
    """Show what providers reported.

    \b
    Examples:
      sendline receipts rejected
    """  # noqa: D301 - the parser's mark for what it must not wrap


@app.command(name="rejected")
def show_rejected(
    *,
    limit: Annotated[int, typer.Option(min=1, max=MOST, metavar="N", help="Show so many at most.")] = SHOWN,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all of them; shows none.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the requests to the receiver that could not be read, the newest first.

    They came with a token of ours and in no shape that the provider's adapter knows. The newest 1000 are
    kept, each for a week at most, with up to 16 KiB of its body; --json shows all of that.

    What is shown may hold texts of messages and whole phone numbers: it is what the provider sent.

    \b
    Examples:
      sendline receipts rejected
      sendline receipts rejected --json --limit 1
      sendline receipts rejected --clear
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.ledger(opening.load(config)) as ledger:
        number = ledger.run(count_rejected())
        if clear:
            ledger.run(clear_rejected())
            shown = []
        else:
            shown = ledger.run(rejected(datetime.now(UTC), limit))
    if clear:
        _tell_cleared(number, json=json)
        return
    number = number if len(shown) == limit else len(shown)  # behind one that is too old, all are
    if json:
        print_json({"number": number, "rejected": [_plain(each) for each in shown]})
        return
    if not shown:
        print_line("ok", "no request was rejected that is still kept")
        return
    print_table(["when", "account", "why", "bytes", "begins"], (_row(each) for each in shown))
    if number > len(shown):
        print_line(f"and {number - len(shown)} more; --limit {number} shows all")


def _tell_cleared(number: int, *, json: bool) -> None:
    if json:
        print_json({"cleared": number})
    else:
        print_line("ok", f"{counted(number, 'rejected request')} forgotten")


def _row(each: "Rejected") -> tuple[str, ...]:
    text = each.body[: 4 * BEGINNING].decode(errors="backslashreplace")
    return stamp(each.at) or "", each.account, each.why, str(each.size), _escaped(text[:BEGINNING])


def _escaped(text: str) -> str:
    """Return `text` on one line, without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _plain(each: "Rejected") -> dict[str, Any]:
    return {
        "at": stamp(each.at),
        "account": each.account,
        "why": each.why,
        "headers": dict(each.headers),
        "query": each.query,
        "size": each.size,
        "whole": len(each.body) == each.size,
        **_body(each),
    }


def _body(each: "Rejected") -> dict[str, str]:
    """Return the body as text, or where it is no UTF-8 in base64. A cut may have split its last character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return {"body": decoder.decode(each.body, final=len(each.body) == each.size)}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(each.body).decode()}
