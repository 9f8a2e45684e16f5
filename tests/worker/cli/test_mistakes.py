"""A mistake is one clear line on stderr that names the field and the fix, exit code 2, and no traceback."""

import json
import socket

import pytest

from sendline_worker.cli.failures import Failure, failure_of
from sendline_worker.cli.main import main
from servers import ValkeyServer

TO, TEXT = ("--to", "+13115552367"), ("--text", "Hello")
SENDER = ("--sender", "+13115552368")
ID = "0199a1b2-0000-7000-8000-000000000000"
SEND = ("send", *TO, *TEXT, *SENDER)
MAIN = """
[accounts.main]
provider = "opentact"
base_url = "http://127.0.0.1:9"
api_key = "very-secret-key"
"""

MISTAKES = {
    "number": (("send", "--to", "12", *TEXT, *SENDER), "to: "),
    "number missing": (("send", *TEXT), "to: missing; write the recipient's number as +13115552367"),
    "sender": ((*SEND[:-1], "not a sender!"), "sender: neither a phone number nor a sender id"),
    "empty text": (("send", *TO, "--text", "", *SENDER), "text: is empty"),
    "no text": (("send", *TO, *SENDER), "text: missing"),
    "long text": (("send", *TO, "--text", "x" * 2000, *SENDER), "text: 2000 characters; at most 1600"),
    "no sender": (("send", *TO, *TEXT), "sender: missing, and account main has none configured"),
    "account": ((*SEND, "--account", "nope"), "account: 'nope' is not configured; known: main"),
    "lane": ((*SEND, "--lane", "fast"), "lane: 'fast' is not one of urgent, normal, bulk"),
    "policy": ((*SEND, "--on-uncertain", "maybe"), "on_uncertain: 'maybe' is not one of hold, resend"),
    "past": ((*SEND, "--not-before", "2020-01-01T00:00:00Z"), "not_before: is in the past: 2020-01-01"),
    "far": ((*SEND, "--not-before", "2999-01-01T00:00:00Z"), "not_before: is more than 366 days ahead"),
    "no time": ((*SEND, "--not-before", "tomorrow"), "not_before: 'tomorrow' is no time; write 2h, 30m (fr"),
    "endless time": ((*SEND, "--not-before", "99999999999d"), "not_before: '99999999999d' is no time"),
    "odd time": ((*SEND, "--not-before", "0001-01-01T00:00:00+14:00"), "not_before: "),
    "validity": ((*SEND, "--valid-for", "soon"), "valid_for: 'soon' is no length of time; write seconds"),
    "long validity": ((*SEND, "--valid-for", "99999999999999999999d"), "valid_for: must be 1 second to 30"),
    "timeout": ((*SEND, "--wait", "--timeout", "x"), "timeout: 'x' is no length of time"),
    "timeout alone": ((*SEND, "--timeout", "3"), "timeout: only with --wait"),
    "url": ((*SEND, "--callback-url", "x"), "callback_url: must be https://host[/path]"),
    "metadata": ((*SEND, "--metadata", "x"), "metadata: 'x' has no =; write it as key=value"),
    "metadata twice": ((*SEND, "--metadata", "x=1", "--metadata", "x=2"), "metadata: 'x' is given twice"),
    "command": (("sned",), "sned: no such command; did you mean send?"),
    "strange command": (("frobnicate",), "frobnicate: no such command; see `sendline --help`"),
    "control characters": (("se\nnd\x1b[31m",), "se nd"),
    "option": (("send", "--tex", "x"), "--tex: no such option of `sendline send`; did you mean --text?"),
    "strange option": (("send", "--zzzz"), "--zzzz: no such option of `sendline send`; see"),
    "option before": (("--jsn", "send"), "--jsn: no such option of `sendline`"),
    "option before, known": (("--config=x", "send"), "--config=x: options come after the command: sendline"),
    "option without value": (("send", "--to"), "--to: needs a value; see `sendline send --help`"),
    "demo without a file": (("demo", "--recipients", ""), "recipients: is empty; give the path of a CSV"),
    "extra words": (("send", *TO, "--text", "Hello,", "world!"), "world!: not expected by `sendline send`"),
    "no command of a family": (("campaign",), "command: missing; give create or preview or start or "),
    "missing id": (("status",), "id: missing; give ID, see `sendline status --help`"),
    "unknown id": (("status", "0199a1b2-0000-7000-8000-000000000000"), "id: message 0199a1b2-0000-7000-8000"),
    "no id": (("cancel", "seven"), "id: message seven is not known"),
    "port": (("simulator", "--port", "x"), "port: must be a valid integer; see `sendline simulator --help`"),
    "odd port": (("receiver", "--port", "99999"), "receiver_port: "),
    "shape": (("simulator", "--shape", "round"), "shape: one of data, event"),
    "delay": (("simulator", "--receipt-delay", "5-1"), "receipt_delay: "),
    "file": (("check-in", "--config"), "check-in: no such command; did you mean check?"),
    "no file": (("accounts", "--config", "none.toml"), "none.toml: its file can't be read"),
}  # fmt: skip


