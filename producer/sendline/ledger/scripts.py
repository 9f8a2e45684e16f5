"""The Lua scripts: one verb a file, behind a prelude that carries what Python knows.

Keys, record fields, statuses and the table of moves stand once, in Python, and are written into the
scripts from there. A script carries only what its verb uses. The server keeps it as a function (see
functions.py), whose name tells its text apart from others, so two releases can run side by side.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sendline.contract.campaign import BAD
from sendline.contract.lane import LANE_CODES
from sendline.contract.status import CODES, EDGES, FINAL, Cause, Status
from sendline.ledger.functions import divided, library, unkept
from sendline.ledger.keys import KEYS
from sendline.ledger.record import FIELDS, VERSION, Flag

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

PRELUDE: Final = (
    "shelves",
    "archive",
    "record",
    "lineage",
    "rousing",
    "lines",
    "index",
    "places",
    "notices",
    "campaigns",
    "closing",
)
"""What stands before every verb, in this order."""
ALONE: Final = {"recall": ("shelves", "archive"), "filed": ()}
"""Verbs that only read: they have this of the prelude, and are not told what was seen."""
PARTS: Final = {
    "accept": ("suppression", "joining", "book"),
    "claim": ("changes", "easing", "limits", "choice", "rows", "suppression", "taking"),
    "inquire": ("changes", "easing", "limits"),
    "settle": ("changes", "easing", "verdicts"),
    "configure": ("adjusting",),
    "adjust": ("changes", "adjusting"),
    "halt": ("changes",),
    "resume": ("changes", "easing"),
    "enlist": ("suppression", "joining", "book"),
    "tick": ("changes", "easing", "ending"),
    "notices": ("telling",),
    "told": ("telling",),
    "readmit": ("telling",),
    "replay": ("telling",),
    "drop": ("telling",),
    "issue": ("keyring",),
    "keyring": ("keyring",),
}
"""What stands behind that, before some verbs."""
GROWING: Final = frozenset(("accept", "enlist", "found", "bind", "remember", "issue", "reject"))
"""Verbs that fill the ledger: they write nothing where the server is full. All others let it drain."""
SERVER_CLOCK: Final = "return redis.call('TIME')"
"""The body of the scripts' clock. Tests of time put another one in its place."""

OURS: Final = "sendline_"
"""What names of our functions begin with."""

_COMMENT: Final = re.compile(r"(?m) *--.*$")
_FUNCTION: Final = re.compile(r"(?ms)^(local function \w+\(.*?^end\n)")
_NAME: Final = re.compile(r"local function (\w+)")
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Script:
    """One verb, ready to be called."""

    name: str
    function: str
    """The name by which the server knows it, as function and as library."""
    divided: str = field(repr=False)
    """Its text (see functions.py)."""
    flags: str
    """See functions.py."""
    alone: bool
    """It is told nothing of what its caller has seen, and tells nothing of that."""

    @property
    def library(self) -> str:
        """What FUNCTION LOAD takes."""
        return library(self.function, self.divided, self.flags)

    @property
    def unkept(self) -> str:
        """What EVAL takes, where the server keeps no more functions."""
        return unkept(self.divided, self.flags)


@cache
def script(verb: str, clock: str = SERVER_CLOCK) -> Script:
    """Return the script of `verb`, with the prelude before it."""
    text, alone = divided(source(verb, clock)), verb in ALONE
    flags = "no-writes" if alone else "" if verb in GROWING else "allow-oom"
    whole = library("", text, flags)  # what is around the text tells releases apart, too
    digest = sha1(whole.encode(), usedforsecurity=False).hexdigest()
    return Script(verb, f"{OURS}{verb}_{digest[:12]}", text, flags, alone)


def source(verb: str, clock: str = SERVER_CLOCK) -> str:
    """Return the Lua text of `verb` as it reads, before it is made into a function."""
    parts = [_read(f"parts/{part}.lua") for part in PARTS.get(verb, ())]
    before = prelude(ALONE.get(verb, PRELUDE))
    body = _without_idle(_with_constants("\n".join([before, *parts, _read(f"{verb}.lua")])))
    return f"{tables(clock, within=body)}\n{body}"


def prelude(names: "Iterable[str]" = PRELUDE) -> str:
    """Return the Lua text of what stands before every verb, behind the tables, or of some of its files."""
    return "\n".join(_read(f"prelude/{name}.lua") for name in names)


def _read(path: str) -> str:
    return (files("sendline.ledger") / "lua" / path).read_text()


def tables(clock: str = SERVER_CLOCK, within: str | None = None) -> str:
    """Return the Lua text of everything that Python defines, or of what the text `within` mentions of it."""
    defined = {"VERSION": str(VERSION), "LANES": str(len(LANE_CODES))}
    defined |= {name: _table(entries) for name, entries in _constants().items()}
    defined |= {
        "STATUS": _table({f"[{code}]": repr(s.value) for s, code in CODES.items()}),
        "FINAL": _set(FINAL),
        "BAD": _set(BAD),
        "MOVES": _moves(proof=False),
        "PROOFS": _moves(proof=True),
    }
    made = {"clock": f"local function clock() {clock} end"}
    made |= {name: f"local {name} = {text}" for name, text in defined.items()}
    wanted = made if within is None else made.keys() & set(_WORD.findall(within))
    return "\n".join(line for name, line in made.items() if name in wanted)


@cache
def _constants() -> "Mapping[str, Mapping[str, object]]":
    """Return what stands behind the names of Lua's K, F, S and FLAG."""
    return {
        "K": {name: repr(key) for name, key in KEYS.items()},
        "F": {name: place for place, name in enumerate(FIELDS, 1)},
        "S": {status.name: code for status, code in CODES.items()},
        "FLAG": {flag.name or "": flag.value for flag in Flag},
    }


def _without_idle(source: str) -> str:
    """Return `source` without comments, and without outermost functions that nothing calls."""
    kept: list[str] = []
    words: set[str] = set()
    for block in reversed(_FUNCTION.split(_COMMENT.sub("", source))):
        named = _NAME.match(block)
        if named is None or named[1] in words:
            kept.append(block)
            words.update(_WORD.findall(block))
    return "".join(reversed(kept))


def _with_constants(source: str) -> str:
    """Return `source` with `K.message` and its like replaced by what they stand for.

    Looking them up costs more than it seems: a record is read and written by them.
    """
    return re.sub(r"(?<![\w.])(K|F|S|FLAG)\.(\w+)", lambda m: str(_constants()[m[1]][m[2]]), source)


def _set(statuses: "Container[Status]") -> str:
    return _table({f"[{CODES[s]}]": "true" for s in Status if s in statuses})


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
