"""`sendline up`: everything on this machine, until Ctrl-C."""

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.errors import LedgerError
from sendline.ledger.api_keys import list_keys
from sendline.ledger.faults import place
from sendline.ledger.limits import Limits
from sendline.settings import ledger_url
from sendline_worker.cli import opening
from sendline_worker.cli.api import NOT_INSTALLED, is_installed
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line
from sendline_worker.logs import set_up_logs

if TYPE_CHECKING:
    from sendline_worker.stack import Stack

app = make_app()

DEFAULT: Final = "default"
"""The instance that commands use where none is named."""
GIVEN_UP: Final = 1
"""The exit code where a part ended by itself, and could not be started again."""
TRY: Final = "sendline send --to +13115552367 --text 'Hello, world!' --wait"
MAKE_A_KEY: Final = "sendline keys create my-app --scope send --scope read"


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
    """Run the embedded server, a worker, the receiver and the HTTP API until Ctrl-C.

    Without an account the simulator stands in the provider's place and no SMS is sent. With a redis_url that
    Redis is used instead of the embedded server. Accepted messages are kept between runs. A worker, a
    receiver or an API that ends by itself is started again. Without FastAPI it goes on without the API.

    \b
    Examples:
      sendline up
      sendline up --instance staging --config staging.toml
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config, instance=instance, processes=processes)
    from sendline_worker.accounts import load_accounts
    from sendline_worker.embedded import claim_instance
    from sendline_worker.stack import PartFailed, PartRefused, Stack, Supervisor, interrupts

    load_accounts(settings)  # a mistake in one is told before anything starts
    set_up_logs("up")
    interrupts.once()
    directory = claim_instance(settings)
    say = _quiet if json else _step
    try:
        with Stack(settings, directory, http_api=is_installed(), say=say) as stack:
            print_json(_facts(stack)) if json else _describe(stack, config)
            try:
                Supervisor(stack).run()
            except KeyboardInterrupt:
                say("ending: calls under way are finished first")
            except PartRefused:
                raise
            except PartFailed as error:
                raise Failure(None, str(error), GIVEN_UP) from None
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
        "api": stack.api_url,
        "simulator": stack.simulator_url,
        "accounts": list(stack.settings.accounts),
    }


def _describe(stack: "Stack", config: str | None) -> None:
    instance = None if stack.server is None else stack.directory.name
    print_line("")
    if instance is not None:
        print_line(f"Sendline is up, instance {instance}. Data: {stack.directory}")
    else:
        print_line(f"Sendline is up. Data: Redis at {place(ledger_url(stack.settings))}")
    print_line(f"  receiver   {stack.receiver_url}")
    print_line(f"  api        {stack.api_url or f'not running: {NOT_INSTALLED}'}")
    if stack.simulates:
        print_line(f"  simulator  {stack.simulator_url} (no account is configured, so no SMS is sent)")
    elif stack.settings.public_url is None:
        print_line("  public_url is not set: no provider can report deliveries")
    print_line(f"  accounts   {', '.join(stack.settings.accounts)}")
    print_line(f"Try, in another terminal:  {hint(instance, config)}")
    if stack.api_url is not None and not _has_keys(stack):
        print_line(f"Make a key for the API:    {hint(instance, config, MAKE_A_KEY)}")
    print_line("Ctrl-C ends it.")


def _has_keys(stack: "Stack") -> bool:
    """Return whether the API can be used: a key is in force. False while nobody knows."""
    try:
        with opening.ledger(stack.settings) as ledger:
            keys = ledger.run(list_keys(Limits.of(stack.settings)))
    except LedgerError:
        return False
    return any(key.revoked_at is None for key in keys)


def hint(instance: str | None, config: str | None, command: str = TRY) -> str:
    """Return `command` as it reaches the stack from another terminal; `instance` is None with a Redis."""
    before = "" if instance in (None, DEFAULT) else f"SENDLINE_INSTANCE={instance} "
    return f"{before}{command}{'' if config is None else f' --config {shlex.quote(config)}'}"


def _step(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def _quiet(_text: str) -> None:
    """Say nothing: JSON is for programs."""
