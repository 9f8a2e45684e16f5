"""`sendline campaign`: campaigns from a file to their report. Each command stands in a module of its own."""

from sendline_worker.cli.apps import make_app
from sendline_worker.cli.campaign_create import create
from sendline_worker.cli.campaign_preview import preview
from sendline_worker.cli.campaign_report import report
from sendline_worker.cli.campaign_retry import retry
from sendline_worker.cli.campaign_show import list_all, status
from sendline_worker.cli.campaign_steer import cancel, pause, resume, start
from sendline_worker.cli.campaign_watch import watch
from sendline_worker.cli.campaign_weigh import set_weight

app = make_app()


@app.callback()
def campaign() -> None:
    """Send one text to many: import recipients, look at what will be sent, start, watch, report.

    Nothing is sent before `start`. Campaigns take turns at the accounts that carry several.

    \b
    Examples:
      sendline campaign preview --text 'Hi {{ name }}' --recipients people.csv
      sendline campaign create sale --text 'Hi {{ name }}' --recipients people.csv
      sendline campaign start sale
      sendline campaign watch sale
      sendline campaign report sale --output sale.csv
    """  # noqa: D301 - the parser's mark for what it must not wrap


app.command()(create)
app.command()(preview)
app.command()(start)
app.command()(pause)
app.command()(resume)
app.command()(cancel)
app.command("list")(list_all)
app.command()(status)
app.command()(watch)
app.command()(report)
app.command()(retry)
app.command("weigh")(set_weight)
