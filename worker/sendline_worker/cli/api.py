"""`sendline api`: the HTTP API, for apps in any language."""

from importlib.util import find_spec
from typing import Annotated

import typer

from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line
from sendline_worker.logs import set_up_logs

app = make_app()

NOT_INSTALLED = "FastAPI is not installed; install sendline[api]: pip install 'sendline[api]'"


@app.command()
def api(
    *,
    host: Annotated[str | None, typer.Option(help="Where it listens.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.  [default: 8720]")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Run the HTTP API until SIGTERM or Ctrl-C: apps send and ask by it, each with a key of its own.

    `sendline keys create` makes a key. It listens in plain HTTP on this machine: put what ends TLS before
    it where apps reach it from elsewhere. Several may run beside each other. It needs no accounts: workers
    publish what they can carry. It logs to standard error.

    \b
    Examples:
      sendline api
      sendline api --port 8080
      sendline keys create shop --scope send --scope read
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config, api_host=host, api_port=port)
    if not is_installed():
        raise Failure(None, NOT_INSTALLED)
    from sendline_worker.api.server import serve

    def ready(taken: int) -> None:
        if json:
            print_json({"listening": {"host": settings.api_host, "port": taken}})
        else:
            print_line(f"the API listens on {settings.api_host} port {taken}")

    set_up_logs("api")
    return serve(settings, on_ready=ready)


def is_installed() -> bool:
    """Return whether what the API is made of is there."""
    return find_spec("fastapi") is not None
