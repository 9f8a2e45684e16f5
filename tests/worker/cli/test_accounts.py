"""`sendline accounts`: what it shows of each account and of what waits; and `sendline campaign`."""

import json
import time
from datetime import datetime

import pytest

from ledger_world import START, account_limits
from sendline.contract import ids
from sendline.contract.message import instant
from sendline.ledger import lines as ledger_lines
from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import adjust, halt
from sendline.ledger.keys import account_key
from sendline.ledger.limits import Limits
from sendline_worker.answers import overview
from sendline_worker.cli.main import main

WIDEST = 120


@pytest.fixture
def run(redis_url, monkeypatch, capsys):
    """Run a command on the ledger of the test; returns its code, its output and its errors."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)

    def run(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def read(run):
    """Run a command with --json and return what it printed."""

    def read(*words):
        code, out, err = run(*words, "--json")
        assert (code, err, out.count("\n")) == (0, "", 1)
        return json.loads(out)

    return read


@pytest.fixture
def now(world):
    """The ledger's clock in hand, set to the real time, which commands read."""
    world.clock.advance(time.time() - START / 1_000_000)
    return world.clock


def lines(out):
    return [line.split() for line in out.splitlines()]


def test_an_account_is_shown_with_its_rates_what_waits_and_for_how_long(world, now, read):
    world.configure("main", rate=20, burst=1, in_flight=5, daily_cap=1000)
    world.accept_many(3)
    world.accept(lane="urgent")
    world.claim_one()
    now.advance(0)
    [found] = read("accounts")["accounts"]
    assert (found["rate"], found["rate_configured"], found["rate_in_force"]) == (20, 20, 20)
    assert found["waiting"] == {"urgent": 0, "normal": 3, "bulk": 0}
    assert (found["sending"], found["in_flight"]) == (1, 5)
    assert (found["daily_cap"], found["used_today"], found["breaker"]) == (1000, 1, "closed")
    assert 0 <= found["oldest"]["normal"] < 60
    assert found["oldest"]["bulk"] is None
    assert 0 < found["rate_in_use"] <= 0.1


def test_the_table_can_be_read_in_120_columns(world, now, run):
    limits = [account_limits(name, 20, 40, 100, daily_cap=50_000) for name in ("main", "backup-2")]
    world.configure(*limits)
    world.accept_many(200, lane="bulk", campaign="black-friday")
    world.accept_many(20, lane="urgent")
    world.accept_many(150, "main,backup-2")
    world.claim(30)
    now.advance(-700)  # as if all had been accepted 700 s ago
    code, out, _ = run("accounts")
    table = out.splitlines()[:3]
    assert code == 0
    assert table[0].split()[:5] == ["account", "provider", "state", "rate", "in"]
    assert "sending" in table[0]
    assert "of 50000" in table[1]
    assert max(len(line) for line in table) <= WIDEST


def test_a_column_in_which_nothing_stands_is_left_out(world, run):
    world.configure("main")
    assert "today" not in run("accounts")[1]
    world.configure("main", daily_cap=5)
    assert "today" in run("accounts")[1]


def test_a_person_who_paused_it_is_told_with_the_reason(world, ledger, read, run):
    world.configure("main")
    ledger.run(halt(Limits(), "main", "an outage of theirs"))
    [found] = read("accounts")["accounts"]
    assert (found["state"], found["paused_by"]) == ("paused", "person")
    assert (found["cause"], found["rate_in_force"]) == ("an outage of theirs", 0)
    said = "Account main is paused by a person: an outage of theirs. `sendline accounts resume main` lets it"
    out = run("accounts")[1]
    assert said in out
    assert "paused" in lines(out)[1]


def test_what_a_person_adjusted_is_told_beside_what_is_configured(world, ledger, read, run):
    world.configure("main", rate=20, burst=2)
    ledger.run(adjust(Limits(), "main", {"rate": 10, "daily_cap": 500}))
    [found] = read("accounts")["accounts"]
    assert found["adjusted"] == {
        "rate": {"in_force": 10, "configured": 20},
        "daily_cap": {"in_force": 500, "configured": None},
    }
    assert (found["rate"], found["rate_configured"], found["limits"]["burst"]) == (10, 20, 2)
    assert (
        "adjusted by a person: rate 10, configured 20; daily_cap 500, configured none." in run("accounts")[1]
    )


