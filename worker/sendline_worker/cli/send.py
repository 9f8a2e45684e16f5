"""`sendline send`: one message, and if asked, what becomes of it."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.errors import LedgerUnavailable
from sendline.contract.status import Status
from sendline_worker.answers.spelling import spell
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import INTERRUPTED, Failure
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.contract.message import Message, TimelineEntry
    from sendline.producer import Producer

app = make_app()

GOOD: Final = (Status.SENT, Status.DELIVERED)
NOT_IN_TIME: Final = 3
LOOK_FIRST, LOOK_GROWTH, LOOK_MOST = 0.02, 1.3, 0.25
"""Seconds between two looks: at first, then growing, at most."""


@app.command()
def send(
    *,
    to: Annotated[str | None, typer.Option(metavar="NUMBER", help="The recipient, as +13115552367.")] = None,
    text: Annotated[str | None, typer.Option(help="The text; - reads it from standard input.")] = None,
    sender: Annotated[
        str | None, typer.Option(metavar="SENDER", help="A number or a name.  [default: the account's first]")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only by this account.")] = None,
    lane: Annotated[str, typer.Option(metavar="LANE", help="urgent, normal or bulk.")] = "normal",
    campaign: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The campaign it belongs to: in bulk, these take turns."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key and content again sends nothing new.")
    ] = None,
    not_before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From now, as 30m, 2h; or ISO 8601, without a zone local time."),
    ] = None,
    valid_for: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Seconds, or 10m, 72h, 3d: never sent later.  [default: 72h, urgent 10m]"
        ),
    ] = None,
    on_uncertain: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY", help="hold: never sent twice; resend.  [default: by account and lane]"
        ),
    ] = None,
    callback_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Your app's endpoint: called with each of its events.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Kept with the message; repeat for more.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it is final.")] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --wait: at most so long.  [default: 60s]")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Send one message: prints its id and status once it is accepted, which is for good.

    With --wait it follows the message and exits 0 when it was sent or delivered, 1 when it failed,
    expired, was canceled or suppressed, or stays uncertain, and 3 when it is not final in time.

    \b
    Examples:
      sendline send --to +13115552367 --text 'Hello, world!' --sender +13115552368
      sendline send --to +13115552367 --text 'Your code is 123456' --lane urgent --wait --timeout 30
      sendline send --to +13115552367 --text - < text.txt
      sendline send --to +13115552367 --text 'Good morning' --not-before 2h
      sendline send --to +13115552367 --text 'Paid' --idempotency-key order-17 --metadata order=17
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if timeout is not None and not wait:
        raise Failure("timeout", "only with --wait; add that, or leave it out")
    longest = reading.seconds("timeout", timeout) if timeout is not None else 60.0
    fields: dict[str, Any] = {
        "text": reading.text_of(text),
        "sender": sender,
        "account": account,
        "lane": lane,
        "idempotency_key": idempotency_key,
        "not_before": reading.instant("not_before", not_before) if not_before is not None else None,
        "valid_for": reading.seconds("valid_for", valid_for) if valid_for is not None else None,
        "on_uncertain": on_uncertain,
        "callback_url": callback_url,
        "metadata": reading.pairs("metadata", metadata or []),
        "campaign": campaign,
    }
    with opening.producer(opening.load(config)) as producer:
        message = _accepted(producer, to or "", fields)
        shown = set(message.timeline)
        looks = _looks(producer, message, longest if wait else 0)
        try:
            if not json:
                _show(message)
            for message in looks:
                if not json:
                    _show_changes(message, shown)
        except KeyboardInterrupt:
            if json:
                print_json(message.to_dict())
            goes_on = f"interrupted; it goes on by itself: see `sendline status {message.id}`"
            raise Failure(None, goes_on, INTERRUPTED) from None
        if json:
            print_json(message.to_dict())
    if wait:
        _demand_known_end(message, longest)
    return 0 if not wait or message.status in GOOD else 1


def _accepted(producer: "Producer", to: str, fields: dict[str, Any]) -> "Message":
    try:
        return producer.send(to, **fields)
    except KeyboardInterrupt:
        keyed = fields["idempotency_key"] is not None
        again = "with the same --idempotency-key" if keyed else "only if `sendline messages` doesn't show it"
        maybe = f"interrupted before it was answered, so it may have been accepted; send it again {again}"
        raise Failure(None, maybe, INTERRUPTED) from None


def _show(message: "Message") -> None:
    if message.status is Status.SUPPRESSED:
        _show_change(message, message.timeline[-1])
        return
    words = [message.id, message.status.value]
    if message.due_at is not None and message.status is Status.CREATED:
        words.append(f"not before {message.due_at.astimezone().isoformat(timespec='seconds')}")
    print_line(*words)


def _looks(producer: "Producer", message: "Message", longest: float) -> "Iterator[Message]":
    """Yield the message as each look finds it, until it is final or `longest` seconds are over."""
    end = time.monotonic() + longest
    pause = LOOK_FIRST
    while not message.final and time.monotonic() < end:
        try:
            time.sleep(min(pause, max(end - time.monotonic(), 0)))
            message = producer.get(message.id)
        except LedgerUnavailable:
            if time.monotonic() >= end:
                raise
        pause = min(pause * LOOK_GROWTH, LOOK_MOST)
        yield message


def _show_changes(message: "Message", shown: "set[TimelineEntry]") -> None:
    for entry in message.timeline:
        if entry not in shown:
            shown.add(entry)
            _show_change(message, entry)


def _show_change(message: "Message", entry: "TimelineEntry") -> None:
    why = ": ".join(part for part in (entry.code, entry.reason) if part)
    print_line(message.id, entry.status.value, *([f"({why})"] if why else []))


def _demand_known_end(message: "Message", longest: float) -> None:
    """Raise Failure with what to do where it is not known what became of the message."""
    see = f"see `sendline status {message.id}`"
    if message.status is Status.UNCERTAIN:
        raise Failure(None, f"the provider may or may not have accepted it: {see} before it is sent again", 1)
    if not message.final:
        raise Failure(
            None, f"it is not final after {spell(longest)}: {see} for what it waits for", NOT_IN_TIME
        )
