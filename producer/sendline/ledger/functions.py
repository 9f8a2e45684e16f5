"""A verb's script, made into a function that the server keeps (FUNCTION LOAD).

Redis runs a script whole at each call, and makes its functions and tables anew. Of a library it runs only the
function that is called. So what a script does is divided in two:

- its functions, and its constants (names in capitals, whose values follow from literals), are made once;
- the other statements of its outermost level, and of `do` blocks there, become steps. A call takes them in
  their order, until one returns something. Locals of the script are locals of the library, set anew by steps.

A statement begins where its level does, and ends before the next one: scripts are indented by two spaces.
"""

import re
from typing import Final

_CLOSING: Final = re.compile(r"(?:end|else|elseif|until)\b|[})]")
_FUNCTION: Final = re.compile(r"(?:local )?function (\w+)\(")
_LOCAL: Final = re.compile(r"(?s)local (\w+(?:, \w+)*)(?: =\s+(.*))?$")
_TEXT: Final = re.compile(r"'[^'\n]*'")
_FIELD: Final = re.compile(r"(?<=[{,])\s*\w+ =")
_WORD: Final = re.compile(r"\b[A-Za-z_]\w*")
_PURE: Final = frozenset(("true", "false", "nil"))
"""Words of Lua in values of constants. Its libraries can't be reached while a library of ours is loaded."""
_LOCALS_OF_A_STEP: Final = 45
"""A function of Lua 5.1 may use 60 locals from outside."""


def divided(script: str) -> str:
    """Return `script` as text that makes its functions once, and `run`, which does what the script does."""
    return f"""local steps = {{}}
{_Divided(script).text}
local function run()
  for place = 1, #steps do
    local reply = steps[place]()
    if reply ~= nil then
      return reply
    end
  end
end"""


def library(name: str, divided: str, flags: str = "") -> str:
    """Return the library whose one function, `name` like itself, does what a `divided` script does.

    `flags`: `allow-oom`, it may be called while the server has no memory left (maxmemory); `no-writes`, also
    while the server takes no writes.
    """
    named = f"'{flags}'" if flags else ""
    return f"""#!lua name={name}
local KEYS, ARGV
{divided}
redis.register_function{{function_name = '{name}', flags = {{{named}}}, callback = function(keys, arguments)
  KEYS, ARGV = keys, arguments
  return run()
end}}
"""


def unkept(divided: str, flags: str = "") -> str:
    """Return what EVAL takes: the same steps, for a server that keeps no more functions.

    Without `flags` it is refused there at its first write that takes memory, and not before: what only reads
    is answered.
    """
    told = f"#!lua flags={flags}\n" if flags else ""
    return f"""{told}local given = ARGV
local ARGV = given
{divided}
return run()
"""


class _Divided:
    """A script, divided into what is made once and the steps of a call."""

    def __init__(self, script: str) -> None:
        self._assigned = set(re.findall(r"(?m)^  function (\w+)\(", script))
        """Functions that a block makes for the level around it."""
        self._constants: set[str] = set()
        self._locals = {"ARGV"}
        self._step: list[str] = []
        self._used: set[str] = set()
        self._made: list[str] = []
        self._divide(script)
        self._end_step()
        self.text = "\n".join(self._made)

    def _divide(self, level: str) -> None:
        for statement in _statements(level):
            local = _LOCAL.match(statement)
            if function := _FUNCTION.match(statement):
                self._locals.add(function[1])
                self._made.append(statement)
            elif local and not statement.startswith("local function"):
                self._declare(local[1].split(", "), local[2])
            elif re.match(r"do\b", statement):
                self._block(statement)
            else:
                self._do(statement)

    def _declare(self, names: list[str], value: str | None) -> None:
        self._locals.update(names)
        joined = ", ".join(names)
        if value is not None and self._is_constant(names, value):
            self._constants.update(names)
            self._made.append(f"local {joined} = {value}")
            return
        self._made.append(f"local {joined}")
        if value is not None:
            self._do(f"{joined} = {value}")
        elif fresh := [name for name in names if name not in self._assigned]:
            self._do(f"{', '.join(fresh)} = nil")

    def _block(self, statement: str) -> None:
        self._end_step()
        self._made.append("do")
        inner = statement.split("\n")[1:-1]
        self._divide("\n".join(line.removeprefix("  ") for line in inner))
        self._end_step()  # what it uses is known in here alone
        self._made.append("end")

    def _is_constant(self, names: list[str], value: str) -> bool:
        if any(name != name.upper() for name in names):
            return False
        words = set(_WORD.findall(_FIELD.sub("", _TEXT.sub("", value))))
        return words <= self._constants | _PURE

    def _do(self, statement: str) -> None:
        used = self._locals.intersection(_WORD.findall(_TEXT.sub("", statement)))
        if len(self._used | used) > _LOCALS_OF_A_STEP:
            self._end_step()
        self._used |= used
        self._step.append(statement)

    def _end_step(self) -> None:
        if self._step:
            body = "\n".join(self._step)
            self._made.append(f"steps[#steps + 1] = function()\n{body}\nend")
        self._step, self._used = [], set()


def _statements(level: str) -> list[str]:
    statements: list[list[str]] = []
    for line in level.splitlines():
        if line.strip():
            if line[0] == " " or _CLOSING.match(line):
                statements[-1].append(line)
            else:
                statements.append([line])
    return ["\n".join(lines) for lines in statements]
