"""When the windows of campaigns open next: published anew long before what is known runs out."""

from typing import TYPE_CHECKING

from sendline.campaigns.spec import window_of
from sendline.contract.campaign import ENDED
from sendline.contract.message import instant
from sendline.ledger.campaigns import campaign_names, hours_of, publish_hours, read_campaign

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.ledger.campaigns import Found
    from sendline.ledger.connection import Ledger


def publish_windows(ledger: "Ledger", now: int) -> None:
    """Publish the hours of every campaign that has a window and has not ended; `now` in milliseconds.

    Raises LedgerError.
    """
    for name in ledger.run(campaign_names()):
        found = ledger.run(read_campaign(name))
        if found is not None and found.spec.window and found.progress.state not in ENDED:
            _publish(ledger, found, instant(now))


def _publish(ledger: "Ledger", found: "Found", at: "datetime") -> None:
    window = window_of(found.spec)
    keys = ledger.run(hours_of(found.spec.name))
    if window is None or not keys:
        return
    hours = {}
    for key in keys:
        hours[key] = [instant for interval in window.schedule_for(key, at) for instant in interval]
    ledger.run(publish_hours(found.spec.name, hours))
