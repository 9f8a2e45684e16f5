"""OpenTact as the simulator plays it: generations A, B and C of its send API, its look-up, its search.

Not documented, so made up here: the bodies of refusals, the envelope of search results (it is that of the
API's search for orders), how an undelivered message is reported (`state: failed`, and `delivery_failed`
in the other shape), and how one that came in is (`smsi`, and `message.received`).
"""

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sendline_worker.providers.opentact.simulated_bodies import (
    as_data,
    as_event,
    encoded,
    incoming_as_data,
    incoming_as_event,
    rest,
    smso,
)
from sendline_worker.providers.opentact.simulated_enquiries import Enquiries
from sendline_worker.simulator.face import RequestRefused, Submission, fingerprint
from sendline_worker.simulator.options import Shape
from sendline_worker.simulator.reading import NUMBER, header, json_object, phone, text, url

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sendline_worker.simulator.behaviours import Report
    from sendline_worker.simulator.entries import Entry
    from sendline_worker.simulator.face import Incoming
    from sendline_worker.simulator.simulation import Simulation

PROVIDER = "opentact"
LONGEST_TEXT = 918
URL_LENGTHS = range(10, 256)


class OpentactFace:
    """What the generations have in common: credentials, refusals, receipts."""

    provider = PROVIDER

    def __init__(self, simulation: "Simulation") -> None:
        self.simulation = simulation
        self._keys = {key.get_secret_value() for key in simulation.options.api_keys}

    @property
    def reporter(self) -> "OpentactFace":
        """It calls back, with receipts and with what came in."""
        return self

    def account(self, request: "Request") -> str:
        """Return the fingerprint of the key in Authorization (Bearer or JWT) or X-Auth-Token."""
        scheme, _, key = header(request, b"authorization").partition(" ")
        if scheme.lower() not in {"bearer", "jwt"}:
            key = header(request, b"x-auth-token")
        return self.known(key.strip())

    def known(self, key: str) -> str:
        """Return the fingerprint of `key`; raises RequestRefused with 401."""
        if not key or (self._keys and key not in self._keys):
            raise RequestRefused(401, "Unauthorized")
        return fingerprint(key)

    def refused(self, status: int, reason: str) -> bytes:
        """Return the body of a refusal."""
        return encoded({"success": False, "error": {"code": status, "message": reason}})

    def receipt(self, entry: "Entry", provider_id: str, report: "Report", shape: Shape, now: float) -> bytes:
        """Return a receipt in the envelope of the events, or in the shape that the webhook page shows."""
        compose = as_event if shape is Shape.EVENT else as_data
        return encoded(compose(entry, provider_id, report, now))

    def incoming(self, message: "Incoming", shape: Shape, now: float) -> bytes:
        """Return what came in, in either shape."""
        compose = incoming_as_event if shape is Shape.EVENT else incoming_as_data
        return encoded(compose(message, now))


class GenerationC(OpentactFace):
    """`POST /sms/o`: JSON from, to, text; Bearer."""

    def account(self, request: "Request") -> str:
        """Return the fingerprint of the key, which only a Bearer can be."""
        scheme, _, key = header(request, b"authorization").partition(" ")
        return self.known(key.strip() if scheme.lower() == "bearer" else "")

    def read(self, request: "Request", body: bytes) -> Submission:
        """Return what is asked for."""
        data = json_object(body)
        callback = url(data, "custom_callback_url", URL_LENGTHS)
        return Submission(phone(data, "to"), phone(data, "from"), text(data, "text"), callback)

    def accepted(self, entry: "Entry", provider_id: str) -> tuple[int, bytes]:
        """Return the answer that the page shows."""
        return 201, f'{{"success":true,"payload":{smso(entry, provider_id)}}}'.encode()


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
        payload = {"type": "smso", **json.loads(smso(entry, provider_id)), "tn": {}}
        del payload["tn_lease"]
        return 200, encoded({"success": True, "payload": payload})


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
        return 200, encoded({"success": True, "payload": rest(entry, provider_id, [])})


def routes(simulation: "Simulation") -> list[Route]:
    """Return OpenTact's part of the simulator."""
    a, b, c = GenerationA(simulation), GenerationB(simulation), GenerationC(simulation)
    enquiries = Enquiries(simulation, a)
    simulation.faces[PROVIDER] = c

    async def send_ab(request: "Request") -> "Response":
        return await simulation.submit(request, b if request.query_params else a)

    return [
        Route("/sms/o", partial(simulation.submit, face=c), methods=["POST"]),
        Route("/rest/sms", send_ab, methods=["POST"]),
        Route("/rest/sms/outbound/{uuid}", enquiries.look_up, methods=["GET"]),
        Route("/rest/sms/search/outbound", enquiries.search, methods=["POST"]),
    ]


def account(base_url: str) -> dict[str, object]:
    """Return the options of an account that this face serves."""
    return {"base_url": base_url, "api_key": "simulated", "senders": ["+13115552368"], "rate": 100}
