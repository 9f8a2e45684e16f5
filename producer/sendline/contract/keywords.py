"""What people answer to a sender: STOP, START, HELP. The field's words; settings can name others."""

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

STOP_WORDS: Final = (
    *("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"),
    *("REVOKE", "OPTOUT", "OPT OUT", "OPT-OUT", "ARRET"),
)
"""What the CTIA's rules and the larger providers' pages name (docs/receipts.md)."""
START_WORDS: Final = ("START", "UNSTOP", "YES")
HELP_WORDS: Final = ("HELP", "INFO", "AIDE")

_AROUND: Final = re.compile(r"^[\W_]+|[\W_]+$")
_LATIN: Final = "LATIN "
"""What Unicode's names of Latin letters begin with: they are often written without their accents."""


class Keyword(StrEnum):
    """What somebody who answers asks for."""

    STOP = "stop"
    """Nothing more: the number goes on the suppression list."""
    START = "start"
    """Messages again: the number leaves that list."""
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Keywords:
    """The words in force, as `read` compares them."""

    stop: frozenset[str] = frozenset(STOP_WORDS)
    start: frozenset[str] = frozenset(START_WORDS)
    help: frozenset[str] = frozenset(HELP_WORDS)
    _spelled: dict[str, set[Keyword]] = field(init=False, repr=False, compare=False)
    _unaccented: dict[str, set[Keyword]] = field(init=False, repr=False, compare=False)
    """By the words, and by the words without accents: what they ask for."""

    def __post_init__(self) -> None:
        """Write the words as they are compared; what has no letters can't be asked for."""
        spelled: dict[str, set[Keyword]] = {}
        plain: dict[str, set[Keyword]] = {}
        for keyword in Keyword:
            words = frozenset(filter(None, map(folded, getattr(self, keyword))))
            object.__setattr__(self, keyword, words)
            for word in words:
                spelled.setdefault(word, set()).add(keyword)
                plain.setdefault(_plain(word), set()).add(keyword)
        object.__setattr__(self, "_spelled", spelled)
        object.__setattr__(self, "_unaccented", plain)

    def read(self, text: str) -> Keyword | None:
        """Return what `text` asks for: it is one of the words, however it is written.

        Accents of Latin letters may be left out, or be too many; other ones make another word.
        """
        word = folded(text)
        none: set[Keyword] = set()
        found = (
            self._spelled.get(word, none)
            | self._spelled.get(_plain(word), none)
            | self._unaccented.get(word, none)
        )
        return next((keyword for keyword in Keyword if keyword in found), None)

    @property
    def is_stop_contested(self) -> bool:
        """Whether some answer is a word for STOP and for something else, however they are written."""
        return any(Keyword.STOP in asked and len(asked) > 1 for asked in self._unaccented.values())


def folded(text: str) -> str:
    """Return `text` in upper case, its spaces single, without what is unseen or stands around its letters."""
    letters = unicodedata.normalize("NFKC", text.upper())
    seen = "".join(each for each in letters if unicodedata.category(each) != "Cf")
    return _AROUND.sub("", " ".join(seen.split()))


def _plain(word: str) -> str:
    """Return `word` without the accents of its Latin letters."""
    kept: list[str] = []
    for each in unicodedata.normalize("NFD", word):
        is_accent = unicodedata.category(each) == "Mn"
        if not (is_accent and kept and unicodedata.name(kept[-1], "").startswith(_LATIN)):
            kept.append(each)
    return unicodedata.normalize("NFC", "".join(kept))
