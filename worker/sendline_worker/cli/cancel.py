"""`sendline cancel`: a message that was not sent yet."""

from typing import Annotated

import typer

from sendline.contract.status import WAITING, Status
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line

app = make_app()


@app.command()
def cancel(
    *,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The message's id.")],
    config: Config = None,
    json: Json = False,
) -> int:
    """Cancel a message that waits, and print how it then stands.

    One that is being sent is canceled if the provider does not accept it. Exits 1 where it is too late.

    \b
    Example:
      sendline cancel 0199a1b2-0000-7000-8000-000000000000
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.producer(opening.load(config)) as producer:
        message = producer.cancel(message_id)
    asked = message.cancel_requested and message.status in (Status.SENDING, *WAITING)
    if json:
        print_json(message.to_dict())
    else:
        words = "(canceled if the provider does not accept it)" if asked else ""
        late = "" if asked or message.status is Status.CANCELED else "(too late to cancel)"
        print_line(message.id, message.status.value, *filter(None, (words, late)))
    return 0 if asked or message.status is Status.CANCELED else 1
