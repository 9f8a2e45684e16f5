"""`sendline keys`: what it makes, lists and revokes, and how it answers mistakes."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendline.contract.api_key import MOST_SENDERS, Scope, parse_token
from sendline.ledger import api_keys
from sendline.ledger.api_keys import KEY_AGE, read_key
from sendline.ledger.keys import KEYS
from sendline.ledger.record import pack, unpack
from sendline_worker.cli import keys
from waiting import poll

COMMAND = "keys"


def test_a_scope_that_there_is_not_is_one_plain_line(run):
    code, out, err = run("create", "shop", "--scope", "fly")
    assert (code, out) == (2, "")
    assert err.startswith("error: scope: 'fly' is not one of 'send', 'read', 'admin'")


SENDER = "+13115552368"


@pytest.fixture
def at_once(monkeypatch):
    """Let a revocation answer without having waited for the processes of the API."""
    monkeypatch.setattr(keys, "SETTLE_SECONDS", 0)


@pytest.fixture
def answered(monkeypatch):
    """Let a person at a terminal answer a question."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def answered(word):
        monkeypatch.setattr(sys, "stdin", Terminal(f"{word}\n"))

    return answered


def created(read, name="shop", *words):
    return read("create", name, "--scope", "send", *words)


def listed(read):
    return {key["id"]: key for key in read("list")["keys"]}


def test_where_no_key_was_made_the_way_to_make_one_is_told(run, read):
    line = "ok no key was made yet; make one: sendline keys create shop --scope send --scope read\n"
    assert run("list") == (0, line, "")
    assert read("list") == {"keys": []}


def test_a_new_key_opens_what_it_says_and_its_token_is_shown_with_how_to_use_it(run, ledger):
    code, out, err = run("create", "shop", "--scope", "read", "--scope", "send", "--rate", "20")
    first, token, how = out.splitlines()
    key_id, secret = parse_token(token)
    assert (code, err) == (0, "")
    assert first == f"ok key {key_id} of shop: send, read"
    assert how == "It is not shown again. Send it with each request:  Authorization: Bearer <token>"
    kept = ledger.run(read_key(key_id))
    assert kept.opens(secret)
    assert (kept.key.name, kept.key.scopes, kept.key.senders, kept.key.rate) == (
        "shop",
        {Scope.SEND, Scope.READ},
        (),
        20,
    )


def test_json_holds_all_of_a_new_key_and_its_token(read, ledger):
    made = created(read, "login", "--sender", SENDER, "--sender", "ACME", "--rate", "0.5")
    key_id, secret = parse_token(made.pop("token"))
    assert ledger.run(read_key(key_id)).opens(secret)
    age = datetime.now(UTC) - datetime.fromisoformat(made.pop("created_at"))
    assert timedelta(0) <= age + timedelta(milliseconds=2) < timedelta(minutes=1)
    assert made == {
        "id": key_id,
        "name": "login",
        "scopes": ["send"],
        "senders": [SENDER, "ACME"],
        "rate": 0.5,
        "revoked_at": None,
    }


def test_senders_are_read_in_the_configured_region_and_kept_as_messages_name_them(read, tmp_path):
    (tmp_path / "sendline.toml").write_text('default_region = "US"\n')
    made = created(read, "shop", "--sender", "(311) 555-2368", "--sender", SENDER)
    assert made["senders"] == [SENDER]


def test_keys_are_listed_without_anything_that_would_open_them(run, read):
    made = [created(read), created(read, "login", "--sender", SENDER, "--sender", "ACME", "--rate", "7.5")]
    made.append(created(read, "many", *(w for n in range(5) for w in ("--sender", f"S{n}"))))
    code, out, err = run("list")
    heads, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert heads.split() == ["id", "name", "scopes", "state", "rate", "senders", "created"]
    assert [line.split()[0] for line in lines] == [key["id"] for key in made]
    assert re.search(rf"^{made[0]['id']}  shop +send +in force +any +any +\d{{4}}-\d\d-\d\dT", lines[0])
    assert "  7.5/s  +13***68, ACME " in lines[1]
    assert " S0, S1 and 3 more " in lines[2]
    secrets = [parse_token(key["token"])[1] for key in made]
    whole = json.dumps(read("list"))
    assert not any(secret in out + whole for secret in secrets)
    assert SENDER not in out
    assert set(read("list")["keys"][0]) == {
        *("id", "name", "scopes", "senders", "rate", "created_at", "revoked_at")
    }


