"""`sendline webhooks`: what it shows of endpoints, and how they are resumed, replayed and dropped."""

import io
import re
import sys
from hashlib import sha1
from urllib.parse import urlsplit

import pytest

from proxy import Proxy
from sendline.contract.message import instant, stamp
from sendline.ledger import notices
from sendline.ledger.notices import Outcome
from sendline_worker.answers import endpoints

URL = "https://app.example/hooks"
UNKNOWN = "0123456789abcdef"
KEPT_FOR = 3600

COMMAND = "webhooks"


@pytest.fixture
def hooks(world):
    world.configure("main")
    return Hooks(world)


class Hooks:
    """What a worker does to endpoints, on the world's clock."""

    def __init__(self, world):
        self.world = world

    def send(self, url=URL, number=1):
        for _ in range(number):
            self.world.accept(callback_url=url)

    def take(self, most=100):
        call = notices.take_notices(self.world.limits, most=most, lease=60, most_each=most)
        return self.world.ledger.run(call).parcels

    def settle(self, parcels, verdict, reason="", kept_for=KEPT_FOR):
        taken = [len(each.notices) if verdict == "taken" else 0 for each in parcels]
        outcomes = [
            Outcome(each, number, verdict, reason=reason) for each, number in zip(parcels, taken, strict=True)
        ]
        return self.world.ledger.run(notices.told(self.world.limits, outcomes, kept_for=kept_for))

    def tell(self, url=URL):
        self.send(url)
        self.settle(self.take(), "taken")

    def fail(self, url=URL, times=1):
        self.send(url, times)
        for _ in range(times):
            self.settle(self.take(1), "failed", "answered 500")

    def stop(self, url=URL):
        self.send(url)
        self.settle(self.take(), "gone", "answered 410: it is gone for good")

    def lose(self, url=URL, number=1):
        """Lose notices; the endpoint is stopped then."""
        self.send(url, number)
        self.world.raw.hset(f"sl:os:{mark_of(url)}", "told_at", 1)  # so that all of them go at once
        self.settle(self.take(), "failed", "answered 500", kept_for=0)


def mark_of(url):
    return sha1(re.split(r"[?#]", url)[0].encode(), usedforsecurity=False).hexdigest()[:16]


MARK = mark_of(URL)


def alike():
    """Two URLs whose marks begin alike."""
    seen = {}
    for number in range(10_000):
        url = f"https://app.example/{number}"
        other = seen.setdefault(mark_of(url)[:4], url)
        if other != url:
            return other, url
    raise AssertionError


# The list


def test_where_there_is_no_endpoint_it_says_how_one_comes_to_be(run, read, world):
    world.configure("main")
    world.accept()
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert out.startswith("ok no endpoint is told of anything")
    assert "callback_url" in out
    assert read("list") == {"number": 0, "endpoints": []}


def test_stopped_ones_come_first_then_failing_ones_then_the_rest(run, read, hooks):
    hooks.tell("https://a.example/idle")
    hooks.stop("https://d.example/stopped")
    hooks.fail("https://c.example/fails")
    hooks.send("https://b.example/waits")
    states = {urlsplit(each["url"]).path: each["state"] for each in read("list")["endpoints"]}
    assert list(states.items()) == [
        ("/stopped", "stopped"),
        ("/fails", "fails"),
        ("/idle", "idle"),
        ("/waits", "waits"),
    ]
    code, out, err = run("list")
    assert (code, err) == (0, "")
    heads, *lines = out.splitlines()
    assert heads.split()[:2] == ["mark", "state"]
    assert [line.split()[1] for line in lines[:4]] == ["stopped", "fails", "idle", "waits"]
    assert lines[0].split()[0] == mark_of("https://d.example/stopped")
    assert [line.split()[-1] for line in lines[:4]] == [each["url"] for each in read("list")["endpoints"]]
    empty, stopped, fails, hint = lines[4:]
    assert empty == ""
    assert stopped.startswith(f"{mark_of('https://d.example/stopped')} is stopped since 2023-11-14T")
    assert stopped.endswith(": answered 410: it is gone for good")
    assert fails.startswith(f"{mark_of('https://c.example/fails')} fails since 2023-11-14T")
    assert fails.endswith(", 1 in vain: answered 500")
    assert hint == "what is stopped is told nothing: `sendline webhooks resume MARK` takes it up again"


