"""OpenTact as the simulator plays it: generations A, B and C of its send API, its look-up, its search.

Not documented, so made up here: the bodies of refusals, the envelope of search results, and how an
undelivered message is reported (`state: failed`, and `delivery_failed` in the other shape).
"""

import hashlib
import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from starlette.responses import Response
from starlette.routing import Route

from sendline_worker.simulator.behaviours import Report
from sendline_worker.simulator.face import RequestRefused, Submission, fingerprint
from sendline_worker.simulator.options import Shape
from sendline_worker.simulator.reading import NUMBER, instant, iso, json_object, mask, phone, text, url, whole

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from starlette.requests import Request

    from sendline_worker.simulator.entries import Entry
    from sendline_worker.simulator.simulation import Simulation

PROVIDER = "opentact"
LONGEST_TEXT = 918
URL_LENGTHS = range(10, 256)
TAKE = range(1, 101)
PROFILE = "0116f6d1-1280-44b2-9134-da48509ec575"


class OpentactFace:
    """What the generations have in common: credentials, refusals, receipts."""

    provider = PROVIDER
    reports = True

    def __init__(self, simulation: "Simulation") -> None:
        self.simulation = simulation
        self._keys = {key.get_secret_value() for key in simulation.options.api_keys}

    def account(self, request: "Request") -> str:
        """Return the fingerprint of the key in Authorization (Bearer or JWT) or X-Auth-Token."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in {"bearer", "jwt"}:
            key = request.headers.get("x-auth-token", "")
        return self.known(key.strip())

    def known(self, key: str) -> str:
        """Return the fingerprint of `key`; raises RequestRefused with 401."""
        if not key or (self._keys and key not in self._keys):
            raise RequestRefused(401, "Unauthorized")
        return fingerprint(key)

    def refused(self, status: int, reason: str) -> bytes:
        """Return the body of a refusal."""
        return _json({"success": False, "error": {"code": status, "message": reason}})

    def receipt(self, entry: "Entry", provider_id: str, report: Report, shape: Shape, now: float) -> bytes:
        """Return a receipt in the envelope of the events, or in the shape that the webhook page shows."""
        compose = _event if shape is Shape.EVENT else _data
        return _json(compose(entry, provider_id, report, now))


class GenerationC(OpentactFace):
    """`POST /sms/o`: JSON from, to, text; Bearer."""

    def account(self, request: "Request") -> str:
        """Return the fingerprint of the key, which only a Bearer can be."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return self.known(key.strip() if scheme.lower() == "bearer" else "")

    def read(self, request: "Request", body: bytes) -> Submission:
        """Return what is asked for."""
        data = json_object(body)
        callback = url(data, "custom_callback_url", URL_LENGTHS)
        return Submission(phone(data, "to"), phone(data, "from"), text(data, "text"), callback)

    def accepted(self, entry: "Entry", provider_id: str) -> tuple[int, bytes]:
        """Return the answer that the page shows."""
        return 201, _json({"success": True, "payload": _smso(entry, provider_id)})


class GenerationB(OpentactFace):
    """`POST /rest/sms` with query parameters FROM, TO, Message."""

    def read(self, request: "Request", body: bytes) -> Submission:
        """Return what is asked for."""
        data: dict[str, Any] = {name.lower(): value for name, value in request.query_params.items()}
        callback = url(data, "custom_callback_url", URL_LENGTHS)
        return Submission(
            phone(data, "to", NUMBER), phone(data, "from", NUMBER), text(data, "message"), callback
        )

    def accepted(self, entry: "Entry", provider_id: str) -> tuple[int, bytes]:
        """Return the answer that the page shows: as generation C, with a type and a bare `tn`."""
        payload = {"type": "smso", **_smso(entry, provider_id), "tn": {}}
        del payload["tn_lease"]
        return 200, _json({"success": True, "payload": payload})


class GenerationA(OpentactFace):
    """`POST /rest/sms`: JSON tn, to, message, custom_callback_url."""

    def read(self, request: "Request", body: bytes) -> Submission:
        """Return what is asked for."""
        data = json_object(body)
        if type(data.get("tn")) is not int:
            raise RequestRefused(400, "tn: an integer, the sender without +")
        sender = phone({"tn": str(data["tn"])}, "tn", NUMBER)
        message = text(data, "message", LONGEST_TEXT)
        callback = url(data, "custom_callback_url", URL_LENGTHS)
        return Submission(phone(data, "to", NUMBER), sender, message, callback)

    def accepted(self, entry: "Entry", provider_id: str) -> tuple[int, bytes]:
        """Return the answer that the page shows."""
        return 200, _json({"success": True, "payload": _rest(entry, provider_id, [])})


