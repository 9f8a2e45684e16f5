"""Send one campaign a night from a CSV file, and leave a report: for cron.

Try it, from this folder, with `sendline up` in another terminal (it sends to a simulated provider):

    pip install 'sendline[worker,embedded]'
    python nightly.py ../people.csv reports 'Good morning {{ name }}, your garden needs water.'

In a crontab, three tries: a run that finds the night's work done ends at once.

    30 1-3 * * *  cd /srv/sms && python nightly.py people.csv reports 'Good morning {{ name }}, ...'

It may be killed at any point and run again: it goes on where the last run stopped, and nobody gets two. What
it did is in reports/: nightly-DATE.csv, a row for each recipient, and nightly-DATE.rejects.csv, the lines of
the file that nothing could be sent to.

Exit code  0  sent, and everybody was reached, as far as was known a minute later
           1  sent, but not to all: the report and the rejects tell who
           2  nothing can be done before a person mends it: the file, the text, the settings
           3  not done yet: run it again
"""

import argparse
import fcntl
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sendline import (
    Campaign,
    CampaignState,
    LedgerUnavailable,
    NotFinished,
    Producer,
    Progress,
    SendlineError,
    Status,
    UnknownCampaign,
)

DONE, INCOMPLETE, MISTAKE, AGAIN = 0, 1, 2, 3


def main() -> int:
    """Do the night's work, or what is left of it; return the exit code."""
    given = arguments()
    name = f"{given.name}-{given.night}"
    try:
        given.reports.mkdir(parents=True, exist_ok=True)
        with (given.reports / f"{name}.lock").open("w") as lock, Producer() as producer:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            campaign = found(producer, name, given)
            if campaign.progress().state is CampaignState.CREATED:
                campaign.start()
            now = watched(campaign, given.patience, given.receipts)
            campaign.report(given.reports / f"{name}.csv")
    except BlockingIOError:
        return say(f"{name}: another run is at it", AGAIN)
    except LedgerUnavailable as error:
        return say(f"{name}: {error}", AGAIN)
    except (SendlineError, OSError) as error:
        return say(f"{name}: {error}", MISTAKE)
    return verdict(now)


def found(producer: Producer, name: str, given: argparse.Namespace) -> Campaign:
    """Return the night's campaign, imported whole: a new one, or the one that an earlier run began."""
    try:
        campaign = producer.campaign(name)
        if campaign.progress().imported.complete:
            return campaign
    except UnknownCampaign:
        pass  # it is this run that makes it
    return producer.campaign(
        name,
        text=given.text,
        recipients=given.recipients,
        rejects=given.reports / f"{name}.rejects.csv",
        valid_for=timedelta(hours=12),  # in the evening nobody wants this morning's news
        pause_at="20%",  # of the last 200: better to wait for a person than to go on like that
    )


def watched(campaign: Campaign, patience: float, receipts: float) -> Progress:
    """Return how it stands once all is over, or nobody need wait; tell of each tenth that was sent.

    A phone that is off may report for three days: once all are sent, it waits `receipts` seconds and no more.
    """
    until, told = time.monotonic() + patience, 0
    all_sent_at: float | None = None
    while True:
        try:
            return campaign.wait(timeout=1)
        except NotFinished as late:
            now = late.progress
        sent = now.total - now.waiting - now.on_the_wire
        if now.total and sent * 10 // now.total > told:
            told = sent * 10 // now.total
            say(f"{campaign.name}: {sent:,} of {now.total:,} sent")
        if not (now.waiting or now.on_the_wire):
            all_sent_at = all_sent_at or time.monotonic()
            until = min(until, all_sent_at + receipts)
        if now.state is CampaignState.PAUSED or time.monotonic() > until:
            return now


def verdict(now: Progress) -> int:
    """Say how it went; return the exit code."""
    counts = ", ".join(f"{count:,} {status}" for status, count in now.statuses.items() if count)
    line = f"{now.name}: {now.summary}; {counts or 'no recipients'}; {now.imported.rejected:,} rejected"
    if now.waiting or now.on_the_wire:
        return say(line, AGAIN)
    lost = now.failed + now.statuses[Status.UNCERTAIN] + now.statuses[Status.CANCELED]
    return say(line, INCOMPLETE if lost or now.imported.rejected or not now.total else DONE)


def say(line: str, code: int = DONE) -> int:
    """Print a line, which cron mails; return `code`."""
    print(line, file=sys.stdout if code == DONE else sys.stderr, flush=True)
    return code


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    tonight = datetime.now(UTC).astimezone() - timedelta(hours=12)  # from noon to noon is one night
    parser = argparse.ArgumentParser(description="Send one campaign a night, and leave a report.")
    parser.add_argument(
        "recipients", type=Path, help="CSV, JSON lines or Parquet; a column for each variable"
    )
    parser.add_argument("reports", type=Path, help="the folder for reports")
    parser.add_argument("text", help="such as 'Good morning {{ name }}'")
    parser.add_argument("--name", default="nightly", help="what the campaigns are called (default: nightly)")
    parser.add_argument("--night", type=date.fromisoformat, default=tonight.date(), help="default: this one")
    parser.add_argument("--patience", type=float, default=3600, help="seconds to wait (default: 3600)")
    parser.add_argument(
        "--receipts", type=float, default=60, help="seconds of them for receipts (default: 60)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
