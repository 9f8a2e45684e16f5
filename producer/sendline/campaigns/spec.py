"""From the arguments of campaign() to a checked spec. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sendline.campaigns.templates import Template
from sendline.campaigns.windows import Window
from sendline.contract.campaign import CampaignSpec
from sendline.contract.draft import MAX_VALID_FOR, Rules, campaign_name
from sendline.contract.endpoints import endpoint_url
from sendline.contract.errors import InvalidCampaign, InvalidMessage
from sendline.contract.lane import OnUncertain
from sendline.contract.numbers import parse_sender

LEAST_OVER: Final = 10
MOST_OVER: Final = 10_000
"""Outcomes over which the part of failures is reckoned."""
LEAST_WEIGHT: Final = 0.01
"""A hundredth of what a campaign gets that was not weighed."""
GREATEST_WEIGHT: Final = 1000.0
DEAREST: Final = Decimal(1000)
"""The highest price of a segment."""

_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")


def campaign_spec(fields: Mapping[str, Any], rules: Rules) -> CampaignSpec:
    """Check what a campaign is to send, and how; raises InvalidCampaign, naming the field."""
    text = Template(fields.get("text", ""))
    window = _window(fields.get("window"), fields.get("default_zone"))
    return CampaignSpec(
        name=checked_name(fields.get("name")),
        text=text.text,
        variables=tuple(sorted(text.variables)),
        sender=_sender(fields.get("sender"), rules),
        account=_account(fields.get("account"), rules),
        valid_for=_valid_for(fields.get("valid_for"), rules),
        on_uncertain=_on_uncertain(fields.get("on_uncertain")),
        callback_url=_callback_url(fields.get("callback_url")),
        window=window.to_text() if window else None,
        default_zone=window.default_zone if window else None,
        keep_duplicates=bool(fields.get("keep_duplicates", False)),
        pause_at=_pause_at(fields.get("pause_at")),
        pause_over=_pause_over(fields.get("pause_over", 200)),
        price=_price(fields.get("price")),
    )


def checked_weight(weight: object) -> float:
    """Return the weight by which a campaign takes turns. Raises InvalidCampaign."""
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise InvalidCampaign("weight", "must be a number")
    if not LEAST_WEIGHT <= weight <= GREATEST_WEIGHT:
        raise InvalidCampaign("weight", f"must be from {LEAST_WEIGHT:g} to {GREATEST_WEIGHT:g}")
    return float(weight)


def window_of(spec: CampaignSpec) -> Window | None:
    """Return the window of a campaign, if it has one."""
    return Window.parse(spec.window, spec.default_zone) if spec.window else None


def checked_name(name: object) -> str:
    """Return the name of a campaign. Raises InvalidCampaign."""
    try:
        return campaign_name(name)
    except InvalidMessage as error:
        raise InvalidCampaign("name", error.problem) from None


def _sender(sender: object, rules: Rules) -> str | None:
    if sender is None:
        return None
    if not isinstance(sender, str):
        raise InvalidCampaign("sender", "must be a text: a phone number or a sender id")
    try:
        return parse_sender(sender, rules.default_region)
    except ValueError as error:
        raise InvalidCampaign("sender", str(error)) from None


def _account(account: object, rules: Rules) -> str | None:
    if account is None:
        return None
    if account not in rules.accounts:
        known = ", ".join(sorted(rules.accounts)) or "none yet"
        raise InvalidCampaign("account", f"there is none called {str(account)[:40]!a}; known: {known}")
    return str(account)


def _valid_for(valid_for: object, rules: Rules) -> float:
    if valid_for is None:
        return rules.valid_for.total_seconds()
    seconds = valid_for.total_seconds() if isinstance(valid_for, timedelta) else valid_for
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidCampaign("valid_for", "must be seconds or a timedelta")
    if not 1 <= seconds <= MAX_VALID_FOR.total_seconds():
        raise InvalidCampaign("valid_for", f"must be from 1 second to {MAX_VALID_FOR.days} days")
    return float(seconds)


def _on_uncertain(asked: object) -> OnUncertain | None:
    if asked is None:
        return None
    try:
        return OnUncertain(str(asked))
    except ValueError:
        words = " or ".join(each.value for each in OnUncertain)
        raise InvalidCampaign("on_uncertain", f"must be {words}") from None


def _callback_url(url: object) -> str | None:
    if url is None:
        return None
    if not isinstance(url, str):
        raise InvalidCampaign("callback_url", "must be a text")
    try:
        return endpoint_url(url)
    except ValueError as error:
        raise InvalidCampaign("callback_url", str(error)) from None


def _window(window: object, zone: object) -> Window | None:
    if window is None:
        if zone is not None:
            raise InvalidCampaign("default_zone", "counts only with a window; name one, as 09:00-20:00")
        return None
    if not isinstance(window, str) or not isinstance(zone, str | None):
        raise InvalidCampaign("window", 'must be a text such as "09:00-20:00"')
    return Window.parse(window, zone)


def _pause_at(part: object) -> float | None:
    if part is None:
        return None
    if isinstance(part, str) and (found := _PERCENT.fullmatch(part.strip())):
        part = float(found[1]) / 100
    if isinstance(part, bool) or not isinstance(part, int | float) or not 0 < part <= 1:
        raise InvalidCampaign("pause_at", 'must be a part of one, or a percentage: 0.2 or "20%"')
    return float(part)


def _pause_over(over: object) -> int:
    if isinstance(over, bool) or not isinstance(over, int) or not LEAST_OVER <= over <= MOST_OVER:
        raise InvalidCampaign("pause_over", f"must be a whole number from {LEAST_OVER} to {MOST_OVER}")
    return over


def _price(price: object) -> str | None:
    if price is None:
        return None
    try:
        found = Decimal(str(price))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= DEAREST:
        raise InvalidCampaign("price", "of one segment: a number from 0 to 1000, such as 0.0079")
    return str(found)
