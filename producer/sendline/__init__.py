"""Sendline: SMS for web apps and bulk campaigns. Nothing lost, nothing sent twice.

from sendline import Producer

producer = Producer()
message = producer.send(to="+13115552367", text="Hello, world!", sender="+13115552368")
"""

import typing

from sendline.contract.campaign import CampaignSpec, CampaignState, Imported, Progress
from sendline.contract.codes import ErrorCode
from sendline.contract.erased import Erased
from sendline.contract.errors import (
    CampaignConflict,
    CampaignExists,
    CannotCarry,
    ConfigurationError,
    EventsLost,
    IdempotencyConflict,
    InvalidCampaign,
    InvalidMessage,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    NotFinal,
    NotFinished,
    PartlyAccepted,
    RecipientRefused,
    SendlineError,
    UnknownAccount,
    UnknownCampaign,
    UnknownMessage,
    WrongCampaignState,
)
from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keyword
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.message import Event, Message, TimelineEntry
from sendline.contract.page import Filters, Page
from sendline.contract.status import Status
from sendline.producer import AsyncProducer, Producer

if typing.TYPE_CHECKING:
    from sendline.producer.campaign import AsyncCampaign, Campaign

__all__ = [
    "AsyncCampaign",
    "AsyncProducer",
    "Campaign",
    "CampaignConflict",
    "CampaignExists",
    "CampaignSpec",
    "CampaignState",
    "CannotCarry",
    "ConfigurationError",
    "Erased",
    "ErrorCode",
    "Event",
    "EventsLost",
    "Filters",
    "IdempotencyConflict",
    "Imported",
    "InboundMessage",
    "InvalidCampaign",
    "InvalidMessage",
    "Keyword",
    "Lane",
    "LedgerError",
    "LedgerRefused",
    "LedgerUnavailable",
    "Message",
    "NotFinal",
    "NotFinished",
    "OnUncertain",
    "Page",
    "PartlyAccepted",
    "Producer",
    "Progress",
    "RecipientRefused",
    "SendlineError",
    "Status",
    "TimelineEntry",
    "UnknownAccount",
    "UnknownCampaign",
    "UnknownMessage",
    "WrongCampaignState",
]


def __getattr__(name: str) -> object:
    """Load what only apps with campaigns need, when they ask for it."""
    if name in {"AsyncCampaign", "Campaign"}:
        from sendline.producer import campaign  # noqa: PLC0415 - few apps have campaigns

        return getattr(campaign, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
