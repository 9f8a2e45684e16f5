"""A body that its sender compressed: read within the bound of any other."""

import zlib
from typing import TYPE_CHECKING, Final

from sendline_worker.receiver.exchange import BODY_MOST, BodyTooLarge

if TYPE_CHECKING:
    from starlette.types import Scope

TAKEN: Final = b"gzip, deflate"
"""The encodings that are read, as Accept-Encoding names them."""
_ZLIB, _RAW, _GZIP = 15, -15, 31  # zlib's words for the three formats
_FORMATS: Final = {
    b"gzip": (_GZIP,),
    b"x-gzip": (_GZIP,),
    b"deflate": (_ZLIB, _RAW),  # RFC 9110 says zlib's format; many send the bare stream
}


class UnknownEncoding(Exception):
    """The body has an encoding, or several, that we don't read."""


class NotEncoded(Exception):
    """The body is not what its encoding says."""


def decoded(scope: "Scope", body: bytes) -> bytes:
    """Return `body` as it was before its Content-Encoding; no more than BODY_MOST of it is ever made.

    Raises UnknownEncoding; BodyTooLarge where it would have more bytes; NotEncoded where it is damaged, cut
    off, or has something behind its end.
    """
    values = [value for name, value in scope["headers"] if name == b"content-encoding"]
    encoding = b",".join(values).strip().lower() if values else b""
    if not body or encoding in {b"", b"identity"}:
        return body
    formats = _FORMATS.get(encoding)
    if formats is None:
        raise UnknownEncoding
    for each in formats:
        plain = _inflated(body, each)
        if plain is not None:
            return plain
    raise NotEncoded


def _inflated(body: bytes, form: int) -> bytes | None:
    stream = zlib.decompressobj(form)
    try:
        plain = stream.decompress(body, BODY_MOST + 1)
    except zlib.error:
        return None
    if len(plain) > BODY_MOST:
        raise BodyTooLarge
    return plain if stream.eof and not stream.unused_data else None