@pytest.mark.usefixtures("at_once")
def test_a_key_is_revoked_by_its_id_and_another_of_its_name_stays(run, read, ledger):
    old, new = created(read), created(read)
    line = f"ok key {old['id']} of shop: revoked; no process of the API takes it any more\n"
    assert run("revoke", old["id"], "--yes") == (0, line, "")
    assert not ledger.run(read_key(old["id"])).key.may(Scope.SEND)
    assert ledger.run(read_key(new["id"])).key.may(Scope.SEND)
    found = listed(read)
    assert found[old["id"]]["revoked_at"] is not None
    assert found[new["id"]]["revoked_at"] is None
    _, out, _ = run("list")
    assert f"revoked {found[old['id']]['revoked_at']}" in out


@pytest.mark.usefixtures("at_once")
def test_a_name_revokes_all_its_keys_after_saying_so(run, read, answered):
    one, two, other = created(read), created(read), created(read, "other")
    answered("y")
    code, out, err = run("revoke", "shop")
    both = f"2 keys of shop ({one['id']}, {two['id']})"
    assert (code, err) == (0, f"{both} will be revoked for good. Go on? [y/N] ")
    assert out == f"ok {both}: revoked; no process of the API takes it any more\n"
    assert {key_id for key_id, key in listed(read).items() if not key["revoked_at"]} == {other["id"]}


def test_nothing_is_revoked_when_the_answer_is_no(run, read, answered):
    key = created(read)
    answered("n")
    code, _, err = run("revoke", "shop")
    assert (code, err.splitlines()[-1].endswith("error: interrupted")) == (130, True)
    assert listed(read)[key["id"]]["revoked_at"] is None


def test_where_nobody_can_answer_yes_must_be_given(run, read):
    key = created(read)
    code, out, err = run("revoke", "shop", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"] == {
        "field": "--yes",
        "message": f"key {key['id']} of shop will be revoked for good; give --yes to say that this is meant",
    }
    assert listed(read)[key["id"]]["revoked_at"] is None


@pytest.mark.usefixtures("at_once")
def test_to_revoke_again_changes_nothing_and_says_since_when(run, read):
    key = created(read)
    assert read("revoke", key["id"], "--yes") == {"revoked": [key["id"]], "revoked_before": []}
    at = listed(read)[key["id"]]["revoked_at"]
    assert run("revoke", key["id"]) == (0, f"ok key {key['id']} of shop: revoked already, since {at}\n", "")
    assert read("revoke", "shop") == {"revoked": [], "revoked_before": [key["id"]]}
    assert listed(read)[key["id"]]["revoked_at"] == at


@pytest.mark.usefixtures("at_once")
def test_a_name_with_keys_of_both_kinds_revokes_those_in_force(read):
    old = created(read)
    read("revoke", old["id"], "--yes")
    new = created(read)
    assert read("revoke", "shop", "--yes") == {"revoked": [new["id"]], "revoked_before": [old["id"]]}


@pytest.mark.parametrize("times", [1, 2])
def test_it_answers_only_when_no_process_can_remember_the_key(read, times):
    created(read)
    for _ in range(times):  # the first call may have been interrupted
        begun = time.monotonic()
        read("revoke", "shop", "--yes")
        assert KEY_AGE < time.monotonic() - begun < KEY_AGE + 5


def test_a_revocation_that_is_interrupted_while_it_waits_says_that_it_is_done(run, read, monkeypatch):
    key = created(read)

    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(keys.time, "sleep", interrupted)
    code, out, err = run("revoke", "shop", "--yes")
    assert (code, out, err) == (
        130,
        "",
        f"error: key {key['id']} of shop: revoked; interrupted: it is taken for another second at most\n",
    )
    assert listed(read)[key["id"]]["revoked_at"]


