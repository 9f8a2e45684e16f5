"""The numbers that the ledger's scripts name, for tests that compare what stands elsewhere with them."""

import re
from importlib.resources import files

_LUA = files("sendline.ledger") / "lua"


def lua_number(part, name):
    """Return the number that `local name = ...` gives, alone or beside others, in a file of lua/parts."""
    source = (_LUA / "parts" / f"{part}.lua").read_text(encoding="utf-8")
    for names, values in re.findall(r"(?m)^ *local ([A-Z_, ]+) =\s+([\d., ]+)", source):
        found = dict(zip(names.split(", "), values.split(","), strict=False))
        if name in found:
            return float(found[name])
    raise LookupError(f"{part}.lua: {name}")
