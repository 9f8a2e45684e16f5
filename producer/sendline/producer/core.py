"""The logic of both producers, as plans: what to check, what to ask the ledger, what to answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.accounts import RouteRule
from sendline.contract.draft import Draft, Rules, draft
from sendline.contract.errors import (
    IdempotencyConflict,
    InvalidMessage,
    LedgerError,
    LedgerRefused,
    NotFinal,
    PartlyAccepted,
    SendlineError,
    UnknownMessage,
)
from sendline.contract.inbound import InboundMessage
from sendline.contract.message import Event, Message, TimelineEntry, instant
from sendline.contract.status import Status
from sendline.ledger import durability, verbs
from sendline.ledger.directory import Directory
from sendline.ledger.limits import Limits
from sendline.producer.following import EVENTS, INBOUND, Following, Patience
from sendline.producer.plan import Pause, Plan
from sendline.producer.sharing import Names, Share, Sharing

if TYPE_CHECKING:
    from sendline.campaigns.fields import CampaignFields
    from sendline.producer.campaign import CampaignPlans
    from sendline.settings import Settings

BATCH: Final = 256
"""Messages a round trip of send_many()."""
MAX_MANY: Final = 100_000
"""Messages a call of send_many(); more is a campaign."""
DIRECTORY_AGE: Final = 5.0
"""Seconds after which the accounts and routes are read again."""
WAIT_FIRST, WAIT_GROWTH, WAIT_MOST = 0.01, 1.5, 0.25
"""Seconds between two looks of wait(): at first, then growing, at most."""


class Core:
    """The rules in force, and the plans that follow them."""

    def __init__(
        self,
        settings: "Settings",
        clock: Callable[[], float],
        directory: Callable[[], Directory] | None = None,
    ) -> None:
        """`clock` is monotonic, in seconds; `directory` stands in while no worker has published one."""
        self._settings = settings
        self._stand_in = directory
        self._limits = Limits.of(settings)
        self._clock = clock
        self._names = Names()
        self._read_at: float | None = None
        self._rules = rules_of(settings, Directory())

    def send(self, fields: Mapping[str, Any]) -> Plan[Message]:
        """Accept one message."""
        yield from self._refresh()
        checked = self._check(fields)
        [verdict] = yield verbs.accept(self._limits, [checked])
        return _answer(checked, verdict)

    def send_many(self, many: Iterable[Mapping[str, Any]]) -> Plan[list[Message]]:
        """Accept many messages, all checked before any is accepted."""
        yield from self._refresh()
        drafts = self._check_all(many)
        answers: list[Message] = []
        for start in range(0, len(drafts), BATCH):
            batch = drafts[start : start + BATCH]
            try:
                verdicts = yield verbs.accept(self._limits, batch)
                answers += _answers(batch, verdicts)
            except _CutOff as cut:
                raise PartlyAccepted(answers + cut.accepted, len(drafts), str(cut.cause)) from cut.cause
            except LedgerError as error:
                if not answers:
                    raise
                raise PartlyAccepted(answers, len(drafts), str(error)) from error
        return answers

    def get(self, message_id: str) -> Plan[Message]:
        """Read one message."""
        return _found(message_id, (yield verbs.get(_id_bytes(message_id))))

    def wait(self, message_id: str, timeout: float) -> Plan[Message]:
        """Read one message until it is final."""
        deadline = self._clock() + timeout
        pause = WAIT_FIRST
        while True:
            message = yield from self.get(message_id)
            left = deadline - self._clock()
            if message.final:
                return message
            if left <= 0:
                raise NotFinal(message, timeout)
            yield Pause(min(pause, left))
            pause = min(pause * WAIT_GROWTH, WAIT_MOST)

    def cancel(self, message_id: str) -> Plan[Message]:
        """Cancel one message, or ask for it."""
        return _found(message_id, (yield verbs.cancel(self._limits, _id_bytes(message_id))))

    def counts(self) -> Plan[dict[str, int]]:
        """Read how many messages have each status."""
        found: dict[str, int] = yield verbs.counts()
        return found

    def campaign(self, name: str, fields: "CampaignFields") -> Plan["CampaignPlans"]:
        """Found a campaign and import its recipients; without fields, find one."""
        from sendline.campaigns import steering  # noqa: PLC0415 - few apps have campaigns
        from sendline.producer.campaign import CampaignPlans  # noqa: PLC0415

        yield from self._refresh()
        if fields:
            yield from steering.create(self._limits, self._rules, name, fields)
        else:
            yield from steering.find(name)
        return CampaignPlans(name, self._limits, self._clock, self.campaign)

    def events(self, after: int | None, timeout: float | None) -> Following[Event]:
        """Read the events alone."""
        return Following(EVENTS, after, self._patience(timeout))

    def inbound(self, after: int | None, timeout: float | None) -> Following[InboundMessage]:
        """Read what came in."""
        return Following(INBOUND, after, self._patience(timeout))

    def group_events(self, share: Share, timeout: float | None) -> Sharing:
        """Read the events together with others."""
        return Sharing(share, self._patience(timeout), self._names)

    def _patience(self, timeout: float | None) -> Patience:
        return Patience(self._clock, timeout, self._settings.redis_timeout)

    def _refresh(self) -> Plan[None]:
        if self._read_at is None and self._settings.durability != "memory":
            yield from _demand_durability()
        if self._read_at is None or self._clock() - self._read_at > DIRECTORY_AGE:
            published: Directory = yield verbs.directory()
            if not published.accounts and self._stand_in is not None:
                published = self._stand_in()
            self._rules = rules_of(self._settings, published)
            self._read_at = self._clock()

    def _check(self, fields: Mapping[str, Any]) -> Draft:
        return draft(ids.new_id(), fields, self._rules, datetime.now(UTC))

    def _check_all(self, many: Iterable[Mapping[str, Any]]) -> list[Draft]:
        checked: list[Draft] = []
        for index, fields in enumerate(many):
            if index >= MAX_MANY:
                raise InvalidMessage("messages", f"more than {MAX_MANY}; send them in several calls")
            if not isinstance(fields, Mapping):
                raise InvalidMessage(f"messages[{index}]", "must be a mapping of send()'s arguments")
            try:
                checked.append(self._check(fields))
            except InvalidMessage as error:
                raise error.at(index) from None
        return checked


def rules_of(settings: "Settings", directory: Directory) -> Rules:
    """Return the rules in force: the settings', with the accounts and routes that workers have published."""
    configured = tuple(RouteRule(route.to, route.accounts, route.weights) for route in settings.routes)
    return Rules(
        default_region=settings.default_region,
        only_to=settings.only_to,
        valid_for=timedelta(seconds=settings.valid_for),
        urgent_valid_for=timedelta(seconds=settings.urgent_valid_for),
        accounts=directory.accounts or dict.fromkeys(settings.accounts),
        routes=directory.routes if directory.accounts else configured,
    )


