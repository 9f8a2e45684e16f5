"""From what an app gave the producer to settings and the ledger's URL."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sendline.settings import Settings
    from sendline.spool import Shelter


class Opened(NamedTuple):
    """What a producer works with. `url` may hold a password: never log it."""

    settings: "Settings"
    url: str


def open_settings(redis_url: str | None, settings: "Settings | None") -> Opened:
    """Return the settings in force. Raises ConfigurationError.

    The settings are imported here, when the first producer is made, to keep `import sendline` quick.
    """
    from sendline.settings import Settings, check_redis_url, ledger_url  # noqa: PLC0415

    if settings is None:
        settings = Settings.load(**({} if redis_url is None else {"redis_url": redis_url}))
    elif redis_url:
        check_redis_url(redis_url)
    return Opened(settings, redis_url or ledger_url(settings))


def open_spool(opened: Opened) -> "Shelter | None":
    """Return the spool that the settings ask for; None: they ask for none. Raises ConfigurationError."""
    if opened.settings.spool_dir is None:
        return None
    from sendline.ledger.connection import Ledger  # noqa: PLC0415 - few apps have a spool
    from sendline.spool import Shelter  # noqa: PLC0415

    return Shelter.of(opened.settings, lambda: Ledger(opened.url, timeout=opened.settings.redis_timeout))
