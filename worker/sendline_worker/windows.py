"""When the windows of campaigns open next: published anew long before what is known runs out."""

import logging
from typing import TYPE_CHECKING

from sendline.campaigns.spec import window_of
from sendline.contract.campaign import ENDED
from sendline.contract.errors import InvalidCampaign
from sendline.contract.message import instant
from sendline.ledger.campaigns import campaign_names, hours_of, publish_hours, read_campaign

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.ledger.campaigns import Found
    from sendline.ledger.connection import Ledger

log = logging.getLogger("sendline.worker")


def publish_windows(ledger: "Ledger", now: int) -> None:
    """Publish the hours of every campaign that has a window and has not ended; `now` in milliseconds.

    Raises LedgerError.
    """
    names: list[str] = []
    while more := ledger.run(campaign_names(len(names))):
        names += more
    for name in names:
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
        try:
            hours[key] = [instant for interval in window.schedule_for(key, at) for instant in interval]
        except InvalidCampaign as error:  # a zone that this machine does not know: its recipients wait
            log.error("campaign %s: %s", found.spec.name, error)
    if hours:
        ledger.run(publish_hours(found.spec.name, hours))
