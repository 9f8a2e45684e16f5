"""Checks of single values. Each returns the canonical value or raises ValueError with one clear sentence.

No sentence quotes the value, which may be a secret, but for names of accounts.
"""

import base64
import binascii
import ipaddress
import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from phonenumbers import SUPPORTED_REGIONS
from pydantic import SecretStr

from sendline.contract import keywords
from sendline.contract.numbers import parse_sender
from sendline.settings import redis_options

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET_LENGTH: Final = 16
"""The least a signing key may have, in characters."""
WEBHOOK_SECRET_LENGTHS: Final = range(24, 65)
"""Bytes of a webhook secret, by the Standard Webhooks specification."""

KEYWORD_LENGTH: Final = 40

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_PREFIX: Final = re.compile(r"\+[0-9]{1,15}")
_TIME_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
_REDIS_URL: Final = (
    "not a URL of a Redis; write redis://[user:password@]host:6379/0, rediss://... or unix:///path "
    "(special characters of a password as %XX)"
)
_PUBLIC_URL: Final = "must be https://host[/path] (http only for this machine), without query or password"


def name(text: str) -> str:
    """Check the name of an account, a provider or an instance."""
    if _NAME.fullmatch(text) is None:
        raise ValueError(
            "names are 1 to 32 lower-case letters, digits, - and _, beginning with a letter or digit"
        )
    return text


def prefix(text: str) -> str:
    """Check the beginning of a phone number, such as +1311."""
    if _PREFIX.fullmatch(text) is None:
        raise ValueError("must be the beginning of a number: + and 1 to 15 digits, such as +1311")
    return text


def region(text: str) -> str:
    """Check a region and return it in upper case."""
    if text.upper() not in SUPPORTED_REGIONS:
        raise ValueError("not a region; write its two letters (ISO 3166), such as US or GB")
    return text.upper()


def time_zone(text: str) -> str:
    """Check the name of a time zone. UTC is known even where a machine has no time zones."""
    if text == "UTC":
        return text
    try:
        known = _TIME_ZONE.fullmatch(text) is not None and ZoneInfo(text) is not None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:
        raise ValueError(
            "not a time zone that this machine knows; write its IANA name, such as Europe/Berlin "
            "(the machine needs its tzdata, or Python's package of that name)"
        )
    return text


def sender(text: str) -> str:
    """Return the canonical sender; numbers need their country code here."""
    try:
        return parse_sender(text, None)
    except ValueError as error:
        raise ValueError(str(error).replace(" or set default_region", "")) from None


def redis_url(secret: SecretStr) -> SecretStr:
    """Check the URL of a Redis, which may hold a password."""
    url = _split(secret.get_secret_value(), _REDIS_URL)
    if url.scheme == "unix":
        good = url.path.startswith("/") and url.hostname is None
    else:
        good = url.scheme in {"redis", "rediss"} and bool(url.hostname)
        good = good and re.fullmatch(r"/?|/[0-9]{1,4}", url.path) is not None
        good = good and _can_be_looked_up(unquote(url.hostname or ""))
    if not good or url.fragment:
        raise ValueError(_REDIS_URL)
    redis_options.check(url.query)
    return secret


def public_url(text: str) -> str:
    """Check the URL at which providers reach the receiver; return it without a slash at its end."""
    url = _split(text, _PUBLIC_URL)
    allowed = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.hostname or ""))
    if not allowed or not url.hostname or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(_PUBLIC_URL)
    return text.rstrip("/")


def listed(value: Any) -> Any:
    """Read a list that was written as text, as in an environment variable: `a,b` or `["a", "b"]`."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json_list(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def command(value: Any) -> Any:
    """Read a command with its arguments, written as a shell would take it or as a list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json_list(value)
    try:
        return shlex.split(value)
    except ValueError:
        raise ValueError(
            "a quotation mark or a backslash is left open; correct it, or write a list"
        ) from None


def runnable(words: tuple[str, ...]) -> tuple[str, ...]:
    """Check that a system can run a command, as far as its words tell."""
    if words and not words[0].strip():
        raise ValueError("begins with an empty word; write the command first, then its arguments")
    if any("\0" in word for word in words):
        raise ValueError("holds a NUL character, which no command takes")
    return words


