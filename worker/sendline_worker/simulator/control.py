"""The simulator's own endpoints under /_simulator: its log, its summary, its behaviours, what comes in."""

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sendline_worker.simulator.answers import TRAP
from sendline_worker.simulator.incoming import read_incoming
from sendline_worker.simulator.options import changed
from sendline_worker.simulator.rules import read_rule

if TYPE_CHECKING:
    from starlette.requests import Request

    from sendline_worker.simulator.simulation import Simulation

PAGE = 1_000
LONGEST_PAGE = 10_000
CREDENTIALS = ("authorization", "x-auth-token", "auth")


class Control:
    """The endpoints of one simulation."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation

    def routes(self) -> list[Route]:
        """Return the routes of all endpoints."""
        every = ["GET", "POST", "PUT", "DELETE"]
        return [
            Route("/_simulator/health", self.health, methods=["GET"]),
            Route("/_simulator/log", self.log, methods=["GET"]),
            Route("/_simulator/summary", self.summary, methods=["GET"]),
            Route("/_simulator/behaviour", self.behaviour, methods=["GET", "POST", "DELETE"]),
            Route("/_simulator/settings", self.settings, methods=["GET", "POST"]),
            Route("/_simulator/inbound", self.inbound, methods=["POST"]),
            Route("/_simulator/reset", self.reset, methods=["POST"]),
            Route(TRAP, self.trap, methods=every),
        ]

    async def health(self, request: "Request") -> Response:
        """Answer that it runs."""
        return JSONResponse({"status": "ok"})

    async def log(self, request: "Request") -> Response:
        """Answer a page of the log: `after` a number, at most `limit` entries."""
        log = self._simulation.log
        try:
            after = int(request.query_params.get("after", "0"))
            limit = int(request.query_params.get("limit", str(PAGE)))
        except ValueError:
            return _mistake("after, limit: whole numbers")
        if after < 0 or not 1 <= limit <= LONGEST_PAGE:
            return _mistake(f"after: 0 or more; limit: 1 to {LONGEST_PAGE}")
        entries = log.page(after, limit)
        following = entries[-1]["n"] if entries else after
        page = {"entries": entries, "next": following, "more": following < log.last, "first": log.first}
        return JSONResponse(page)

    async def summary(self, request: "Request") -> Response:
        """Answer the counts."""
        simulation = self._simulation
        counts = simulation.log.counts.as_json()
        return JSONResponse({**counts, "receipts_pending": simulation.receipts.pending})

    async def behaviour(self, request: "Request") -> Response:
        """Show the rules in force; POST adds one, DELETE clears all."""
        rules = self._simulation.rules
        if request.method == "DELETE":
            rules.clear()
        elif request.method == "POST":
            try:
                rules.add(read_rule(await _json(request)))
            except ValueError as mistake:
                return _mistake(str(mistake))
        return JSONResponse({"rules": rules.as_json()})

    async def settings(self, request: "Request") -> Response:
        """Show the settings; POST changes those it names."""
        simulation = self._simulation
        if request.method == "POST":
            try:
                simulation.settings = changed(simulation.settings, await _json(request))
            except ValueError as mistake:
                return _mistake(str(mistake))
        now = simulation.settings
        return JSONResponse(
            {
                "callback_url": now.callback_url,
                "shape": now.shape,
                "receipt_delay": now.receipt_delay,
                "latency": now.latency,
                "numbers": now.numbers,
            }
        )

    async def inbound(self, request: "Request") -> Response:
        """Let a message come in: post it to the callback URL, and answer its id and what that answered."""
        simulation = self._simulation
        try:
            asked = read_incoming(await _json(request), simulation.faces, simulation.settings.callback_url)
        except ValueError as mistake:
            return _mistake(str(mistake))
        results = await simulation.bring(asked.reporter, asked.message, asked.url, asked.times)
        return JSONResponse({"provider_id": asked.message.provider_id, "results": results})

    async def reset(self, request: "Request") -> Response:
        """Be as at the start."""
        self._simulation.reset()
        return JSONResponse({"status": "ok"})

    async def trap(self, request: "Request") -> Response:
        """Count who follows a redirect, and who shows a credential there."""
        counts = self._simulation.log.counts
        counts.redirects_followed += 1
        counts.redirects_with_credentials += any(name in request.headers for name in CREDENTIALS)
        return JSONResponse({"status": "trapped"}, status_code=418)


async def _json(request: "Request") -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise ValueError("the body is no JSON") from None


def _mistake(line: str) -> Response:
    return JSONResponse({"error": line}, status_code=400)
