"""What people answer to a sender: STOP, START, HELP. The field's words; settings can name others."""

import re
import unicodedata
from dataclasses import dataclass
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
_UNWRITTEN: Final = frozenset({"Mn", "Cf"})
"""The categories of accents, and of what nobody sees, such as a space of no width."""


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

    def __post_init__(self) -> None:
        """Write the words as they are compared; what is none without its marks can't be asked for."""
        for name in ("stop", "start", "help"):
            words = filter(None, map(_compared, getattr(self, name)))
            object.__setattr__(self, name, frozenset(words))

    def read(self, text: str) -> Keyword | None:
        """Return what `text` asks for: it is one of the words, however it is written."""
        word = _compared(text)
        if word in self.stop:
            return Keyword.STOP
        if word in self.start:
            return Keyword.START
        return Keyword.HELP if word in self.help else None


def _compared(text: str) -> str:
    """Return `text` in upper case, its spaces single, without accents and what stands around its letters."""
    letters = unicodedata.normalize("NFKD", text.upper())
    written = "".join(each for each in letters if unicodedata.category(each) not in _UNWRITTEN)
    return _AROUND.sub("", " ".join(written.split()))
