"""`sendline worker`: claims messages and calls the providers."""

from typing import Annotated

import typer

from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line
from sendline_worker.logs import set_up_logs

app = make_app()


@app.command()
def worker(
    *,
    processes: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes.  [default: one per core]")
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(metavar="N", help="Connections to providers, in each process.  [default: 100]"),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Run a worker until SIGTERM or Ctrl-C; calls under way are finished first.

    Any number of them may run, on any number of machines: limits hold across all of them. It refuses to start
    without an account, and waits for its Redis where that is away. Where it is stuck it ends with code 1,
    to be started again. It logs to standard error.

    \b
    Examples:
      sendline worker
      sendline worker --processes 2 --config /etc/sendline.toml
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config, processes=processes, connections=connections)
    from sendline_worker.running import run_worker

    def ready() -> None:
        if json:
            print_json({"ready": True})
        else:
            print_line("the worker is ready")

    set_up_logs("worker")
    return run_worker(settings, on_ready=ready)
