"""Functions of other releases, which the server would keep for ever.

Releases run side by side while a deployment goes on, so the functions of some are left alone. One that was
forgotten and is called again is loaded again (see connection.py).
"""

import re
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.errors import LedgerRefused
from sendline.ledger.call import Call
from sendline.ledger.scripts import OURS, script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sendline.ledger.connection import Ledger

SIDE_BY_SIDE: Final = 4
"""Functions of one verb that are left alone."""
_NAME: Final = re.compile(rf"{OURS}(\w+)_[0-9a-f]+")


def forget_earlier(ledger: "Ledger") -> None:
    """Have the server forget functions of other releases, where it keeps those of many.

    Raises LedgerUnavailable. Where the user of `redis_url` may not look at functions, they stay.
    """
    with suppress(LedgerRefused):
        for name in outdated(ledger.run(Call("FUNCTION", ("LIST", "LIBRARYNAME", f"{OURS}*"), _names))):
            with suppress(LedgerRefused):  # another worker was faster
                ledger.run(Call("FUNCTION", ("DELETE", name), bool))


def outdated(names: "Iterable[str]") -> list[str]:
    """Return which of the functions called `names` the server is to forget."""
    verbs: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if match := _NAME.fullmatch(name):
            verbs[match[1]].append(name)
    return [
        name
        for verb, kept in verbs.items()
        if len(kept) > SIDE_BY_SIDE
        for name in kept
        if name != _own(verb)
    ]


def _own(verb: str) -> str:
    try:
        return script(verb).function
    except FileNotFoundError:  # another release has a verb of that name
        return ""


def _names(reply: Any) -> list[str]:
    return [library[1].decode() for library in reply]
