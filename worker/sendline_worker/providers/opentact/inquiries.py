"""Asking OpenTact about a message: its look-up by id, its search, and what their answers tell.

Documented for generation A alone. No page shows a search's answer: its envelope is that of the same API's
search for orders, or a list named `items`.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx

from sendline_worker.providers.base import Finding, Found, NotFound, Receipt, Unanswered, UnreadableReceipt
from sendline_worker.providers.judgement import json_object, unanswered
from sendline_worker.providers.matching import (
    distance,
    moment_of,
    same_callback,
    same_number,
    same_text,
    window,
    within,
)
from sendline_worker.providers.opentact.receipts import provider_id_of, read_found, table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sendline_worker.providers.base import Answer, Inquiry

TAKE: Final = 100
"""The most messages that one search shows."""
_LISTS: Final = ("data", "items")
"""The names under which a search's answer may hold its messages."""


@dataclass(frozen=True, slots=True)
class Inquirer:
    """Asks one account; a URL that is None can't be asked. It keeps no credential."""

    lookup: httpx.URL | None
    """To which the id is added."""
    search: httpx.URL | None

    def compose(self, inquiry: "Inquiry", headers: "Mapping[str, str]") -> httpx.Request | None:
        """Return the look-up where the id is known, else the search; None where it can't be asked."""
        provider_id = _asked_id(inquiry)
        if self.lookup is not None and provider_id is not None:
            url = httpx.URL(f"{self.lookup}/{quote(provider_id, safe='')}")
            return httpx.Request("GET", url, headers=headers)
        if self.search is None:
            return None
        url = self.search.copy_merge_params({"take": TAKE, "skip": 0})
        content = json.dumps(_asked(inquiry)).encode()
        return httpx.Request(
            "POST", url, headers={**headers, "Content-Type": "application/json"}, content=content
        )

    def judge(self, inquiry: "Inquiry", answer: "Answer") -> Finding:
        """Return what `answer` to what `compose` composed tells."""
        provider_id = _asked_id(inquiry) if self.lookup is not None else None
        answered = json_object(answer.body)
        if provider_id is not None and answer.status == HTTPStatus.NOT_FOUND and answered is not None:
            return NotFound()
        why = unanswered(answer)
        if why is not None:
            return why
        if answered is None:
            return Unanswered(f"{answer.status}: the answer is no JSON object")
        if answered.get("success", True) is not True:
            return Unanswered(f"{answer.status}: success is not true")
        if provider_id is not None:
            return _looked_up(table(answered, "payload"), provider_id)
        return _searched(answered.get("payload"), inquiry)


def _asked_id(inquiry: "Inquiry") -> str | None:
    """Return the id as a path can hold it; a name made of dots would lead elsewhere."""
    provider_id = provider_id_of(inquiry.provider_id)
    return provider_id if provider_id is not None and provider_id.strip(".") else None


def _asked(inquiry: "Inquiry") -> dict[str, Any]:
    """Return what is searched for: what went to this recipient about that time.

    Sender and text are compared here and not there: they are masks, whose syntax no page tells, and a mask
    that fails to fit would hide our message.
    """
    first, last = window(inquiry)
    return {
        "take": TAKE,
        "skip": 0,
        "mode": "AND",
        "created_on_from": _iso(first),
        "created_on_to": _iso(last),
        "to": inquiry.to,
    }


def _iso(moment: "datetime") -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _looked_up(payload: dict[str, Any], provider_id: str) -> Finding:
    try:
        receipt = read_found(payload)
    except UnreadableReceipt:
        return Unanswered("no readable message in the answer")
    if receipt is None or receipt.provider_id != provider_id:
        return Unanswered("another message than was asked for")
    return Found((receipt,), sure=True)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A message that is shown and fits ours."""

    receipt: Receipt | None
    """None where it can't be told whether it is ours, or what became of it."""
    proven: bool = False
    distance: timedelta = timedelta.max


def _searched(payload: object, inquiry: "Inquiry") -> Finding:
    shown = _listed(payload)
    if shown is None:
        return Unanswered("no list of messages in the answer")
    fits = [fit for item in shown[:TAKE] if (fit := _fit(item, inquiry)) is not None]
    readable = sorted((fit for fit in fits if fit.receipt is not None), key=lambda fit: fit.distance)
    proven = [fit for fit in readable if fit.proven]
    receipts = tuple(fit.receipt for fit in proven or readable if fit.receipt is not None)
    if receipts:
        return Found(receipts, sure=bool(proven))
    if fits:
        return Unanswered("messages in the answer can't be told from ours")
    if len(shown) >= TAKE or _total(payload) > len(shown):
        return Unanswered("more messages than one answer shows")
    return NotFound()


def _fit(item: object, inquiry: "Inquiry") -> _Fit | None:
    """Return how a message that is shown fits ours; None where it is certainly another."""
    if not isinstance(item, dict):
        return _Fit(None)
    traits = _traits(item, inquiry)
    proofs = (
        same_callback(item.get("custom_callback_url"), inquiry.callback_url),
        _same_id(item.get("uuid"), inquiry.provider_id),
    )
    proven = True in proofs
    if not proven and (False in proofs or False in traits):
        return None
    try:
        receipt = read_found(item)
    except UnreadableReceipt:
        return _Fit(None)
    if receipt is None:
        return None
    if not proven and None in traits:
        return _Fit(None)
    return _Fit(receipt, proven, distance(moment_of(item.get("created_on")), inquiry))


def _traits(item: dict[str, Any], inquiry: "Inquiry") -> tuple[bool | None, ...]:
    """Return whether the message shown is like ours in each of what two messages may share."""
    number = item.get("tn")
    shown = number.get("tn") if isinstance(number, dict) else number
    return (
        same_number(item.get("to"), inquiry.to),
        same_number(item.get("from") if shown is None else shown, inquiry.sender),
        same_text(item.get("message"), inquiry.text),
        within(moment_of(item.get("created_on")), inquiry),
    )


def _same_id(theirs: object, ours: str | None) -> bool | None:
    shown, known = provider_id_of(theirs), provider_id_of(ours)
    return None if shown is None or known is None else shown == known


def _listed(payload: object) -> list[object] | None:
    """Return the messages that a search shows; None where there is no list of any."""
    if isinstance(payload, dict):
        payload = next((payload[name] for name in _LISTS if name in payload), None)
    return payload if isinstance(payload, list) else None


def _total(payload: object) -> int:
    """Return how many messages fit the search, by its own word; 0 where it has none."""
    total = payload.get("total") if isinstance(payload, dict) else None
    return total if type(total) is int else 0
