"""`sendline demo`: the whole of it at work on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import console, print_json

app = make_app()


@app.command()
def demo(
    *,
    recipients: Annotated[
        str | None,
        typer.Option(metavar="CSV", help="Whom to write to: columns name, number.  [default: 1,000 people]"),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Start everything, send 1,001 messages to a simulated provider that misbehaves, and check the result.

    It uses a server and a directory of its own, reads no configuration, and sends no SMS. Exit code 0 only
    when every message ended as the provider's own log implies.

    \b
    Examples:
      sendline demo
      sendline demo --json
      sendline demo --recipients people.csv
    """  # noqa: D301 - the parser's mark for what it must not wrap
    del config  # every command takes it; the demo must not meet a real account
    from sendline_worker.demo.people import default_file, read_people
    from sendline_worker.demo.run import run_demo
    from sendline_worker.demo.view import View, show
    from sendline_worker.stack import interrupts

    if recipients == "":
        raise Failure("recipients", "is empty; give the path of a CSV, or leave it out for 1,000 people")
    people = read_people(default_file() if recipients is None else Path(recipients))
    interrupts.once()
    if json:
        result = run_demo(people, lambda _: None, lambda _: None)
        print_json(result.to_dict())
    else:
        screen = console()
        screen.print("Sendline demo: real parts, simulated provider, no SMS\n")
        with View(screen) as view:
            result = run_demo(people, view.say, view.watch)
        show(screen, result)
    return 1 if result.problems else 0
