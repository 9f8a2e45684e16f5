"""How a verb's script is put together: it carries what it uses, with numbers and keys in place of names."""

import re

import pytest

from sendline.ledger.keys import KEYS
from sendline.ledger.record import FIELDS
from sendline.ledger.scripts import ALONE, prelude, script, source
from test_house import SCRIPTS

VERBS = sorted(path.stem for path in SCRIPTS)


def functions(text):
    """The functions of the outermost level."""
    return re.findall(r"(?m)^local function (\w+)\(", text)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_compiles_and_carries_no_function_that_nothing_calls(verb, raw):
    text = source(verb)
    raw.function_load(script(verb).library, replace=True)
    assert functions(text) or verb in ALONE
    for name in functions(text):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_verbs_carry_only_what_they_use():
    every = set(functions(prelude()))
    assert "step_out" in every
    assert "step_out" in functions(source("cancel"))
    assert "step_out" not in functions(source("accept"))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_names_no_constant_but_its_value(verb):
    assert not re.findall(r"(?<![\w.])(?:K|F|S|FLAG)\.\w+", source(verb))


def test_keys_and_fields_are_written_in():
    text = source("cancel")
    assert f"'GET', '{KEYS['message']}' .. id" in text
    assert f"r[{FIELDS.index('status') + 1}]" in text


def test_no_text_of_the_scripts_holds_what_begins_a_comment():
    for path in [*SCRIPTS, *SCRIPTS[0].parent.rglob("p*/*.lua")]:
        code = re.sub(r"(?m)(^|\s)--.*$", "", path.read_text(encoding="utf-8"))
        assert "--" not in code, path.name
