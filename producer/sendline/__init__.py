"""Sendline: SMS for web apps and bulk campaigns. Nothing lost, nothing sent twice.

from sendline import Producer

producer = Producer()
message = producer.send(to="+13115552367", text="Hello, world!", sender="+13115552368")
"""

from sendline.contract.campaign import CampaignSpec, CampaignState, Imported, Progress
from sendline.contract.codes import ErrorCode
from sendline.contract.erased import Erased
from sendline.contract.errors import (
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
    UnknownMessage,
)
from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keyword
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.message import Event, Message, TimelineEntry
from sendline.contract.page import Filters, Page
from sendline.contract.status import Status
from sendline.producer import AsyncProducer, Producer

__all__ = [
    "AsyncProducer",
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
    "UnknownMessage",
]
