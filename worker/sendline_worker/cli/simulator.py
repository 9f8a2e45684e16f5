"""`sendline simulator`: a stand-in for the providers, for tests. By itself it only listens."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line
from sendline_worker.logs import set_up_logs

app = make_app()


@app.command()
def simulator(
    *,
    host: Annotated[str | None, typer.Option(help="Where it listens.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.  [default: 8710]")] = None,
    callback_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where deliveries are reported that name no URL.")
    ] = None,
    shape: Annotated[str | None, typer.Option(help="The shape of reports: data or event.")] = None,
    latency: Annotated[str | None, typer.Option(metavar="TIME", help="Waits before each answer.")] = None,
    receipt_delay: Annotated[
        str | None, typer.Option(metavar="TIME", help="Waits before each report, or A-B seconds.")
    ] = None,
    numbers: Annotated[
        bool, typer.Option("--numbers/--no-numbers", help="Recipients that end in 9KKd misbehave.")
    ] = True,
    seed: Annotated[int | None, typer.Option(help="Makes its random waits repeatable.")] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Gets a JSON line for each request it receives.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Run a server that stands in for the providers until SIGTERM or Ctrl-C. It sends no SMS.

    Point an account's base_url at it. What it can do is described in docs/simulator.md.

    \b
    Examples:
      sendline simulator
      sendline simulator --port 0 --latency 0.2 --log /tmp/received.jsonl
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config, simulator_host=host, simulator_port=port)
    from sendline_worker.simulator.options import SimulatorOptions, changed
    from sendline_worker.simulator.server import serve

    given: dict[str, Any] = {
        "numbers": numbers,
        "callback_url": callback_url,
        "shape": shape,
        "latency": None if latency is None else reading.seconds("latency", latency),
        "receipt_delay": None if receipt_delay is None else _between("receipt_delay", receipt_delay),
    }
    options = SimulatorOptions(
        host=settings.simulator_host, port=settings.simulator_port, seed=seed, log_file=log
    )
    try:
        checked = changed(options.settings(), {k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        field, _, problem = str(error).partition(": ")
        raise Failure(field, problem) from None

    def ready(taken: int) -> None:
        if json:
            print_json({"listening": {"host": options.host, "port": taken}})
        else:
            print_line(f"the simulator listens on http://{options.host}:{taken}")

    set_up_logs("simulator")
    changes = {each.name: getattr(checked, each.name) for each in fields(checked)}
    return serve(replace(options, **changes), on_ready=ready)


def _between(field: str, text: str) -> list[float]:
    """Return [shortest, longest] seconds from `0.1-2` or `0.5`."""
    first, dash, last = text.partition("-")
    shortest = reading.seconds(field, first)
    return [shortest, reading.seconds(field, last) if dash else shortest]