class Enquiries(OpentactFace):
    """The look-up and the search of generation A."""

    async def look_up(self, request: "Request") -> Response:
        """Answer one message."""
        try:
            account = self.account(request)
        except RequestRefused as refusal:
            return self._refuse(refusal)
        entry = self.simulation.find(PROVIDER, account, request.path_params["uuid"])
        if entry is None:
            return self._refuse(RequestRefused(404, "Not found"))
        return _answer({"success": True, "payload": self._found(entry)})

    async def search(self, request: "Request") -> Response:
        """Answer a page of messages, newest first."""
        try:
            account = self.account(request)
            asked = {**request.query_params, **json_object(await request.body() or b"{}")}
            skip, take = whole(asked, "skip", 0, range(2**31)), whole(asked, "take", 10, TAKE)
            matches = _filter(asked, self.simulation)
            since = 0.0 if asked.get("mode") == "OR" else instant(asked, "created_on_from", 0.0)
        except RequestRefused as refusal:
            return self._refuse(refusal)
        entries = self.simulation.accepted(PROVIDER, account, since - 0.001)
        found = [entry for entry in entries if matches(entry)]
        items = [self._found(entry) for entry in found[skip : skip + take]]
        return _answer({"success": True, "payload": {"items": items, "total": len(found)}})

    def _found(self, entry: "Entry") -> dict[str, Any]:
        provider_id = self.simulation.log.provider_id(entry) or ""
        return _rest(entry, provider_id, self.simulation.reported(entry))

    def _refuse(self, refusal: RequestRefused) -> Response:
        body = self.refused(refusal.status, refusal.reason)
        return Response(body, refusal.status, media_type="application/json")


def routes(simulation: "Simulation") -> list[Route]:
    """Return OpenTact's part of the simulator."""
    a, b, c = GenerationA(simulation), GenerationB(simulation), GenerationC(simulation)
    enquiries = Enquiries(simulation)

    async def send_c(request: "Request") -> Response:
        return await simulation.submit(request, c)

    async def send_ab(request: "Request") -> Response:
        return await simulation.submit(request, b if request.query_params else a)

    return [
        Route("/sms/o", send_c, methods=["POST"]),
        Route("/rest/sms", send_ab, methods=["POST"]),
        Route("/rest/sms/outbound/{uuid}", enquiries.look_up, methods=["GET"]),
        Route("/rest/sms/search/outbound", enquiries.search, methods=["POST"]),
    ]


def _filter(asked: dict[str, Any], simulation: "Simulation") -> "Callable[[Entry], bool]":
    """Return what says whether a message is searched for; raises RequestRefused."""
    tests: list[Callable[[Entry], bool]] = []
    for name, attribute in (("tn", "sender"), ("from", "sender"), ("to", "recipient"), ("message", "text")):
        pattern = mask(asked, name)
        if pattern is not None:
            tests.append(partial(_fits, pattern=pattern, attribute=attribute))
    first, last = instant(asked, "created_on_from", 0.0), instant(asked, "created_on_to", math.inf)
    if (first, last) != (0.0, math.inf):
        tests.append(lambda entry: first <= _millisecond(entry.at) <= last)
    if asked.get("state") is not None:
        tests.append(lambda entry: _state(simulation.reported(entry))[0] == asked["state"])
    if asked.get("delivered") is not None:
        tests.append(lambda entry: _state(simulation.reported(entry))[1] == asked["delivered"])
    together = any if asked.get("mode") == "OR" and tests else all
    return lambda entry: together(test(entry) for test in tests)


def _fits(entry: "Entry", *, pattern: "re.Pattern[str]", attribute: str) -> bool:
    """Say whether a field of the message fits a mask; numbers fit with and without their +."""
    value: str = getattr(entry, attribute) or ""
    plain = value.removeprefix("+") if attribute != "text" else value
    return bool(pattern.fullmatch(value) or pattern.fullmatch(plain))


def _millisecond(moment: float) -> float:
    """Return the moment as its date-time reads, cut off after the millisecond."""
    return instant({"at": iso(moment)}, "at", 0.0)


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _answer(data: dict[str, Any]) -> Response:
    return Response(_json(data), media_type="application/json")


def _digits(number: str) -> str:
    return number.removeprefix("+")


def _thread(entry: "Entry") -> str:
    return hashlib.md5(f"{entry.sender}{entry.recipient}".encode(), usedforsecurity=False).hexdigest()