def test_a_rate_that_climbs_back_after_a_429_is_told(world, now, read, run):
    world.configure("main", rate=20, burst=1)
    world.accept()
    world.settle(
        world.claim_one(), "retrying", delay=-1, counted=False, effect="pause", pause=30, reason="429"
    )
    [found] = read("accounts")["accounts"]
    assert (found["state"], found["paused_by"]) == ("paused", "provider")
    assert (found["cause"], found["rate_in_force"]) == ("429", 0)
    assert "Account main, asked to slow down, has 50% of its rate, which climbs back." in run("accounts")[1]


def test_a_breaker_that_is_open_is_told(world, now, read, run):
    world.configure("main")
    world.accept_many(10)
    for claim in world.claim(10).claims:
        world.settle(claim, "retrying", delay=60, effect="fail", reason="no connection")
    [found] = read("accounts")["accounts"]
    assert (found["state"], found["breaker"], found["cause"]) == ("broken", "open", "no connection")
    assert "The circuit breaker of account main is open" in run("accounts")[1]


def test_a_day_that_is_used_up_is_told_with_its_end(world, now, read):
    world.configure("main", daily_cap=2)
    world.accept_many(3)
    world.claim(3)
    [found] = read("accounts")["accounts"]
    assert (found["state"], found["used_today"], found["rate_in_force"]) == ("spent", 2, 0)
    assert found["until"] == found["day_ends"] > instant(now.ms).isoformat()


def test_campaigns_are_shown_with_about_when_they_are_done(world, now, read, run):
    world.configure("main", rate=10, burst=1)
    world.accept_many(100, lane="bulk", campaign="large")
    world.accept_many(10, lane="bulk", campaign="small")
    world.accept_many(5, lane="bulk")
    found = {each["campaign"]: each for each in read("accounts")["campaigns"]}
    assert {name: each["waiting"] for name, each in found.items()} == {"large": 100, "small": 10, None: 5}
    assert found[None]["done_about"] < found["small"]["done_about"] < found["large"]["done_about"]
    assert found["large"]["because"].startswith("Account main sends 10 a second, 2 other rows take turns")
    out = run("accounts")[1]
    assert ["campaign", "account", "waiting", "weight"] in [words[:4] for words in lines(out)]
    [large] = [line for line in out.splitlines() if line.startswith("large")]
    assert "in about 11 s" in large or "in about 12 s" in large


def test_a_campaign_whose_account_is_paused_has_no_end(world, ledger, read, run):
    world.configure("main")
    world.accept(lane="bulk", campaign="spring")
    ledger.run(halt(Limits(), "main", ""))
    [found] = read("accounts")["campaigns"]
    assert found["done_about"] is None
    assert "paused by a person" in found["because"]
    [line] = [line for line in run("accounts")[1].splitlines() if line.startswith("spring")]
    assert line.split() == ["spring", "main", "1", "1", "paused"]


def test_an_estimate_is_of_the_segments_of_each_campaign(world, now, read):
    world.configure("main", rate=10, burst=1, unit="segments")
    world.accept_many(100, lane="bulk", campaign="long", text="x" * 600)
    world.accept_many(100, lane="bulk", campaign="short")
    found = {each["campaign"]: each["done_about"] for each in read("accounts")["campaigns"]}
    ends = {name: datetime.fromisoformat(at).timestamp() - now.ms / 1000 for name, at in found.items()}
    assert ends["short"] == pytest.approx(20, abs=2)
    assert ends["long"] == pytest.approx(50, abs=2)


def test_limits_that_estimates_leave_out_are_told_below_them(world, run, read):
    world.configure("main", rate=10, burst=1, in_flight=5, sender_daily_cap=9)
    said = "The in_flight and sender_daily_cap of account main are not reckoned with."
    assert said not in run("accounts")[1]
    world.accept(lane="bulk", campaign="spring")
    assert said in run("accounts")[1]
    assert read("accounts")["campaigns"][0]["because"].endswith(said)


