"""`sendline uncertain`: what it lists, and what a person's decision comes to."""

import io
import json
import sys
import time
from contextlib import closing

import pytest

from sendline import ErrorCode, Producer, Status
from sendline.contract import ids
from sendline.contract.message import stamp
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS, message_key
from sendline.ledger.limits import Limits
from sendline_worker import doubted

NOBODY = "0199a1b2-0000-7000-8000-000000000000"

COMMAND = "uncertain"


@pytest.fixture
def doubtful(world):
    """Make a message uncertain some seconds ago; return its id as people write it."""
    world.configure("main", "spare")

    def doubtful(account="main", *, ago=0.0, code=ErrorCode.PERHAPS_ACCEPTED, **fields):
        world.clock.advance(time.time() - ago - world.clock.us / 1_000_000)
        message_id = world.accept(account, text="Secret code 271828", **fields)
        [claim] = [each for each in world.claim(10).claims if each.message_id == message_id]
        world.settle(claim, "uncertain", code=code, reason="cut off")
        return ids.to_text(message_id)

    return doubtful


@pytest.fixture
def status(world):
    return lambda text: world.get(ids.to_bytes(text)).status


# The list


def test_where_none_is_uncertain_it_says_so(run, read, world):
    world.configure("main")
    world.accept()
    assert run() == (0, "ok no message is uncertain\n", "")
    assert read() == {"number": 0, "messages": []}


def test_it_shows_since_when_where_and_why_the_oldest_first(run, doubtful):
    older, newer = doubtful(ago=7200), doubtful("spare", code=ErrorCode.WORKER_DIED)
    code, out, err = run()
    assert (code, err) == (0, "")
    heads, first, second = out.splitlines()
    assert heads.split()[:2] == ["message", "uncertain"]
    assert (first.split()[0], second.split()[0]) == (older, newer)
    assert {"main", "perhaps_accepted"} <= {*first.split()}
    assert {"spare", "worker_died"} <= {*second.split()}
    assert first.rstrip().endswith("cut off")


def test_one_whose_record_is_damaged_hides_no_other(run, read, doubtful, world):
    damaged, whole = doubtful(), doubtful()
    world.raw.set(message_key(ids.to_bytes(damaged)), b"\xc1")
    assert run()[0] == 0
    assert [each["id"] for each in read()["messages"]] == [whole]


def test_it_shows_no_text_and_no_whole_number(run, read, doubtful):
    doubtful()
    for shown in (run()[1], json.dumps(read())):
        for private in ("271828", "Secret", "3115552367", "+13115552368"):
            assert private not in shown


def test_json_holds_what_there_is_to_decide_by(read, doubtful, world):
    text = doubtful(ago=3600, valid_for=86_400)
    found = read()
    assert found["number"] == 1
    [shown] = found["messages"]
    message = world.get(ids.to_bytes(text))
    assert set(shown) == {
        *("id", "since", "account", "to", "error", "attempts"),
        *("provider_id", "final_at", "valid_until", "reason"),
    }
    assert (shown["id"], shown["account"], shown["error"]) == (text, "main", "perhaps_accepted")
    assert (shown["attempts"], shown["provider_id"], shown["reason"]) == (1, None, "cut off")
    assert (shown["final_at"], shown["valid_until"]) == (stamp(message.due_at), stamp(message.expires_at))
    assert shown["since"] == stamp(message.timeline[-1].at)


def test_since_and_why_are_told_of_the_doubt_and_not_of_what_came_late(read, world):
    world.configure("main")
    world.clock.advance(time.time() - 600 - world.clock.us / 1_000_000)
    world.accept()
    claim = world.claim_one(lease=90)
    world.clock.advance(90)
    world.tick()
    judged = world.get(claim.message_id).timeline[-1]
    world.clock.advance(60)
    assert world.settle(claim, "failed", reason="too late") == "dead"
    [shown] = read()["messages"]
    assert (shown["since"], shown["reason"]) == (stamp(judged.at), judged.reason)
    assert "too late" not in shown["reason"]


def test_only_so_many_are_shown_and_the_others_counted(run, read, doubtful):
    made = [doubtful() for _ in range(4)]
    out = run("--limit", "2")[1]
    assert [line.split()[0] for line in out.splitlines()[1:]] == [*made[:2], "and"]
    assert out.endswith("and 2 more; --limit 4 shows all\n")
    found = read("--limit", "1")
    assert (found["number"], len(found["messages"])) == (4, 1)
    assert "more" not in run("--limit", "4")[1]


