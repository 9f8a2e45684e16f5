"""The commands that read and write the ledger, called as the entry point calls them."""

import io
import json
import socket
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from ledger_world import World
from sendline import Producer, Status
from sendline.ledger import work
from sendline.ledger.accounts import Wake, configure
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS, account_key
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from sendline_worker.accounts import directory_json, directory_of, load_accounts
from sendline_worker.cli.main import main
from sendline_worker.cli.table import COMMANDS, known
from sendline_worker.cli.up import hint
from servers import ValkeyServer
from waiting import poll

TO, FROM = "+13115552367", "+13115552368"
CONFIG = """
public_url = "https://sms.example.com"
secret_key = "0123456789abcdef"
[accounts.main]
provider = "opentact"
base_url = "http://127.0.0.1:9"
api_key = "very-secret-key"
senders = ["+13115552368"]
[accounts.flows]
provider = "kore"
base_url = "http://127.0.0.1:9"
bot_id = "st-1"
client_id = "cs-1"
client_secret = "very-secret-key-of-thirty-two-letters"
[[routes]]
to = "+1"
accounts = ["main"]
"""


@pytest.fixture
def run(redis_url, monkeypatch, capsys, tmp_path):
    """Run a command against an empty ledger; returns its code, its output and its errors."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)
    (tmp_path / "sendline.toml").write_text(CONFIG)

    def run(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def read(run):
    """Run a command with --json and return what it printed."""

    def read(*words, code=0):
        found, out, err = run(*words, "--json")
        assert (found, err) == (code, "")
        assert out.count("\n") == 1
        return json.loads(out)

    return read


@pytest.fixture
def sent(read):
    """The id of a message that waits."""
    return read("send", "--to", TO, "--text", "Hello")["id"]


def test_send_prints_the_id_and_the_status(run, redis_url):
    code, out, err = run("send", "--to", TO, "--text", "Hello", "--sender", FROM)
    message_id, status = out.split()
    assert (code, status, err) == (0, "created", "")
    with Producer(redis_url) as producer:
        assert producer.get(message_id).text == "Hello"


def test_send_passes_every_option_on(read, redis_url):
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    words = ["--sender", FROM, "--account", "main", "--lane", "urgent", "--idempotency-key", "order-17"]
    words += ["--not-before", at.isoformat(), "--valid-for", "10m", "--on-uncertain", "hold"]
    words += ["--callback-url", "https://app.example.com/x", "--metadata", "order=17", "--metadata", "a=b=c"]
    first = read("send", "--to", TO, "--text", "Hello", *words)
    assert (first["lane"], first["account"], first["on_uncertain"]) == ("urgent", "main", "hold")
    assert first["due_at"] == at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert datetime.fromisoformat(first["expires_at"]) - at == timedelta(minutes=10)
    assert first["metadata"] == {"order": "17", "a": "b=c"}
    assert first["callback_url"] == "https://app.example.com/x"
    assert read("send", "--to", TO, "--text", "Hello", *words)["id"] == first["id"]


def test_a_time_without_a_zone_is_this_machines_local_time(read):
    local = (datetime.now() + timedelta(hours=1)).replace(microsecond=0)  # noqa: DTZ005 - that is the point
    due = read("send", "--to", TO, "--text", "Hello", "--not-before", local.isoformat())["due_at"]
    assert datetime.fromisoformat(due) == local.astimezone()


def test_the_text_may_come_from_standard_input(read, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\nzwei\n".encode())))
    assert read("send", "--to", TO, "--text", "-")["text"] == "Grüße\nzwei"


def test_accounts_that_no_worker_has_published_refuse_what_they_can_not_carry(run):
    code, out, err = run("send", "--to", TO, "--text", "Hello", "--account", "flows", "--sender", FROM)
    assert (code, out) == (2, "")
    assert err.startswith("error: text: account flows carries no text of ours")


@pytest.fixture
def end_as(redis_url, publish):
    """Be a worker in a thread that sends one message: `end_as(Status.SENT)`."""
    publish("main")
    threads = []

    def carry(status):
        with closing(Ledger(redis_url)) as ledger:
            world = World(ledger, None, None)
            [claim] = poll(lambda: world.claim(1).claims)
            world.settle(claim, status, **({"deadline": 0} if status is Status.SENT else {}))

    def end_as(status):
        threads.append(threading.Thread(target=carry, args=(status,)))
        threads[-1].start()
        return threads[-1]

    yield end_as
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(Status.SENT, 0), (Status.FAILED, 1), (Status.UNCERTAIN, 1)])
def test_wait_follows_the_message_to_its_end(run, end_as, status, code):
    end_as(status)
    found, out, err = run("send", "--to", TO, "--text", "Hello", "--wait", "--timeout", "1")
    statuses = [line.split()[1] for line in out.splitlines()]
    assert statuses == ["created", "sending", str(status)]
    assert found == code
    message_id = out.split()[0]
    doubt = "error: the provider may or may not have accepted it: see "
    told = f"{doubt}`sendline status {message_id}` before it is sent again\n"
    assert err == (told if status is Status.UNCERTAIN else "")


def test_wait_with_json_prints_the_message_once_at_its_end(read, end_as):
    end_as(Status.FAILED)
    assert read("send", "--to", TO, "--text", "Hello", "--wait", code=1)["status"] == "failed"


def test_wait_ends_with_3_and_what_to_do_where_it_is_not_final_in_time(run):
    code, out, err = run("send", "--to", TO, "--text", "Hello", "--wait", "--timeout", "0.05")
    see = f"see `sendline status {out.split()[0]}` for what it waits for"
    assert (code, err) == (3, f"error: it is not final after 50 ms: {see}\n")


def test_a_time_may_be_a_length_from_now(read):
    before = datetime.now(UTC)
    due = datetime.fromisoformat(read("send", "--to", TO, "--text", "Hello", "--not-before", "90m")["due_at"])
    assert timedelta(minutes=90) - timedelta(seconds=1) < due - before < timedelta(minutes=90, seconds=20)


def test_the_time_that_a_mistaken_time_recommends_works(run, read):
    err = run("send", "--to", TO, "--text", "Hello", "--not-before", "tomorrow")[2]
    recommended = err.rpartition(" ")[2].strip()
    assert read("send", "--to", TO, "--text", "Hello", "--not-before", recommended)["due_at"]


def test_status_shows_the_message_its_timeline_and_why_it_waits(run, sent):
    code, out, err = run("status", sent)
    assert (code, err) == (0, "")
    assert "No worker has run on this ledger yet: start `sendline worker`" in out
    assert "status       created" in out
    assert TO not in out
    assert "Hello" not in out


def test_status_shows_numbers_and_text_where_asked(run, read, sent):
    out = run("status", sent, "--text")[1]
    assert TO in out
    assert "Hello" in out
    assert read("status", sent, "--text")["text"] == "Hello"
    assert "text" not in read("status", sent)


def test_status_of_a_final_message_waits_for_nothing(run, read, sent):
    assert run("cancel", sent)[:2] == (0, f"{sent} canceled\n")
    found = read("status", sent)
    assert (found["status"], found["waits"], found["final"]) == ("canceled", [], True)
    assert [entry["status"] for entry in found["timeline"]] == ["created", "canceled"]
    assert "not held any more" in run("status", sent, "--text")[1]


def test_cancel_tells_when_it_is_too_late(run, sent, end_as):
    end_as(Status.SENT).join()
    code, out, _ = run("cancel", sent)
    assert (code, out) == (1, f"{sent} sent (too late to cancel)\n")


def test_accounts_shows_how_each_stands_and_what_waits(run, read, sent, publish, raw):
    publish("main", rate=20, in_flight=5)
    raw.hset(account_key("main"), mapping={"stopped": "401: the key", "paused_until": 10**14})
    found = read("accounts")
    main_, flows = found["accounts"]
    assert (main_["name"], main_["provider"], main_["rate"], main_["in_flight"]) == (
        "main",
        "opentact",
        20,
        5,
    )
    assert (main_["state"], main_["cause"], main_["waiting"]["normal"]) == ("stopped", "401: the key", 1)
    assert main_["oldest_waiting"] < 60
    assert (flows["state"], flows["waiting"]) == ("unknown", {"urgent": 0, "normal": 0, "bulk": 0})
    assert not found["worker_running"]
    code, out, err = run("accounts")
    assert (code, err) == (0, "")
    assert "Account main is stopped, and tried again in" in out
    assert "no worker is running" in out


def test_accounts_shows_the_url_for_each_provider(run, read):
    main_, flows = read("accounts", "--urls")["accounts"]
    assert main_["receipts_url"].startswith("https://sms.example.com/receipts/main/")
    assert flows["receipts_url"] == "none: its provider reports no deliveries"
    assert main_["receipts_url"] in run("accounts", "--urls")[1]


def test_accounts_says_why_there_is_no_url_where_only_the_workers_have_accounts(run, tmp_path, publish):
    (tmp_path / "sendline.toml").write_text("")
    publish("main")
    code, out, err = run("accounts", "--urls")
    assert (code, err) == (0, "")
    assert "report deliveries" not in out
    assert out.splitlines()[-1].startswith("no URLs: no account is configured here;")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "open"),
        ({"paused_until": 10**14, "cause": "429"}, "paused"),
        ({"flying": 5}, "full"),
        ({"tat": 10**17}, "at_rate"),
        ({"stopped": "402", "paused_until": 1}, "stopped"),
    ],
)
def test_the_state_of_an_account_in_a_word(read, publish, raw, change, state):
    publish("main", in_flight=5)
    if change:
        raw.hset(account_key("main"), mapping=change)
    assert read("accounts")["accounts"][0]["state"] == state


def levels(found):
    return {(check["subject"], check["level"]) for check in found["checks"]}


def test_check_tells_what_is_well_and_what_is_not(run, read):
    found = read("check", code=1)
    assert {("configuration", "ok"), ("redis", "ok"), ("durability", "ok"), ("memory", "ok")} <= levels(found)
    assert ("workers", "warn") in levels(found)
    assert ("provider", "fail") in levels(found)
    assert not found["ok"]
    code, out, err = run("check")
    assert (code, err) == (1, "")
    assert "FAIL provider      main, flows: 127.0.0.1 port 9: connection refused; mend it: " in out
    assert "secret" not in out


@pytest.fixture
def provider(tmp_path):
    """A configuration whose providers take connections; returns it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = CONFIG.replace("127.0.0.1:9", f"127.0.0.1:{listener.getsockname()[1]}")
        yield config


