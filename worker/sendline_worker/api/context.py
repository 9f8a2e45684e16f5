"""What every endpoint works with."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from sendline.ledger.connection import AsyncLedger
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from sendline_worker.api.accepting import Accepting
from sendline_worker.api.auth import Keys
from sendline_worker.api.gathering import Accepts

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that one process of the API has one of. For one event loop."""

    settings: Settings
    limits: Limits
    ledger: AsyncLedger
    producer: Accepting
    """An AsyncProducer: its verbs are those of the API."""
    keys: Keys
    accepts: Accepts
    ending: asyncio.Event
    """Set once the server shall end: streams end then."""

    async def aclose(self) -> None:
        """Finish what was begun, and close the connections."""
        await self.accepts.aclose()
        await self.producer.close()
        await self.ledger.aclose()


def context_of(request: Request) -> Context:
    """Return the parts of the process that serves `request`."""
    state: Mapping[str, Any] = request.scope["state"]
    context: Context = state["context"]
    return context


async def _here(request: Request) -> Context:
    return context_of(request)  # a dependency that does not await would go through a thread


Here = Annotated[Context, Depends(_here)]
"""A parameter of an endpoint that gets the Context."""
