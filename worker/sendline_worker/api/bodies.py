"""A body as JSON, read strictly: what two readers could read in two ways is refused."""

import json
import math
from typing import TYPE_CHECKING, Any, Final

from sendline_worker.api.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON: Final = b"application/json"


class _Unclear(ValueError):
    """It is JSON, but not clear."""


def demand_json(headers: "Sequence[tuple[bytes, bytes]]") -> None:
    """Raise ProblemError unless the headers say that the body is JSON, and not compressed."""
    for name, value in headers:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise refuse("unsupported-media-type", "a compressed body is not taken", "Content-Encoding")
    written = next((value for name, value in headers if name == b"content-type"), b"")
    if written == _JSON:
        return
    kind, _, parameters = written.lower().partition(b";")
    if kind.strip() != _JSON or parameters.strip().replace(b'"', b"") not in {b"", b"charset=utf-8"}:
        raise refuse("unsupported-media-type", "write application/json, in UTF-8", "Content-Type")


def parse_json(body: bytes) -> Any:
    """Return what `body` says.

    Raises ProblemError where it is not UTF-8 or not JSON, is nested too deeply, names something twice, or
    holds a number that JSON has no word for.
    """
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        why = f"is not UTF-8, from byte {error.start} on"
    except json.JSONDecodeError as error:
        why = f"is not JSON, from character {error.pos} on"
    except _Unclear as error:
        why = str(error)
    except ValueError:
        why = "holds a number of too many digits"
    except RecursionError:
        why = "is nested too deeply"
    raise refuse("malformed-request", f"the body {why}")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unclear("names something twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Unclear("holds a number that is too large")
    return number


def _no_number(_word: str) -> float:
    raise _Unclear("holds NaN or Infinity, which JSON does not have")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_finite, parse_constant=_no_number)