def publish_as_a_worker(ledger):
    """Publish what is configured here, as a worker that runs does."""
    settings = Settings.load()
    accounts = load_accounts(settings)
    directory = directory_json(directory_of(accounts, settings))
    limits = [account.limits for account in accounts.values()]
    ledger.run(configure(Limits(), directory, Wake("wakes", b"w"), limits))
    ledger.run(work.tick(Limits(), "w1", lock=5, most=1))


def test_check_is_well_where_everything_is(read, provider, tmp_path, ledger, raw):
    (tmp_path / "sendline.toml").write_text(provider)
    publish_as_a_worker(ledger)
    raw.delete("wakes")
    found = read("check")
    assert {check["level"] for check in found["checks"]} == {"ok"}
    assert ("receipts", "ok") in levels(found)
    raw.hset(account_key("main"), "stopped", "402: no balance")
    assert ("accounts", "fail") in levels(read("check", code=1))


def test_check_tells_that_the_workers_have_another_configuration(read, provider, tmp_path, ledger):
    (tmp_path / "sendline.toml").write_text(provider)
    publish_as_a_worker(ledger)
    (tmp_path / "sendline.toml").write_text(provider.replace("flows", "other"))
    told = [check["message"] for check in read("check")["checks"] if check["subject"] == "workers"]
    assert "they work by other accounts or routes than are configured here" in told


