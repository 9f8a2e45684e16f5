"""The Lua scripts: one verb a file, behind a prelude that carries what Python knows.

Keys, record fields, statuses and the table of moves stand once, in Python, and are written into the
prelude from there. A script is called by its SHA1, so two releases can run side by side.
"""

from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sendline.contract.lane import LANE_CODES
from sendline.contract.status import CODES, EDGES, FINAL, Cause, Status
from sendline.ledger.keys import KEYS
from sendline.ledger.record import FIELDS, VERSION, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

PRELUDE: Final = ("record", "lineage", "rousing", "lines", "places", "notices", "closing")
"""What stands before every verb, in this order."""
PARTS: Final = {
    "accept": ("suppression",),
    "claim": ("changes", "easing", "limits", "choice", "rows", "suppression", "taking"),
    "inquire": ("changes", "easing", "limits"),
    "settle": ("changes", "easing", "verdicts"),
    "configure": ("adjusting",),
    "adjust": ("changes", "adjusting"),
    "halt": ("changes",),
    "resume": ("changes", "easing"),
    "tick": ("changes", "easing"),
    "notices": ("telling",),
    "told": ("telling",),
    "readmit": ("telling",),
    "replay": ("telling",),
    "drop": ("telling",),
}
"""What stands behind that, before some verbs."""
SERVER_CLOCK: Final = "return redis.call('TIME')"
"""The body of the scripts' clock. Tests of time put another one in its place."""


@dataclass(frozen=True, slots=True)
class Script:
    """One verb, ready to be called."""

    name: str
    source: str = field(repr=False)
    sha: str


@cache
def script(verb: str, clock: str = SERVER_CLOCK) -> Script:
    """Return the script of `verb`, with the prelude before it."""
    parts = [(_folder() / "parts" / f"{part}.lua").read_text() for part in PARTS.get(verb, ())]
    source = "\n".join([tables(clock), prelude(), *parts, (_folder() / f"{verb}.lua").read_text()])
    return Script(verb, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def prelude() -> str:
    """Return the Lua text of what stands before every verb, behind the tables."""
    return "\n".join((_folder() / "prelude" / f"{part}.lua").read_text() for part in PRELUDE)


def _folder() -> "Traversable":
    return files("sendline.ledger") / "lua"


def tables(clock: str = SERVER_CLOCK) -> str:
    """Return the Lua text of everything that Python defines."""
    numbers = {status.name: code for status, code in CODES.items()}
    return "\n".join(
        [
            f"local function clock() {clock} end",
            f"local VERSION = {VERSION}",
            f"local K = {_table({name: f'{key!r}' for name, key in KEYS.items()})}",
            f"local F = {_table({name: place for place, name in enumerate(FIELDS, 1)})}",
            f"local S = {_table(numbers)}",
            f"local STATUS = {_table({f'[{code}]': repr(s.value) for s, code in CODES.items()})}",
            f"local FINAL = {_table({f'[{CODES[s]}]': 'true' for s in Status if s in FINAL})}",
            f"local LANES = {len(LANE_CODES)}",
            f"local FLAG = {_table({flag.name or '': flag.value for flag in Flag})}",
            f"local MOVES = {_moves(proof=False)}",
            f"local PROOFS = {_moves(proof=True)}",
        ]
    )


def _table(entries: "Mapping[str, object]") -> str:
    return "{" + ", ".join(f"{key} = {value}" for key, value in entries.items()) + "}"


def _moves(*, proof: bool) -> str:
    rows = {}
    for source, code in CODES.items():
        targets = [
            CODES[edge.target]
            for edge in EDGES
            if edge.source is source and (edge.cause is Cause.PROOF) is proof
        ]
        rows[f"[{code}]"] = _table({f"[{target}]": "true" for target in targets})
    return _table(rows)
