"""What OpenTact tells of an SMS that came in. No page shows one whole, so what is plausible is taken.

An SMS that we sent must never be taken for one: it could put its sender on the suppression list. So what
speaks for both is unreadable, and kept for people to look at.
"""

from typing import Any

from sendline_worker.providers.base import Inbound, UnreadableReceipt
from sendline_worker.providers.opentact.receipts import provider_id_of, table


def is_inbound(payload: dict[str, Any], *, kind: object) -> bool:
    """Say whether an event in OpenTact's own shape is about an SMS that came in.

    `smsi` says so. `smsr` stands in the answer to a send of generation B as well, so it counts only beside a
    `messaging_profile`, which the events page adds to what came in.
    """
    kinds = {each for each in (kind, payload.get("type")) if isinstance(each, str)}
    if kinds.isdisjoint({"smsi", "smsr"}):
        return False
    if "smso" in kinds or ("smsi" not in kinds and not isinstance(payload.get("messaging_profile"), dict)):
        raise UnreadableReceipt("an SMS that may have come in or gone out")
    return True


def read_inbound(payload: dict[str, Any]) -> list[Inbound]:
    """Read it. The number written to stands in `to`, or in `tn`."""
    our = payload.get("to")
    number = _number(our if our is not None else payload.get("tn"))
    return _inbound(payload.get("uuid"), _number(payload.get("from")), number, payload.get("message"))


def is_received(data: dict[str, Any]) -> bool:
    """Say whether an event in the webhook page's shape is about an SMS that came in: all of it says so."""
    direction, event = table(data, "payload").get("direction"), data.get("event_type")
    if direction != "inbound" and event != "message.received":
        return False
    if direction not in (None, "inbound") or event not in (None, "message.received"):
        raise UnreadableReceipt("an SMS that may have come in or gone out")
    return True


def read_received(data: dict[str, Any]) -> list[Inbound]:
    """Read it: {"payload": {"id", "from": {"phone_number"}, "to": [{"phone_number"}], "text"}}."""
    payload = table(data, "payload")
    to = payload.get("to")
    our = to[0] if isinstance(to, list) and to else to
    return _inbound(payload.get("id"), _number(payload.get("from")), _number(our), payload.get("text"))


def _inbound(provider_id: object, sender: str, to: str, text: object) -> list[Inbound]:
    if not sender or not to:
        raise UnreadableReceipt("an inbound SMS without its two numbers")
    if not isinstance(text, str | None):
        raise UnreadableReceipt("an inbound SMS whose text is no text")
    return [Inbound(provider_id_of(provider_id), sender, to, text or "")]  # an MMS may have none


def _number(value: object) -> str:
    """Return the number that `value` is or holds, as it was told; empty where it is none."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("phone_number", "tn", "number") if name in value), None)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value.strip()
