"""What people answer to a sender: STOP, START, HELP. The field's words; settings can name others."""

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


class Keyword(StrEnum):
    """What somebody who answers asks for."""

    STOP = "stop"
    """Nothing more: the number goes on the suppression list."""
    START = "start"
    """Messages again: the number leaves that list."""
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Keywords:
    """The words in force, upper case, their spaces single."""

    stop: frozenset[str] = frozenset(STOP_WORDS)
    start: frozenset[str] = frozenset(START_WORDS)
    help: frozenset[str] = frozenset(HELP_WORDS)

    def read(self, text: str) -> Keyword | None:
        """Return what `text` asks for: it is one of the words, whatever its case, spaces and end marks."""
        word = " ".join(text.upper().split()).strip(" .!?,;:\"'")
        if word in self.stop:
            return Keyword.STOP
        if word in self.start:
            return Keyword.START
        return Keyword.HELP if word in self.help else None
