"""What is done with a campaign: start, pause, resume, cancel, send once more to whom it failed."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query

from sendline.campaigns import again, steering
from sendline.contract.draft import MAX_CAMPAIGN
from sendline.contract.errors import CampaignConflict, InvalidCampaign, UnknownCampaign
from sendline_worker.api.auth import Caller, Sending
from sendline_worker.api.campaigns import Name, demand_sender, own_campaign, rules_in_force, told_of
from sendline_worker.api.campaigns_models import Campaign
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.importing import Imports, Working
from sendline_worker.api.listing import Instant
from sendline_worker.api.problems import refuse
from sendline_worker.api.rendering import json_response
from sendline_worker.api.routing import router as make_router

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response

    from sendline.campaigns.fields import CampaignFields
    from sendline.contract.campaign import Progress
    from sendline.producer.campaign import AsyncCampaign
    from sendline.producer.plan import Plan
    from sendline_worker.api.plans import Importing

router = make_router("campaigns")


@router.post(
    "/v1/campaigns/{name}/start",
    summary="Start a campaign",
    operation_id="startCampaign",
    response_model=Campaign,
    responses=answers(404, 409),
)
async def start(
    name: Name,
    caller: Sending,
    here: Here,
    *,
    at: Annotated[
        Instant | None, Query(description="When it shall start by itself: a time with its zone.")
    ] = None,
) -> Any:
    """Let its messages go, now or at a given instant."""
    return await _steered(here, caller, name, lambda campaign: campaign.start(at))


@router.post(
    "/v1/campaigns/{name}/pause",
    summary="Pause a campaign",
    operation_id="pauseCampaign",
    response_model=Campaign,
    responses=answers(404, 409),
)
async def pause(name: Name, caller: Sending, here: Here) -> Any:
    """Let nothing more of it be sent until it is resumed; what is on the wire is settled."""
    return await _steered(here, caller, name, lambda campaign: campaign.pause())


@router.post(
    "/v1/campaigns/{name}/resume",
    summary="Resume a campaign",
    operation_id="resumeCampaign",
    response_model=Campaign,
    responses=answers(404, 409),
)
async def resume(name: Name, caller: Sending, here: Here) -> Any:
    """Let a paused campaign go on."""
    return await _steered(here, caller, name, lambda campaign: campaign.resume())


@router.post(
    "/v1/campaigns/{name}/cancel",
    summary="Cancel a campaign",
    operation_id="cancelCampaign",
    response_model=Campaign,
    responses=answers(404, 409),
)
async def cancel(name: Name, caller: Sending, here: Here) -> Any:
    """End it: what has not been sent is not sent any more."""
    return await _steered(here, caller, name, lambda campaign: campaign.cancel())


@router.post(
    "/v1/campaigns/{name}/retry",
    summary="Send once more to whom it failed",
    operation_id="retryCampaign",
    status_code=201,
    response_model=Campaign,
    responses=answers(403, 404, 409, 507),
)
async def retry(
    name: Name,
    caller: Sending,
    here: Here,
    imports: Working,
    *,
    new_name: Annotated[
        str | None,
        Query(
            pattern=rf"^[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_CAMPAIGN - 1}}}$",
            description="What it is called. Left out: NAME.2, NAME.3, ...",
            openapi_examples={"one": {"value": "black-friday-again"}},
        ),
    ] = None,
) -> Any:
    """Found a campaign for those of its messages that failed, were undelivered or expired; it is not started.

    An import that was cut off goes on when this is asked again. What went out by a sender that the key may
    not use is not sent again.
    """
    there = await own_campaign(here, caller, name)
    demand_sender(caller, there.spec.sender)
    made = await _round(here, imports, caller, name, new_name)
    return json_response(
        told_of(await own_campaign(here, caller, made)), 201, {"location": f"/v1/campaigns/{made}"}
    )


async def _round(here: Context, imports: Imports, caller: Caller, name: str, new_name: str | None) -> str:
    rules = await rules_in_force(here)

    def found(made: str, fields: "CampaignFields", owner: str | None) -> "Plan[str]":
        yield from steering.create(here.limits, rules, made, fields, owner, senders=caller.key.senders)
        return made

    def make(producer: "Importing", check: "Callable[[], None]") -> str:
        plan = again.make_round(name, new_name, found, lambda _: check(), imports.room.own_file)
        return producer.carry_out(plan)

    async with imports.slot(caller.name, here.ending):
        return await imports.run(here.ending, make)


async def _steered(
    here: Context,
    caller: Caller,
    name: str,
    steer: "Callable[[AsyncCampaign], Coroutine[Any, Any, Progress]]",
) -> "Response":
    there = await own_campaign(here, caller, name)
    try:
        now = await steer(await here.producer.campaign(name))
    except (CampaignConflict, UnknownCampaign):
        raise
    except InvalidCampaign as error:  # the parameter is wrong, and the campaign is not
        raise refuse("invalid-request", error.problem, error.field) from None
    return json_response({**now.to_dict(), "owner": there.owner})
