"""Kore.ai's "Send Outbound SMS": a sender and a recipient; the text comes from the sender's Experience Flow.

The facts, with the page of each and what no page tells, are in docs/providers.md.
"""

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote
from uuid import uuid4

import httpx
import jwt
from pydantic import Field, model_validator

from sendline.contract.accounts import Capabilities
from sendline_worker.outcomes import Accepted, AccountStopped, Outcome, Throttled, Uncertain
from sendline_worker.providers.base import Unasked, UnreadableReceipt
from sendline_worker.providers.judgement import (
    PAUSE,
    explanation,
    json_object,
    judge_by_status,
    retry_after,
    scrub,
)
from sendline_worker.providers.options import BaseUrl, Credential, ProviderOptions, read_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from sendline_worker.providers.base import Answer, Hook, Outbound, Receipt

DEFAULT_RATE: Final = 5.0
"""Messages a second: the documented 18,000 an hour for each bot, spread evenly."""
INVALID_CREDENTIALS: Final = 4002
RATE_LIMITED: Final = b"rate limit for this api has been reached"
TRIGGERED: Final = "triggered the configured experience flow"
"""How the one documented answer begins, in lower case."""
_ERROR_FIELDS: Final = ("error", "errors", "msg")
_ERROR_WORDS: Final = re.compile(
    r"\b(?:errors?|exceptions?|fail(?:ed|s|ure)?|invalid|denied|unauthori[sz]ed|forbidden|rejected|refused"
    r"|missing|unknown|unable|no|not|cannot|can't|couldn't)\b",
    re.IGNORECASE,
)
"""What makes a `message` that no page shows doubtful."""


class KoreOptions(ProviderOptions):
    """The options of an account at Kore.ai: either `jwt`, or `client_id` and `client_secret`."""

    base_url: BaseUrl = Field(description="the address of your Kore.ai platform, https://platform.kore.ai,")
    bot_id: str = Field(min_length=1, description="the BotId from the bot's general settings")
    jwt: Credential | None = Field(default=None, description="a token made beforehand")
    client_id: str | None = Field(default=None, min_length=1, description="the app's client id")
    client_secret: Credential | None = Field(default=None, description="the app's client secret")
    algorithm: Literal["HS256", "HS384", "HS512"] = Field(
        default="HS256", description="the app's signing algorithm"
    )
    jti: bool = Field(default=False, description="whether each token gets an id of its own")
    sub: str = Field(default="1234567890", min_length=1, description="the token's subject")

    @model_validator(mode="after")
    def _one_credential(self) -> "Self":
        pair = (self.client_id, self.client_secret)
        if self.jwt is not None:
            if pair != (None, None) or self.jti:
                raise ValueError("give either jwt, or client_id and client_secret (with jti if needed)")
        elif self.client_id is None:
            raise ValueError("client_id is missing; put the app's client id there, or a token into jwt")
        elif self.client_secret is None:
            raise ValueError("client_secret is missing; put the app's client secret there")
        return self


class Kore(Unasked):
    """One bot at Kore.ai."""

    def __init__(
        self, options: "Mapping[str, object]", *, name: str, not_accepted: frozenset[int] = frozenset()
    ) -> None:
        chosen = read_options(KoreOptions, options, name=name)
        self._name = name
        self._not_accepted = frozenset(not_accepted)
        self._options = chosen
        self._url = httpx.URL(f"{chosen.base_url}/api/public/bot/{quote(chosen.bot_id, safe='')}/outboundsms")
        self._token = _mint(chosen) if chosen.jwt is None else chosen.jwt.get_secret_value()

    def __repr__(self) -> str:
        return f"Kore(name={self._name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """It takes two numbers and answers a sentence: no text, no id, no receipts, nothing to ask."""
        return Capabilities(text=False, provider_id=False, receipts=False)

    @property
    def default_rate(self) -> float:
        """Messages a second where the account configures no rate."""
        return DEFAULT_RATE

    def compose(self, message: "Outbound") -> httpx.Request:
        """Return the request that starts the flow of `message.sender` for `message.to`."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "auth": _mint(self._options) if self._options.jti else self._token,
        }
        body = json.dumps({"fromNo": message.sender, "toNo": message.to}).encode()
        return httpx.Request("POST", self._url, headers=headers, content=body)

    def judge(self, answer: "Answer") -> Outcome:
        """Return what `answer` means: a 2xx JSON object with a `message` and no sign of an error is accepted.

        The rate limit's sentence decides under any status: no page tells under which one it comes.
        """
        status = answer.status
        answered = json_object(answer.body)
        faults = _faults(answered)
        said = next((text for fault in faults if (text := explanation(fault))), "")
        if any(str(fault.get("code")) == str(INVALID_CREDENTIALS) for fault in faults):
            return AccountStopped(f"{status}: {INVALID_CREDENTIALS}, the credentials are not accepted")
        if RATE_LIMITED in answer.body.lower():
            return Throttled(retry_after(answer) or PAUSE, f"{status}: the API's rate limit has been reached")
        outcome = judge_by_status(answer, not_accepted=self._not_accepted, said=said)
        if outcome is not None:
            return outcome
        if answered is None:
            return Uncertain(f"{status}: the answer is no JSON object")
        if _says_error(answered):
            return Uncertain(scrub(f"{status}: an error in an accepting answer. {said}"))
        message = answered.get("message")
        if not isinstance(message, str) or not message.strip():
            return Uncertain(f"{status}: no message in the answer")
        return Accepted()

    def read_receipts(self, hook: "Hook") -> "list[Receipt]":
        """Raise UnreadableReceipt: no page of Kore.ai's tells of a delivery callback."""
        raise UnreadableReceipt("this provider reports no deliveries")


def _mint(options: KoreOptions) -> str:
    """Return a token as the app's owner would make it: signed, without times, `appId` spelled so."""
    claims: dict[str, Any] = {"sub": options.sub, "appId": options.client_id}
    if options.jti:
        claims["jti"] = str(uuid4())
    secret = options.client_secret.get_secret_value() if options.client_secret else ""
    return jwt.encode(claims, secret, algorithm=options.algorithm)


def _says_error(answered: dict[str, Any]) -> bool:
    """Say whether a 2xx's object has a field or a word of an error, whatever else stands in it."""
    if any(name in answered for name in _ERROR_FIELDS):
        return True
    if "code" in answered and re.fullmatch(r"2\d\d", str(answered["code"])) is None:
        return True
    message = answered.get("message")
    if not isinstance(message, str) or message.strip().lower().startswith(TRIGGERED):
        return False
    return _ERROR_WORDS.search(message) is not None


def _faults(answered: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return where an error may stand: the object itself, and its `errors`."""
    if answered is None:
        return []
    errors = answered.get("errors")
    listed = errors if isinstance(errors, list) else [errors]
    return [answered, *(error for error in listed if isinstance(error, dict))]
