"""OpenTact's API in the three generations that its pages describe; the default is the 2021 one, C.

The facts, with the page of each and what no page tells, are in docs/providers.md.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import httpx
from pydantic import Field

from sendline.contract.accounts import Capabilities
from sendline_worker.outcomes import Accepted, Outcome, Uncertain
from sendline_worker.providers.base import Finding, UnreadableReceipt
from sendline_worker.providers.judgement import explanation, json_object, judge_by_status, scrub
from sendline_worker.providers.opentact.inbound import is_inbound, is_received, read_inbound, read_received
from sendline_worker.providers.opentact.inquiries import Inquirer
from sendline_worker.providers.opentact.receipts import provider_id_of, read_event, read_sms, table
from sendline_worker.providers.options import BaseUrl, Credential, ProviderOptions, read_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sendline_worker.providers.base import Answer, Hook, Inquiry, Outbound, Told

Auth = Literal["bearer", "jwt", "x-auth-token"]
AskedPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$")]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]

DEFAULT_RATE: Final = 4.0
"""Messages a second. OpenTact tells no limit; this is the least that a US campaign class carries."""
CALLBACK_LENGTHS: Final = range(10, 256)
_OF_SMS: Final = frozenset({"to", "from", "tn", "text", "uuid"})
"""The fields by which an object is an SMS, whose `message` is the text."""


@dataclass(frozen=True, slots=True)
class _Generation:
    """What one generation of the pages says of sending and asking."""

    path: str
    auth: Auth
    sender: str
    recipient: str
    text: str
    in_query: bool = False
    callback: str | None = None
    max_length: int | None = None
    lookup: str | None = None
    search: str | None = None


_GENERATIONS: Final = {
    "A": _Generation(
        "/rest/sms",
        "x-auth-token",
        "tn",
        "to",
        "message",
        callback="custom_callback_url",
        max_length=918,
        lookup="/rest/sms/outbound",
        search="/rest/sms/search/outbound",
    ),
    "B": _Generation("/rest/sms", "x-auth-token", "FROM", "TO", "Message", in_query=True),
    "C": _Generation("/sms/o", "bearer", "from", "to", "text"),
}


class OpenTactOptions(ProviderOptions):
    """The options of an account at OpenTact; those left None are what the generation's page says."""

    base_url: BaseUrl = Field(
        description="the address of OpenTact's API, https://api.opentact.com for generation C,"
    )
    api_key: Credential = Field(description="your OpenTact API key")
    generation: Literal["A", "B", "C"] = Field(default="C", description="which generation of the API it is")
    path: str | None = Field(default=None, pattern=r"^/[!-~]*$", description="the path of sending")
    lookup_path: AskedPath | None = Field(default=None, description="the path of the look-up, without the id")
    search_path: AskedPath | None = Field(default=None, description="the path of the search")
    auth: Auth | None = Field(default=None, description="how the key is sent")
    sender_field: FieldName | None = Field(default=None, description="the name of the sender's field")
    recipient_field: FieldName | None = Field(default=None, description="the name of the recipient's field")
    text_field: FieldName | None = Field(default=None, description="the name of the text's field")


