"""How the URL of an endpoint is written: a `callback_url` of a message or of an account. Pure.

Where it leads is judged when it is called: names are looked up then, and `webhook_allow` counts there.
"""

import ipaddress
import re
import unicodedata
from typing import Final

MAX_URL: Final = 1000

_SHAPE: Final = re.compile(
    r"https?://(\[(?P<literal>[0-9a-f:.]+)\]|(?P<host>[^@\\/?#:\[\]]+))(:(?P<port>[0-9]{0,5}))?([/?][^#]*)?",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"(?![.-])([a-z0-9_.-]|[^\x00-\x7f]){1,255}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
_LAST_PORT: Final = 65535
_PROBLEM: Final = (
    f"must be https://host[/path] or http://..., of at most {MAX_URL} characters, "
    "without user, fragment, blanks and control characters"
)
_HOST: Final = "its host is neither a name nor an IP address as usually written: 192.0.2.7 or [2001:db8::7]"


def endpoint_url(url: str) -> str:
    """Return the URL as it is; raises ValueError, one line that does not quote it."""
    found = _SHAPE.fullmatch(url) if len(url) <= MAX_URL and url.isprintable() and " " not in url else None
    if found is None or int(found["port"] or 0) > _LAST_PORT:
        raise ValueError(_PROBLEM)
    if not (_is_ipv6(found["literal"]) if found["literal"] else _is_host(found["host"])):
        raise ValueError(_HOST)
    return url


def _is_host(host: str) -> bool:
    """Return whether it is a name, or an IPv4 address in the one spelling that everybody reads alike."""
    plain = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
    if _NUMBER.fullmatch(plain.rstrip(".").rpartition(".")[2]) is None:
        return _NAME.fullmatch(plain) is not None
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_ipv6(literal: str) -> bool:
    try:
        ipaddress.IPv6Address(literal)
    except ValueError:
        return False
    return True
