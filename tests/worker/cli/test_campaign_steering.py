"""`sendline campaign start`, `pause`, `resume`, `cancel`: each says where the campaign then stands."""

import io
import sys
from datetime import UTC, datetime, timedelta

import pytest

COMMAND = "campaign"


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self):
        return True


def test_it_starts_pauses_and_goes_on_and_tells_what_is_on_the_wire(run, campaign, hands):
    campaign(10)
    assert hands.claim(5).claims == ()
    assert run("start", "sale") == (0, "ok campaign sale is running; 10 not sent yet\n", "")
    claims = hands.claim(4).claims
    on_the_wire = "4 are on the wire, and settled as their provider answers"
    assert run("pause", "sale") == (0, f"ok campaign sale is paused; 6 not sent yet; {on_the_wire}\n", "")
    assert hands.claim(10).claims == ()
    for claim in claims:
        hands.settle(claim, "sent")
    assert run("resume", "sale") == (0, "ok campaign sale is running; 6 not sent yet\n", "")
    assert len(hands.claim(10).claims) == 6


def test_json_tells_the_same(read, campaign, hands):
    campaign(10)
    found = read("start", "sale")
    assert (found["name"], found["state"], found["waiting"], found["on_the_wire"]) == (
        "sale",
        "running",
        10,
        0,
    )
    hands.claim(4)
    found = read("pause", "sale")
    assert (found["state"], found["waiting"], found["on_the_wire"]) == ("paused", 6, 4)
    assert read("resume", "sale")["state"] == "running"
    assert read("cancel", "sale", "--yes")["state"] == "canceled"


def test_it_can_be_started_at_a_time(run, read, campaign):
    campaign()
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    assert run("start", "sale", "--at", at.isoformat())[1].startswith("ok campaign sale is to start at ")
    assert datetime.fromisoformat(read("status", "sale")["start_at"]) == at
    assert read("start", "sale", "--at", "2h")["state"] == "scheduled"
    assert read("start", "sale")["state"] == "running"


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ("2020-01-01T00:00:00Z", "at: is in the past; leave it out to start now"),
        ("2999-01-01T00:00:00Z", "at: is more than 366 days ahead"),
        ("soon", "at: 'soon' is no time; write 2h, 30m (from now)"),
    ],
)
def test_a_start_at_no_good_time_is_one_line_and_starts_nothing(run, read, campaign, at, line):
    campaign()
    code, out, err = run("start", "sale", "--at", at)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {line}")
    assert read("status", "sale")["state"] == "created"


def test_what_does_not_fit_its_state_is_told(run, campaign):
    campaign()
    for words, told in (
        (("pause", "sale"), "campaign sale is created: only one that is running can be paused"),
        (("resume", "sale"), "campaign sale is created: only one that is paused can be resumed"),
    ):
        assert run(*words) == (2, "", f"error: state: {told}\n")
    run("start", "sale")
    assert run("start", "sale")[0] == 0  # it is so: the same word again changes nothing
    run("cancel", "sale", "--yes")
    assert run("cancel", "sale", "--yes")[0] == 0
    assert (
        run("start", "sale")[2]
        == "error: state: campaign sale is canceled: only one that was not started yet can be started\n"
    )


def test_a_piped_cancel_needs_yes(run, read, campaign):
    campaign()
    code, out, err = run("cancel", "sale")
    assert (code, out) == (2, "")
    assert err.startswith("error: --yes: 10 messages of campaign sale will never be sent; give --yes to say")
    assert read("status", "sale")["state"] == "created"
    code, out, err = run("cancel", "sale", "--yes")
    assert (code, out, err) == (0, "ok campaign sale is canceled; 10 are not sent any more\n", "")


@pytest.mark.parametrize(("typed", "code", "state"), [("y\n", 0, "canceled"), ("\n", 130, "created")])
def test_on_a_terminal_a_person_is_asked(run, read, campaign, monkeypatch, typed, code, state):
    campaign()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    found, _, err = run("cancel", "sale")
    assert found == code
    assert "10 messages of campaign sale will never be sent. Go on?" in err
    assert read("status", "sale")["state"] == state


def test_an_import_that_was_cut_off_is_told_at_its_start(run, people, hands, cut_off):
    cut_off(2)
    run("create", "sale", "--text", "Hi", "--recipients", people(700))
    out = run("start", "sale")[1]
    assert out.splitlines()[1] == "warn its import stopped after 500 rows: the same `create` goes on there"


@pytest.mark.parametrize(
    "words",
    [
        ("start",),
        ("pause",),
        ("resume",),
        ("cancel", "--yes"),
        ("status",),
        ("watch",),
        ("report", "--output", "-"),
        ("report", "--output", "x.csv"),
        ("retry", "--failed"),
    ],
)
def test_an_unknown_campaign_is_one_line(run, hands, tmp_path, words):
    code, out, err = run(words[0], "nothing", *words[1:])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: name: there is no campaign called nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "create",
        "preview",
        "start",
        "pause",
        "resume",
        "cancel",
        "list",
        "status",
        "watch",
        "report",
        "retry",
        "weigh",
    ],
)
def test_each_explains_itself_with_examples(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"  sendline campaign {command}" in out
    assert "--json" in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    "words",
    [("list",), ("status", "sale"), ("start", "sale"), ("watch", "sale"), ("retry", "sale", "--failed")],
)
def test_a_redis_that_is_not_there_is_one_line(run, monkeypatch, words):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://127.0.0.1:1")
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: redis_url: Redis at 127.0.0.1:1 can't be reached")