def test_rows_that_were_not_read_are_told(world, read, run, monkeypatch):
    world.configure("main")
    for number in range(3):
        world.accept(lane="bulk", campaign=f"c{number}")
    assert read("accounts")["lines_whole"]
    for module in (ledger_lines, overview):
        monkeypatch.setattr(module, "ROWS_READ", 2)
    assert not read("accounts")["lines_whole"]
    assert "only 2 rows of lines were read: more waits than is shown" in run("accounts")[1]


def test_a_rate_in_use_that_is_next_to_nothing_is_none(world, now, read):
    now.advance(-400)
    world.configure("main")
    world.accept()
    world.claim_one()
    assert 0 < world.ledger.run(account_state("main")).rate_in_use(now.us + 400_000_000) < 1e-15
    now.advance(400)
    assert read("accounts")["accounts"][0]["rate_in_use"] == 0


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1 message has no route yet"), (2, "2 messages have no route")]
)
def test_messages_without_a_route_are_counted(world, run, number, said):
    world.accept_many(number, "")
    assert f"\n{said}" in run("accounts")[1]


def test_rows_of_one_campaign_by_sender_are_one_campaign(world, read):
    world.configure("main", sender_rate=1)
    for sender in ("+13115550001", "+13115550002"):
        world.accept_many(3, lane="bulk", campaign="spring", sender=sender)
    [found] = read("accounts")["campaigns"]
    assert (found["campaign"], found["waiting"]) == ("spring", 6)


# Campaigns


def test_a_campaign_is_weighed(world, read, run):
    world.configure("main")
    world.accept_many(2, lane="bulk", campaign="spring")
    assert read("campaign", "weigh", "spring", "2.5") == {"campaign": "spring", "weight": 2.5, "waiting": 2}
    assert read("accounts")["campaigns"][0]["weight"] == 2.5
    said = "ok campaign spring takes turns with weight 1; 2 messages of it wait\n"
    assert run("campaign", "weigh", "spring", "1") == (0, said, "")
    world.claim_one()
    assert "; 1 message of it waits\n" in run("campaign", "weigh", "spring", "1")[1]
    assert read("accounts")["campaigns"][0]["weight"] == 1


@pytest.mark.parametrize("weight", ["0", "0.009", "1001", "nan", "inf", "much"])
def test_a_weight_without_bounds_is_refused(run, weight):
    code, out, err = run("campaign", "weigh", "spring", weight)
    assert (code, out) == (2, "")
    assert err == f"error: weight: '{weight}' is not a number from 0.01 to 1000\n"


def test_a_name_that_no_campaign_can_have_is_refused(run):
    code, _, err = run("campaign", "weigh", "a campaign", "2")
    assert code == 2
    assert err.startswith("error: name: 'a campaign' is no campaign's name")


# What a message waits for


def test_status_tells_programs_which_limit_holds_a_message(world, now, ledger, read):
    world.configure("main", rate=0.1, burst=1)
    world.tick()
    first, second = world.accept_many(2)
    world.claim(1)
    found = read("status", ids.to_text(second))
    assert (found["waits_for"]["limit"], found["waits_for"]["account"]) == ("rate", "main")
    assert found["waits_for"]["about"] > found["created_at"]
    assert found["waits"][0] in {
        f"Account main sends 0.1 a second: its turn comes in about {left} s." for left in ("9.8", "9.9", "10")
    }
    assert read("status", ids.to_text(first))["waits_for"]["limit"] == "outcome"
    ledger.run(halt(Limits(), "main", "maintenance"))
    held = read("status", ids.to_text(second))["waits_for"]
    expected = {"limit": "paused", "account": "main", "paused_by": "person", "until": None, "about": None}
    assert held == expected


def test_no_worker_that_knows_an_account_is_told(run, raw, world):
    world.configure("main")
    raw.hdel(account_key("main"), "interval")
    assert "Account main is not configured on the workers." in run("accounts")[1]
