"""What Redis' errors mean to a person: one clear line each, without the password of the URL."""

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
    if text.startswith(("NOAUTH", "WRONGPASS", "AUTH ", "invalid password")):
        return LedgerRefused(f"{where} refuses the user or password of redis_url")
    if text.startswith("LOADING"):
        return LedgerUnavailable(f"{where} is still loading its data; try again")
    if text.startswith("BUSY "):
        return LedgerUnavailable(f"{where} is busy with a script; try again")
    if text.startswith("max number of clients"):
        return LedgerUnavailable(f"{where} takes no more connections (maxclients)")
    if text.startswith("READONLY"):
        return LedgerRefused(f"{where} is a replica; redis_url must name the primary")
    if text.startswith("OOM"):
        return LedgerRefused(f"{where} is out of memory (maxmemory); nothing was accepted")
    if text.startswith("NOPERM"):
        return LedgerRefused(f"{where} does not permit the user of redis_url what Sendline needs")
    if text.startswith("MISCONF"):
        return LedgerRefused(f"{where} can't write to its disk; see its log")
    if text.startswith("unknown command") and "FCALL" in text:
        return LedgerRefused(f"{where} is too old: Sendline needs Redis 7 or newer, or Valkey")
    return LedgerRefused(f"{where} answered: {text[:200]}")
