"""An account's options: what every adapter's options share, and how a wrong one is told."""

import ipaddress
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sendline.contract.errors import ConfigurationError
from sendline.settings import AccountSettings
from sendline.settings.sources import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails


_HOST: Final = re.compile(rb"[0-9a-z](?:[0-9a-z._-]*[0-9a-z])?|[0-9a-f:.]*:[0-9a-f:.]*")


class ProviderOptions(BaseModel):
    """The base of every adapter's options. A field's description completes `missing; put ... here`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    allow_http: bool = Field(
        default=False, description="true where http may leave this machine: a test network of your own"
    )

    @field_validator("base_url", check_fields=False)
    @classmethod
    def _is_safe(cls, base_url: str, info: ValidationInfo) -> str:
        url = httpx.URL(base_url)
        if url.scheme == "http" and not _is_loopback(url.host) and not info.data.get("allow_http"):
            raise ValueError(
                "http would send the credentials in clear; use https (http only on this machine, "
                "or with allow_http = true)"
            )
        return base_url

    @model_validator(mode="before")
    @classmethod
    def _reveal(cls, options: Any) -> Any:
        """Let an option that is no secret arrive wrapped as one."""
        if not isinstance(options, dict):
            return options
        return {
            name: value.get_secret_value()
            if isinstance(value, SecretStr) and not _is_secret(cls, name)
            else value
            for name, value in options.items()
        }


Options = TypeVar("Options", bound=ProviderOptions)


def read_options(model: type[Options], options: "Mapping[str, object]", *, name: str) -> Options:
    """Return account `name`'s options; raises ConfigurationError with the first that is wrong and its fix.

    An unknown option goes first: it may be a missing one, misspelt.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    raise ConfigurationError(_line(model, first, name))


def _line(model: type[ProviderOptions], error: "ErrorDetails", name: str) -> str:
    option = str(error["loc"][0]) if error["loc"] else ""
    where = ".".join(part for part in ("accounts", name, option) if part)
    field = model.model_fields.get(option)
    if error["type"] in {"missing", "too_short", "string_too_short"} and field is not None:
        return f"{where}: missing; put {field.description} here"
    if error["type"] == "extra_forbidden":
        return f"{where}: not an option of this provider; {_known(model, option)}"
    cause = error.get("ctx", {}).get("error")
    return f"{where}: {cause if cause is not None else error['msg'][:1].lower() + error['msg'][1:]}"


def _known(model: type[ProviderOptions], option: str) -> str:
    options, settings = sorted(model.model_fields), sorted(AccountSettings.model_fields)
    meant = did_you_mean(option, [*options, *settings])
    hint = f"{meant} " if meant.startswith("did you mean") else ""
    return f"{hint}it knows {', '.join(options)}; every account takes {', '.join(settings)}"


def _is_secret(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and "SecretStr" in str(field.annotation)


def _base_url(text: str) -> str:
    """Return `text` without a closing slash; raises ValueError with a line that says what is wrong."""
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise ValueError("not an address; it looks like https://api.example.com") from None
    if url.scheme not in {"http", "https"} or _HOST.fullmatch(url.raw_host) is None:
        raise ValueError("not an address; it looks like https://api.example.com")
    if url.userinfo:
        raise ValueError("leave the credentials out of it; they have options of their own")
    if url.query or url.fragment:
        raise ValueError("leave out what follows ? or #")
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _credential(secret: SecretStr) -> SecretStr:
    """Return `secret` stripped of a line end; raises ValueError where no header can hold it."""
    text = secret.get_secret_value().strip()
    if not text:
        raise ValueError("empty; put the credential here")
    if re.fullmatch(r"[!-~]+", text) is None:
        raise ValueError("holds characters that no header can carry: spaces, line ends or non-ASCII")
    return SecretStr(text)


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""The address of a provider's API: https, or http on this machine; no credentials, no query."""
Credential = Annotated[SecretStr, AfterValidator(_credential)]
"""A secret that goes into a header."""