class OpenTact:
    """One account at OpenTact."""

    def __init__(
        self, options: "Mapping[str, object]", *, name: str, not_accepted: frozenset[int] = frozenset()
    ) -> None:
        chosen = read_options(OpenTactOptions, options, name=name)
        generation = _GENERATIONS[chosen.generation]
        self._name = name
        self._not_accepted = frozenset(not_accepted)
        self._generation = generation
        self._integer_sender = chosen.generation == "A"
        self._url = httpx.URL(chosen.base_url + (chosen.path or generation.path))
        self._inquirer = Inquirer(
            _url(chosen.base_url, chosen.lookup_path or generation.lookup),
            _url(chosen.base_url, chosen.search_path or generation.search),
        )
        self._fields = (
            chosen.sender_field or generation.sender,
            chosen.recipient_field or generation.recipient,
            chosen.text_field or generation.text,
        )
        self._headers = {
            "Accept": "application/json",
            **_credentials(chosen.auth or generation.auth, chosen.api_key.get_secret_value()),
        }

    def __repr__(self) -> str:
        return f"OpenTact(name={self._name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Reference and length are documented for generation A alone; it is asked where there is a path."""
        return Capabilities(
            reference=self._generation.callback is not None,
            lookup=self._inquirer.lookup is not None,
            search=self._inquirer.search is not None,
            max_length=self._generation.max_length,
        )

    @property
    def default_rate(self) -> float:
        """Messages a second where the account configures no rate."""
        return DEFAULT_RATE

    def compose(self, message: "Outbound") -> httpx.Request:
        """Return the request that sends `message`; its sender is a number."""
        sender, recipient, text = self._fields
        if self._generation.in_query:
            values = {
                sender: _digits(message.sender),
                recipient: _digits(message.to),
                text: message.text or "",
            }
            return httpx.Request("POST", self._url.copy_merge_params(values), headers=self._headers)
        body: dict[str, Any] = {
            sender: int(_digits(message.sender)) if self._integer_sender else message.sender,
            recipient: message.to,
            text: message.text or "",
        }
        callback, url = self._generation.callback, message.callback_url
        if callback is not None and url is not None and len(url) in CALLBACK_LENGTHS:
            body[callback] = url
        headers = {**self._headers, "Content-Type": "application/json"}
        return httpx.Request("POST", self._url, headers=headers, content=json.dumps(body).encode())

    def judge(self, answer: "Answer") -> Outcome:
        """Return what `answer` means: a 2xx with payload.uuid, and no `success` but true, is accepted."""
        answered = json_object(answer.body)
        said = _explanation(answered)
        outcome = judge_by_status(answer, not_accepted=self._not_accepted, said=said)
        if outcome is not None:
            return outcome
        if answered is None:
            return Uncertain(f"{answer.status}: the answer is no JSON object")
        if answered.get("success", True) is not True:
            return Uncertain(scrub(f"{answer.status}: success is not true. {said}"))
        provider_id = provider_id_of(table(answered, "payload").get("uuid"))
        if provider_id is None:
            return Uncertain(f"{answer.status}: no readable payload.uuid in the answer")
        return Accepted(provider_id)

    def read_receipts(self, hook: "Hook") -> "Sequence[Told]":
        """Return what `hook` tells, in either of the two shapes that the pages show."""
        told = json_object(hook.body)
        if told is None:
            raise UnreadableReceipt("no JSON object")
        if "data" in told:
            data = table(told, "data")
            return read_received(data) if is_received(data) else read_event(data)
        payload, kind = table(told, "payload") if "payload" in told else told, told.get("type")
        return read_inbound(payload) if is_inbound(payload, kind=kind) else read_sms(payload, kind=kind)

    def inquire(self, inquiry: "Inquiry") -> httpx.Request | None:
        """Return the look-up or the search, where the generation has one or the account names its path."""
        return self._inquirer.compose(inquiry, self._headers)

    def judge_inquiry(self, inquiry: "Inquiry", answer: "Answer") -> Finding:
        """Return what `answer` tells: by the id or our callback URL for sure, else by what is the same."""
        return self._inquirer.judge(inquiry, answer)


def _url(base_url: str, path: str | None) -> httpx.URL | None:
    return None if path is None else httpx.URL(base_url + path)


def _credentials(auth: Auth, key: str) -> dict[str, str]:
    if auth == "x-auth-token":
        return {"X-Auth-Token": key}
    return {"Authorization": f"{'Bearer' if auth == 'bearer' else 'JWT'} {key}"}


def _explanation(answered: dict[str, Any] | None) -> str:
    """Return OpenTact's own words for what went wrong, never the text of an SMS that it shows."""
    if answered is None:
        return ""
    inner = {name: _told(value) if isinstance(value, dict) else value for name, value in answered.items()}
    return explanation(_told(inner))


def _told(values: dict[str, Any]) -> dict[str, Any]:
    if _OF_SMS.isdisjoint(values):
        return values
    return {name: value for name, value in values.items() if name != "message"}


def _digits(number: str) -> str:
    return number.removeprefix("+")
