"""The settings themselves: every field with its type, bounds, default and description."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sendline.contract import keywords
from sendline.contract.errors import ConfigurationError
from sendline.settings import bounds, checks
from sendline.settings.accounts import AccountSettings, Name, Network, Prefix, RouteSettings
from sendline.settings.explain import explain
from sendline.settings.sources import EnvironmentSource, FileSource

if TYPE_CHECKING:
    import os

HOUR = 3600.0
DAY = 24 * HOUR

RedisUrl = Annotated[SecretStr, AfterValidator(checks.redis_url)]
PublicUrl = Annotated[str, AfterValidator(checks.public_url)]
Region = Annotated[str, AfterValidator(checks.region)]
SigningKey = Annotated[SecretStr, AfterValidator(checks.long_enough)]
WebhookSecret = Annotated[SecretStr, AfterValidator(checks.webhook_secret)]
HostOrNetwork = Annotated[str, AfterValidator(checks.host_or_network)]
Keyword = Annotated[str, AfterValidator(checks.keyword)]
Port = Annotated[int, Field(ge=0, le=65535)]
Share = Annotated[float, Field(ge=0, le=0.45)]
Word = Annotated[str, Field(max_length=4096)]


class Settings(BaseSettings):
    """All that can be configured. Durations are seconds. Frozen; its repr shows no secret.

    Arguments win over SENDLINE_* variables (and SENDLINE_*_FILE), those over the configuration file.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    config: Path | None = Field(
        default=None, description="The configuration file. Default: sendline.toml here, where there is one."
    )
    redis_url: RedisUrl | None = Field(
        default=None, description="redis://, rediss:// or unix://. Default: the embedded server."
    )
    redis_timeout: float = Field(
        default=2.0, ge=0.25, le=60, description="How long a send() may take, whatever Redis does."
    )
    spool_dir: Path | None = Field(
        default=None, description="Where send() keeps messages while Redis is away. Default: it raises."
    )
    spool_most: int = Field(
        default=100_000, ge=1, le=1_000_000, description="The most messages that spool_dir holds."
    )
    durability: Literal["disk", "memory"] = Field(
        default="disk", description="disk: accepted means on disk; a Redis that can't do that is refused."
    )
    public_url: PublicUrl | None = Field(
        default=None, description="Where providers reach the receiver: https, or http on this machine."
    )
    secret_key: Annotated[tuple[SigningKey, ...], BeforeValidator(checks.listed_secrets)] = Field(
        default=(), max_length=16, description="Signs our tokens: the first signs, all verify."
    )
    default_region: Region | None = Field(
        default=None, description="Reads numbers written without +, such as US."
    )
    only_to: Annotated[tuple[Prefix, ...], BeforeValidator(checks.listed)] = Field(
        default=(), max_length=1000, description="Recipients must begin with one of these. Empty: anybody."
    )
    valid_for: float = Field(
        default=72 * HOUR, ge=1, le=30 * DAY, description="How long a message may wait before it expires."
    )
    urgent_valid_for: float = Field(default=600.0, ge=1, le=30 * DAY, description="The same for urgent ones.")
    deadline: float = Field(
        default=72 * HOUR, ge=1, le=30 * DAY, description="After this, sent and uncertain messages are final."
    )
    retention: float = Field(
        default=30 * DAY, ge=1, le=400 * DAY, description="How long final messages are kept."
    )
    idempotency_ttl: float = Field(
        default=24 * HOUR, ge=1, le=30 * DAY, description="How long an idempotency key is remembered."
    )
    events_kept: int = Field(
        default=200_000, ge=100, le=10_000_000, description="Events kept for `events()`; the oldest go first."
    )
    max_attempts: int = Field(default=12, ge=1, le=20, description="Attempts to send one message.")
    retry_base: float = Field(
        default=2.0, ge=0.01, le=HOUR, description="The wait before the second attempt."
    )
    retry_max: float = Field(default=600.0, ge=0.01, le=DAY, description="The longest wait between attempts.")
    processes: int | None = Field(
        default=None, ge=1, le=256, description="Worker processes. Default: one per core."
    )
    connections: int = Field(
        default=100, ge=1, le=1000, description="Connections to providers, in each worker process."
    )
    call_timeout: float = Field(
        default=float(bounds.LONGEST_CALL),
        ge=0.1,
        le=bounds.LONGEST_CALL,
        description="How long one call to a provider may take.",
    )
    lease: float = Field(
        default=float(bounds.LEASE),
        gt=bounds.TASK_TIME_LIMIT,
        lt=bounds.VISIBILITY_TIMEOUT,
        description="How long a worker's claim on a message holds.",
    )
    normal_share: Share = Field(
        default=0.05,
        description="The part of each account's rate that normal messages get however many urgent ones wait.",
    )
    bulk_share: Share = Field(
        default=0.05,
        description="The part of each account's rate that bulk messages get however many others wait.",
    )
    alert_command: Annotated[
        tuple[Word, ...], BeforeValidator(checks.command), AfterValidator(checks.runnable)
    ] = Field(
        default=(),
        max_length=64,
        repr=False,
        description="A command, with its arguments, that is told of changes of accounts: JSON on its input.",
    )
    webhook_secret: Annotated[tuple[WebhookSecret, ...], BeforeValidator(checks.listed_secrets)] = Field(
        default=(),
        max_length=4,
        description="Signs what your app is told (whsec_...); with all of them, so that one can be replaced.",
    )
    webhook_allow: Annotated[tuple[HostOrNetwork, ...], BeforeValidator(checks.listed)] = Field(
        default=(),
        max_length=100,
        description="Hosts and networks of your own that callback_url may lead to, though they are private.",
    )
    webhook_for: float = Field(
        default=24 * HOUR, ge=1, le=30 * DAY, description="How long your app is tried to be told of an event."
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(checks.listed)] = Field(
        default=(),
        max_length=100,
        description="Proxies before the receiver whose X-Forwarded-For is believed. Empty: none.",
    )
    stop_words: Annotated[tuple[Keyword, ...], BeforeValidator(checks.listed)] = Field(
        default=keywords.STOP_WORDS,
        max_length=100,
        description="Who answers with one of these gets nothing more.",
    )
    start_words: Annotated[tuple[Keyword, ...], BeforeValidator(checks.listed)] = Field(
        default=keywords.START_WORDS, max_length=100, description="Who answers with one of these does again."
    )
    help_words: Annotated[tuple[Keyword, ...], BeforeValidator(checks.listed)] = Field(
        default=keywords.HELP_WORDS, max_length=100, description="Answers that ask for help."
    )
    receiver_host: str = Field(
        default="127.0.0.1", min_length=1, max_length=253, description="Where the receiver listens."
    )
    receiver_port: Port = Field(default=8700, description="Where the receiver listens; 0 takes a free port.")
    api_host: str = Field(
        default="127.0.0.1", min_length=1, max_length=253, description="Where the HTTP API listens."
    )
    api_port: Port = Field(default=8720, description="Where the HTTP API listens; 0 takes a free port.")
    api_upload_most: int = Field(
        default=1024**3, ge=1024, le=1024**3, description="Bytes of a file that the HTTP API takes."
    )
    api_disk_most: int = Field(
        default=4 * 1024**3,
        ge=1024,
        le=1024**4,
        description="Bytes of disk that these files take together, in each process of the HTTP API.",
    )
    simulator_host: str = Field(
        default="127.0.0.1", min_length=1, max_length=253, description="Where the simulator listens."
    )
    simulator_port: Port = Field(
        default=8710, description="Where the simulator listens; 0 takes a free port."
    )
    instance: Name = Field(default="default", description="The name of the embedded server's instance.")
    state_dir: Path | None = Field(
        default=None, description="Where instances keep their data. Default: the user's state directory."
    )
    accounts: dict[Name, AccountSettings] = Field(
        default_factory=dict, max_length=1000, description="The accounts, by their names."
    )
    routes: tuple[RouteSettings, ...] = Field(
        default=(), max_length=1000, description="Which accounts carry what. Empty: all accounts carry all."
    )

    def __init__(self, **overrides: Any) -> None:
        """Read all sources; raise ConfigurationError. An override of None counts as not given."""
        given = {key: value for key, value in overrides.items() if value is not None}
        try:
            super().__init__(**given)
        except ValidationError as error:
            problem = explain(error, type(self), given)
        else:
            return
        raise ConfigurationError(problem)

    @classmethod
    def load(cls, config: "str | os.PathLike[str] | None" = None, **overrides: Any) -> Self:
        """Return the settings of this process; `config` names the file. Raises ConfigurationError."""
        return cls(config=config, **overrides)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - knows no unknown variables, no *_FILE
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        return init_settings, EnvironmentSource(settings_cls), FileSource(settings_cls)

    @classmethod
    def _settings_log_debug(cls, states: dict[str, dict[str, Any]]) -> None:
        """Log nothing: what pydantic-settings logs here under PYDANTIC_SETTINGS_DEBUG holds our secrets."""

    @property
    def state_path(self) -> Path:
        """The directory under which every instance has its own."""
        return (self.state_dir or platformdirs.user_state_path("sendline")).expanduser().absolute()

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any) -> Any:
        return checks.not_a_truth(value)

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.retry_base > self.retry_max:
            raise ValueError("retry_base: longer than retry_max; lower it, or raise retry_max")
        words = (self.stop_words, self.start_words, self.help_words)
        if keywords.Keywords(*map(frozenset, words)).is_stop_contested:
            raise ValueError(
                "stop_words: a word of them is in start_words or help_words, too; leave it in one"
            )
        if self.idempotency_ttl > self.retention:
            raise ValueError("idempotency_ttl: longer than retention; lower it, or raise retention")
        checks.unique((route.to for route in self.routes), "routes: one `to`")
        for index, route in enumerate(self.routes):
            for account in route.accounts:
                if self.accounts and account not in self.accounts:
                    raise ValueError(
                        f"routes[{index}].accounts: {account[:32]} is not one of the configured accounts "
                        f"({', '.join(list(self.accounts)[:10])}); correct it, or add it"
                    )
        return self
