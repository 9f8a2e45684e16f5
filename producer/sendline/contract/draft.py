"""From the arguments of send() to a checked message, ready for the ledger. Pure: clock and ids come in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, TypedDict, TypeVar

from sendline.contract.accounts import AccountCard, RouteRule, candidates
from sendline.contract.endpoints import endpoint_url
from sendline.contract.errors import CannotCarry, InvalidMessage, RecipientRefused, UnknownAccount
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.numbers import parse_number, parse_sender
from sendline.contract.segments import segments_of

MAX_TEXT: Final = 1600
"""Characters; the largest that the providers of this field take (ten segments and a little)."""
MAX_KEY: Final = 255
MAX_CAMPAIGN: Final = 64
MAX_METADATA: Final = 16
MAX_METADATA_KEY: Final = 40
MAX_METADATA_VALUE: Final = 500
MAX_AHEAD: Final = timedelta(days=366)
MAX_VALID_FOR: Final = timedelta(days=30)
PAST_TOLERANCE: Final = timedelta(seconds=5)
"""`not_before` may be as old as this: it was now when the app computed it."""


_MILLISECOND: Final = timedelta(milliseconds=1)


class Options(TypedDict, total=False):
    """The arguments of send() beside recipient and text."""

    sender: str | None
    account: str | None
    lane: Lane | str
    idempotency_key: str | None
    not_before: datetime | None
    valid_for: timedelta | float | None
    on_uncertain: OnUncertain | str | None
    callback_url: str | None
    metadata: Mapping[str, str] | None
    campaign: str | None


class Fields(Options, total=False):
    """The arguments of send(), as send_many() takes them."""

    to: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What drafts are checked against: settings, and the accounts and routes that are known."""

    default_region: str | None = None
    only_to: tuple[str, ...] = ()
    valid_for: timedelta = timedelta(hours=72)
    urgent_valid_for: timedelta = timedelta(minutes=10)
    accounts: Mapping[str, AccountCard | None] = field(default_factory=dict)
    """By name, in order of preference; None: configured, but not published by a worker yet."""
    routes: Sequence[RouteRule] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked message, not accepted yet. Times in ms; `not_before_ms` is 0 for now."""

    id: bytes
    to: str = field(repr=False)
    text: str | None = field(repr=False)
    sender: str | None = field(repr=False)
    account: str | None
    route: tuple[str, ...]
    lane: Lane
    segments: int
    not_before_ms: int
    valid_for_ms: int
    on_uncertain: OnUncertain | None = None
    callback_url: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    campaign: str | None = None
    owner: str | None = None
    """The name of the API key that sent it; None: an app of the house did."""
    late: bool = False
    """Its `not_before` has passed: it can only be accepted as a repeat, by its idempotency key."""

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that stand for its content: what an idempotency key is compared by."""
        parts = (self.to, self.sender or "", self.account or "", self.text or "")
        return blake2b("\0".join(parts).encode(), digest_size=8).digest()


FIELD_NAMES: Final = frozenset(Fields.__annotations__)

E = TypeVar("E", Lane, OnUncertain)


def draft(
    message_id: bytes, fields: Mapping[str, Any], rules: Rules, now: datetime, *, is_keyed: bool = False
) -> Draft:
    """Check the arguments of send() and return the message; raises InvalidMessage, naming the field.

    A `not_before` that has passed makes it `late` where it has an idempotency key: among the fields, or
    another one (`is_keyed`).
    """
    _known_fields(fields)
    key = _key(fields.get("idempotency_key"))
    not_before, is_late = _not_before(fields.get("not_before"), now, is_keyed=is_keyed or key is not None)
    lane = _choice("lane", Lane, fields.get("lane", Lane.NORMAL))
    to = _recipient(fields.get("to"), rules)
    sender = _sender(fields.get("sender"), rules.default_region)
    text = _text(fields.get("text"))
    account = fields.get("account")
    asked = fields.get("on_uncertain")
    return Draft(
        id=message_id,
        to=to,
        text=text,
        sender=sender,
        account=account,
        route=route_for(rules, to=to, sender=sender, text=text, account=account, message_id=message_id),
        lane=lane,
        segments=segments_of(text) if text else 0,
        not_before_ms=not_before,
        valid_for_ms=_valid_for(fields.get("valid_for"), lane, rules),
        on_uncertain=None if asked is None else _choice("on_uncertain", OnUncertain, asked),
        callback_url=_callback_url(fields.get("callback_url")),
        metadata=_metadata(fields.get("metadata")),
        idempotency_key=key,
        campaign=None if (name := fields.get("campaign")) is None else campaign_name(name),
        late=is_late,
    )


def route_for(
    rules: Rules, *, to: str, sender: str | None, text: str | None, account: str | None, message_id: bytes
) -> tuple[str, ...]:
    """Return the accounts that may carry the message, in order; empty while none is known at all.

    Where the route has weights, the message's id decides which account comes first: always the same one.
    Raises UnknownAccount, or CannotCarry with the first account's reason.
    """
    if account is not None:
        _named_account(account, rules.accounts)
        rule = RouteRule("", (account,))
    else:
        rule = candidates(rules.routes, rules.accounts, to)
    carriers: list[str] = []
    refusal: tuple[str, str] | None = None
    for name in rule.accounts:
        card = rules.accounts.get(name)
        why = card.refusal(text=text, sender=sender) if card else None
        if why is None:
            carriers.append(name)
        else:
            refusal = refusal or why
    if not carriers and refusal:
        raise CannotCarry(*refusal)
    if text is None and account is None and (refusal or not carriers):
        raise CannotCarry("text", "missing; a message whose text its provider has must name its account")
    return rule.order(carriers, message_id) if rule.weights else tuple(carriers)


