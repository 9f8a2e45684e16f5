"""Whatever ends a request early becomes a problem: ours, FastAPI's, Starlette's, and what nobody foresaw."""

from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sendline.contract.errors import SendlineError
from sendline_worker.api.problems import KINDS, Problem, ProblemError, Wrong, field_name, problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi import FastAPI, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_SLUGS: Final = {400: "malformed-request", 404: "not-found", 413: "body-too-large"}
FAULT: Final = problem("fault", "the request could not be carried out")
MOST_ERRORS: Final = 20
"""Fields that one answer names."""


def handle_errors(app: "FastAPI", routes: "Callable[[], Sequence[BaseRoute]]") -> None:
    """Let `app` answer every error with a problem; `routes` are those it has."""

    async def of_http(request: "Request", error: Exception) -> "Response":
        if isinstance(error, ProblemError):
            return error.problem.response()
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 405:  # noqa: PLR2004 - it needs the methods of all routes of its path
            allowed = ", ".join(_methods(routes(), request.scope["path"]))
            told = problem("method-not-allowed", f"this takes {allowed}", allow=allowed)
        elif status in _SLUGS:
            told = problem(_SLUGS[status], KINDS[_SLUGS[status]].title)
        else:
            told = FAULT
        return told.response()

    async def of_validation(_request: "Request", error: Exception) -> "Response":
        return invalid(error.errors() if isinstance(error, RequestValidationError) else ()).response()

    async def of_sendline(_request: "Request", error: Exception) -> "Response":
        return (problem_of(error) if isinstance(error, SendlineError) else FAULT).response()

    async def of_fault(_request: "Request", _error: Exception) -> "Response":
        return FAULT.response()

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(SendlineError, of_sendline)
    app.add_exception_handler(Exception, of_fault)


def invalid(errors: "Sequence[Any]") -> Problem:
    """Return the problem that pydantic's errors are; nothing of what was sent is in it."""
    wrong = tuple(Wrong(_where(error["loc"]), str(error["msg"])) for error in errors[:MOST_ERRORS])
    first = wrong[0] if wrong else Wrong("body", "is wrong")
    return Problem(KINDS["invalid-request"], first.detail, first.field, wrong if len(wrong) > 1 else ())


def _where(place: "Sequence[str | int]") -> str:
    """Return the name of a field as its sender knows it: ("body", 3, "to") is [3].to."""
    name = ""
    for part in place[1:]:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    if not name:
        return str(place[0]) if place else "body"
    return name if name.startswith("[") else field_name(name)


def _methods(routes: "Sequence[BaseRoute]", path: str) -> list[str]:
    found: set[str] = set()
    for route in routes:
        pattern, methods = getattr(route, "path_regex", None), getattr(route, "methods", None)
        if pattern is not None and methods and pattern.match(path):
            found |= methods
    return sorted(found)