def _demand_durability() -> Plan[None]:
    try:
        found: durability.Persistence = yield durability.persistence()
    except LedgerRefused as error:
        raise durability.unproven(error) from error
    durability.demand(found)


class _CutOff(Exception):
    """One message of a batch could not be answered for; `accepted` of the same batch were accepted."""

    def __init__(self, accepted: list[Message], cause: SendlineError) -> None:
        super().__init__()
        self.accepted = accepted
        self.cause = cause


def _answers(drafts: Sequence[Draft], verdicts: Sequence[verbs.Acceptance]) -> list[Message]:
    answers: list[Message] = []
    refused: SendlineError | None = None
    for checked, verdict in zip(drafts, verdicts, strict=True):
        try:
            answers.append(_answer(checked, verdict))
        except SendlineError as error:
            refused = refused or error
    if refused:
        raise _CutOff(answers, refused)
    return answers


def _answer(checked: Draft, verdict: verbs.Acceptance) -> Message:
    if isinstance(verdict, verbs.Conflict):
        raise IdempotencyConflict(ids.to_text(verdict.message_id))
    if isinstance(verdict, verbs.Known):
        return _found(ids.to_text(verdict.message_id), verdict.message)
    if isinstance(verdict, verbs.Suppressed):
        return verdict.message
    return _accepted(checked, verdict.at)


def _accepted(checked: Draft, at: int) -> Message:
    """Return the message as it stands right after the ledger accepted it at `at` (ms)."""
    return Message(
        id=ids.to_text(checked.id),
        status=Status.CREATED,
        to=checked.to,
        sender=checked.sender,
        lane=checked.lane,
        account=checked.account,
        route=checked.route,
        created_at=instant(at),
        expires_at=instant(max(checked.not_before_ms, at) + checked.valid_for_ms),
        due_at=instant(checked.not_before_ms) if checked.not_before_ms > at else None,
        attempts=0,
        segments=checked.segments,
        provider_id=None,
        error=None,
        text=checked.text,
        on_uncertain=checked.on_uncertain,
        cancel_requested=False,
        callback_url=checked.callback_url,
        metadata=dict(checked.metadata),
        timeline=(TimelineEntry(instant(at), Status.CREATED),),
        campaign=checked.campaign,
    )


def _id_bytes(text: str) -> bytes:
    raw = ids.to_bytes(text)
    if raw is None:
        raise UnknownMessage(str(text)[:40])
    return raw


def _found(text: str, message: Message | None) -> Message:
    if message is None:
        raise UnknownMessage(text)
    return message
