"""From what a request says of a message to one that is accepted, or to the problem with it."""

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.draft import MAX_KEY, Draft
from sendline.contract.errors import InvalidMessage, SendlineError, UnknownMessage
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.message import Message
from sendline.contract.numbers import parse_sender
from sendline_worker.api import rates
from sendline_worker.api.problems import Problem, ProblemError, problem, problem_of, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Scope

    from sendline_worker.api.auth import Caller
    from sendline_worker.api.context import Context

FIELDS: Final = frozenset(
    {
        "to",
        "text",
        "sender",
        "account",
        "lane",
        "idempotency_key",
        "not_before",
        "valid_for",
        "on_uncertain",
        "callback_url",
        "metadata",
    }
)
"""What a request may say of a message. A campaign is joined by its own route only."""
IDEMPOTENCY_KEY: Final = re.compile(rf"[\x20-\x7e]{{1,{MAX_KEY}}}")
"""What a key may be, in the header and in a message."""
_OF_A_DRAFT: Final = tuple(each.name for each in dataclasses.fields(Draft))
_CHOICES: Final = (("lane", Lane), ("on_uncertain", OnUncertain))
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
NO_TIME: Final = "must be a time with its zone, such as 2026-11-22T12:00:00Z"


def check(here: "Context", caller: "Caller", told: Any, key: str | None = None) -> "Draft":
    """Return the message that `told`, one object of a request, makes for `caller`.

    `key` is the idempotency key that the request's header gives it. Raises InvalidMessage, and ProblemError
    where the API key may not use its sender.
    """
    fields = _fields(told)
    if key is not None and "idempotency_key" in fields:
        raise InvalidMessage("idempotency_key", "give it here or in the header Idempotency-Key, not in both")
    if caller.key.senders:
        fields["sender"] = _own_sender(here, caller, fields.get("sender"))
    draft = here.producer.check_for(caller.name, fields, is_keyed=key is not None)
    own = key or draft.idempotency_key
    return draft if own is None else _keyed(draft, scoped(caller, own), fields)


@dataclass(frozen=True, slots=True)
class Keyed(Draft):
    """A message with an idempotency key, which stands for all that was asked: lane, time and notes, too."""

    asked: bytes = b""

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that stand for what was asked."""
        return self.asked


def _keyed(draft: "Draft", key: str, fields: "Mapping[str, Any]") -> Keyed:
    at = fields.get("not_before")
    rest = (
        draft.lane,
        draft.on_uncertain,
        draft.callback_url,
        sorted(draft.metadata.items()),
        None if at is None else at.timestamp(),  # the draft's own is 0 once it has passed
        fields.get("valid_for"),
    )
    content = draft.fingerprint + json.dumps(rest).encode()
    known = {name: getattr(draft, name) for name in _OF_A_DRAFT}
    asked = blake2b(content, digest_size=8).digest()
    return Keyed(**{**known, "idempotency_key": key, "asked": asked})


def _own_sender(here: "Context", caller: "Caller", written: Any) -> str:
    """Return the sender of a message whose key may not use every one."""
    if written is None:
        return caller.key.senders[0]
    try:
        sender = parse_sender(written, here.settings.default_region)
    except ValueError as error:
        raise InvalidMessage("sender", str(error)) from None
    if not caller.key.may_use(sender):
        raise refuse("sender-not-allowed", "the key may not use this sender", "sender")
    return sender


def scoped(caller: "Caller", key: str) -> str:
    """Return an idempotency key as the ledger knows it: no other owner's is equal, and no app's."""
    return f"\0{caller.name}\0{key}"


def _fields(told: Any) -> dict[str, Any]:
    """Return the arguments of send(); what is null is left out."""
    if not isinstance(told, dict):
        raise InvalidMessage("body", "must be an object with the fields of a message")
    if not told.keys() <= FIELDS:
        unknown = min(told.keys() - FIELDS)
        raise InvalidMessage(unknown, f"not a field of a message; known: {', '.join(sorted(FIELDS))}")
    fields = {name: value for name, value in told.items() if value is not None}
    for name, kind in _CHOICES:
        if name in fields and fields[name] not in list(kind):
            raise InvalidMessage(name, f"must be one of {', '.join(kind)}")
    key = fields.get("idempotency_key", "-")
    if not isinstance(key, str) or IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise InvalidMessage("idempotency_key", f"must be 1 to {MAX_KEY} printable ASCII characters")
    if "not_before" in fields:
        fields["not_before"] = _time(fields["not_before"])
    return fields


def _time(written: Any) -> datetime:
    if looks_like_a_time(written):
        try:
            return datetime.fromisoformat(written)
        except ValueError:
            pass
    raise InvalidMessage("not_before", NO_TIME)


def looks_like_a_time(written: Any) -> bool:
    """Return whether it is written as a date and a time with its zone; a number is none."""
    return isinstance(written, str) and _TIME.fullmatch(written) is not None


async def send_one(
    here: "Context", scope: "Scope", caller: "Caller", told: Any, key: str | None = None
) -> tuple[Message, bool]:
    """Accept one message; return it, and whether its idempotency key brought one of an earlier request.

    `told` is as POST /v1/messages takes it, `key` the idempotency key of the request's header. Raises
    ProblemError, SendlineError.
    """
    await rates.take(here, scope, caller, 1)
    await here.producer.refresh()
    draft = check(here, caller, told, key)
    [found] = await here.accepts.accept([draft])
    if isinstance(found, Message):
        return found, found.id != ids.to_text(draft.id)
    raise ProblemError(refusal_of(found))


async def accept_each(
    here: "Context", drafts: "Sequence[Draft | Problem]"
) -> list[tuple[Message, bool] | Problem]:
    """Accept those that are messages; return what became of each, and whether it is an earlier one.

    Raises LedgerError where the ledger took nothing at all.
    """
    checked = [each for each in drafts if not isinstance(each, Problem)]
    found = iter(await here.accepts.accept_parts(checked))
    answers: list[tuple[Message, bool] | Problem] = []
    for each in drafts:
        if isinstance(each, Problem):
            answers.append(each)
            continue
        one = next(found)
        replayed = isinstance(one, Message) and one.id != ids.to_text(each.id)
        answers.append((one, replayed) if isinstance(one, Message) else refusal_of(one))
    return answers


def refusal_of(error: SendlineError) -> Problem:
    """Return the problem that the ledger's refusal of one message is."""
    if isinstance(error, UnknownMessage):
        return problem(
            "idempotency-conflict",
            "the message that was first sent with this key is no longer kept; use a new key",
            "idempotency_key",
        )
    return problem_of(error)


def check_or_problem(here: "Context", caller: "Caller", told: Any, key: str | None) -> "Draft | Problem":
    """Do as check() does, and return what it raises."""
    try:
        return check(here, caller, told, key)
    except ProblemError as error:
        return error.problem
    except InvalidMessage as error:
        return problem_of(error)
