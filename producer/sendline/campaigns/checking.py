"""From a row of a source to a recipient that can be accepted, or the reason why it can't. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from sendline.campaigns.identity import message_id
from sendline.campaigns.recipients import BadRow, Row
from sendline.campaigns.spec import window_of
from sendline.campaigns.templates import RenderError, Template
from sendline.campaigns.zones import zone_key
from sendline.contract.campaign import CampaignSpec
from sendline.contract.draft import MAX_AHEAD, Rules, route_for
from sendline.contract.errors import InvalidMessage
from sendline.contract.numbers import parse_number, parse_sender
from sendline.contract.segments import measure
from sendline.ledger.campaigns import Enlisted

LONGEST_ZONES: Final = 200
"""Characters of the key of a recipient's zones."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that can't be sent to. `reason` never quotes it; `to` is for the owner's own file alone."""

    line: int
    reason: str
    to: str = field(default="", repr=False)


class _Flaw(Exception):
    """What is wrong with a row: its text is the reason."""


@dataclass
class Checker:
    """Holds rows against what a campaign sends, and how. Keeps the routes that it has met."""

    spec: CampaignSpec
    own: bytes
    rules: Rules
    now: datetime
    on_text: Callable[[str, str], None] | None = None
    """Hears of each recipient and the text that it is to get."""
    senders: frozenset[str] = frozenset()
    """The only ones that rows may name; empty: any."""
    routes: dict[tuple[str, ...], int] = field(default_factory=dict)
    hours: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By key of time zones, when the window opens and closes (us), in turns."""

    @cached_property
    def _template(self) -> Template:
        return Template(self.spec.text)

    @cached_property
    def _used(self) -> frozenset[str]:
        return self._template.variables

    def check(self, row: Row | BadRow) -> Enlisted | Rejected:
        """Return the recipient that `row` stands for, or why it stands for none."""
        if isinstance(row, BadRow):
            return Rejected(row.line, row.reason)
        try:
            return self._checked(row)
        except _Flaw as flaw:
            return Rejected(row.line, str(flaw), row.to)
        except InvalidMessage as error:
            return Rejected(row.line, f"{error.field}: {error.problem}", row.to)
        except RenderError as error:
            return Rejected(row.line, f"text: {error}", row.to)

    def _checked(self, row: Row) -> Enlisted:
        spec = self.spec
        to = self._recipient(row.to)
        text = self._template.render(row.variables)
        sender = self._sender(row.sender) if row.sender else spec.sender
        made = message_id(self.own, to, row.line if spec.keep_duplicates else None)
        route = route_for(self.rules, to=to, sender=sender, text=text, account=spec.account, message_id=made)
        if self.on_text is not None:
            self.on_text(to, text)
        return Enlisted(
            id=made,
            to=to,
            segments=measure(text).count,
            values={name: value for name, value in row.variables.items() if name in self._used},
            sender=sender or "",
            zones=self._zones(to) if spec.window else "",
            not_before_ms=self._not_before(row.not_before) if row.not_before else 0,
            route=self.routes.setdefault(route, len(self.routes)),
        )

    def _recipient(self, to: str) -> str:
        if not to.strip():
            raise _Flaw("to: is empty")
        try:
            number = parse_number(to, self.rules.default_region)
        except ValueError as error:
            raise _Flaw(f"to: {error}") from None
        if self.rules.only_to and not number.startswith(self.rules.only_to):
            raise _Flaw("to: kept out by the setting only_to")
        return number

    def _sender(self, sender: str) -> str:
        try:
            parsed = parse_sender(sender, self.rules.default_region)
        except ValueError as error:
            raise _Flaw(f"sender: {error}") from None
        if self.senders and parsed not in self.senders:
            raise _Flaw("sender: the API key may not use it")
        return parsed

    def _not_before(self, text: str) -> int:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            raise _Flaw("not_before: is no time; write it as 2026-11-27T09:00:00+01:00") from None
        if at.tzinfo is None:
            raise _Flaw("not_before: has no time zone; write it as 2026-11-27T09:00:00+01:00")
        if at > self.now + MAX_AHEAD:
            raise _Flaw(f"not_before: is more than {MAX_AHEAD.days} days ahead")
        return round(at.astimezone(UTC).timestamp() * 1000)

    def _zones(self, to: str) -> str:
        key = zone_key(to, self.spec.default_zone)
        if key not in self.hours:
            self.hours[key] = self._opening(key)
        if not self.hours[key]:
            raise _Flaw("to: the window is never open in all time zones that it may be in; set default_zone")
        return key

    def _opening(self, key: str) -> tuple[int, ...]:
        if not key:
            raise _Flaw("to: its time zone can't be told; set default_zone")
        if len(key) > LONGEST_ZONES:
            raise _Flaw("to: it may be in too many time zones; set default_zone")
        window = window_of(self.spec)
        if window is None:
            raise AssertionError
        return tuple(at for interval in window.schedule_for(key, self.now) for at in interval)
