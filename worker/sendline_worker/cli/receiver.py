"""`sendline receiver`: takes in what providers report."""

from typing import Annotated

import typer

from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line
from sendline_worker.logs import set_up_logs

app = make_app()


@app.command()
def receiver(
    *,
    host: Annotated[str | None, typer.Option(help="Where it listens.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.  [default: 8700]")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Run the receiver of delivery reports until SIGTERM or Ctrl-C.

    It listens in plain HTTP on this machine: put what ends TLS before it, and its address into public_url.
    `sendline accounts --urls` shows what to enter at the providers. It logs to standard error.

    \b
    Examples:
      sendline receiver
      sendline receiver --port 8080
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config, receiver_host=host, receiver_port=port)
    from sendline_worker.receiver.server import serve

    def ready(taken: int) -> None:
        if json:
            print_json({"listening": {"host": settings.receiver_host, "port": taken}})
        else:
            print_line(f"the receiver listens on {settings.receiver_host} port {taken}")

    set_up_logs("receiver")
    return serve(settings, on_ready=ready)
