"""What a load balancer asks: whether the process lives, and whether it can do its work. Without a key."""

import asyncio
from typing import Any, Final

from fastapi.responses import JSONResponse

from sendline.contract.errors import LedgerError, LedgerRefused
from sendline.ledger import durability
from sendline_worker.api.context import Context, Here
from sendline_worker.api.models import Health
from sendline_worker.api.problems import problem, problem_of
from sendline_worker.api.routing import router as make_router

READY_SECONDS: Final = 3.0
"""How long the ledger may take to answer."""

router = make_router("health")


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Whether the process lives", operation_id="healthz")
async def healthz() -> Health:
    """Answer as long as the process lives."""
    return Health(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz", summary="Whether messages can be accepted", operation_id="readyz", response_model=Health
)
async def readyz(here: Here) -> Any:
    """Answer 200 where the ledger answers and keeps what it accepts, 503 otherwise."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await _demand(here)
            await here.producer.refresh()
    except TimeoutError:
        return problem("ledger-unavailable", "it did not answer in time", retry_after="2").response()
    except LedgerError as error:
        return problem_of(error).response()
    return JSONResponse({"status": "ok"})


async def _demand(here: Context) -> None:
    """Reach the ledger, and have it say each time that it keeps what it accepts; raises LedgerError."""
    if here.settings.durability == "memory":
        return await here.ledger.run(durability.ping())
    try:
        found = await here.ledger.run(durability.persistence())
    except LedgerRefused as error:
        raise durability.unproven(error) from error
    return durability.demand(found)
