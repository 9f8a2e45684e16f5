"""What went wrong, as one clear line: `error: FIELD: what is wrong; the fix`, and the exit code."""

import errno
import json
import os
import re
from typing import Any, Final

MISTAKE: Final = 2
"""The exit code of a mistake: in the command, the configuration, or the ledger's server."""
FAULT: Final = 70
"""The exit code of a fault in Sendline itself (EX_SOFTWARE)."""
INTERRUPTED: Final = 130
CUT_OFF: Final = 141
"""Nobody reads our output any more, as for a program that SIGPIPE ends."""

_OUTPUT_LOST: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_FIELD: Final = re.compile(r"(?P<field>[\w.\[\]-]{1,80}): (?P<message>.+)", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Failure(Exception):
    """A command can't do what was asked: what commands raise to end with one line."""

    def __init__(self, field: str | None, message: str, code: int = MISTAKE) -> None:
        """`field` names what is wrong, an argument or a setting; `message` says what, and the fix."""
        super().__init__(message)
        self.field = field
        self.message = message
        self.code = code

    def line(self, *, as_json: bool) -> str:
        """Return it as it is printed, without a line end."""
        field = None if self.field is None else _CONTROL.sub(" ", self.field)
        message = _CONTROL.sub(" ", self.message).strip()
        if as_json:
            return json.dumps({"error": {"field": field, "message": message}})
        return f"error: {field}: {message}" if field else f"error: {message}"


def failure_of(error: Exception, command: str = "sendline") -> Failure | None:
    """Return what `error`, met in `command`, means to a person; None where it is a fault of ours."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing_module(error)
    if hasattr(error, "format_message"):
        return _of_usage(error, command)
    if isinstance(error, OSError) and error.errno in _OUTPUT_LOST:
        why = os.strerror(error.errno or 0).lower()
        return Failure("output", f"can't be written: {why}; make room, or write elsewhere")
    from sendline.contract.errors import SendlineError

    return _of_sendline(error) if isinstance(error, SendlineError) else None


def missing_module(error: ModuleNotFoundError) -> Failure | None:
    """Return that something is not installed; None where the module is our own."""
    name = (error.name or "").partition(".")[0]
    if not name or name.startswith("sendline"):
        return None
    return Failure(None, f"{name} is not installed; install sendline[worker]: pip install 'sendline[worker]'")


def _of_sendline(error: Exception) -> Failure:
    from sendline.contract.errors import InvalidCampaign, InvalidMessage, LedgerError, UnknownMessage

    text = str(error)
    if isinstance(error, InvalidMessage | InvalidCampaign):
        return Failure(error.field, error.problem)
    if isinstance(error, UnknownMessage):
        return Failure("id", text)
    if isinstance(error, LedgerError):
        return Failure("durability" if text.startswith("durability") else "redis_url", text)
    found = _FIELD.fullmatch(text)
    return Failure(found["field"], found["message"]) if found else Failure(None, text)


def _of_usage(error: Any, command: str) -> Failure:
    """Read one of the parser's errors by its attributes: their classes have moved between its releases."""
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx is not None else command
    option, param = getattr(error, "option_name", None), getattr(error, "param", None)
    see = f"see `{command} --help`"
    if option is not None and hasattr(error, "possibilities"):
        near = (error.possibilities or [None])[0]
        fix = f"did you mean {near}?" if near else see
        return Failure(option, f"no such option of `{command}`; {fix}")
    if option is not None:
        return Failure(option, f"needs a value; {see}" if "requires" in error.message else error.message)
    if param is not None:
        is_option = param.param_type_name == "option"
        name = param.name if is_option else str(param.metavar or param.name).lower()
        if not error.message:
            return Failure(name, f"missing; give {param.opts[0] if is_option else name.upper()}, {see}")
        message = error.message.removeprefix("Value error, ").rstrip(".")
        problem = message.replace("Input should be", "must be").partition(", unable")[0]
        return Failure(name, f"{problem}; {see}")
    extra = re.search(r"unexpected extra argument\S* \((?P<words>.*)\)", error.message, re.DOTALL)
    if extra:
        return Failure(extra["words"], f"not expected by `{command}`; quote texts with spaces, or {see}")
    return Failure(None, f"{error.message.rstrip('.')}; {see}")
