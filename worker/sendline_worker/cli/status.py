"""`sendline status`: a message with its timeline and, while it waits, why."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sendline.contract.errors import UnknownMessage
from sendline.contract.message import stamp
from sendline.contract.numbers import mask
from sendline.ledger.standing import read_standing
from sendline_worker.answers.spelling import spell
from sendline_worker.answers.waiting import look_into
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import console, print_json, print_line, print_table

if TYPE_CHECKING:
    from sendline.contract.message import Message
    from sendline.settings import Settings
    from sendline_worker.answers.reasons import Reason

app = make_app()


@app.command()
def status(
    *,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The message's id.")],
    text: Annotated[
        bool, typer.Option("--text", help="Show the numbers whole, and the text while it is still held.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show a message: how it stands, how it came there and, while it waits, why.

    The text is erased once it is not needed any more: when the message was sent or is final.

    \b
    Examples:
      sendline status 0199a1b2-0000-7000-8000-000000000000
      sendline status 0199a1b2-0000-7000-8000-000000000000 --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    message, why = _read(settings, message_id)
    if json:
        waits_for = None if why is None else why.to_dict()
        plain = {**message.to_dict(), "waits": [] if why is None else list(why.said), "waits_for": waits_for}
        if not text:
            del plain["text"]
        print_json(plain)
        return
    print_table(["", ""], _facts(message, settings, whole=text))
    print_line("")
    print_table(["when", "status", "after", "why"], _rows(message))
    if why is not None:
        print_line("")
        screen = console()
        for line in why.said:
            screen.print(line)


def _read(settings: "Settings", message_id: str) -> "tuple[Message, Reason | None]":
    """Return the message and why it waits, read so that the one fits the other."""
    with opening.producer(settings) as producer, opening.ledger(settings) as ledger:
        message = producer.get(message_id)
        if message.final:
            return message, None
        standing = read_standing(ledger, message)
        try:
            again = producer.get(message_id)
        except UnknownMessage:
            return message, None
        if again.timeline != message.timeline:
            message, standing = again, read_standing(ledger, again)
        shares = (settings.normal_share, settings.bulk_share)
        return message, look_into(message, standing, settings.max_attempts, shares)


def _facts(message: "Message", settings: "Settings", *, whole: bool) -> list[tuple[str, str]]:
    def shown(number: str) -> str:
        return number if whole else mask(number)

    facts: list[tuple[str, Any]] = [
        ("message", message.id),
        ("status", f"{message.status.value}{', final' if message.final else ''}"),
        ("to", shown(message.to)),
        ("from", shown(message.sender) if message.sender else "the account's first sender"),
        ("lane", message.lane.value),
        ("campaign", message.campaign),
        ("account", message.account or " or ".join(message.route) or "not known yet"),
        ("attempts", f"{message.attempts} of {settings.max_attempts}" if message.attempts else None),
        ("provider id", message.provider_id),
        ("error", message.error),
        ("segments", str(message.segments) if message.segments else None),
        ("not before", stamp(message.due_at) if message.status.value in ("created", "retrying") else None),
        ("valid until", stamp(message.expires_at)),
        ("callback", message.callback_url),
        ("metadata", ", ".join(f"{key}={value}" for key, value in message.metadata.items())),
        ("text", (message.text or "not held any more") if whole else None),
    ]
    return [(name, str(value)) for name, value in facts if value]


def _rows(message: "Message") -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    before = message.created_at
    for entry in message.timeline:
        why = ": ".join(part for part in (entry.code, entry.reason) if part)
        after = spell((entry.at - before).total_seconds()) if rows else ""
        rows.append((stamp(entry.at) or "", entry.status.value, after, why))
        before = entry.at
    return rows
