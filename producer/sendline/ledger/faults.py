"""What Redis' errors mean to a person: one clear line each, without the password of the URL."""

from urllib.parse import unquote, urlsplit

from redis import exceptions

from sendline.contract.errors import LedgerError, LedgerRefused, LedgerUnavailable


def place(url: str) -> str:
    """Return where `url` points, without user, password and options."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    return f"{parts.hostname}:{parts.port or 6379}"


def explain(error: Exception, url: str) -> LedgerError:
    """Return what `error`, raised by redis-py, means."""
    while isinstance(error.__cause__, exceptions.RedisError):
        error = error.__cause__  # what redis-py's async connection wraps as a ConnectionError
    where = f"Redis at {place(url)}"
    text = str(error)
    if isinstance(error, exceptions.AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return LedgerRefused(f"{where} refuses the user or password of redis_url")
    if isinstance(error, exceptions.BusyLoadingError):
        return LedgerUnavailable(f"{where} is still loading its data; try again")
    if isinstance(error, exceptions.ReadOnlyError):
        return LedgerRefused(f"{where} is a replica; redis_url must name the primary")
    if isinstance(error, exceptions.TimeoutError):
        return LedgerUnavailable(f"{where} did not answer in time (redis_timeout)")
    if isinstance(error, exceptions.ConnectionError | OSError):
        return LedgerUnavailable(f"{where} can't be reached: is it running, and is redis_url right?")
    if isinstance(error, exceptions.OutOfMemoryError) or text.startswith("OOM"):
        return LedgerRefused(f"{where} is out of memory (maxmemory); nothing was accepted")
    if isinstance(error, exceptions.NoPermissionError) or text.startswith("NOPERM"):
        return LedgerRefused(f"{where} does not permit the user of redis_url what Sendline needs")
    if text.startswith("MISCONF"):
        return LedgerRefused(f"{where} can't write to its disk; see its log")
    return LedgerRefused(f"{where} answered: {text[:200]}")
