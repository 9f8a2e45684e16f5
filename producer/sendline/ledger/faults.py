"""What Redis' errors mean to a person: one clear line each, without the password of the URL."""

from typing import Final
from urllib.parse import unquote, urlsplit

from sendline.contract.errors import LedgerError, LedgerRefused, LedgerUnavailable
from sendline.ledger.replies import ErrorReply, Garbled
from sendline.ledger.turns import NoTurn


class AllInUse(LedgerUnavailable):
    """Every connection of this process was in use for the whole time: that says nothing of the server."""


def place(url: str) -> str:
    """Return where `url` points, without user, password and options."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    host = parts.hostname or "localhost"
    return f"[{host}]:{parts.port or 6379}" if ":" in host else f"{host}:{parts.port or 6379}"


def explain(error: Exception, url: str) -> LedgerError:
    """Return what `error`, met on the way to the ledger or answered by it, means."""
    where = f"Redis at {place(url)}"
    if isinstance(error, ErrorReply):
        return _answered(str(error).removeprefix("ERR "), where)
    if isinstance(error, NoTurn):
        return AllInUse(f"{where} was not asked: all {error.most} connections of this process were in use")
    if isinstance(error, TimeoutError):
        return LedgerUnavailable(f"{where} did not answer in time (redis_timeout)")
    if isinstance(error, Garbled):
        return LedgerUnavailable(f"{where} does not answer as a Redis does: is redis_url right?")
    if "certificate verify failed" in str(error).lower():
        return LedgerUnavailable(f"{where} has a certificate that does not verify; see ssl_ca_certs")
    why = error.strerror if isinstance(error, OSError) and not isinstance(error, ConnectionError) else None
    why = f" ({why})" if why else ""
    return LedgerUnavailable(f"{where} can't be reached{why}: is it running, and is redis_url right?")


def _answered(text: str, where: str) -> LedgerError:
    for beginnings, kind, meaning in _ANSWERS:
        if text.startswith(beginnings):
            return kind(f"{where} {meaning}")
    return LedgerRefused(f"{where} answered: {text[:200]}")


_ANSWERS: Final[tuple[tuple[str | tuple[str, ...], type[LedgerError], str], ...]] = (
    (
        ("NOAUTH", "WRONGPASS", "AUTH ", "invalid password"),
        LedgerRefused,
        "refuses the user or password of redis_url",
    ),
    ("LOADING", LedgerUnavailable, "is still loading its data; try again"),
    ("BUSY ", LedgerUnavailable, "is busy with a script; try again"),
    ("max number of clients", LedgerUnavailable, "takes no more connections (maxclients)"),
    ("READONLY", LedgerRefused, "is a replica; redis_url must name the primary"),
    ("OOM", LedgerRefused, "is out of memory (maxmemory); nothing was accepted"),
    ("NOPERM", LedgerRefused, "does not permit the user of redis_url what Sendline needs"),
    ("MISCONF", LedgerRefused, "can't write to its disk; see its log"),
    (
        "Function not found",
        LedgerUnavailable,
        "forgot Sendline's functions right after it learned them; try again",
    ),
    (
        ("unknown command 'FCALL'", "unknown command `FCALL`"),
        LedgerRefused,
        "is too old: Sendline needs Redis 7 or newer, or Valkey",
    ),
)