def test_ctrl_c_at_the_question_ends_it_in_one_line_and_changes_nothing(redis_url, read, tmp_path):
    key = created(read)
    master, slave = os.openpty()
    with (tmp_path / "err").open("wb") as errors:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("sendline"), "keys", "revoke", "shop"],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "SENDLINE_REDIS_URL": redis_url},
        )
    try:
        poll(lambda: "[y/N]" in (tmp_path / "err").read_text(), timeout=30)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
    assert (process.returncode, out) == (130, b"")
    assert (tmp_path / "err").read_text().endswith("[y/N] error: interrupted\n")
    assert listed(read)[key["id"]]["revoked_at"] is None


def test_a_key_named_as_another_ones_id_is_not_taken_for_it(run, read):
    one = created(read)
    two = created(read, one["id"])
    code, _, err = run("revoke", one["id"], "--yes")
    assert (code, err) == (
        2,
        f"error: key: {one['id']} is the id of one key and the name of another; revoke that by its id\n",
    )
    assert listed(read)[two["id"]]["revoked_at"] is None


def test_the_number_of_keys_has_a_bound_that_is_told(run, read, monkeypatch):
    monkeypatch.setattr(api_keys, "MOST_KEYS", 1)
    created(read)
    code, out, err = run("create", "shop", "--scope", "send")
    assert (code, out) == (2, "")
    assert err.startswith("error: keys: there are ")
    assert err.endswith("already, those included that were revoked; see `sendline keys list`\n")


@pytest.mark.usefixtures("at_once")
def test_a_key_that_was_revoked_longer_than_the_retention_ago_is_gone(run, read, raw):
    key = created(read)
    read("revoke", "shop", "--yes")
    version, made, revoked, body = unpack(raw.hget(KEYS["api_keys"], key["id"]))
    long_ago = pack([version, made, revoked - 31 * 86_400_000, body])
    raw.hset(KEYS["api_keys"], key["id"], long_ago)
    assert read("list") == {"keys": []}
    code, _, err = run("revoke", "shop")
    assert (code, err) == (2, "error: key: no key has the name 'shop'; see `sendline keys list`\n")


MISTAKES = {
    "no command": ((), "command: missing; give create or list or revoke"),
    "no name": (("create", "--scope", "send"), "name: missing; give NAME"),
    "no scope": (("create", "shop"), "scope: missing; give --scope send, read, admin, one or several"),
    "no such scope": (("create", "shop", "--scope", "sned"), "scope: "),
    "a name": (("create", "My Shop", "--scope", "send"), "name: names are 1 to 32 lower-case letters"),
    "a rate": (("create", "shop", "--scope", "send", "--rate", "0"), "rate: must be 0.00001 to 10000"),
    "no number": (("create", "shop", "--scope", "send", "--rate", "nan"), "rate: must be 0.00001 to 10000"),
    "a sender": (("create", "shop", "--scope", "send", "--sender", "311"), "sender: "),
    "senders": (
        ("create", "s", "--scope", "send", *(w for n in range(101) for w in ("--sender", f"S{n}"))),
        f"sender: 101 senders; one key has at most {MOST_SENDERS}",
    ),
    "an unknown name": (("revoke", "nobody"), "key: no key has the name 'nobody'; see `sendline keys list`"),
    "an unknown id": (("revoke", "k3v9x2m4q7ab"), "key: no key has the id or name 'k3v9x2m4q7ab'"),
    "a near name": (("revoke", "shopp"), "key: no key has the name 'shopp'; did you mean shop?"),
    "a token": (("revoke", "sl_k3v9x2m4q7ab_" + "s" * 43), "key: that is a token; give the key's id"),
    "an option": (
        ("create", "shop", "--scop", "send"),
        "--scop: no such option of `sendline keys create`; did you mean --scope?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_the_fix(run, read, name):
    created(read)
    before = read("list")
    words, says = MISTAKES[name]
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1
    assert "s" * 43 not in err
    assert read("list") == before


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_help_shows_examples(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"  sendline keys {command}" in out


def test_the_overview_names_the_command(run):
    _, out, _ = run("--help", command="--help")
    assert "  keys " in out