def _known_fields(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in FIELD_NAMES:
            raise InvalidMessage(
                str(name)[:40], f"not a field of a message; known: {', '.join(sorted(FIELD_NAMES))}"
            )


def _recipient(to: object, rules: Rules) -> str:
    if not isinstance(to, str) or not to.strip():
        raise InvalidMessage("to", "missing; write the recipient's number as +13115552367")
    try:
        number = parse_number(to, rules.default_region)
    except ValueError as error:
        raise InvalidMessage("to", str(error)) from None
    if rules.only_to and not number.startswith(rules.only_to):
        raise RecipientRefused("to", "kept out by the setting only_to")
    return number


def _sender(sender: object, region: str | None) -> str | None:
    if sender is None:
        return None
    if not isinstance(sender, str):
        raise InvalidMessage("sender", "must be a text: a phone number or a sender id")
    try:
        return parse_sender(sender, region)
    except ValueError as error:
        raise InvalidMessage("sender", str(error)) from None


def _text(text: object) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidMessage("text", "must be a text")
    if not text.strip():
        raise InvalidMessage("text", "is empty")
    if len(text) > MAX_TEXT:
        raise InvalidMessage("text", f"{len(text)} characters; at most {MAX_TEXT} are sent")
    if "\0" in text:
        raise InvalidMessage("text", "holds a NUL character")
    return _encodable("text", text)


def _encodable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidMessage(name, "holds half of a surrogate pair, which no encoding can carry") from None
    return text


def _named_account(account: object, known: Mapping[str, object]) -> None:
    if not isinstance(account, str) or not account or len(account) > 32:  # noqa: PLR2004 - as in settings
        raise InvalidMessage("account", "must be the name of a configured account")
    if known and account not in known:
        raise UnknownAccount("account", f"{account!r} is not configured; known: {', '.join(known)}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", account):
        raise InvalidMessage("account", "is no name of an account: lower-case letters, digits, _ and -")


def _choice(name: str, kind: type[E], value: Any) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidMessage(name, f"{str(value)[:40]!r} is not one of {known}") from None


def _not_before(at: object, now: datetime, *, is_keyed: bool) -> tuple[int, bool]:
    """Return when it may go at the earliest, and whether that has passed, as it may for a repeat."""
    if at is None:
        return 0, False
    if not isinstance(at, datetime):
        raise InvalidMessage("not_before", "must be a datetime")
    if at.tzinfo is None:
        raise InvalidMessage(
            "not_before", "has no time zone; use datetime.now(UTC) + ... or another aware time"
        )
    is_late = at < now - PAST_TOLERANCE
    if is_late and not is_keyed:
        raise InvalidMessage("not_before", f"is in the past: {at.isoformat(' ', 'seconds')}")
    if at > now + MAX_AHEAD:
        raise InvalidMessage("not_before", f"is more than {MAX_AHEAD.days} days ahead")
    return round(at.timestamp() * 1000), is_late


def _valid_for(value: object, lane: Lane, rules: Rules) -> int:
    if value is None:
        return (rules.urgent_valid_for if lane is Lane.URGENT else rules.valid_for) // _MILLISECOND
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError):
            value = None
    if not isinstance(value, timedelta) or not timedelta(seconds=1) <= value <= MAX_VALID_FOR:
        raise InvalidMessage("valid_for", f"must be 1 second to {MAX_VALID_FOR.days} days")
    return round(value.total_seconds() * 1000)


def _callback_url(url: object) -> str | None:
    if url is None:
        return None
    if not isinstance(url, str):
        raise InvalidMessage("callback_url", "must be a text: a URL such as https://app.example/hooks")
    try:
        return endpoint_url(url)
    except ValueError as error:
        raise InvalidMessage("callback_url", str(error)) from None


def _metadata(metadata: object) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping) or len(metadata) > MAX_METADATA:
        raise InvalidMessage("metadata", f"must be a mapping of at most {MAX_METADATA} texts")
    for key, value in metadata.items():
        if not isinstance(key, str) or not 0 < len(key) <= MAX_METADATA_KEY:
            raise InvalidMessage("metadata", f"each key must be a text of 1 to {MAX_METADATA_KEY} characters")
        _encodable("metadata", key)
        if not isinstance(value, str) or len(value) > MAX_METADATA_VALUE:
            raise InvalidMessage(
                f"metadata.{key}", f"must be a text of at most {MAX_METADATA_VALUE} characters"
            )
        _encodable(f"metadata.{key}", value)
    return dict(metadata)


def _key(key: object) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
        raise InvalidMessage("idempotency_key", f"must be a text of 1 to {MAX_KEY} characters")
    return _encodable("idempotency_key", key)


def campaign_name(name: object) -> str:
    """Return the name of a campaign; raises InvalidMessage where it can't be one."""
    good = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)
    if not isinstance(name, str) or not good or len(name) > MAX_CAMPAIGN:
        raise InvalidMessage(
            "campaign",
            f"must be 1 to {MAX_CAMPAIGN} letters, digits, . _ and -, beginning with a letter or digit",
        )
    return name
