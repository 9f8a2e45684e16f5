"""The suppression list, for admins: the numbers to which nothing is sent; and erasing what is kept of one."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path, Query
from starlette.responses import Response

from sendline.contract.errors import ConfigurationError, InvalidMessage
from sendline.contract.message import stamp
from sendline.contract.numbers import parse_number
from sendline.ledger import suppression
from sendline.producer import AsyncProducer
from sendline_worker.api.accounts_models import Erased, Suppression, Suppressions
from sendline_worker.api.auth import Admin
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.problems import ProblemError, refuse
from sendline_worker.api.rendering import json_response
from sendline_worker.api.routing import router as make_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sendline.ledger.suppression import Suppression as Entry

REASON_MOST: Final = 120
_CURSORS: Final = 2**64

router = make_router("suppressions")

Number = Annotated[
    str,
    Path(description="A phone number, best in E.164; + may be written as %2B.", examples=["+13115552367"]),
]


@router.get(
    "/v1/suppressions",
    summary="List the numbers that are never sent to",
    operation_id="listSuppressions",
    response_model=Suppressions,
)
async def list_suppressions(
    caller: Admin,  # noqa: ARG001
    here: Here,
    *,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,20}$", description="`next` of the page before.")
    ] = None,
) -> Any:
    """Return some of the list, about 1,000 numbers at a time."""
    place = int(cursor or 0)
    if place >= _CURSORS:
        raise refuse("invalid-request", "is none that this list gave out", "cursor")
    behind, found = await here.ledger.run(suppression.suppressed(place))
    number = await here.ledger.run(suppression.count())
    following = str(behind) if behind else None
    return json_response({"suppressions": list(map(_told, found)), "number": number, "next": following})


@router.get(
    "/v1/suppressions/{number}",
    summary="Read whether a number is on the list",
    operation_id="getSuppression",
    response_model=Suppression,
    responses=answers(404),
)
async def get_suppression(number: Number, caller: Admin, here: Here) -> Any:  # noqa: ARG001
    """Return since when nothing is sent to a number, and why."""
    return json_response(_told(await _entry(here, _parsed(here, number))))


@router.put(
    "/v1/suppressions/{number}",
    summary="Put a number on the list",
    operation_id="suppress",
    response_model=Suppression,
    responses={201: {"model": Suppression, "description": "It was not on the list."}},
)
async def suppress(
    number: Number,
    caller: Admin,  # noqa: ARG001
    here: Here,
    *,
    reason: Annotated[
        str, Query(min_length=1, max_length=REASON_MOST, description="Kept with the number.")
    ] = "a person said so",
) -> Any:
    """Let nothing be sent to a number any more, by any account: 201, or 200 where it was so before.

    What waits for it is suppressed when its turn comes. A number that is listed keeps its first reason.
    """
    if reason == suppression.INBOUND:
        raise refuse("invalid-request", "`inbound` stands for who answered STOP; use other words", "reason")
    parsed = _parsed(here, number)
    added = await here.ledger.run(suppression.suppress(here.limits, [parsed], reason))
    return json_response(_told(await _entry(here, parsed)), 201 if added else 200)


@router.delete(
    "/v1/suppressions/{number}",
    summary="Take a number off the list",
    operation_id="unsuppress",
    status_code=204,
    response_class=Response,
    responses=answers(404),
)
async def unsuppress(number: Number, caller: Admin, here: Here) -> Any:  # noqa: ARG001
    """Let what is accepted from now on be sent to a number again; what was suppressed stays so.

    Do it for who asked for it only.
    """
    if not await here.ledger.run(suppression.unsuppress(here.limits, [_parsed(here, number)])):
        raise _not_listed()
    return Response(status_code=204)


@router.delete(
    "/v1/recipients/{number}",
    summary="Erase all that is kept of a number",
    operation_id="eraseRecipient",
    tags=["recipients"],
    response_model=Erased,
    responses=answers(409),
)
async def erase(
    number: Number,
    caller: Admin,  # noqa: ARG001
    here: Here,
    *,
    keep_opt_out: Annotated[
        bool, Query(description="Leave it on the suppression list, if it is there.")
    ] = False,
) -> Any:
    """Carry out a privacy request: the number, texts and notes go, and what waits for it is canceled.

    Ids, statuses and counts stay. Asked again it finds nothing. Reports and backups are
    yours to erase, and so are spools of other machines; one at `spool_dir` of this one that can't be read is
    a conflict, and then nothing is erased.
    """
    parsed = _parsed(here, number)
    try:
        async with _erasing(here) as producer:
            erased = await producer.erase(parsed, keep_opt_out=keep_opt_out)
    except ConfigurationError:
        why = "spool_dir of this machine can't be read, so nothing was erased; `sendline check` names the fix"
        raise refuse("conflict", why) from None
    except InvalidMessage as error:
        raise refuse("invalid-request", error.problem, "number") from None
    return json_response(erased.to_dict())


@contextlib.asynccontextmanager
async def _erasing(here: Context) -> "AsyncIterator[AsyncProducer]":
    """Open a producer that reaches this machine's spool, where there is one. Raises ConfigurationError."""
    path = here.settings.spool_dir
    if path is None or not await asyncio.to_thread(path.expanduser().exists):
        yield here.producer
        return
    async with await asyncio.to_thread(AsyncProducer, settings=here.settings) as producer:
        yield producer


def _parsed(here: Context, number: str) -> str:
    """Return the number in E.164; raises ProblemError, which does not repeat it."""
    written = f"+{number[1:]}" if number.startswith(" ") else number
    try:
        return parse_number(written, here.settings.default_region)
    except ValueError as error:
        raise refuse("invalid-request", str(error), "number") from None


async def _entry(here: Context, number: str) -> "Entry":
    [found] = await here.ledger.run(suppression.is_suppressed([number]))
    if found is None:
        raise _not_listed()
    return found


def _not_listed() -> ProblemError:
    return refuse("not-found", "this number is not on the suppression list")


def _told(entry: "Entry") -> dict[str, Any]:
    return {
        "number": entry.number,
        "since": stamp(entry.since),
        "why": entry.why,
        "account": entry.account,
    }