def test_check_tells_of_a_server_that_forgets(read, raw, valkey):
    raw.config_set("appendfsync", "everysec")
    raw.config_set("maxmemory", "1gb")
    raw.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = levels(read("check", code=1))
    finally:
        raw.config_set("appendfsync", "always")
        raw.config_set("maxmemory", "0")
        raw.config_set("maxmemory-policy", "noeviction")
    assert {("durability", "fail"), ("memory", "fail")} <= found


def test_check_names_a_broken_account_and_goes_on(run, read, tmp_path):
    (tmp_path / "sendline.toml").write_text(CONFIG.replace('api_key = "very-secret-key"\n', ""))
    found = read("check", code=1)
    assert {("accounts", "fail"), ("redis", "ok")} <= levels(found)
    assert "accounts.main.api_key: missing" in run("check")[1]


def test_check_warns_where_no_delivery_can_be_heard_of(read, provider, tmp_path, monkeypatch):
    (tmp_path / "sendline.toml").write_text(provider.replace("public_url", "# public_url"))
    monkeypatch.delenv("SENDLINE_REDIS_URL")
    monkeypatch.setenv("SENDLINE_STATE_DIR", str(tmp_path / "state"))
    assert ("receipts", "warn") in levels(read("check", code=1))


def test_check_is_content_with_the_accounts_of_the_workers(read, tmp_path, publish):
    (tmp_path / "sendline.toml").write_text("")
    assert ("accounts", "warn") in levels(read("check"))
    publish("main")
    [told] = [check for check in read("check")["checks"] if check["subject"] == "accounts"]
    assert (told["level"], told["message"]) == ("ok", "none configured here; the workers have main")


