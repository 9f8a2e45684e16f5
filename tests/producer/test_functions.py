"""Scripts as functions that the server keeps: made once, and each call as if it were the first."""

import pytest
import redis

from sendline.contract.errors import LedgerError
from sendline.ledger.call import Call
from sendline.ledger.functions import divided, library, unkept
from sendline.ledger.replies import ErrorReply
from sendline.ledger.scripts import GROWING, script

SCRIPT = """
local ONE = 1
local MANY = {1, 2, named = ONE}
local NOW = tonumber(ARGV[1])
local seen, late = {}
local add
local TWICE = NOW + NOW

do
  local sum = 0

  local function double(number)
    return number * #MANY
  end

  function add(number)
    sum = sum + double(number)
    seen[#seen + 1] = number
    late = true
    return sum
  end
end

if NOW < 0 then
  return {'early'}
end

for _ = 1, 2 do
  add(NOW)
end

local reply = {TWICE, add(MANY.named), #seen}
do
  local most = 3
  if #seen > most then
    return {'seen before'}
  end
end
return reply
"""


@pytest.fixture
def taught(raw):
    raw.function_load(library("verb", divided(SCRIPT)), replace=True)
    return lambda number: raw.fcall("verb", 0, number)


def test_a_call_is_as_if_it_were_the_first(taught):
    assert [taught(5), taught(5), taught(7)] == [[10, 22, 3], [10, 22, 3], [14, 30, 3]]


def test_a_statement_that_returns_ends_the_call(taught):
    assert [taught(-1), taught(1)] == [[b"early"], [2, 6, 3]]


def test_a_fault_in_one_call_leaves_nothing_for_the_next(taught):
    with pytest.raises(redis.ResponseError):
        taught("no number")
    assert taught(5) == [10, 22, 3]


def test_its_text_does_the_same_without_being_kept(raw):
    raw.function_flush()
    assert raw.eval(unkept(divided(SCRIPT), "allow-oom"), 0, 5) == [10, 22, 3]
    assert raw.function_list(library="verb") == []


def test_only_constants_and_functions_are_made_once():
    text = library("verb", divided(SCRIPT))
    made, _, steps = text.partition("steps[#steps + 1]")
    assert "local ONE = 1\nlocal MANY = {1, 2, named = ONE}" in made
    assert "NOW = tonumber(ARGV[1])\nseen, late = {}\nTWICE = NOW + NOW" in steps
    assert "add = nil" not in text


def test_a_script_that_uses_more_locals_than_a_function_may_is_divided_further(raw):
    names = [f"local_{n}" for n in range(150)]
    lines = [f"local {name} = tonumber(ARGV[1])" for name in names]
    text = divided("\n".join([*lines, f"return {names[0]} + {names[-1]}"]))
    raw.function_load(library("wide", text), replace=True)
    assert raw.fcall("wide", 0, 2) == 4


def test_verbs_that_fill_the_ledger_are_refused_by_a_server_without_memory(raw):
    for verb in ("accept", "claim"):
        raw.function_load(script(verb).library, replace=True)
    raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            raw.fcall(script("accept").function, 0)
        with pytest.raises(redis.ResponseError, match="bad argument #1 to 'unpack'"):
            raw.fcall(script("claim").function, 0)
    finally:
        raw.config_set("maxmemory", 0)


@pytest.mark.parametrize("verb", ["accept", "claim", "settle", "receive", "tick"])
def test_a_server_without_memory_to_learn_a_function_gets_its_text(verb):
    call = Call(script(verb), ["a"], str)
    command = call.again(ErrorReply("OOM command not allowed when used memory > 'maxmemory'."), b"seen")
    assert command == ("EVAL", script(verb).unkept, b"0", "a", b"seen")
    assert script(verb).unkept.startswith("#!lua flags=allow-oom") is (verb not in GROWING)


def test_a_function_that_another_process_loaded_meanwhile_is_called():
    call = Call(script("claim"), [], str)
    assert call.again(
        ErrorReply(f"ERR Library '{script('claim').function}' already exists"), b""
    ) == call.command(b"")


def test_what_a_server_says_against_functions_is_told():
    with pytest.raises(ErrorReply, match="NOPERM"):
        Call(script("claim"), [], str).again(ErrorReply("NOPERM this user has no permissions"), b"")


@pytest.mark.parametrize("known", [True, False])
def test_what_only_reads_is_answered_by_a_server_that_takes_no_writes(world, raw, known):
    message_id = world.accept()
    assert world.get(message_id)
    if not known:
        raw.function_flush()
    raw.config_set("min-replicas-to-write", 1)
    try:
        assert world.get(message_id).status == "created"
        with pytest.raises(LedgerError, match=r"(?i)replicas"):
            world.accept()
    finally:
        raw.config_set("min-replicas-to-write", 0)