def _state(reports: list[Report]) -> tuple[str, bool]:
    """Return `state` and `delivered` after these reports."""
    state, delivered = "created", False
    for report in reports:
        if report is not Report.SENT or state == "created":
            state = "failed" if report is Report.UNDELIVERED else "success"
            delivered = report is Report.DELIVERED
    return state, delivered


def _smso(entry: "Entry", provider_id: str) -> dict[str, Any]:
    """Return the payload of generation C, key for key as its page has it."""
    now, sender = iso(entry.at), _digits(entry.sender)
    return {
        "uuid": provider_id,
        "state": "created",
        "from": sender,
        "to": int(_digits(entry.recipient)),
        "message": entry.text,
        "thread": _thread(entry),
        "delivered": False,
        "automated": False,
        "created_on": now,
        "modified_on": now,
        "tn": {"tn": int(sender), "type": "long_code", "sms": True},
        "tn_lease": {
            "uuid": str(uuid5(NAMESPACE_URL, sender)),
            "autorenew": True,
            "expired_on": iso(entry.at + 30 * 86400),
            "messaging_profile": {"uuid": PROFILE, "name": "Default profile", "callback_url": None},
        },
    }


def _rest(entry: "Entry", provider_id: str, reports: list[Report]) -> dict[str, Any]:
    """Return the payload of generation A."""
    state, delivered = _state(reports)
    return {
        "created_on": iso(entry.at),
        "modified_on": iso(entry.at),
        "uuid": provider_id,
        "tn": {"tn": int(_digits(entry.sender)), "deleted_on": None, "sms": True},
        "to": _digits(entry.recipient),
        "thread": _thread(entry),
        "message": entry.text,
        "reference_id": None if state == "created" else provider_id.replace("-", ""),
        "state": state,
        "delivered": delivered,
        "automated": False,
        "custom_callback_url": None,
        "account": {"uuid": str(uuid5(NAMESPACE_URL, entry.account))},
        "created_by": None,
    }


def _event(entry: "Entry", provider_id: str, report: Report, now: float) -> dict[str, Any]:
    """Return a receipt as the events page has it."""
    state, delivered = _state([report])
    return {
        "timestamp": iso(now),
        "message": f"SMS: type: smso, state: {state}",
        "type": "sms",
        "payload": {
            "type": "smso",
            "created_on": iso(entry.at),
            "modified_on": iso(now),
            "uuid": provider_id,
            "from": _digits(entry.sender),
            "to": _digits(entry.recipient),
            "thread": _thread(entry),
            "message": entry.text,
            "state": state,
            "delivered": delivered,
            "automated": False,
            "reason": f"[SMSO][{provider_id}]: tn: {_digits(entry.sender)}, {report}",
            "tn": {"tn": int(_digits(entry.sender)), "deleted_on": None},
            "account": {"uuid": str(uuid5(NAMESPACE_URL, entry.account))},
        },
    }


def _data(entry: "Entry", provider_id: str, report: Report, now: float) -> dict[str, Any]:
    """Return a receipt as the webhook page has it; its example is for `message.finalized`."""
    final = report is not Report.SENT
    failed = report is Report.UNDELIVERED
    status = "delivery_failed" if failed else str(report)
    return {
        "data": {
            "event_type": "message.finalized" if final else "message.sent",
            "id": str(uuid5(NAMESPACE_URL, f"{provider_id}{report}")),
            "occurred_at": iso(now),
            "payload": {
                "completed_at": iso(now) if final else None,
                "cost": None,
                "direction": "outbound",
                "encoding": "GSM-7",
                "errors": [{"code": "40008", "title": "Undeliverable"}] if failed else [],
                "from": {
                    "carrier": "",
                    "line_type": "",
                    "phone_number": entry.sender,
                    "status": "webhook_delivered",
                },
                "id": provider_id,
                "media": [],
                "messaging_profile_id": PROFILE,
                "organization_id": str(uuid5(NAMESPACE_URL, entry.account)),
                "parts": 1,
                "received_at": iso(entry.at),
                "record_type": "message",
                "sent_at": iso(now),
                "tags": [],
                "text": entry.text,
                "to": [{"carrier": "", "line_type": "", "phone_number": entry.recipient, "status": status}],
            },
        }
    }


def account(base_url: str) -> dict[str, object]:
    """Return the options of an account that this face serves."""
    return {"base_url": base_url, "api_key": "simulated", "senders": ["+13115552368"], "rate": 100}