def test_check_does_not_ask_for_what_durability_memory_does_without(read, monkeypatch, provider, tmp_path):
    (tmp_path / "sendline.toml").write_text(f'durability = "memory"\n{provider}')
    with ValkeyServer("--rename-command", "CONFIG", "") as server:
        monkeypatch.setenv("SENDLINE_REDIS_URL", server.url)
        assert ("durability", "warn") in levels(read("check"))


def test_check_tells_that_redis_can_not_be_reached(run, monkeypatch):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://127.0.0.1:1")
    code, out, err = run("check")
    assert (code, err) == (1, "")
    assert "FAIL redis         Redis at 127.0.0.1:1 can't be reached" in out


def test_audit_is_silent_of_a_whole_ledger_and_names_what_is_not_so(run, read, sent, raw):
    assert read("audit")["ok"]
    assert run("audit")[0] == 0
    raw.zrem(KEYS["timers"], raw.zrange(KEYS["timers"], 0, 0)[0])
    [finding] = read("audit", code=1)["findings"]
    assert finding == {"what": "waits, and no timer looks after it", "number": 1, "ids": [sent]}
    code, out, _ = run("audit")
    assert code == 1
    assert f"WRONG waits, and no timer looks after it (1): {sent}" in out


@pytest.mark.parametrize("command", known())
def test_every_command_explains_itself_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"Usage: sendline {command}" in out
    if "COMMAND [ARGS]" not in out:
        assert f"  sendline {command}" in out
        assert "--json" in out
        assert "--config PATH" in out


def test_the_overview_names_every_command(capsys):
    assert main([]) == main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in known())
    assert set(known()) <= set(COMMANDS)


@pytest.mark.parametrize(
    ("instance", "config", "begin", "end"),
    [
        ("default", None, "sendline send ", "--wait"),
        (None, "a b.toml", "sendline send ", "--wait --config 'a b.toml'"),
        ("default-2", "x.toml", "SENDLINE_INSTANCE=default-2 sendline send ", " --config x.toml"),
    ],
)
def test_up_hints_at_a_command_that_reaches_it(instance, config, begin, end):
    told = hint(instance, config)
    assert told.startswith(begin)
    assert told.endswith(end)


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sendline 0.")
