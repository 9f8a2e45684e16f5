"""Accounts, for admins: how they stand, other limits, a pause."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query

from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import adjust, halt
from sendline.ledger.accounts import resume as let_go_on
from sendline.ledger.limits import Limits
from sendline_worker.answers.adjusting import bounds_of, has_meaning, is_within, why_unknown
from sendline_worker.answers.overview import read_account, read_overview
from sendline_worker.api.accounts_models import Account, Accounts, Changes
from sendline_worker.api.auth import Admin
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.plans import in_thread
from sendline_worker.api.problems import ProblemError, refuse
from sendline_worker.api.rendering import json_response
from sendline_worker.api.routing import router as make_router

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from sendline.ledger.call import Call
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

REASON_MOST = 120

router = make_router("accounts")

Name = Annotated[str, Path(description="The name of an account.", examples=["main"])]


@router.get("/v1/accounts", summary="List the accounts", operation_id="listAccounts", response_model=Accounts)
async def list_accounts(caller: Admin, here: Here) -> Any:  # noqa: ARG001
    """Return how the accounts stand, what waits for them, and about when it will have gone."""
    return json_response(await in_thread(here, lambda *by: read_overview(*by).to_dict()))


@router.get(
    "/v1/accounts/{name}",
    summary="Read an account",
    operation_id="getAccount",
    response_model=Account,
    responses=answers(404),
)
async def get_account(name: Name, caller: Admin, here: Here) -> Any:  # noqa: ARG001
    """Return how an account stands."""
    return await _told(here, name, None)


@router.patch(
    "/v1/accounts/{name}",
    summary="Adjust an account's limits",
    operation_id="adjustAccount",
    response_model=Account,
    responses=answers(404),
)
async def adjust_account(name: Name, changes: Changes, caller: Admin, here: Here) -> Any:  # noqa: ARG001
    """Let other limits be in force than the configured ones: at once, in all workers, also after a restart.

    What is left out stays as it is; null takes an adjustment back.
    """
    asked: dict[str, float | None] = changes.model_dump(exclude_unset=True)
    if not asked:
        raise refuse("invalid-request", "name a limit: rate, burst, ...", "body")
    for limit, value in asked.items():
        if value is not None and not is_within(limit, value):
            raise refuse("invalid-request", f"must be {bounds_of(limit)}, or null", limit)

    def change(ledger: "Ledger", limits: Limits) -> "Call[bool]":
        if not has_meaning(ledger.run(account_state(name)), asked):
            raise refuse(
                "invalid-request", "has no meaning without sender_rate; give that, too", "sender_burst"
            )
        return adjust(limits, name, asked)

    return await _told(here, name, change)


@router.post(
    "/v1/accounts/{name}/pause",
    summary="Pause an account",
    operation_id="pauseAccount",
    response_model=Account,
    responses=answers(404),
)
async def pause_account(
    name: Name,
    caller: Admin,  # noqa: ARG001
    here: Here,
    *,
    reason: Annotated[
        str, Query(max_length=REASON_MOST, description="Shown to whoever asks why it is paused.")
    ] = "",
) -> Any:
    """Let it send nothing until it is resumed: its messages wait, or go by the next one of their route."""
    return await _told(here, name, lambda _, limits: halt(limits, name, reason))


@router.post(
    "/v1/accounts/{name}/resume",
    summary="Resume an account",
    operation_id="resumeAccount",
    response_model=Account,
    responses=answers(404),
)
async def resume_account(name: Name, caller: Admin, here: Here) -> Any:  # noqa: ARG001
    """Let it go on, whatever held it up: a person, a provider's pause, a stop or its circuit breaker."""
    return await _told(here, name, lambda _, limits: let_go_on(limits, name))


async def _told(
    here: Context, name: str, change: "Callable[[Ledger, Limits], Call[bool]] | None"
) -> "Response":
    """Carry out what `change` says, and return how the account stands; raises ProblemError, LedgerError."""

    def do(ledger: "Ledger", settings: "Settings") -> dict[str, Any]:
        known = why_unknown(ledger, settings, name) is None
        if change is not None and known:
            known = ledger.run(change(ledger, here.limits))
        if not known and (change is not None or name not in settings.accounts):
            raise _unknown()
        return read_account(ledger, settings, name)

    return json_response(await in_thread(here, do))


def _unknown() -> ProblemError:
    return refuse("not-found", "no account of this name is known, or no worker has published it yet")
