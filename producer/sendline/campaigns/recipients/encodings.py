"""Which encoding a file's bytes are in, and their text: what is no text becomes a mark, no other letter."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from charset_normalizer import from_bytes

from sendline.campaigns.recipients.columns import shown
from sendline.contract.errors import InvalidCampaign

MARK: Final = "\udfff"
"""Stands in a text where bytes were no text. No text holds it by itself: it is half a surrogate pair."""

_BOM: Final = "\ufeff"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED: Final = (
    ((True, False, False, False), "utf-32-le"),
    ((False, False, False, True), "utf-32-be"),
    ((True, False, True, False), "utf-16-le"),
    ((False, True, False, True), "utf-16-be"),
)
"""Which of the first four bytes are not 0 where a file begins with ASCII (as in RFC 4627, section 3)."""
_BINARY: Final = (
    (b"PK\x03\x04", "a zip or Excel file; save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel or Word file; save it as CSV"),
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"BZh91AY&SY", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ", "an xz file; unpack it first"),
    (b"(\xb5/\xfd", "a zstd file; unpack it first"),
    (b"%PDF-", "a PDF; save its table as CSV"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"PAR1", "a Parquet file; call it .parquet, or say that its format is parquet"),
)
_NOT_OF_FILES: Final = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
_GUESSED: Final = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "cp932", "cp949", "big5", "euc_jp", "gb18030", "koi8_r", "koi8_u", "mac_roman",
]  # fmt: skip
_USUAL: Final = "cp1252"
_NOT_OF_TEXT: Final = re.compile("\0|\x1b[$(]")
"""A NUL; an escape by which encodings of 7 bits (ISO-2022-JP) shift to another alphabet."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HANDLER: Final = "sendline.mark"


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec of Python. `guessed`: nobody named it, and nothing in the file tells it."""

    name: str
    guessed: bool = False


def encoding_of(head: bytes, name: str, named: str | None) -> Encoding:
    """Return the encoding of the file called `name` that begins with `head`; `named`, if somebody named it.

    Raises InvalidCampaign for an encoding that doesn't exist, and for a file that isn't text.
    """
    for magic, what in _BINARY:
        if head.startswith(magic):
            raise InvalidCampaign("recipients", f"{name} is {what}")
    found = Encoding(_checked(named, head)) if named is not None else _recognised(head, name)
    if _NOT_OF_TEXT.search(_decoded(head, found.name)):
        raise InvalidCampaign(
            "recipients", f"{name} is not text, or in another encoding: save it as CSV in UTF-8, or name it"
        )
    return found


def texts(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Decode `chunks`, without a byte order mark; NULs and what is no text become MARK."""
    decoder = codecs.getincrementaldecoder(encoding)(_HANDLER)

    def decoded() -> Iterator[str]:
        for chunk in chunks:
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

    for text in _without_bom(decoded()):
        yield text.replace("\0", MARK) if "\0" in text else text


def cleaned(chunks: Iterable[str]) -> Iterator[str]:
    """Return the text of a file that somebody opened as text in the form that `texts` has."""
    for text in _without_bom(chunks):
        whole = text if text.isascii() else _SURROGATE.sub(MARK, text)
        yield whole.replace("\0", MARK) if "\0" in whole else whole


def _without_bom(pieces: Iterable[str]) -> Iterator[str]:
    started = False
    for piece in pieces:
        if started:
            yield piece
        elif piece:
            started = True
            yield piece.removeprefix(_BOM)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return MARK, error.end
    raise error


codecs.register_error(_HANDLER, _mark)


def _decoded(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)(_HANDLER).decode(head)


def _checked(named: str, head: bytes) -> str:
    """Return the codec called `named`, if it is one that text files are written in."""
    try:
        found = codecs.lookup(named).name
        if found not in _NOT_OF_FILES and "+1,\n".encode(found).decode(found) == "+1,\n":
            return _with_order(found, head)
    except (LookupError, ValueError):
        pass
    raise InvalidCampaign("encoding", f"there is none called {shown([named])}; utf-8 and cp1252 are usual")


def _with_order(encoding: str, head: bytes) -> str:
    """Return `encoding` with the byte order of its mark, or the usual one: Python needs one of them."""
    if encoding not in {"utf-16", "utf-32"}:
        return encoding
    marked = (known for bom, known in _BOMS if known.startswith(encoding) and head.startswith(bom))
    return next(marked, f"{encoding}-le")


def _recognised(head: bytes, name: str) -> Encoding:
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return Encoding(encoding)
    for pattern, encoding in _UNMARKED:
        if pattern == tuple(map(bool, head[:4])):
            return Encoding(encoding)
    text = _decoded(head, "utf-8")
    damaged = text.count(MARK)
    if not damaged or "\0" in text:
        return Encoding("utf-8")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore")) - damaged
    if beyond_ascii > damaged:  # bytes of another encoding are hardly ever good UTF-8 by chance
        return Encoding("utf-8")
    return Encoding(_guess(head, name), guessed=True)


def _guess(head: bytes, name: str) -> str:
    """Return the likeliest encoding; the usual one where it is as likely, as it is for short names."""
    found = from_bytes(head, cp_isolation=_GUESSED)
    best = found.best()
    if best is None:
        raise InvalidCampaign(
            "recipients", f"{name} is in an encoding that can't be told: name it (--encoding)"
        )
    for match in found:
        as_good = match.chaos <= best.chaos and match.coherence >= best.coherence
        if as_good and _USUAL in match.could_be_from_charset:
            return _USUAL
    return best.encoding
