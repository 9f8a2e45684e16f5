"""The configuration of accounts and routes. Which options a provider knows, its adapter says."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sendline.contract.endpoints import endpoint_url
from sendline.settings import checks

Name = Annotated[str, AfterValidator(checks.name)]
Prefix = Annotated[str, AfterValidator(checks.prefix)]
Sender = Annotated[str, AfterValidator(checks.sender)]
FailureStatus = Annotated[int, Field(ge=400, le=599)]
TimeZone = Annotated[str, AfterValidator(checks.time_zone)]
Network = Annotated[str, AfterValidator(checks.network)]
WebhookUrl = Annotated[str, AfterValidator(endpoint_url)]
SharedSecret = Annotated[SecretStr, AfterValidator(checks.not_blank)]
Login = Annotated[SecretStr, AfterValidator(checks.login)]
HeaderName = Annotated[str, AfterValidator(checks.header_name)]
Weight = Annotated[int, BeforeValidator(checks.not_a_truth), Field(ge=0, le=1000)]


class SignatureSettings(BaseModel):
    """How a provider signs what it reports: an HMAC in a header."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret: Annotated[tuple[SharedSecret, ...], BeforeValidator(checks.listed_secrets)] = Field(
        min_length=1, max_length=4, description="The secret that the provider shows; all of them verify."
    )
    header: HeaderName = Field(description="The header that holds the signature.")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(
        default="sha256", description="The hash of the HMAC."
    )
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    prefix: Annotated[str, Field(max_length=32)] = Field(
        default="", description="What stands before it in its header, such as sha256=."
    )
    signs: Annotated[str, AfterValidator(checks.signed_parts)] = Field(
        default="{body}",
        max_length=100,
        description="What is signed: a text with {body} and perhaps {timestamp}, {nonce} or {url}.",
    )
    timestamp_header: HeaderName | None = Field(
        default=None, description="The header that says when it was signed: seconds, or ms, since 1970."
    )
    nonce_header: HeaderName | None = Field(default=None, description="The header that holds {nonce}.")
    tolerance: float = Field(
        default=300.0, ge=1, le=3600, description="How old, or how far ahead, a signed time may be: seconds."
    )

    @model_validator(mode="after")
    def _has_its_parts(self) -> "SignatureSettings":
        for part, header in (("timestamp", self.timestamp_header), ("nonce", self.nonce_header)):
            if f"{{{part}}}" in self.signs and header is None:
                raise ValueError(f"signs has {{{part}}}, but no {part}_header says where that is; add it")
            if header is not None and f"{{{part}}}" not in self.signs:
                raise ValueError(f"{part}_header has no meaning while signs lacks {{{part}}}; add it there")
        return self