def test_it_is_filtered_by_account_error_and_age(read, run, doubtful):
    old = doubtful(ago=7200)
    spare = doubtful("spare")
    died = doubtful(code=ErrorCode.WORKER_DIED)

    def shown(*words):
        return [each["id"] for each in read(*words)["messages"]]

    assert shown() == [old, spare, died]
    assert shown("--account", "spare") == [spare]
    assert shown("--error", "worker_died") == [died]
    assert shown("--older", "1h") == [old]
    assert shown("--older", "0s", "--account", "main") == [old, died]
    assert shown("--account", "main", "--error", "perhaps_accepted", "--older", "1h") == [old]
    assert shown("--account", "main", "--error", "failover") == []
    assert run("--error", "failover")[:2] == (0, "ok none that is uncertain fits these options\n")
    code, out, err = run("--account", "elsewhere")
    assert (code, out) == (2, "")
    assert err.startswith("error: account: 'elsewhere' is not known; known: ")


def test_what_moved_on_while_it_reads_is_left_out(read, doubtful, world):
    [gone, stays] = [doubtful() for _ in range(2)]
    world.decide("fail", ids.to_bytes(gone))
    world.raw.zadd(KEYS["uncertain"], {ids.to_bytes(gone): 1, b"\0" * 16: 1})
    assert [each["id"] for each in read()["messages"]] == [stays]


# A decision about one


@pytest.mark.parametrize(
    ("decision", "status_then", "line"),
    [("resend", Status.RETRYING, "ok 1 sent again\n"), ("fail", Status.FAILED, "ok 1 failed\n")],
)
def test_one_is_decided_without_a_question(run, doubtful, status, decision, status_then, line):
    one, other = doubtful(), doubtful()
    assert run(decision, one) == (0, line, "")
    assert (status(one), status(other)) == (status_then, Status.UNCERTAIN)


def test_deciding_again_tells_that_it_is_not_uncertain_any_more(run, doubtful):
    one = doubtful()
    run("fail", one)
    code, out, err = run("fail", one)
    assert (code, err) == (1, "")
    assert out == "warn 0 failed\nwarn 1 not uncertain, or not any more\n"


def test_the_reason_is_kept_in_the_timeline(run, doubtful, world):
    one, other = doubtful(), doubtful()
    run("fail", one, "--reason", "the recipient called")
    run("fail", other)
    assert world.get(ids.to_bytes(one)).timeline[-1].reason == "the recipient called"
    assert world.get(ids.to_bytes(other)).timeline[-1].reason == "a person said: it was not sent"


def test_each_that_could_not_be_done_is_counted_by_its_cause(run, read, doubtful, status, world):
    expired, fine = doubtful(valid_for=60, ago=120), doubtful()
    world.clock.advance(0.1)
    words = ("resend", expired, NOBODY, fine)
    found = read(*words, code=1)
    assert found == {"decision": "resend", "decided": 1, "expired": 1, "unknown": 1}
    code, out, err = run(*words)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "warn 0 sent again",
        "warn 1 not resent: its validity has ended (let it fail, or send a new message)",
        "warn 1 not known",
        "warn 1 not uncertain, or not any more",
    ]
    assert status(expired) is Status.UNCERTAIN
    assert status(fine) is Status.RETRYING


def test_several_names_of_one_message_are_one(read, doubtful):
    one = doubtful()
    assert read("fail", one, one.upper(), one)["decided"] == 1


# A decision about all


def test_without_a_terminal_all_are_decided_only_with_yes(run, doubtful, status):
    made = [doubtful() for _ in range(3)]
    code, out, err = run("fail", "--all")
    assert (code, out) == (2, "")
    assert err == "error: --yes: 3 messages will be failed; give --yes to say that this is meant\n"
    assert {status(each) for each in made} == {Status.UNCERTAIN}
    assert run("fail", "--all", "--yes") == (0, "ok 3 failed\n", "")
    assert {status(each) for each in made} == {Status.FAILED}


def test_with_json_nobody_is_asked(run, read, doubtful, status, monkeypatch):
    one = doubtful()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, out, err = run("resend", "--all", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["field"] == "--yes"
    assert status(one) is Status.UNCERTAIN
    assert read("resend", "--all", "--yes") == {"decision": "resend", "decided": 1}


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("typed", "code", "then"), [("y\n", 0, "failed"), ("n\n", 130, "uncertain")])
def test_on_a_terminal_a_person_is_asked(run, doubtful, status, monkeypatch, typed, code, then):
    one, other = doubtful(), doubtful()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    found, out, err = run("fail", "--all")
    assert found == code
    assert "2 messages will be failed. Go on?" in err
    assert "Go on" not in out
    assert (status(one), status(other)) == (then, then)


