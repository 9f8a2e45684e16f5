"""Counts what became of what was stored, and logs it: at once, but no more than a line a second."""

import asyncio
import logging
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS: Final = 1.0
"""Between two lines about one account: under load one for each call would cost as much as its reading."""


class _OfAccount(Protocol):
    @property
    def account(self) -> str: ...


_account_of = attrgetter("account")

log = logging.getLogger("sendline.receiver")


class Tally:
    """What became of things of one kind. For one event loop."""

    def __init__(self, counts: Counter[str], what: str, *, prefix: str = "") -> None:
        """Count in `counts`, each word with the `prefix`; `what` names them in the log."""
        self._counts = counts
        self._what = what
        self._prefix = prefix
        self._untold: Counter[tuple[str, str]] = Counter()
        self._next: asyncio.TimerHandle | None = None

    def add(self, things: "Sequence[_OfAccount]", words: "Sequence[str]") -> None:
        """Count what became of `things`, a word for each."""
        for each, number in Counter(zip(map(_account_of, things), words, strict=True)).items():
            self._counts[self._prefix + each[1]] += number
            self._untold[each] += number
        if self._next is None:
            self._tell()

    def close(self) -> None:
        """Log what was not logged yet."""
        if self._next is not None:
            self._next.cancel()
            self._tell()
            self._next = None

    def _tell(self) -> None:
        """Log what is new, and come again as long as there is any."""
        untold, self._untold = self._untold, Counter()
        accounts: dict[str, list[str]] = {}
        for (account, word), number in sorted(untold.items()):
            accounts.setdefault(account, []).append(f"{number} {word}")
        for account, found in accounts.items():
            log.info("account %s: %s: %s", account, self._what, ", ".join(found))
        self._next = asyncio.get_running_loop().call_later(SECONDS, self._tell) if untold else None
