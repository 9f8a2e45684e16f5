"""The report of a campaign, as CSV that is written while it is read."""

import io
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import StreamingResponse

from sendline.campaigns.report import CsvReport
from sendline_worker.api.auth import Reading
from sendline_worker.api.campaigns import Name, own_campaign
from sendline_worker.api.context import Here
from sendline_worker.api.documented import answers
from sendline_worker.api.routing import router as make_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sendline.campaigns.report import ReportRow

ROWS: Final = 500
"""Rows of one piece."""
_EXAMPLE: Final = (
    "id,to,status,error,reason,segments,attempts,account,provider_id,created_at,sent_at,final_at\r\n"
    "019aab1c-24d4-7c32-9de0-0d6f1e6a4b7a,+13115552367,delivered,,,1,1,main,90c2e069,"
    "2026-11-22T12:00:00.000Z,2026-11-22T12:00:01.120Z,2026-11-22T12:00:04.250Z\r\n"
)

router = make_router("campaigns")


@router.get(
    "/v1/campaigns/{name}/report",
    summary="Read the report of a campaign",
    operation_id="reportCampaign",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A row for each recipient. No cell is one that a spreadsheet would run.",
            "content": {"text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **answers(404),
    },
)
async def report(name: Name, caller: Reading, here: Here) -> Any:
    """Return a row for each recipient, in the order of the file, as things stand when it is read.

    An answer that breaks off in the middle was cut off: its end is marked as HTTP marks it.
    """
    await own_campaign(here, caller, name)
    campaign = await here.producer.campaign(name)
    pieces = _pieces(campaign.report_rows())
    first = await anext(pieces)

    async def all_of_it() -> "AsyncIterator[str]":
        yield first
        async for piece in pieces:
            yield piece

    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(all_of_it(), headers=headers, media_type="text/csv; charset=utf-8")


async def _pieces(rows: "AsyncIterator[ReportRow]") -> "AsyncIterator[str]":
    """Yield the report piece by piece; the head comes with the first rows, so that errors come before it."""
    text = io.StringIO(newline="")
    writer = CsvReport(text)
    held = 0
    async for row in rows:
        writer.write([row])
        held += 1
        if held == ROWS:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
            held = 0
    yield text.getvalue()
