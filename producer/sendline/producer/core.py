"""The logic of both producers, as plans: what to check, what to ask the ledger, what to answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.accounts import RouteRule
from sendline.contract.draft import Draft, Rules, draft
from sendline.contract.erased import Erased
from sendline.contract.errors import (
    InvalidMessage,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    NotFinal,
    PartlyAccepted,
    SendlineError,
    UnknownMessage,
)
from sendline.contract.inbound import InboundMessage
from sendline.contract.message import Event, Message
from sendline.contract.page import Filters, Page
from sendline.ledger import durability, verbs
from sendline.ledger.directory import Directory
from sendline.ledger.limits import Limits
from sendline.producer.answers import accepted_as, answer
from sendline.producer.erasing import erase
from sendline.producer.finding import find_page, search_for
from sendline.producer.following import EVENTS, INBOUND, Following, Patience
from sendline.producer.plan import Pause, Plan
from sendline.producer.sharing import Names, Share, Sharing

if TYPE_CHECKING:
    from sendline.campaigns.fields import CampaignFields
    from sendline.producer.campaign import CampaignPlans
    from sendline.settings import Settings
    from sendline.spool import Shelter

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
        spool: "Shelter | None" = None,
    ) -> None:
        """`clock` is monotonic, in seconds; `directory` stands in while no worker has published one.

        With a `spool`, send() and send_many() don't fail while the ledger is away.
        """
        self._settings = settings
        self._spool = spool
        self._stand_in = directory
        self._limits = Limits.of(settings)
        self._clock = clock
        self._names = Names()
        self._read_at: float | None = None
        self._rules = rules_of(settings, Directory())

    def send(self, fields: Mapping[str, Any]) -> Plan[Message]:
        """Accept one message."""
        away = yield from self._prepare()
        [answer] = yield from self._accept_or_keep([self.check(fields)], away)
        if isinstance(answer, SendlineError):
            raise answer
        return answer

    def send_many(self, many: Iterable[Mapping[str, Any]]) -> Plan[list[Message]]:
        """Accept many messages, all checked before any is accepted."""
        away = yield from self._prepare()
        drafts = self._check_all(many)
        if self._spool is None:  # which may know of earlier ones, while the ledger is away
            for place, error in (yield from _too_late(drafts)).items():
                raise error.at(place)
        accepted: list[Message] = []
        for start in range(0, len(drafts), BATCH):
            try:
                answers = yield from self._accept_or_keep(drafts[start : start + BATCH], away)
            except LedgerError as error:
                if not accepted:
                    raise
                raise PartlyAccepted(accepted, len(drafts), error) from error
            accepted += [each for each in answers if isinstance(each, Message)]
            refused = next((each for each in answers if isinstance(each, SendlineError)), None)
            if refused is not None:
                raise PartlyAccepted(accepted, len(drafts), refused) from refused
        return accepted

    def checked(self, fields: Mapping[str, Any]) -> Plan[Draft]:
        """Return the message that send()'s arguments make, by the rules of now."""
        yield from self._prepare()
        made = self.check(fields)
        if too_late := (yield from _too_late([made])):
            raise too_late[0]
        return made

    def check(self, fields: Mapping[str, Any], owner: str | None = None, *, is_keyed: bool = False) -> Draft:
        """Return the message that send()'s arguments make, for `owner`, the name of an API key.

        By the rules that are known: refresh() reads them. `is_keyed`: it is to get an idempotency key.
        Raises InvalidMessage, naming the field.
        """
        checked = draft(ids.new_id(), fields, self._rules, datetime.now(UTC), is_keyed=is_keyed)
        return checked if owner is None else replace(checked, owner=owner)

    def accept(self, drafts: Sequence[Draft]) -> Plan[list[Message | SendlineError]]:
        """Accept checked messages, at most BATCH, in one round trip; each gets its message or its own error.

        Raises LedgerError where none was answered for. Then the same drafts may be accepted again: an id is
        accepted once.
        """
        too_late = yield from _too_late(drafts)
        timely = [each for place, each in enumerate(drafts) if place not in too_late]
        verdicts: list[verbs.Acceptance] = (yield verbs.accept(self._limits, timely)) if timely else []
        found = map(answer, timely, verdicts)
        return [too_late.get(place) or next(found) for place in range(len(drafts))]

    def get(self, message_id: str) -> Plan[Message]:
        """Read one message."""
        raw = _id_bytes(message_id)
        kept = (yield from self._spool.find(raw)) if self._spool else None  # first: else it may come between
        try:
            found: Message | None = yield verbs.get(raw)
        except LedgerUnavailable:
            if kept is None:
                raise
            found = None
        return found or (accepted_as(kept.draft, kept.at_ms) if kept else _found(message_id, None))

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
        raw = _id_bytes(message_id)
        if self._spool and (kept := (yield from self._spool.find(raw))):
            yield from self.accept([self._spool.due(kept)])
        return _found(message_id, (yield verbs.cancel(self._limits, raw)))

    @property
    def has_spool(self) -> bool:
        """Whether there is a spool, which close_spool() may take a while to close."""
        return self._spool is not None

    def close_spool(self) -> None:
        """Try once more to deliver what this process has left in the spool."""
        if self._spool:
            self._spool.close()

    def counts(self) -> Plan[dict[str, int]]:
        """Read how many messages have each status."""
        found: dict[str, int] = yield verbs.counts()
        return found

    def find_page(self, asked: Filters, limit: int, cursor: str | None) -> Plan[Page]:
        """Find messages, a page at a time."""
        search = search_for(self._settings.default_region, asked)
        return (yield from find_page(self._limits, search, limit, cursor))

    def erase(self, number: str, *, keep_opt_out: bool) -> Plan[Erased]:
        """Erase all that is kept of a number."""
        return (
            yield from erase(self._settings, self._limits, self._spool, number, keep_opt_out=keep_opt_out)
        )

    def campaign(
        self, name: str, fields: "CampaignFields", owner: str | None = None
    ) -> Plan["CampaignPlans"]:
        """Found a campaign and import its recipients; without fields, find one. `owner`: of an API key."""
        from sendline.campaigns import steering  # noqa: PLC0415 - few apps have campaigns
        from sendline.producer.campaign import CampaignPlans  # noqa: PLC0415

        yield from self.refresh()
        if fields:
            yield from steering.create(self._limits, self._rules, name, fields, owner)
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

    def refresh(self) -> Plan[None]:
        """Demand durability, and read the accounts and routes, where both are older than DIRECTORY_AGE.

        Raises LedgerError.
        """
        if self._is_stale():
            if self._settings.durability != "memory":
                yield from _demand_durability()
            published: Directory = yield verbs.directory()
            if not published.accounts and self._stand_in is not None:
                published = self._stand_in()
            self._rules = rules_of(self._settings, published)
            self._read_at = self._clock()

    def _prepare(self) -> Plan[LedgerUnavailable | None]:
        """Refresh. With a spool an outage is returned: messages are checked by the rules that are known."""
        if self._spool is None:
            yield from self.refresh()
            return None
        if not self._is_stale():
            return None
        away = self._spool.ask()
        if away is not None:
            return away
        try:
            yield from self.refresh()
        except LedgerUnavailable as error:
            if self._read_at is None and self._stand_in is not None:
                self._rules = rules_of(self._settings, self._stand_in())
            return self._spool.note_away(error)
        except LedgerError:
            self._spool.note_answer()
            raise
        self._spool.note_answer()
        return None

    def _is_stale(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at > DIRECTORY_AGE

    def _accept_or_keep(
        self, drafts: Sequence[Draft], away: LedgerUnavailable | None
    ) -> Plan[list[Message | SendlineError]]:
        """Accept messages, or keep them in the spool, where there is one and the ledger is away."""
        if self._spool is None:
            return (yield from self.accept(drafts))
        answers = yield from self._spool.take(drafts, self.accept, away)
        return [
            each if isinstance(each, (Message, SendlineError)) else accepted_as(each.draft, each.at_ms)
            for each in answers
        ]

    def _check_all(self, many: Iterable[Mapping[str, Any]]) -> list[Draft]:
        checked: list[Draft] = []
        for index, fields in enumerate(many):
            if index >= MAX_MANY:
                raise InvalidMessage("messages", f"more than {MAX_MANY}; send them in several calls")
            if not isinstance(fields, Mapping):
                raise InvalidMessage(
                    f"messages[{index}]", "must be a mapping of send()'s arguments", index=index
                )
            try:
                checked.append(self.check(fields))
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


def _too_late(drafts: Sequence[Draft]) -> Plan[dict[int, InvalidMessage]]:
    """Return, by place, the error of each message that is late and repeats none that was accepted."""
    late = {place: each.idempotency_key for place, each in enumerate(drafts) if each.late}
    known: set[str | None] = (
        (yield verbs.known_keys([key for key in late.values() if key])) if late else set()
    )
    problem = "is in the past, and no message with this idempotency key was accepted"
    return {place: InvalidMessage("not_before", problem) for place, key in late.items() if key not in known}


def _demand_durability() -> Plan[None]:
    try:
        found: durability.Persistence = yield durability.persistence()
    except LedgerRefused as error:
        raise durability.unproven(error) from error
    durability.demand(found)


def _id_bytes(text: str) -> bytes:
    raw = ids.to_bytes(text)
    if raw is None:
        raise UnknownMessage(str(text)[:40])
    return raw


def _found(text: str, message: Message | None) -> Message:
    if message is None:
        raise UnknownMessage(text)
    return message
