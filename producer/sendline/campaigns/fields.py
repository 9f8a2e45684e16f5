"""The arguments of campaign(), for both producers."""

from collections.abc import Callable
from datetime import timedelta
from os import PathLike
from typing import TypedDict

from sendline.campaigns.recipients import Columns
from sendline.campaigns.recipients.opening import Openable
from sendline.contract.campaign import Imported
from sendline.contract.lane import OnUncertain


class CampaignFields(TypedDict, total=False):
    """What a campaign sends, to whom, and how its recipients are read. Only `text` must be given."""

    text: str
    """A template: `Hi {{ name }}`; its variables are the columns of the recipients."""
    recipients: Openable
    """A path (CSV, JSON lines, Parquet; "-" is standard input), an open file, or an iterable."""
    columns: Columns | None
    """Which column means what; by default they are found by their names."""
    format: str | None
    encoding: str | None
    sender: str | None
    account: str | None
    valid_for: timedelta | float | None
    """Seconds, from its start; default 72 h."""
    on_uncertain: OnUncertain | str | None
    callback_url: str | None
    window: str | None
    """Local hours of the recipient: "09:00-20:00", "Mon-Fri 09:00-20:00"."""
    default_zone: str | None
    """The time zone of recipients whose number leaves it open."""
    keep_duplicates: bool
    pause_at: float | str | None
    """The part of failures ("20%") among the last `pause_over` outcomes at which it pauses by itself."""
    pause_over: int
    price: str | float | None
    """Of one segment."""
    weight: float
    """What it gets of an account that carries several; 1 is usual."""
    rejects: str | PathLike[str] | None
    """A CSV file for the rows that can't be sent to, with line and reason."""
    on_progress: Callable[[Imported], None]
    """Hears how far the import has come, every 500 rows."""


SOURCE: tuple[str, ...] = ("recipients", "columns", "format", "encoding")
"""What says how recipients are read."""
HANDLING: tuple[str, ...] = ("weight", "rejects", "on_progress")
"""What says how they are imported."""
