"""The entry point: finds the command, runs it, and turns whatever happens into an exit code."""

import os
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sendline_worker.cli.failures import CUT_OFF, FAULT, INTERRUPTED, Failure, failure_of
from sendline_worker.cli.table import known, module_of, nearest, overview

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run `sendline` with `arguments` (those of the process) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        try:
            code = _run(words)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain(Failure(None, "interrupted", INTERRUPTED), as_json=as_json)
    except BrokenPipeError:
        return _go_quietly()
    except Exception as error:  # noqa: BLE001 - a mistake is told in one line, whatever raised it
        failure = failure_of(error, f"sendline {words[0]}" if words else "sendline")
        if failure is None:
            traceback.print_exception(error)
            return FAULT
        return _complain(failure, as_json=as_json)
    return code


def _run(words: list[str]) -> int:
    if not words or words[0] in {"--help", "-h", "help"}:
        sys.stdout.write(overview())
        return 0
    if words[0] == "--version":
        sys.stdout.write(f"sendline {_version()}\n")
        return 0
    name, *rest = words
    module = module_of(name)
    if module is None:
        raise _unknown(name)
    return _call(name, import_module(module), rest)


def _call(name: str, module: Any, words: list[str]) -> int:
    import typer

    command = typer.main.get_command(module.app)
    _check_given(name, command, words)
    try:
        with command.make_context(f"sendline {name}", words) as context:
            code = command.invoke(context)
    except typer.Exit as end:
        code = end.exit_code
    except (typer.Abort, EOFError):
        raise KeyboardInterrupt from None
    return int(code or 0)


def _check_given(name: str, command: Any, words: list[str]) -> None:
    """Refuse a family of commands of which none is given, where it means nothing alone."""
    family = list(getattr(command, "commands", ()))
    if not family or command.invoke_without_command or [word for word in words if word != "--json"]:
        return
    raise Failure("command", f"missing; give {' or '.join(family)}, see `sendline {name} --help`")


def _unknown(word: str) -> Failure:
    if word.startswith("-"):
        if word.partition("=")[0] in {"--json", "--config"}:
            return Failure(word, f"options come after the command: sendline COMMAND {word}")
        near = nearest(word, ["--help", "--version"])
        fix = f"did you mean {near}?" if near else "options come after the command, see `sendline --help`"
        return Failure(word, f"no such option of `sendline`; {fix}")
    near = nearest(word, known())
    return Failure(word, f"no such command; {f'did you mean {near}?' if near else 'see `sendline --help`'}")


def _complain(failure: Failure, *, as_json: bool) -> int:
    try:
        sys.stderr.write(failure.line(as_json=as_json) + "\n")
    except BrokenPipeError:
        return _go_quietly()
    return failure.code


def _go_quietly() -> int:
    """Leave Python nothing to complain of when it flushes at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return CUT_OFF


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sendline")
    except PackageNotFoundError:
        return "of a source tree that is not installed"
