"""The table of statuses: what DESIGN promises, what Python holds and what Lua is given are one."""

import itertools
import json

import pytest

from sendline.contract.codes import ErrorCode
from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.status import CODES, EDGES, FINAL, MOVES, WAITING, Cause, Status
from sendline.ledger.record import FIELDS, Flag
from sendline.ledger.scripts import tables

TABLE = """
- > created suppressed
created retrying > sending failed expired canceled suppressed uncertain
sending > sent retrying created uncertain failed canceled
uncertain > retrying failed
sending retrying uncertain failed expired canceled suppressed > sent delivered undelivered
sent > delivered undelivered
undelivered > delivered
"""
"""Section 3 of the design, and what is held though it waits: it may have been sent earlier.

`sent` and `undelivered` don't go back to `sent`: that would be no news."""


def promised():
    for line in TABLE.strip().splitlines():
        sources, targets = (half.split() for half in line.split(">"))
        yield from itertools.product(sources, targets)


def test_every_promised_move_is_in_the_table_and_nothing_else():
    assert {(edge.source or "-", edge.target) for edge in EDGES} == set(promised())


def test_no_move_stands_twice():
    moves = [(edge.source, edge.target) for edge in EDGES]
    assert len(moves) == len(set(moves))


def test_nothing_leaves_delivered():
    assert MOVES[Status.DELIVERED] == frozenset()


def test_only_proof_leaves_a_final_status():
    assert {edge.cause for edge in EDGES if edge.source in FINAL} == {Cause.PROOF}


def test_every_status_can_be_reached():
    assert {edge.target for edge in EDGES} == set(Status)


def test_waiting_is_what_a_worker_may_claim():
    assert {edge.source for edge in EDGES if edge.target is Status.SENDING} == WAITING


def test_moves_and_edges_say_the_same():
    assert {(source, target) for source in MOVES for target in MOVES[source]} == {
        (edge.source, edge.target) for edge in EDGES if edge.source
    }


def test_stored_numbers_are_never_changed():
    assert {status.value: code for status, code in CODES.items()} == {
        "created": 0,
        "sending": 1,
        "sent": 2,
        "retrying": 3,
        "uncertain": 4,
        "delivered": 5,
        "undelivered": 6,
        "failed": 7,
        "expired": 8,
        "canceled": 9,
        "suppressed": 10,
    }
    assert LANE_CODES == {Lane.URGENT: 0, Lane.NORMAL: 1, Lane.BULK: 2}
    assert {flag.name: int(flag) for flag in Flag} == {
        "HOLD": 1,
        "RESEND": 2,
        "CANCEL": 4,
        "QUEUED": 8,
        "RETRIED": 16,
        "DOUBTED": 32,
        "HOOKED": 64,
        "TEMPLATED": 128,
        "WATCHED": 256,
        "UNREPORTED": 512,
    }


def test_stored_fields_are_never_reordered():
    assert FIELDS[:19] == (
        *("version", "status", "lane", "flags", "created", "due", "expires", "attempts", "claim", "route"),
        *("account", "to", "sender", "provider_id", "error", "segments", "text", "extras", "timeline"),
    )


def test_codes_and_statuses_share_no_word():
    assert not {code.value for code in ErrorCode} & {status.value for status in Status}


@pytest.fixture
def lua(raw):
    """What a name of the generated prelude is in Lua, each key of a table as text."""

    def evaluate(name):
        script = f"""{tables()}
        local function texts(value)
          if type(value) ~= 'table' then return value end
          local result = {{}}
          for key, item in pairs(value) do result[tostring(key)] = texts(item) end
          return result
        end
        return cjson.encode(texts({name}))"""
        return json.loads(raw.eval(script, 0))

    return evaluate


def test_lua_knows_the_same_moves_and_which_of_them_need_proof(lua):
    moves, proofs = lua("MOVES"), lua("PROOFS")
    for status, code in CODES.items():
        edges = [edge for edge in EDGES if edge.source is status]
        plain = {str(CODES[edge.target]) for edge in edges if edge.cause is not Cause.PROOF}
        proven = {str(CODES[edge.target]) for edge in edges if edge.cause is Cause.PROOF}
        assert set(moves[str(code)]) == plain
        assert set(proofs[str(code)]) == proven


def test_lua_knows_the_same_numbers_names_and_fields(lua):
    assert lua("S") == {status.name: code for status, code in CODES.items()}
    assert lua("STATUS") == {str(code): status.value for status, code in CODES.items()}
    assert set(lua("FINAL")) == {str(CODES[status]) for status in FINAL}
    assert lua("F") == {name: place for place, name in enumerate(FIELDS, 1)}
    assert lua("FLAG") == {flag.name: int(flag) for flag in Flag}
    assert lua("LANES") == len(Lane)