def test_only_those_that_fail_are_shown_on_demand(run, read, hooks):
    hooks.tell()
    assert run("list", "--failing") == (0, "ok no endpoint fails or is stopped\n", "")
    hooks.stop("https://d.example/")
    hooks.fail("https://c.example/")
    found = read("list", "--failing")
    assert found["number"] == 2
    assert [each["state"] for each in found["endpoints"]] == ["stopped", "fails"]


def test_json_holds_all_that_is_known_of_an_endpoint(read, hooks, world):
    hooks.tell()
    at = stamp(instant(world.clock.ms))
    hooks.send(number=2)
    hooks.take(1)
    [shown] = read("list")["endpoints"]
    well = {"mark": MARK, "url": URL, "state": "waits", "waiting": 2, "under_way": 1, "lost": 0}
    well |= {"told": 1, "told_at": at, "failures": 0, "failing_since": None, "reason": None}
    well |= {"next_try": None, "stopped_at": None}
    assert shown == well


def test_an_endpoint_that_rests_is_shown_with_its_next_try(run, read, hooks, world):
    hooks.fail(times=5)
    [shown] = read("list")["endpoints"]
    assert (shown["state"], shown["failures"], shown["reason"]) == ("fails", 5, "answered 500")
    assert shown["failing_since"] == stamp(instant(world.clock.ms))
    assert shown["next_try"] == stamp(instant(world.clock.ms + 5000))
    assert run("list")[1].endswith(f"answered 500; next try {shown['next_try']}\n")


def test_no_query_no_login_and_nothing_that_a_terminal_obeys_is_shown(run, hooks):
    hooks.stop("https://me:secret-1@app.example:8443/h\x1b[31mé?key=secret-2#secret-3")
    mark = mark_of("https://me:secret-1@app.example:8443/h\x1b[31mé")
    shown = "https://app.example:8443/h%1B[31m%C3%A9"
    for words in (
        *(["list"], ["list", "--json"], ["replay", mark], ["resume", mark, "--json"], ["resume", mark]),
        *(["drop", mark], ["drop", mark, "--yes"]),
    ):
        said = "".join(run(*words)[1:])
        assert shown in said
        assert "secret" not in said
        assert "\x1b" not in said


def test_very_many_are_read_in_parts(read, hooks, monkeypatch):
    monkeypatch.setattr(endpoints, "AT_ONCE", 2)
    for number in range(5):
        hooks.send(f"https://app.example/{number}")
    found = read("list")
    assert [each["url"] for each in found["endpoints"]] == [f"https://app.example/{n}" for n in range(5)]


def test_a_long_list_is_cut_and_says_how_many_more_there_are(run, read, hooks):
    hooks.stop("https://app.example/z")
    for number in range(4):
        hooks.send(f"https://app.example/{number}")
    found = read("list", "--limit", "2")
    assert found["number"] == 5
    assert [each["url"][-1] for each in found["endpoints"]] == ["z", "0"]
    lines = run("list", "--limit", "2")[1].splitlines()
    assert "https://app.example/1" not in "".join(lines)
    assert lines[-1] == "and 3 more; --limit 5 shows all"
    assert "more;" not in run("list", "--limit", "5")[1]
    assert run("list", "--limit", "1", "--failing")[1].count("https://") == 1


# Which one is meant


@pytest.mark.parametrize(
    "word",
    [
        MARK,
        MARK[:4],
        MARK.upper(),
        URL,
        f"{URL}?key=1#top",
        "app.example",
        "/hooks",
        "app.example/hooks?key=1",
    ],
)
def test_a_mark_its_beginning_a_url_or_a_part_of_one_names_an_endpoint(read, hooks, word):
    hooks.stop(f"{URL}?key=2")
    hooks.stop("https://other.example/")
    assert read("resume", word) == {"resumed": [{"mark": MARK, "url": URL, "waiting": 1}]}
    assert {each["url"]: each["state"] for each in read("list")["endpoints"]} == {
        "https://other.example/": "stopped",
        URL: "waits",
    }