def listed_secrets(value: Any) -> Any:
    """Read one secret, one a line, or a list of them."""
    if isinstance(value, SecretStr):
        return (value,)
    if not isinstance(value, str):
        return value
    return _json_list(value) if value.lstrip().startswith("[") else value.splitlines()


def long_enough(secret: SecretStr) -> SecretStr:
    """Check the length of a signing key."""
    length = len(secret.get_secret_value().strip())
    if length < SECRET_LENGTH:
        raise ValueError(
            f"has {length} characters; use a random one of at least {SECRET_LENGTH}, "
            'such as from: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return secret


def webhook_secret(secret: SecretStr) -> SecretStr:
    """Check a secret of the Standard Webhooks: whsec_ and base64."""
    text = secret.get_secret_value().strip()
    try:
        length = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if not text.startswith("whsec_") or length not in WEBHOOK_SECRET_LENGTHS:
        raise ValueError(
            "not a webhook secret: whsec_ and 24 to 64 bytes in base64; make one: python -c "
            "\"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
        )
    return SecretStr(text)


def not_blank(secret: SecretStr) -> SecretStr:
    """Check that a secret is one: what is signed with nothing, anybody can sign."""
    if not secret.get_secret_value().strip():
        raise ValueError("empty; put the secret here")
    return secret


def login(secret: SecretStr) -> SecretStr:
    """Check what HTTP Basic takes: user:password, without a line end."""
    text = secret.get_secret_value().strip()
    user, colon, password = text.partition(":")
    if not (user and colon and password) or not text.isprintable():
        raise ValueError("must be user:password, both of printable characters")
    return SecretStr(text)


def header_name(text: str) -> str:
    """Check the name of an HTTP header and return it in lower case."""
    if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", text) is None:
        raise ValueError("not the name of a header, such as X-Signature")
    return text.lower()


def signed_parts(template: str) -> str:
    """Check the text that says what a signature is made of."""
    parts = re.findall(r"\{(.*?)\}", template)
    if "body" not in parts or not set(parts) <= {"body", "timestamp", "nonce", "url"}:
        raise ValueError("must hold {body}, and of other parts only {timestamp}, {nonce} and {url}")
    if "{" in re.sub(r"\{.*?\}", "", template) or len(set(parts)) != len(parts):
        raise ValueError("each part comes once, in braces that close, such as {timestamp}.{body}")
    return template


def network(text: str) -> str:
    """Check an IP address, or a network such as 10.0.0.0/8; return its canonical form."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("not an address or a network; write it as 72.21.26.35 or 10.0.0.0/8") from None
    return str(found)


def host_or_network(text: str) -> str:
    """Check the name of a host, an IP address or a network."""
    try:
        return network(text)
    except ValueError:
        if _HOST_NAME.fullmatch(text) is None:
            raise ValueError("not a host or a network; write it as hooks.internal or 10.0.0.0/8") from None
    return text.lower()


def keyword(text: str) -> str:
    """Check a word that people answer with; return it in upper case, its spaces single."""
    word = " ".join(text.upper().split())
    if not word or len(word) > KEYWORD_LENGTH:
        raise ValueError(f"a keyword has 1 to {KEYWORD_LENGTH} characters")
    if not keywords.folded(word):
        raise ValueError("a keyword has a letter or a digit: by these alone answers are compared")
    return word


def not_a_truth(value: Any) -> Any:
    """Refuse true and false, which Python would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must not be true or false")  # noqa: TRY004 - pydantic reports only ValueError
    return value


def unique(values: "Iterable[str]", what: str) -> None:
    """Check that no value comes twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} comes twice; leave one")
        seen.add(value)


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check that no name of an account comes twice."""
    for place, each in enumerate(names):
        unique(names[: place + 1], each if _NAME.fullmatch(each) else "a name")
    return names


def _json_list(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('begins like a JSON list and is none; write ["a", "b"]') from None


def _split(text: str, problem: str) -> SplitResult:
    """Split a URL; urlsplit's own errors may quote it."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError(problem) from None
    if re.search(r"[\s\x00-\x1f]", text):
        raise ValueError(problem)
    return url


def _can_be_looked_up(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