@pytest.fixture
def run(redis_url, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)
    (tmp_path / "sendline.toml").write_text(MAIN)

    def run(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        assert out == ""
        return code, err

    return run


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(run, name):
    words, line = MISTAKES[name]
    code, err = run(*words)
    assert code == 2
    assert err.startswith(f"error: {line}")
    assert err.count("\n") == 1
    assert err.isprintable() is False  # the line end
    assert err[:-1].isprintable()


@pytest.mark.parametrize(
    "name", ["number", "option", "command", "unknown id", "no file", "no command of a family"]
)
def test_with_json_the_line_is_an_object(run, name):
    words, line = MISTAKES[name]
    code, err = run(*words, "--json")
    told = json.loads(err)["error"]
    assert code == 2
    assert f"{told['field']}: {told['message']}".startswith(line)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[accounts.main\n", "sendline.toml: line 1"),
        ("redis_ulr = 'x'\n", "redis_ulr: not a setting; did you mean redis_url? (in sendline.toml)"),
        ("redis_timeout = 'soon'\n", "redis_timeout: "),
        ('[accounts.main]\nprovider = "nobody"\n', "accounts.main.provider: no adapter is named nobody"),
        ('[accounts.main]\nprovider = "opentact"\n', "accounts.main.base_url: missing"),
    ],
)
def test_a_broken_configuration_is_one_line(run, tmp_path, text, line):
    (tmp_path / "sendline.toml").write_text(text)
    code, err = run(*SEND)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: {line}")


@pytest.mark.parametrize(
    "command", [SEND, ("status", "0199a1b2-0000-7000-8000-000000000000"), ("accounts",), ("audit",)]
)
def test_a_redis_that_is_not_there_is_one_line(run, monkeypatch, command):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://:hidden@127.0.0.1:1")
    code, err = run(*command)
    assert code == 2
    line = "Redis at 127.0.0.1:1 can't be reached: is it running, and is redis_url right?"
    assert err == f"error: redis_url: {line}\n"


def test_without_any_redis_the_fix_is_told(run, monkeypatch, tmp_path):
    monkeypatch.delenv("SENDLINE_REDIS_URL")
    monkeypatch.setenv("SENDLINE_STATE_DIR", str(tmp_path / "state"))
    code, err = run(*SEND)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: redis_url: not set, and no embedded server is running: start `sendline up`")


def test_a_wrong_password_and_a_forgetful_server_are_one_line_each(run, monkeypatch):
    with ValkeyServer("--requirepass", "right") as server:
        for password, line in (
            ("wrong", f"redis_url: Redis at {server.socket} refuses the user or password of redis_url"),
            ("right", 'durability: durability is "disk", but this Redis has appendonly no'),
        ):
            monkeypatch.setenv("SENDLINE_REDIS_URL", server.url_with("default", password))
            code, err = run(*SEND)
            assert (code, err.count("\n")) == (2, 1)
            assert err.startswith(f"error: {line}")
            assert password not in err.replace("durability", "").replace("is redis_url right", "")


def test_what_is_not_installed_is_told(run):
    failure = failure_of(ModuleNotFoundError("No module named 'rich'", name="rich.table"))
    assert failure.message.startswith("rich is not installed; install sendline[worker]")
    assert failure_of(ModuleNotFoundError("No module named 'sendline.x'", name="sendline.x")) is None


def test_a_fault_of_ours_is_no_mistake():
    assert failure_of(KeyError("x")) is None
    assert failure_of(Failure("a", "b")).line(as_json=False) == "error: a: b"


def test_a_taken_port_is_told_before_anything_starts(run):
    from sendline.contract.errors import ConfigurationError
    from sendline_worker.serving import listening

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError) as told:
        listening("127.0.0.1", taken.getsockname()[1])
    failure = failure_of(told.value)
    assert "is taken: choose another with --port" in failure.line(as_json=False)


def test_up_tells_of_a_broken_account_before_anything_starts(run, tmp_path):
    (tmp_path / "sendline.toml").write_text('[accounts.main]\nprovider = "opentact"\n')
    code, err = run("up")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: accounts.main.base_url: missing")
    assert not list(tmp_path.rglob("secret_key"))


def test_a_stack_names_the_setting_of_a_port_that_is_taken(tmp_path):
    from sendline.contract.errors import ConfigurationError
    from sendline.settings import Settings
    from sendline_worker.stack import Stack

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(redis_url="redis://127.0.0.1:1", receiver_port=port)
        with pytest.raises(ConfigurationError) as told, Stack(settings, tmp_path):
            pass
    line = f"receiver_port: port {port} on 127.0.0.1 is taken; choose another (0 takes a free one)"
    assert str(told.value).startswith(line)
