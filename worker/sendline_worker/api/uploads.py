"""The upload of a campaign's recipients: a stream into a file, then an import that can be made again."""

import asyncio
import os
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, cast

from fastapi import Query, Request
from starlette.requests import ClientDisconnect

from sendline.campaigns import steering
from sendline.campaigns.recipients import Columns
from sendline.contract.api_key import Scope
from sendline.contract.status import Status
from sendline_worker.api.auth import Requires, Sending
from sendline_worker.api.bounds import exchange_of
from sendline_worker.api.campaigns import Name, demand_sender, own_campaign, rules_in_force, told_of
from sendline_worker.api.campaigns_models import Uploaded
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.importing import Imports, Working, unless_ending
from sendline_worker.api.plans import Importing
from sendline_worker.api.problems import refuse
from sendline_worker.api.rendering import json_response
from sendline_worker.api.room import Incoming
from sendline_worker.api.routing import router as make_router

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sendline.campaigns.checking import Rejected
    from sendline.campaigns.fields import CampaignFields
    from sendline.contract.campaign import Imported
    from sendline.contract.draft import Rules

STALL: Final = 30.0
"""Seconds without progress after which an upload is given up."""
LONGEST: Final = 6 * 3600.0
"""Seconds that it may take in all."""
SHOWN: Final = 20
"""Rejected rows that an answer names."""
_FORMATS: Final = {
    "text/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/vnd.apache.parquet": "parquet",
}
_GATE: Final = Requires(Scope.SEND)
_PATH: Final = "/v1/campaigns/{name}/recipients"

router = make_router("campaigns")

_BODY: Final[dict[str, Any]] = {  # no schema says what a file is
    "requestBody": {
        "required": True,
        "description": "The file: its columns are the variables of the text.",
        "content": {
            "text/csv": {
                "schema": {},
                "example": "to,name\n+13115552367,Ada\n+13115552369,Grace\n",
            },
            "application/x-ndjson": {
                "schema": {},
                "example": '{"to": "+13115552367", "name": "Ada"}\n',
            },
            "application/vnd.apache.parquet": {"schema": {}},
        },
    }
}


@router.put(
    _PATH,
    summary="Upload the recipients",
    operation_id="uploadRecipients",
    response_model=Uploaded,
    responses=answers(403, 404, 409, 507),
    openapi_extra=_BODY,
)
async def upload(
    request: Request,
    name: Name,
    caller: Sending,
    here: Here,
    imports: Working,
    *,
    to_column: Annotated[
        str | None, Query(max_length=64, description="The column of the number. Left out: found by its name.")
    ] = None,
    sender_column: Annotated[
        str | None, Query(max_length=64, description="The column of the sender. Left out: `sender`.")
    ] = None,
    not_before_column: Annotated[
        str | None,
        Query(max_length=64, description="The column of the earliest time. Left out: `not_before`."),
    ] = None,
    encoding: Annotated[
        str | None,
        Query(
            max_length=40,
            description="Of a text file. Left out: UTF-8, or as its byte order mark says.",
            openapi_examples={"one": {"value": "utf-8"}},
        ),
    ] = None,
) -> Any:
    """Import a file: each recipient gets one message, none of them before the campaign's start.

    The answer comes once all are accepted, and on disk. A file that can't be read changes nothing. The very
    same file can be sent again, whatever became of the first time: the import goes on, or is done already.
    """
    there = await own_campaign(here, caller, name)
    demand_sender(caller, there.spec.sender)
    fields: dict[str, Any] = {
        "format": _format(request),
        "columns": Columns(to_column, sender_column, not_before_column),
        "encoding": encoding,
    }
    rules = await rules_in_force(here)
    async with imports.receiving(caller.name):
        with imports.room.file() as incoming:
            await unless_ending(here.ending, _receive(request, here, incoming))
            async with imports.slot(caller.name, here.ending):
                caller = await _GATE.admit(request.scope, here.keys)  # it may be revoked meanwhile
                job = Job(here, rules, name, cast("CampaignFields", fields), caller.key.senders)
                await _import(imports, job, incoming.file)
    there = await own_campaign(here, caller, name)
    return json_response(
        {
            "campaign": told_of(there),
            "suppressed": there.progress.statuses.get(Status.SUPPRESSED, 0),
            "rejects": [{"line": each.line, "reason": each.reason} for each in job.rejects[:SHOWN]],
        }
    )


@dataclass(frozen=True, slots=True)
class Job:
    """One import."""

    here: Context
    rules: "Rules"
    campaign: str
    fields: "CampaignFields"
    senders: "Sequence[str]"
    """Those that rows may name; empty: any."""
    rejects: "list[Rejected]" = field(default_factory=list)
    """The first ones; their recipients are told to nobody."""

    def run(self, descriptor: int, producer: Importing, check: "Callable[[], None]") -> "Imported":
        """Import an open file, and close it; calls `check` now and then."""
        fields: CampaignFields = {**self.fields, "on_progress": lambda _: check()}
        with os.fdopen(descriptor, "rb") as file:
            return producer.carry_out(
                steering.enroll(
                    self.here.limits,
                    self.rules,
                    self.campaign,
                    file,
                    fields,
                    senders=self.senders,
                    on_rejected=self._hear,
                )
            )

    def _hear(self, rejected: "Sequence[Rejected]") -> None:
        self.rejects.extend(rejected[: SHOWN - len(self.rejects)])


async def _import(imports: Imports, job: Job, file: IO[bytes]) -> None:
    descriptor = os.dup(file.fileno())  # the thread's own: it may outlive the request
    await imports.run(job.here.ending, lambda producer, check: job.run(descriptor, producer, check))


def _format(request: Request) -> str:
    """Return what the body is, as its headers say; raises ProblemError."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refuse("unsupported-media-type", "a compressed body is not taken", "Content-Encoding")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMATS:
        raise refuse("unsupported-media-type", f"write one of {', '.join(_FORMATS)}", "Content-Type")
    return _FORMATS[kind]


async def _receive(request: Request, here: Context, file: Incoming) -> None:
    """Write the body to the file; raises ProblemError where it is too large, stalls, or is cut off."""
    exchange = exchange_of(request.scope)
    exchange.most = min(here.settings.api_upload_most, here.settings.api_disk_most)
    exchange.seconds = LONGEST
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told[:20]) <= exchange.most:
        file.expect(int(told))
    body = request.stream().__aiter__()
    try:
        while (piece := await _next(body)) is not None:
            await file.add(piece)
        await file.finish()
    except ClientDisconnect:
        raise refuse("malformed-request", "the body did not come whole") from None


async def _next(body: Any) -> bytes | None:
    try:
        async with asyncio.timeout(STALL):
            piece: bytes = await anext(body)
            return piece
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise refuse("request-too-slow", f"nothing of the body came for {STALL:g} s") from None