class AccountSettings(BaseModel):
    """One account at one provider. Keys that Sendline does not know are kept for its adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    provider: Name = Field(description="The name of the account's provider, as `sendline check` lists them.")
    senders: Annotated[tuple[Sender, ...], BeforeValidator(checks.listed)] = Field(
        default=(),
        max_length=10_000,
        repr=False,
        description="The senders it may use; the first is the default. Empty: any that a message names.",
    )
    rate: float | None = Field(
        default=None,
        ge=1e-5,
        le=10_000,
        description=(
            "Messages (segments with rate_unit = segments) a second. Default: what the provider allows."
        ),
    )
    rate_unit: Literal["messages", "segments"] = Field(
        default="messages", description="What all of its limits count, but for in_flight."
    )
    burst: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Messages that may go at once after a pause. Default: from rate.",
    )
    daily_cap: int | None = Field(
        default=None, ge=1, le=10_000_000, description="The most it sends in a day. Default: no bound."
    )
    time_zone: TimeZone = Field(
        default="UTC", description="Whose midnight begins a day, such as Europe/Berlin, for the daily caps."
    )
    sender_rate: float | None = Field(
        default=None,
        ge=1e-5,
        le=10_000,
        description="The same as rate, for each of its senders. Default: no bound but the account's.",
    )
    sender_burst: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="The same as burst, for each sender. Default: 1.",
    )
    sender_daily_cap: int | None = Field(
        default=None, ge=1, le=10_000_000, description="The same as daily_cap, for each sender."
    )
    in_flight: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Calls at the same time, in all workers. Default: as many as there are connections.",
    )
    on_uncertain: Literal["hold", "resend"] | None = Field(
        default=None,
        description="What becomes of perhaps accepted messages. Default: resend for urgent, else hold.",
    )
    not_accepted: Annotated[tuple[FailureStatus, ...], BeforeValidator(checks.listed)] = Field(
        default=(),
        max_length=200,
        description="Further HTTP statuses by which this provider surely did not accept a message.",
    )
    receipts: bool | None = Field(
        default=None, description="Whether deliveries are reported. Default: what the provider can."
    )
    receipt_time: float = Field(
        default=600.0,
        ge=1,
        le=7 * 86_400,
        description="Seconds in which deliveries are normally reported; behind that its provider is asked.",
    )
    receipts_from: Annotated[tuple[Network, ...], BeforeValidator(checks.listed)] = Field(
        default=(),
        max_length=100,
        description="The addresses and networks that its provider reports from. Empty: any.",
    )
    receipts_login: Annotated[tuple[Login, ...], BeforeValidator(checks.listed_secrets)] = Field(
        default=(),
        max_length=4,
        description="user:password that its provider reports with (HTTP Basic); any of them is taken.",
    )
    receipts_signature: SignatureSettings | None = Field(
        default=None, description="How its provider signs what it reports."
    )
    callback_url: WebhookUrl | None = Field(
        default=None,
        max_length=1000,
        repr=False,
        description="Your app's endpoint: told of its messages (that name none) and of what comes in.",
    )
    options: dict[str, object] = Field(
        default_factory=dict, description="The provider's own options; every text in it is a SecretStr."
    )

    @field_validator(
        *("rate", "burst", "daily_cap", "sender_rate", "sender_burst", "sender_daily_cap", "in_flight"),
        mode="before",
    )
    @classmethod
    def _no_truth(cls, value: Any) -> Any:
        return checks.not_a_truth(value)

    @field_validator("sender_burst")
    @classmethod
    def _needs_a_rate(cls, burst: int | None, others: ValidationInfo) -> int | None:
        if burst is not None and others.data.get("sender_rate", 0) is None:
            raise ValueError("has no meaning without sender_rate; set that too, or remove this")
        return burst

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        known = {key: value for key, value in data.items() if key in cls.model_fields}
        given = known.pop("options", {})
        if not isinstance(given, Mapping):
            raise ValueError("options: must be a table; or write the options beside provider")  # noqa: TRY004
        others = {key: value for key, value in data.items() if key not in cls.model_fields}
        return {**known, "options": _conceal({**given, **others})}


class RouteSettings(BaseModel):
    """Which accounts may carry what goes to numbers with this prefix, in order of preference."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: Prefix = Field(description="The beginning of the recipients' numbers; the longest that fits wins.")
    accounts: Annotated[tuple[str, ...], BeforeValidator(checks.listed)] = Field(
        min_length=1, max_length=100, description="Names of accounts, in order of preference."
    )
    weights: Annotated[tuple[Weight, ...], BeforeValidator(checks.listed)] = Field(
        default=(),
        max_length=100,
        description=(
            "One for each account: messages are spread over them in these proportions, and the others follow "
            "in order; 0: only when the others can't. Default: the first account carries what it can."
        ),
    )

    @field_validator("accounts")
    @classmethod
    def _each_once(cls, accounts: tuple[str, ...]) -> tuple[str, ...]:
        return checks.each_once(accounts)

    @field_validator("weights")
    @classmethod
    def _one_for_each(cls, weights: tuple[int, ...], others: ValidationInfo) -> tuple[int, ...]:
        accounts = others.data.get("accounts")
        if weights and accounts is not None and len(weights) != len(accounts):
            raise ValueError(
                f"{len(weights)} of them, for accounts {len(accounts)}; write one for each account"
            )
        if weights and not any(weights):
            raise ValueError("all are 0; give at least one account more")
        return weights


def _conceal(value: object) -> object:
    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, Mapping):
        return {key: _conceal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_conceal(item) for item in value]
    return value
