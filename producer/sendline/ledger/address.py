"""Where the ledger is, and how it is greeted: what a redis_url says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl

PORT: Final = 6379
_NO: Final = ("0", "f", "false", "n", "no")


@dataclass(frozen=True)
class Address:
    """One server. `greeting` may hold a password: it is never shown."""

    host: str = "localhost"
    port: int = PORT
    path: str | None = None
    """Of its unix socket; None: it is reached by host and port."""
    greeting: tuple[tuple[str | int, ...], ...] = field(default=(), repr=False)
    """The commands that begin every connection: password, number of the database."""
    tls: Mapping[str, str] | None = field(default=None, repr=False)
    """The options of TLS, as redis-py and Celery read them from a URL (`ssl_ca_certs` and its like)."""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Return what the checked `url` says."""
        parts = urlsplit(url)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        greeting = _greeting(
            unquote(parts.username or "") or options.get("username", ""),
            unquote(parts.password or "") or options.get("password", ""),
            options.get("db") or ("" if parts.scheme == "unix" else parts.path.strip("/")),
        )
        if parts.scheme == "unix":
            return cls(path=unquote(parts.path), greeting=greeting)
        tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
        return cls(
            unquote(parts.hostname or cls.host),
            parts.port or PORT,
            greeting=greeting,
            tls=tls if parts.scheme == "rediss" else None,
        )

    @cached_property
    def context(self) -> "ssl.SSLContext":
        """Return how TLS is spoken. Raises OSError where a file of it can't be read."""
        return _context(self.tls or {})


def _greeting(user: str, password: str, database: str) -> tuple[tuple[str | int, ...], ...]:
    commands: list[tuple[str | int, ...]] = []
    if user or password:
        commands.append(("AUTH", user, password) if user else ("AUTH", password))
    if database and int(database):
        commands.append(("SELECT", int(database)))
    return tuple(commands)


def _context(options: Mapping[str, str]) -> "ssl.SSLContext":
    import ssl  # noqa: PLC0415 - few ledgers are reached by TLS

    asked: dict[str, Any] = {
        "cafile": options.get("ssl_ca_certs"),
        "capath": options.get("ssl_ca_path"),
        "cadata": options.get("ssl_ca_data"),
    }
    context = ssl.create_default_context(**asked)
    demands = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if demands == "none" or options.get("ssl_check_hostname", "").lower() in _NO:
        context.check_hostname = False
    if demands in {"none", "optional"}:
        context.verify_mode = ssl.CERT_NONE if demands == "none" else ssl.CERT_OPTIONAL
    if "ssl_min_version" in options:
        context.minimum_version = ssl.TLSVersion(int(options["ssl_min_version"]))
    if "ssl_ciphers" in options:
        context.set_ciphers(options["ssl_ciphers"])
    if certificate := options.get("ssl_certfile"):
        context.load_cert_chain(certificate, options.get("ssl_keyfile"), options.get("ssl_password"))
    return context
