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
    field_validator,
    model_validator,
)

from sendline.settings import checks

Name = Annotated[str, AfterValidator(checks.name)]
Prefix = Annotated[str, AfterValidator(checks.prefix)]
Sender = Annotated[str, AfterValidator(checks.sender)]
FailureStatus = Annotated[int, Field(ge=400, le=599)]


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
        default=None, gt=0, le=10_000, description="Messages a second. Default: what the provider allows."
    )
    burst: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Messages that may go at once after a pause. Default: from rate.",
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
    options: dict[str, object] = Field(
        default_factory=dict, description="The provider's own options; every text in it is a SecretStr."
    )

    @field_validator("rate", "burst", "in_flight", mode="before")
    @classmethod
    def _no_truth(cls, value: Any) -> Any:
        return checks.not_a_truth(value)

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


def _conceal(value: object) -> object:
    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, Mapping):
        return {key: _conceal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_conceal(item) for item in value]
    return value
