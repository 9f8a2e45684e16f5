"""What an answer means where its provider documents nothing else: the table of outcomes, as functions."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from sendline.contract.codes import ErrorCode
from sendline_worker.outcomes import (
    AccountStopped,
    NotAccepted,
    Outcome,
    Refused,
    Throttled,
    Uncertain,
)
from sendline_worker.providers.base import Unanswered

if TYPE_CHECKING:
    from sendline_worker.providers.base import Answer
    from sendline_worker.wire import Broken

PAUSE: Final = 1.0
"""The seconds of a pause whose length the provider does not tell, and the shortest."""
LONGEST_PAUSE: Final = 3600.0
REASON_LENGTH: Final = 120
CLIENT_ERRORS: Final = range(400, 500)

_SUCCESS: Final = range(200, 300)
_REDIRECTION: Final = range(300, 400)
_SCRUBBED: Final = 1000
"""The characters of a provider's text that are looked at."""
_NUMBER: Final = re.compile(r"\+?\d(?:[ ().\-]{0,2}\d){4,}")
_STATUS: Final = re.compile(r"\d{3}(?=: )", re.ASCII)
_CODE: Final = re.compile(r"\d{3,}")
_SHARED: Final = 8
"""A run of the text of as many characters is a part of it, not a word that happens to be in both."""
_SHORTEST: Final = 3
_TOKEN: Final = re.compile(r"[\w.+/=\-]{24,}")
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_WHY: Final = ("message", "error", "msg", "reason", "description", "detail")
_STOPPED: Final = {
    401: "the credentials are not accepted",
    402: "payment is required",
    403: "the account may not do this",
}
_NOT_PROCESSED: Final = {
    408: "the provider waited too long for the request",
    425: "the provider does not process it yet",
    503: "the provider is unavailable",
}


def judge_broken(broken: "Broken") -> Outcome:
    """Return the outcome of a call that brought no answer: the wire flag decides."""
    return Uncertain(broken.reason) if broken.on_wire else NotAccepted(broken.reason)


def judge_by_status(
    answer: "Answer", *, not_accepted: frozenset[int] = frozenset(), said: str = ""
) -> Outcome | None:
    """Return what the status alone says, or None for a 2xx, which only its adapter can read.

    `not_accepted` are statuses of which the account's owner knows that nothing was accepted. `said` is the
    provider's own explanation; it is scrubbed here.
    """
    status = answer.status
    if status in _SUCCESS:
        return None
    pause = retry_after(answer)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and pause is not None
    ):
        return Throttled(PAUSE if pause is None else pause, _reason(status, "slow down", said))
    if status in not_accepted:
        return NotAccepted(_reason(status, "known to be not accepted", said))
    if status in _NOT_PROCESSED:
        return NotAccepted(_reason(status, _NOT_PROCESSED[status], said))
    if status in _STOPPED:
        return AccountStopped(_reason(status, _STOPPED[status], said))
    if status in _REDIRECTION:
        return AccountStopped(f"{status}: a redirect, so a wrong base_url")
    if status in CLIENT_ERRORS:
        return Refused(ErrorCode.REJECTED, _reason(status, "refused", said))
    return Uncertain(_reason(status, "no answer that says whether it was accepted", said))


def unanswered(answer: "Answer") -> Unanswered | None:
    """Return why `answer` to an inquiry tells nothing, or None for a 2xx, which only its adapter can read.

    None of the provider's own words are in it: they could repeat what was asked for.
    """
    outcome = judge_by_status(answer)
    if outcome is None:
        too_long = answer.truncated
        return Unanswered(f"{answer.status}: longer than what is read of an answer") if too_long else None
    if isinstance(outcome, Throttled):
        return Unanswered(outcome.reason, pause=outcome.retry_after)
    if isinstance(outcome, NotAccepted | AccountStopped):
        return Unanswered(outcome.reason)
    return Unanswered(f"{answer.status}: no answer to what was asked")


def retry_after(answer: "Answer") -> float | None:
    """Return the seconds that the answer asks to wait, within 1 to 3600; None where it says nothing readable.

    A date is taken against the answer's own Date, and against our clock only where there is none.
    """
    value = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        until, now = _date(value), _date(answer.headers.get("date", ""))
        if until is None:
            return None
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, PAUSE), LONGEST_PAUSE)


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that `body` is, or None where it is anything else."""
    try:
        value = from_json(body)
    except ValueError:
        value = _lenient(body)
    return value if isinstance(value, dict) else None


def _lenient(body: bytes) -> Any:
    """Return what Python's own reader makes of `body`: it is slower, but takes lone surrogates and UTF-16."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def explanation(answered: dict[str, Any] | None) -> str:
    """Return the provider's own words for what went wrong, from the fields where providers put them."""
    if answered is None:
        return ""
    inner = [value for name in _WHY if isinstance(value := answered.get(name), dict)]
    texts = (table.get(name) for table in (answered, *inner) for name in _WHY)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def scrub(text: str) -> str:
    """Return `text` as one short line without numbers of five and more digits, tokens or control characters.

    Digits count as one number across spaces, dots, dashes and brackets, as people write phone numbers.
    """
    line = text[:_SCRUBBED]
    if not line.isprintable():
        line = "".join(character if character.isprintable() else " " for character in line)
    line = _NUMBER.sub("#", _TOKEN.sub("#", line))
    line = " ".join(line.split())
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1] + "…"


def without(reason: str, text: str | None) -> str:
    """Return `reason` without what it repeats of the message's `text`.

    If they share 8 characters in a row, or `reason` holds a whole text of 3 to 7, only the status at its
    beginning is left, or `#` where there is none. Else each number of three and more digits that is in the
    text too is masked. Capitals and the kind of white space make no difference.
    """
    if not text:
        return reason
    found = _STATUS.match(reason)
    status = found.group() if found else ""
    words = reason[len(status) :]
    joined = re.sub(r"(?<=\d)[ .\-](?=\d)", "", text)
    masked = _CODE.sub(lambda run: "#" if run[0] in text or run[0] in joined else run[0], words)
    if any(_share(told, text) for told in (words, status + words, masked, status + masked)):
        return status or "#"
    return status + masked


def _share(told: str, text: str) -> bool:
    return _overlap(told, text) or _overlap(_folded(told), _folded(text))


def _overlap(told: str, text: str) -> bool:
    length = min(_SHARED, len(text))
    return length >= _SHORTEST and any(
        told[start : start + length] in text for start in range(len(told) - length + 1)
    )


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _reason(status: int, meaning: str, said: str) -> str:
    said = scrub(said)
    text = f"{status}: {said or meaning}"
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"


def _date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else None