@pytest.mark.parametrize("command", ["resume", "replay", "drop"])
@pytest.mark.parametrize(
    ("word", "problem"),
    [
        (UNKNOWN, f"no endpoint is known as '{UNKNOWN}'; see `sendline webhooks list`"),
        ("https://app.example/?k=1", "no endpoint is known as 'https://app.example/'; see"),
        (MARK[:3], f"'{MARK[:3]}' is too short; give 4 or more characters of a mark or a URL"),
        ("main", "no endpoint is known as 'main'; see"),
    ],
)
def test_one_that_is_not_known_is_a_mistake(run, read, hooks, command, word, problem):
    hooks.stop()
    code, out, err = run(command, word)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: mark: {problem}")
    assert err.count("\n") == 1
    assert run(command, word, "--json")[0] == 2
    assert read("list")["endpoints"][0]["state"] == "stopped"


@pytest.mark.parametrize("command", ["resume", "replay", "drop"])
def test_a_beginning_of_several_marks_is_a_mistake_that_names_them(run, hooks, command):
    one, other = alike()
    for url in (one, other):
        hooks.send(url)
    code, out, err = run(command, mark_of(one)[:4])
    marks = ", ".join(sorted([mark_of(one), mark_of(other)]))
    assert (code, out) == (2, "")
    assert err == f"error: mark: '{mark_of(one)[:4]}' may mean 2 endpoints; give one of {marks}\n"


def test_a_url_that_is_the_beginning_of_others_means_itself_and_a_part_of_several_none(run, read, hooks):
    for url in (URL, f"{URL}/2"):
        hooks.stop(url)
    assert read("resume", URL)["resumed"][0]["mark"] == MARK
    code, _, err = run("resume", "app.example/hooks/")
    assert (code, err) == (0, "")
    code, _, err = run("resume", "/hooks")
    assert code == 2
    assert err.startswith("error: mark: '/hooks' may mean 2 endpoints; give one of ")


# Resuming


def test_a_stopped_endpoint_is_told_again(run, hooks):
    hooks.stop()
    hooks.send()
    assert hooks.take() == ()
    said = f"ok endpoint {MARK} ({URL}) is told again; it waits to be told of 2 messages\n"
    assert run("resume", MARK) == (0, said, "")
    assert len(hooks.take()) == 2


def test_all_that_fail_are_resumed_and_no_other(run, read, hooks):
    hooks.send("https://a.example/")
    hooks.settle(hooks.take(), "taken")
    assert run("resume", "--all") == (0, "ok no endpoint fails or is stopped\n", "")
    hooks.stop("https://d.example/")
    hooks.fail("https://c.example/", times=5)
    found = {each["url"]: each["waiting"] for each in read("resume", "--all")["resumed"]}
    assert found == {"https://d.example/": 1, "https://c.example/": 5}
    assert read("list", "--failing")["number"] == 0
    assert {each.url for each in hooks.take()} == set(found)


def test_several_are_resumed_each_once_or_none_where_one_is_not_known(run, read, hooks):
    urls = ["https://a.example/", "https://b.example/"]
    for url in urls:
        hooks.stop(url)
    assert run("resume", urls[0], UNKNOWN)[0] == 2
    assert read("list", "--failing")["number"] == 2
    found = read("resume", *urls, mark_of(urls[0]))["resumed"]
    assert [each["url"] for each in found] == urls


def test_resuming_tells_that_something_was_lost(run, hooks):
    hooks.lose(number=2)
    assert run("resume", MARK)[1].splitlines() == [
        f"ok endpoint {MARK} ({URL}) is told again; it waits to be told of 0 messages",
        f"   2 lost notices: `sendline webhooks replay {MARK}` tells what was lost",
    ]


def test_resume_needs_marks_or_all_and_not_both(run):
    assert run("resume") == (2, "", "error: mark: missing; name the endpoints, or give --all\n")
    assert run("resume", MARK, "--all")[2].startswith("error: --all: and marks exclude each other")


# Replaying


def test_what_was_lost_is_told_after_all_in_batches_with_progress(run, hooks, monkeypatch):
    monkeypatch.setattr(notices, "REPLAYED", 2)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    hooks.lose(number=5)
    run("resume", MARK)
    assert hooks.take() == ()
    code, out, err = run("replay", MARK)
    assert (code, out) == (0, "ok 5 lost notices will be told after all\n")
    assert err == "\r  2 of 5\r  4 of 5\r  5 of 5\n"
    assert len(hooks.take()) == 5
    assert run("replay", MARK) == (0, "ok nothing is lost\n", "")


