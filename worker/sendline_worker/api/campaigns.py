"""Campaigns: founding one, and where they stand. Their recipients come by an upload of their own."""

import asyncio
import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from fastapi import Path, Query

from sendline.campaigns import steering
from sendline.contract.draft import MAX_CAMPAIGN
from sendline.contract.numbers import parse_sender
from sendline.ledger import verbs
from sendline.ledger.campaigns import founded, owner_of, read_campaign
from sendline.producer.core import rules_of
from sendline_worker.answers.campaign_estimate import about_done, plain
from sendline_worker.api.auth import Caller, Reading, Sending
from sendline_worker.api.campaigns_models import Campaigns, NewCampaign, WholeCampaign
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.plans import carry_out, in_thread
from sendline_worker.api.problems import ProblemError, refuse, unknown_campaign
from sendline_worker.api.rendering import json_response
from sendline_worker.api.routing import router as make_router

if TYPE_CHECKING:
    from sendline.campaigns.fields import CampaignFields
    from sendline.contract.draft import Rules
    from sendline.ledger.campaigns import Found

LIMIT, LIMIT_MOST = 20, 100
"""Campaigns of a page."""
EXAMINED: Final = 200
"""Campaigns that are looked at for one page, of which few may be the caller's."""
_NEWEST: Final = 2**53
_CURSOR: Final = re.compile(r"[0-9]{1,16}/[0-9]{1,9}")

router = make_router("campaigns")

Name = Annotated[
    str,
    Path(
        description=f"1 to {MAX_CAMPAIGN} letters, digits, `.`, `_` and `-`; the first is a letter or digit.",
        examples=["black-friday"],
    ),
]


@router.put(
    "/v1/campaigns/{name}",
    summary="Found a campaign",
    operation_id="foundCampaign",
    response_model=WholeCampaign,
    responses={201: {"model": WholeCampaign, "description": "It is new."}, **answers(403, 409)},
)
async def found_campaign(name: Name, asked: NewCampaign, caller: Sending, here: Here) -> Any:
    """Found a campaign of this name: 201, or 200 where this very campaign is there already.

    Nothing is sent before it has recipients and is started. The name is yours to choose, so a request whose
    answer was lost can be made again.
    """
    fields = cast(
        "CampaignFields", {key: value for key, value in asked.model_dump().items() if value is not None}
    )
    if caller.key.senders:
        fields["sender"] = _allowed(here, caller, fields.get("sender"))
    rules = await rules_in_force(here)
    is_new = await carry_out(here.ledger, steering.found(here.limits, rules, name, fields, caller.name))
    there = await own_campaign(here, caller, name)
    return json_response(_whole(there), 201 if is_new else 200)


@router.get("/v1/campaigns", summary="List campaigns", operation_id="listCampaigns", response_model=Campaigns)
async def list_campaigns(
    *,
    caller: Reading,
    here: Here,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MOST, description="Campaigns of the page, at most.")] = LIMIT,
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
) -> Any:
    """Return campaigns, the newest first: those that the key's name has founded; to an admin, all."""
    before, skip = _place(cursor)
    found: list[Found] = []
    examined = 0
    while examined < EXAMINED:
        some = await here.ledger.run(founded(before, skip, LIMIT_MOST))
        kept = await asyncio.gather(*(_read(here, caller, each) for each, _ in some))
        for (_, at), each in zip(some, kept, strict=True):
            before, skip = (before, skip + 1) if at == before else (at, 1)
            if each is not None:
                found.append(each)
            if len(found) == limit:
                return json_response(_page(found, _cursor(before, skip)))
        if len(some) < LIMIT_MOST:
            return json_response(_page(found, None))
        examined += len(some)
    return json_response(_page(found, _cursor(before, skip)))


@router.get(
    "/v1/campaigns/{name}",
    summary="Read a campaign",
    operation_id="getCampaign",
    response_model=WholeCampaign,
    responses=answers(404),
)
async def get_campaign(
    name: Name,
    caller: Reading,
    here: Here,
    *,
    estimate: Annotated[bool, Query(description="Reckon about when it will have gone.")] = False,
) -> Any:
    """Return what a campaign sends and where it stands: counts of one instant, which add up."""
    there = await own_campaign(here, caller, name)
    told = _whole(there)
    if estimate:
        about = plain(
            await in_thread(here, lambda ledger, s: about_done(ledger, s, there.spec, there.progress))
        )
        told["estimate"] = about and {**about, "because": about["because"] if caller.is_admin else None}
    return json_response(told)


async def own_campaign(here: Context, caller: Caller, name: str) -> "Found":
    """Return the campaign; raises ProblemError where it is unknown or another's, and LedgerError."""
    there = await here.ledger.run(read_campaign(name)) if _NAME.fullmatch(name) else None
    if there is None or not caller.sees(there.owner):
        raise ProblemError(unknown_campaign())
    return there


_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_CAMPAIGN - 1}}}")


async def rules_in_force(here: Context) -> "Rules":
    """Return by which rules recipients are checked; raises LedgerError, also where accepted is not kept."""
    await here.producer.refresh()
    return rules_of(here.settings, await here.ledger.run(verbs.directory()))


def told_of(there: "Found") -> dict[str, Any]:
    """Return a campaign as plain JSON types."""
    return {**there.progress.to_dict(), "owner": there.owner}


def demand_sender(caller: Caller, sender: str | None) -> None:
    """Raise ProblemError where the key may not use the sender of a campaign."""
    if caller.key.senders and sender not in caller.key.senders:
        raise refuse("sender-not-allowed", "the key may not use this sender", "sender")


def _allowed(here: Context, caller: Caller, sender: str | None) -> str:
    """Return the sender that is meant, canonical; raises ProblemError."""
    if sender is None:
        return caller.key.senders[0]
    try:
        canonical = parse_sender(sender, here.settings.default_region)
    except ValueError as error:
        raise refuse("invalid-campaign", str(error), "sender") from None
    demand_sender(caller, canonical)
    return canonical


async def _read(here: Context, caller: Caller, name: str) -> "Found | None":
    if not caller.is_admin and not caller.sees(await here.ledger.run(owner_of(name))):
        return None
    return await here.ledger.run(read_campaign(name))


def _whole(there: "Found") -> dict[str, Any]:
    return {**told_of(there), "spec": there.spec.to_plain(), "estimate": None}


def _page(found: "list[Found]", behind: str | None) -> dict[str, Any]:
    return {"campaigns": [told_of(each) for each in found], "next": behind}


def _cursor(before: int, skip: int) -> str:
    return base64.urlsafe_b64encode(f"{before}/{skip}".encode()).rstrip(b"=").decode()


def _place(cursor: str | None) -> tuple[int, int]:
    """Return the place behind a cursor: an instant (ms), and how many founded then were shown."""
    if cursor is None:
        return _NEWEST, 0
    try:
        written = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        written = ""
    if not _CURSOR.fullmatch(written):
        raise refuse(
            "invalid-request", "is none that this list gave out; leave it out to begin anew", "cursor"
        )
    before, _, skip = written.partition("/")
    return int(before), int(skip)
