"""OpenTact's look-up and search, as the simulator plays them: generation A's."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sendline_worker.providers.opentact.simulated_bodies import encoded, rest, state_after
from sendline_worker.simulator.answers import JSON, Nothing
from sendline_worker.simulator.face import RequestRefused
from sendline_worker.simulator.reading import instant, iso, json_object, mask, whole
from sendline_worker.simulator.simulation import read_body

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from starlette.requests import Request

    from sendline_worker.simulator.entries import Entry
    from sendline_worker.simulator.face import Face
    from sendline_worker.simulator.simulation import Simulation

TAKE = range(1, 101)


class Enquiries:
    """The two requests that ask; `face` knows credentials and refusals."""

    def __init__(self, simulation: "Simulation", face: "Face") -> None:
        self._simulation = simulation
        self._face = face

    async def look_up(self, request: "Request") -> Response:
        """Answer one message."""
        try:
            account = self._face.account(request)
        except RequestRefused as refusal:
            return self._refuse(refusal)
        entry = self._simulation.find(self._face.provider, account, request.path_params["uuid"])
        if entry is None:
            missing = self._face.refused(404, "Not found")
            return await self._simulation.enquire(request, self._face, "", (404, missing))
        shown = encoded({"success": True, "payload": self._found(entry)})
        return await self._simulation.enquire(request, self._face, entry.recipient, (200, shown))

    async def search(self, request: "Request") -> Response:
        """Answer a page of messages, newest first, in the envelope of the API's search for orders."""
        try:
            account = self._face.account(request)
            asked = {**request.query_params, **json_object(await read_body(request) or b"{}")}
            payload = self._page(account, asked)
        except ClientDisconnect:
            return Nothing()
        except RequestRefused as refusal:
            return self._refuse(refusal)
        shown = encoded({"success": True, "payload": payload})
        recipient = f"+{str(asked.get('to', '')).removeprefix('+')}"
        return await self._simulation.enquire(request, self._face, recipient, (200, shown))

    def _page(self, account: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what is searched for; raises RequestRefused."""
        skip, take = whole(asked, "skip", 0, range(2**31)), whole(asked, "take", 10, TAKE)
        matches = _filter(asked, self._simulation)
        since = 0.0 if asked.get("mode") == "OR" else instant(asked, "created_on_from", 0.0)
        entries = self._simulation.accepted(self._face.provider, account, since - 0.001)
        found = [entry for entry in entries if matches(entry)]
        items = [self._found(entry) for entry in found[skip : skip + take]]
        return {"take": take, "skip": skip, "total": len(found), "data": items}

    def _found(self, entry: "Entry") -> dict[str, Any]:
        provider_id = self._simulation.log.provider_id(entry) or ""
        return rest(entry, provider_id, self._simulation.reported(entry))

    def _refuse(self, refusal: RequestRefused) -> Response:
        body = self._face.refused(refusal.status, refusal.reason)
        return Response(body, refusal.status, media_type=JSON)


def _filter(asked: dict[str, Any], simulation: "Simulation") -> "Callable[[Entry], bool]":
    """Return what says whether a message is searched for; raises RequestRefused."""
    tests: list[Callable[[Entry], bool]] = []
    for name, attribute in (("to", "recipient"), ("tn", "sender"), ("from", "sender"), ("message", "text")):
        pattern = mask(asked, name)
        if pattern is not None:
            tests.append(partial(_fits, pattern=pattern, attribute=attribute))
    first, last = instant(asked, "created_on_from", 0.0), instant(asked, "created_on_to", math.inf)
    if (first, last) != (0.0, math.inf):
        tests.append(lambda entry: first <= _millisecond(entry.at) <= last)
    if asked.get("state") is not None:
        tests.append(lambda entry: state_after(simulation.reported(entry))[0] == asked["state"])
    if asked.get("delivered") is not None:
        tests.append(lambda entry: state_after(simulation.reported(entry))[1] == asked["delivered"])
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
