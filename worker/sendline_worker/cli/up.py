"""`sendline up`: everything on this machine, until Ctrl-C."""

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line
from sendline_worker.logs import set_up_logs

if TYPE_CHECKING:
    from sendline_worker.stack import Stack

app = make_app()

TRY: Final = "sendline send --to +13115552367 --text 'Hello, world!' --wait"


@app.command()
def up(
    *,
    instance: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose data to use.  [default: default, or the next free one]"),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes.  [default: one per core]")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Run the embedded server, a worker and the receiver until Ctrl-C.

    Without an account the simulator stands in the provider's place and no SMS is sent. With a redis_url that
    Redis is used instead of the embedded server. Accepted messages are kept between runs.

    \b
    Examples:
      sendline up
      sendline up --instance staging --config staging.toml
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config, instance=instance, processes=processes)
    from sendline_worker.embedded import claim_instance
    from sendline_worker.stack import Stack
    from sendline_worker.stack.stack import wait_while_healthy

    set_up_logs("up")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # a shell makes its background jobs ignore it
    directory = claim_instance(settings)
    say = _quiet if json else _step
    try:
        with Stack(settings, directory, say=say) as stack:
            print_json(_facts(stack)) if json else _describe(stack)
            try:
                wait_while_healthy(stack)
            except KeyboardInterrupt:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end is on its way: once is enough
                say("ending: calls under way are finished first")
    except KeyboardInterrupt:
        pass  # while it started: what had been started is ended
    say("ended; accepted messages are kept")
    return 0


def _facts(stack: "Stack") -> dict[str, Any]:
    return {
        "ready": True,
        "instance": stack.directory.name,
        "directory": str(stack.directory),
        "embedded": stack.server is not None,
        "receiver": stack.receiver_url,
        "simulator": stack.simulator_url,
        "accounts": list(stack.settings.accounts),
    }


def _describe(stack: "Stack") -> None:
    name = stack.directory.name
    other = "" if name == stack.settings.instance else f"SENDLINE_INSTANCE={name} "
    print_line("")
    print_line(f"Sendline is up, instance {name}. Data: {stack.directory}")
    print_line(f"  receiver   {stack.receiver_url}")
    if stack.simulates:
        print_line(f"  simulator  {stack.simulator_url} (no account is configured, so no SMS is sent)")
    elif stack.settings.public_url is None:
        print_line("  public_url is not set: no provider can report deliveries")
    print_line(f"  accounts   {', '.join(stack.settings.accounts)}")
    print_line(f"Try, in another terminal:  {other}{TRY}")
    print_line("Ctrl-C ends it.")


def _step(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def _quiet(_text: str) -> None:
    """Say nothing: JSON is for programs."""


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