def test_a_stopped_endpoint_is_replayed_only_when_it_is_resumed_too(run, read, hooks):
    hooks.lose(number=2)
    code, out, err = run("replay", MARK)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: --resume: endpoint {MARK} ({URL}) is stopped since ")
    assert err.endswith(": answered 500; give --resume to take up telling it again\n")
    assert read("list")["endpoints"][0]["lost"] == 2
    assert read("replay", MARK, "--resume") == {"mark": MARK, "url": URL, "replayed": 2, "resumed": True}
    assert len(hooks.take()) == 2
    assert read("replay", MARK, "--resume") == {"mark": MARK, "url": URL, "replayed": 0, "resumed": False}


def test_a_replay_whose_answer_is_lost_twice_counts_each_notice_once(
    run, hooks, world, redis_url, monkeypatch
):
    hooks.lose(number=3)
    run("resume", MARK)
    assert world.ledger.run(notices.replay(world.limits, UNKNOWN)) == -1, (
        "the server knows the script from now on"
    )
    with Proxy(urlsplit(redis_url).path) as proxy:
        monkeypatch.setenv("SENDLINE_REDIS_URL", proxy.redis_url)
        proxy.drop_replies(2, after=notices.script("replay").function.encode())
        assert run("replay", MARK) == (0, "ok 3 lost notices will be told after all\n", "")
        assert proxy.dropped == 2
    assert len(hooks.take()) == 3


# Dropping


def test_dropping_forgets_an_endpoint_and_says_what_it_was_not_told(run, read, hooks):
    hooks.lose(number=2)
    hooks.send()
    code, out, err = run("drop", MARK, "--yes")
    assert (code, err) == (0, "")
    assert out == f"ok endpoint {MARK} ({URL}) is forgotten; it was not told of 1 message and 2 lost events\n"
    assert read("list")["number"] == 0
    hooks.send()
    assert read("drop", URL, "--yes") == {"mark": MARK, "url": URL, "dropped": 1}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_without_a_terminal_it_is_dropped_only_with_yes(run, read, hooks, words):
    hooks.send()
    code, out, err = run("drop", MARK, *words)
    assert (code, out) == (2, "")
    assert "give --yes to say that this is meant" in err
    assert read("list")["number"] == 1


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 0), ("n\n", 130, 1)])
def test_on_a_terminal_a_person_is_asked(run, read, hooks, monkeypatch, typed, code, left):
    hooks.lose(number=2)
    hooks.send()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    found, _, err = run("drop", MARK)
    assert found == code
    meant = "with 1 message that it waits to be told of and 2 lost notices. Go on? [y/N]"
    assert f"endpoint {MARK} ({URL}) will be forgotten, {meant}" in err
    assert read("list")["number"] == left


def test_a_drop_whose_answer_is_lost_is_done_all_the_same(run, hooks, world, redis_url, monkeypatch):
    hooks.send(number=2)
    assert world.ledger.run(notices.drop(world.limits, UNKNOWN)) == -1, (
        "the server knows the script from now on"
    )
    with Proxy(urlsplit(redis_url).path) as proxy:
        monkeypatch.setenv("SENDLINE_REDIS_URL", proxy.redis_url)
        proxy.drop_replies(1, after=notices.script("drop").function.encode())
        code, out, err = run("drop", MARK, "--yes")
        assert proxy.dropped == 1
    assert (code, err) == (0, "")
    assert out.endswith("it was not told of 2 messages and 0 lost events\n")


# All of them


@pytest.mark.parametrize(
    "words", [["list"], ["resume", "--all"], ["resume", MARK], ["replay", MARK], ["drop", MARK, "--yes"]]
)
def test_a_ledger_that_is_away_is_one_line(run, monkeypatch, words):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://127.0.0.1:1")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: redis_url: Redis at 127.0.0.1:1 can't be reached")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "resume", "replay", "drop"])
def test_each_command_explains_itself_with_examples(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"  sendline webhooks {command}" in out.partition("Examples:")[2]
    assert "--json" in out


def test_without_a_command_it_names_those_there_are(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("error: command: missing; give list or resume or replay or drop")