def test_all_of_a_choice_are_decided_and_no_other(run, doubtful, status):
    mine, spare, died = doubtful(), doubtful("spare"), doubtful(code=ErrorCode.WORKER_DIED)
    assert run("fail", "--all", "--account", "spare", "--yes")[0] == 0
    assert [status(each) for each in (mine, spare, died)] == ["uncertain", "failed", "uncertain"]
    assert run("resend", "--all", "--error", "worker_died", "--yes")[0] == 0
    assert [status(each) for each in (mine, spare, died)] == ["uncertain", "failed", "retrying"]
    assert run("fail", "--all", "--older", "1h", "--yes")[:2] == (0, "ok 0 failed\n")
    assert status(mine) is Status.UNCERTAIN


def test_all_of_none_is_well(run, read):
    assert run("resend", "--all") == (0, "ok 0 sent again\n", "")
    assert read("fail", "--all") == {"decision": "fail", "decided": 0}


def test_many_are_decided_in_steps(read, world, monkeypatch, redis_url):
    monkeypatch.setattr(doubted, "STEP", 7)
    world.configure("main", rate=100_000)
    made = world.accept_many(50)
    for claim in world.claim(64).claims:
        world.settle(claim, "uncertain")
    assert len(read("--limit", "100")["messages"]) == 50
    assert read("fail", "--all", "--yes")["decided"] == 50
    assert world.counts() == {"failed": 50}
    with closing(Ledger(redis_url)) as ledger:
        steps = list(doubted.decide(ledger, Limits(), "fail", made, "again"))
    assert [step.total() for step in steps] == [7] * 7 + [1]
    assert {word for step in steps for word in step} == {"settled"}


# Mistakes

MISTAKES = {
    "nothing named": (("resend",), "id: missing; name the messages, or give --all"),
    "no id": (("fail", "seven"), "id: 'seven' is no message id"),
    "all and one": (("fail", "--all", NOBODY), "--all: and ids exclude each other; give one of them"),
    "filter and one": (("fail", NOBODY, "--account", "main"), "id: options that choose go with --all"),
    "filter alone": (("fail", "--older", "1h"), "id: missing; name the messages, or give --all"),
    "error": (("--error", "nope"), "error: 'nope' is no error code; known: "),
    "error of a decision": (("fail", "--all", "--error", "nope"), "error: 'nope' is no error code"),
    "time": (("--older", "soon"), "older: 'soon' is no length of time; write seconds, or 10m"),
    "endless time": (("--older", "99999999999d"), "older: '99999999999d' is too long ago"),
    "limit": (("--limit", "0"), "limit: "),
    "no number": (("--limit", "x"), "limit: must be a valid integer"),
    "option": (("fail", "--al"), "--al: no such option of `sendline uncertain fail`; did you mean --all?"),
    "command": (("sent", NOBODY), "No such command 'sent'"),
    "reason": (("fail", NOBODY, "--reason"), "--reason: needs a value; see `sendline uncertain"),
    "account before": (
        ("--account", "main", "fail", "--all", "--yes"),
        "--account: options come after the command: sendline uncertain fail --account",
    ),
    "limit before": (("--limit", "2", "fail", "--all", "--yes"), "--limit: options come after the command"),
    "config before": (("--config", "x", "fail", "--all", "--yes"), "--config: options come after the"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_decides_nothing(run, doubtful, status, name):
    one = doubtful()
    words, line = MISTAKES[name]
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {line}")
    assert err.count("\n") == 1
    assert status(one) is Status.UNCERTAIN


def test_json_before_the_decision_is_a_mistake_too(run, doubtful, status):
    one = doubtful()
    code, out, err = run("--json", "fail", one)
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["field"] == "--json"
    assert status(one) is Status.UNCERTAIN


@pytest.mark.parametrize("words", [(), ("fail", "--all", "--yes"), ("resend", NOBODY)])
def test_a_redis_that_is_not_there_is_one_line(run, monkeypatch, words):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://:hidden@127.0.0.1:1")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: redis_url: Redis at 127.0.0.1:1 can't be reached")
    assert err.count("\n") == 1


def test_what_a_person_sends_again_a_worker_takes(run, doubtful, world, redis_url):
    one = doubtful()
    run("resend", one)
    world.tick()
    claim = world.claim_one()
    assert world.settle(claim, "sent", provider_id="p") == "settled"
    with Producer(redis_url) as producer:
        assert producer.get(one).status is Status.SENT


@pytest.mark.parametrize("command", ["resend", "fail"])
def test_each_decision_explains_itself_with_examples(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"  sendline uncertain {command} " in out
    assert "--json" in out
