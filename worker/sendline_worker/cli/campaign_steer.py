"""`sendline campaign start`, `pause`, `resume`, `cancel`: each prints how the campaign then stands."""

from typing import TYPE_CHECKING, Annotated

import typer

from sendline.contract.campaign import CampaignState
from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.printing import confirm, print_json, print_line

if TYPE_CHECKING:
    from sendline.contract.campaign import Progress

Name = Annotated[str, typer.Argument(metavar="NAME", help="The campaign.")]


def start(
    *,
    name: Name,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From now, as 30m, 2h; or ISO 8601, without a zone local time."),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Start a campaign, now or at a time; one that is scheduled can be given another time.

    Its messages' validity counts from its start.

    \b
    Examples:
      sendline campaign start sale
      sendline campaign start sale --at 2h
      sendline campaign start sale --at 2026-11-27T09:00:00+01:00
    """  # noqa: D301 - the parser's mark for what it must not wrap
    when = None if at is None else reading.instant("at", at)
    with opening.producer(opening.load(config)) as producer:
        now = producer.campaign(name).start(when)
    tell(now, json=json)


def pause(*, name: Name, config: Config = None, json: Json = False) -> None:
    """Let nothing more of a campaign be sent until `resume`. What is on the wire is settled.

    \b
    Examples:
      sendline campaign pause sale
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.producer(opening.load(config)) as producer:
        now = producer.campaign(name).pause()
    tell(now, json=json)


def resume(*, name: Name, config: Config = None, json: Json = False) -> None:
    """Let a paused campaign go on, whoever paused it; where it paused by itself, it counts failures anew.

    \b
    Examples:
      sendline campaign resume sale
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.producer(opening.load(config)) as producer:
        now = producer.campaign(name).resume()
    tell(now, json=json)


def cancel(
    *,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """End a campaign for good: what has not been sent is not sent any more.

    \b
    Examples:
      sendline campaign cancel sale
      sendline campaign cancel sale --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.producer(opening.load(config)) as producer:
        found = producer.campaign(name)
        now = found.progress()
        if now.state is not CampaignState.CANCELED and now.waiting and not yes:
            confirm(f"{counted(now.waiting, 'message')} of campaign {name} will never be sent", json=json)
        now = found.cancel()
    tell(now, json=json)


def tell(now: "Progress", *, json: bool) -> None:
    """Print how a campaign stands after it was steered."""
    if json:
        print_json(now.to_dict())
        return
    print_line("ok", f"campaign {now.name} is {_standing(now)}")
    if not now.imported.complete and now.state is not CampaignState.CANCELED:
        rows = counted(now.imported.rows, "row")
        print_line("warn", f"its import stopped after {rows}: the same `create` goes on there")


def _standing(now: "Progress") -> str:
    """Return where it stands, and what of it is where: on the wire is what providers are being told."""
    words = now.summary
    if now.state is CampaignState.SCHEDULED and now.start_at is not None:
        words = f"to start at {now.start_at.astimezone().isoformat(timespec='seconds')}"
    canceled = now.state is CampaignState.CANCELED
    parts = []
    if now.waiting:
        verb = "is" if now.waiting == 1 else "are"
        parts.append(
            f"{now.waiting:,} {verb} not sent any more" if canceled else f"{now.waiting:,} not sent yet"
        )
    if now.on_the_wire:
        verb = "is" if now.on_the_wire == 1 else "are"
        parts.append(f"{now.on_the_wire:,} {verb} on the wire, and settled as their provider answers")
    return "; ".join([words, *parts])
