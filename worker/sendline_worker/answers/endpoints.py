"""The endpoints there are, and what they are called where people read of them: no login, no query."""

import re
import string
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sendline.ledger import notices

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits
    from sendline.ledger.notices import Endpoint

AT_ONCE: Final = 500
"""Endpoints that one call reads."""


def public(url: str) -> str:
    """Return a URL as it may be shown: no login, no query, and nothing that a terminal would obey."""
    scheme, slashes, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return quote(scheme + slashes + authority.rpartition("@")[2] + slash + path, safe=string.punctuation)


def label(endpoint: "Endpoint") -> str:
    """Return what a line calls the endpoint: its mark and its URL."""
    return f"endpoint {endpoint.mark} ({public(endpoint.url)})"


def read_endpoints(ledger: "Ledger", limits: "Limits", beginning: str = "") -> "list[Endpoint]":
    """Return the endpoints whose mark begins so."""
    marks = [mark for mark in ledger.run(notices.marks()) if mark.startswith(beginning)]
    parts = [marks[start : start + AT_ONCE] for start in range(0, len(marks), AT_ONCE)]
    return [each for part in parts for each in ledger.run(notices.endpoints(limits, part))]
