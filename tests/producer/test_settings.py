"""Settings: where they come from, which wins, and what each mistake is told."""

import json
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sendline.contract.errors import ConfigurationError
from sendline.settings import (
    AccountSettings,
    RouteSettings,
    Settings,
    bounds,
    instance_dir,
    ledger_url,
    running_server,
)
from sendline.settings.instances import ServerRecord, unix_url
from sendline.settings.sources import read_environment

KEY = "a-signing-key-of-32-characters-ok"

EXAMPLE = """\
redis_url = "redis://localhost:6379/0"          # left out: the embedded server
public_url = "https://sms.example.com"          # where providers reach the receiver
secret_key = ["new", "old"]                     # signs our tokens; the first signs, all verify
default_region = "US"                           # reads numbers written without +
only_to = ["+1311555"]                          # staging: everyone else is refused at send()
[accounts.main]
provider = "opentact"
base_url = "https://api.opentact.com"
api_key  = "..."
senders  = ["+13115552368"]
rate     = 20
[accounts.flows]
provider = "kore"
base_url = "https://platform.kore.ai"
bot_id   = "st-..."
client_id = "cs-..."
client_secret = "..."
[[routes]]
to = "+1"
accounts = ["main"]
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("SENDLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text, name="sendline.toml"):
    path = Path(name)
    path.write_text(text)
    return path


def problem(**overrides):
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(**overrides)
    said = str(caught.value)
    assert "\n" not in said
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return said


def in_file(text):
    write(text)
    return problem()


def test_with_nothing_configured_the_defaults_stand():
    settings = Settings.load()
    assert settings.redis_url is None
    assert settings.durability == "disk"
    assert (settings.valid_for, settings.urgent_valid_for, settings.deadline) == (259200, 600, 259200)
    assert (settings.max_attempts, settings.retry_base, settings.retry_max) == (12, 2, 600)
    assert (settings.receiver_port, settings.simulator_port) == (8700, 8710)
    assert settings.accounts == {}
    assert settings.state_path.name == "sendline"


def test_the_example_of_the_design_loads_as_it_is_but_for_its_keys():
    write(EXAMPLE.replace('"new", "old"', f'"{KEY}", "{KEY}2"'))
    settings = Settings.load()
    assert settings.redis_url.get_secret_value() == "redis://localhost:6379/0"
    assert [key.get_secret_value() for key in settings.secret_key] == [KEY, KEY + "2"]
    assert settings.only_to == ("+1311555",)
    main, flows = settings.accounts["main"], settings.accounts["flows"]
    assert (main.provider, main.senders, main.rate) == ("opentact", ("+13115552368",), 20)
    assert main.options["api_key"].get_secret_value() == "..."
    assert set(flows.options) == {"base_url", "bot_id", "client_id", "client_secret"}
    assert [(route.to, route.accounts) for route in settings.routes] == [("+1", ("main",))]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "db=3",
        "ssl_cert_reqs=CERT_NONE&ssl_check_hostname=False&ssl_min_version=772",
        "ssl_ca_certs=/a&ssl_ca_path=/b&ssl_ca_data=c&ssl_certfile=d&ssl_keyfile=e&ssl_password=f&ssl_ciphers=g",
        "max_connections=5&client_name=shop&socket_timeout=1",
    ],
)
def test_options_of_a_redis_url_that_are_known_or_other_clients_are_taken(options):
    url = f"rediss://[::1]:6380/0?{options}"
    assert Settings(redis_url=url).redis_url.get_secret_value() == url


def test_the_examples_keys_are_refused_with_the_way_to_make_one():
    said = in_file(EXAMPLE)
    assert said.startswith("secret_key[0]: has 3 characters; use a random one of at least 16")
    assert said.endswith("(in sendline.toml) (and 1 more)")


def test_arguments_win_over_the_environment_and_that_over_the_file(monkeypatch):
    write("max_attempts = 1\nretry_max = 11\nevents_kept = 111\n")
    monkeypatch.setenv("SENDLINE_RETRY_MAX", "22")
    monkeypatch.setenv("SENDLINE_EVENTS_KEPT", "222")
    settings = Settings.load(events_kept=333)
    assert (settings.max_attempts, settings.retry_max, settings.events_kept) == (1, 22, 333)


def test_an_argument_of_none_and_an_empty_variable_count_as_not_given(monkeypatch):
    write("max_attempts = 1\nonly_to = ['+1311']\n")
    monkeypatch.setenv("SENDLINE_ONLY_TO", "")
    settings = Settings.load(max_attempts=None)
    assert (settings.max_attempts, settings.only_to) == (1, ("+1311",))


def test_accounts_are_merged_key_by_key(monkeypatch, tmp_path):
    write('[accounts.main]\nprovider = "p"\nrate = 5\napi_key = "from the file"\n')
    (tmp_path / "token").write_text("from its file\r\n")
    monkeypatch.setenv("SENDLINE_ACCOUNTS__MAIN__API_KEY", "from the environment")
    monkeypatch.setenv("SENDLINE_ACCOUNTS__MAIN__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("SENDLINE_ACCOUNTS__MAIN__SENDERS", "+1 311 555 2368, Shop")
    monkeypatch.setenv("SENDLINE_ACCOUNTS__MAIN__NOT_ACCEPTED", "500,502")
    monkeypatch.setenv("SENDLINE_ACCOUNTS__SECOND", '{"provider": "q", "rate": 7}')
    settings = Settings.load(accounts={"main": {"burst": 3}})
    main = settings.accounts["main"]
    assert (main.provider, main.rate, main.burst) == ("p", 5, 3)
    assert (main.senders, main.not_accepted) == (("+13115552368", "Shop"), (500, 502))
    assert {key: value.get_secret_value() for key, value in main.options.items()} == {
        "api_key": "from the environment",
        "token": "from its file",
    }
    assert settings.accounts["second"].rate == 7


def test_lists_in_the_environment_are_written_with_commas_or_as_json(monkeypatch):
    monkeypatch.setenv("SENDLINE_ONLY_TO", "+1311, +1312")
    monkeypatch.setenv("SENDLINE_SECRET_KEY", json.dumps([KEY, KEY[::-1]]))
    monkeypatch.setenv("SENDLINE_ROUTES", '[{"to": "+1", "accounts": ["a"]}]')
    settings = Settings.load()
    assert settings.only_to == ("+1311", "+1312")
    assert len(settings.secret_key) == 2
    assert settings.routes[0].accounts == ("a",)


def test_a_signing_key_may_hold_commas_and_a_file_one_key_a_line(monkeypatch, tmp_path):
    assert len(Settings.load(secret_key="with,commas,in,it,and,long").secret_key) == 1
    (tmp_path / "keys").write_text(f"{KEY}\n{KEY}2\n")
    monkeypatch.setenv("SENDLINE_SECRET_KEY_FILE", str(tmp_path / "keys"))
    assert [key.get_secret_value() for key in Settings.load().secret_key] == [KEY, KEY + "2"]


def test_a_secret_comes_from_its_file_without_the_newline(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("redis://:pass@localhost/1\n")
    monkeypatch.setenv("SENDLINE_REDIS_URL_FILE", str(tmp_path / "url"))
    assert Settings.load().redis_url.get_secret_value() == "redis://:pass@localhost/1"


def test_a_variable_and_its_file_together_are_a_mistake(monkeypatch, tmp_path):
    monkeypatch.setenv("SENDLINE_REDIS_URL_FILE", str(tmp_path / "url"))
    (tmp_path / "url").write_text("redis://localhost")
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://localhost")
    assert "SENDLINE_REDIS_URL_FILE" in problem()
    assert "both are set; leave one" in problem()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "can't be read: No such file"),
        (b"", "is empty"),
        (b"\xff", "not UTF-8"),
        (b"x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_an_unusable_file_of_a_secret_is_told(monkeypatch, tmp_path, content, told):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("SENDLINE_SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert re.match(f"SENDLINE_SECRET_KEY_FILE: .*{told}", problem())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SENDLINE_REDISURL", "did you mean SENDLINE_REDIS_URL?"),
        ("SENDLINE_REDIS_URLFILE", "did you mean SENDLINE_REDIS_URL_FILE?"),
        ("SENDLINE_CONFIG_FILE", "did you mean SENDLINE_CONFIG?"),
        ("SENDLINE_QQQ", "not a setting; remove it"),
        ("SENDLINE_RATE__X", "not a setting"),
        ("SENDLINE_ACCOUNTS__MAIN__A__B", "SENDLINE_ACCOUNTS__<NAME>__<OPTION>"),
        ("SENDLINE_ACCOUNTS__", "SENDLINE_ACCOUNTS__<NAME>__<OPTION>"),
    ],
)
def test_an_unknown_variable_is_a_mistake_with_a_suggestion(monkeypatch, name, told):
    monkeypatch.setenv(name, "s3cret-value")
    said = problem()
    assert said.startswith(f"{name}: ")
    assert told in said
    assert "s3cret-value" not in said


def test_variables_that_kubernetes_sets_for_services_are_passed_over(monkeypatch):
    for name, value in {
        "SENDLINE_SERVICE_HOST": "10.0.0.1",
        "SENDLINE_SERVICE_PORT_HTTP": "80",
        "SENDLINE_PORT": "tcp://10.0.0.1:80",
        "SENDLINE_PORT_80_TCP_ADDR": "10.0.0.1",
        "SENDLINE_RECEIVER_PORT": "tcp://10.0.0.2:8700",
        "SENDLINE_RECEIVER_PORT_8700_TCP": "tcp://10.0.0.2:8700",
    }.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().receiver_port == 8700


def test_the_file_is_named_by_argument_variable_or_default(monkeypatch, tmp_path):
    write("max_attempts = 1")
    assert Settings.load().config == Path("sendline.toml")
    monkeypatch.setenv("SENDLINE_CONFIG", str(write("max_attempts = 2", "b.toml")))
    assert Settings.load().max_attempts == 2
    settings = Settings.load(write("max_attempts = 3", "c.toml"))
    assert (settings.max_attempts, settings.config) == (3, Path("c.toml"))
    assert Settings.load(str(tmp_path / "c.toml")).max_attempts == 3


def test_a_named_file_that_is_missing_is_a_mistake(monkeypatch):
    assert problem(config="nowhere.toml") == "nowhere.toml: its file can't be read: No such file or directory"
    monkeypatch.setenv("SENDLINE_CONFIG", "elsewhere.toml")
    assert "elsewhere.toml" in problem()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"max_attempts = 1\nthis is it\n", "sendline.toml: line 2, column 6: not TOML"),
        (b"a = '" + b"\xff" + b"'", "sendline.toml: not UTF-8"),
        (b"# " + b"x" * (1 << 20), "sendline.toml: its file is larger than 1024 KiB"),
        (b"a = " + b"[" * 100_000, "sendline.toml: not TOML: nested too deeply"),
        (b"a = 1\na = 2", "sendline.toml: line 2"),
        (b"config = 'other.toml'", "config: a file can't name another"),
    ],
)
def test_a_broken_file_is_told_with_its_line(text, told):
    Path("sendline.toml").write_bytes(text)
    assert told in problem()


A = "[accounts.a]\nprovider = 'p'\n"
BAD = [
    ("redis_ur = 'x'", "redis_ur: not a setting; did you mean redis_url?"),
    ("zzz = 1", "zzz: not a setting; remove it"),
    ("redis_url = 'valkey://h'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'redis://:p#ss@h'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'redis://h/name'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'redis://h:99999'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'redis://[::1'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'unix://relative'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'redis://redis..svc'", "redis_url: not a URL of a Redis"),
    (f"redis_url = 'redis://{'a' * 64}.svc'", "redis_url: not a URL of a Redis"),
    ("redis_url = 'redis://h?db=abc'", "redis_url: its option db must be the number of a database"),
    ("redis_url = 'redis://h?db='", "redis_url: its option db must be the number of a database"),
    ("redis_url = 'rediss://h?ssl_ca_cert=x'", "redis_url: its option ssl_ca_cert is none that"),
    ("redis_url = 'rediss://h?ssl_validate_ocsp=1'", "redis_url: its option ssl_validate_ocsp is none"),
    ("redis_url = 'rediss://h?ssl_cert_reqs=bogus'", "redis_url: its option ssl_cert_reqs must be one of"),
    ("redis_url = 'rediss://h?ssl_min_version=TLSv1_2'", "redis_url: its option ssl_min_version must be 771"),
    ("redis_url = 'rediss://h?ssl_check_hostname=nope'", "redis_url: its option ssl_check_hostname must be"),
    ("redis_url = 5", "redis_url: must be a valid string"),
    ("public_url = 'http://sms.example.com'", "public_url: must be https://"),
    ("public_url = 'https://u:p@example.com'", "public_url: must be https://"),
    ("public_url = 'https://'", "public_url: must be https://"),
    ("public_url = 'https://a.example?x=1'", "public_url: must be https://"),
    ("public_url = 'ftp://127.0.0.1'", "public_url: must be https://"),
    ("secret_key = 'short'", "secret_key[0]: has 5 characters"),
    ("secret_key = '[not json'", "secret_key: begins like a JSON list"),
    ("secret_key = 5", "secret_key: must be"),
    ("default_region = 'UK'", "default_region: not a region"),
    ("only_to = ['1311']", "only_to[0]: must be the beginning of a number"),
    ("only_to = ['+']", "only_to[0]: must be the beginning of a number"),
    ("only_to = 5", "only_to: must be"),
    ("durability = 'tape'", "durability: must be 'disk' or 'memory'"),
    ("max_attempts = 0", "max_attempts: must be greater than or equal to 1"),
    ("max_attempts = 21", "max_attempts: must be less than or equal to 20"),
    ("max_attempts = 'five'", "max_attempts: must be a valid integer"),
    ("max_attempts = true", "max_attempts: must not be true or false"),
    ("retry_base = nan", "retry_base: must be"),
    ("retry_max = inf", "retry_max: must be less than"),
    ("retry_base = 900", "retry_base: longer than retry_max; lower it"),
    ("call_timeout = 21", "call_timeout: must be less than or equal to 20"),
    ("lease = 60", "lease: must be greater than 60"),
    ("lease = 120", "lease: must be less than 120"),
    ("receiver_port = 70000", "receiver_port: must be less than or equal to 65535"),
    ("instance = '../up'", "instance: names are"),
    ("events_kept = 0", "events_kept: must be"),
    ("accounts = 5", "accounts: must be a table"),
    ("accounts.main = 5", "accounts.main: must be a table"),
    ("[accounts.main]\nrate = 1", "accounts.main.provider: missing; set it"),
    ("[accounts.Main]\nprovider = 'p'", "accounts.Main: names are"),
    (A + "rate = 0", "accounts.a.rate: must be greater than or equal to 0.00001"),
    (A + "rate = 0.000009", "accounts.a.rate: must be greater than or equal to 0.00001"),
    (A + "rate = true", "accounts.a.rate: must not be true or false"),
    (A + "rate = nan", "accounts.a.rate: must be"),
    (A + "rate = 1e9", "accounts.a.rate: must be less"),
    (A + "burst = 0", "accounts.a.burst: must be"),
    (A + "rate_unit = 'bytes'", "accounts.a.rate_unit: must be 'messages' or 'segments'"),
    (A + "daily_cap = 0", "accounts.a.daily_cap: must be greater than or equal to 1"),
    (A + "daily_cap = 10000001", "accounts.a.daily_cap: must be less than or equal to 10000000"),
    (A + "daily_cap = true", "accounts.a.daily_cap: must not be true or false"),
    (A + "sender_rate = 0", "accounts.a.sender_rate: must be greater than or equal to 0.00001"),
    (A + "sender_rate = 1e-20", "accounts.a.sender_rate: must be greater than or equal to 0.00001"),
    (A + "sender_rate = 10001", "accounts.a.sender_rate: must be less than or equal to 10000"),
    (A + "sender_rate = true", "accounts.a.sender_rate: must not be true or false"),
    (A + "sender_rate = 1\nsender_burst = 0", "accounts.a.sender_burst: must be"),
    (A + "sender_rate = 1\nsender_burst = true", "accounts.a.sender_burst: must not be true or false"),
    (
        "[accounts.a]\nprovider = 'p'\nsender_burst = 2",
        "accounts.a.sender_burst: has no meaning without sender_rate; set that too, or remove this",
    ),
    (
        A + "sender_burst = 2\nsender_rate = 0",
        "accounts.a.sender_rate: must be greater than or equal to 0.00001 (in sendline.toml)",
    ),
    (A + "sender_daily_cap = 0", "accounts.a.sender_daily_cap: must be"),
    (A + "sender_daily_cap = true", "accounts.a.sender_daily_cap: must not be true or false"),
    *(
        (
            A + f"time_zone = {zone!r}",
            "accounts.a.time_zone: not a time zone that this machine knows; write its",
        )
        for zone in (
            *("", "Berlin", "Europe/Berlim", "Europe", "europe berlin", "/etc/localtime", "../UTC"),
            *("Europe/../UTC", "zone.tab", "Europe/" + "x" * 5000),
        )
    ),
    (A + "time_zone = 2", "accounts.a.time_zone: must be a valid string"),
    ("normal_share = 0.46", "normal_share: must be less than or equal to 0.45"),
    ("bulk_share = -0.1", "bulk_share: must be greater than or equal to 0"),
    ("bulk_share = nan", "bulk_share: must be"),
    ("bulk_share = true", "bulk_share: must not be true or false"),
    ("alert_command = 5", "alert_command: must be"),
    ("alert_command = [5]", "alert_command[0]: must be a valid string"),
    ("alert_command = 'say \"it'", "alert_command: a quotation mark or a backslash is left open; correct it"),
    ("alert_command = '[say'", "alert_command: begins like a JSON list and is none"),
    ("alert_command = ['', 'a']", "alert_command: begins with an empty word; write the command first"),
    ('alert_command = ["a\\u0000b"]', "alert_command: holds a NUL character"),
    (f"alert_command = {['a'] * 65}", "alert_command: "),
    (f"alert_command = ['{'a' * 4097}']", "alert_command[0]: "),
    (
        "[accounts.a]\nprovider = 'p'\nsenders = ['311 555 2368']",
        "accounts.a.senders[0]: has no country code; write it",
    ),
    (A + "senders = 'A-B-C'", "accounts.a.senders[0]: neither a phone number"),
    (A + "not_accepted = [200]", "accounts.a.not_accepted[0]: must be greater"),
    (
        "[accounts.a]\nprovider = 'p'\non_uncertain = 'drop'",
        "accounts.a.on_uncertain: must be 'hold' or 'resend'",
    ),
    (A + "options = 5", "options: must be a table"),
    (
        "[accounts.a]\nprovider = 'p'\n[[routes]]\nto = '+1'\naccounts = ['b']",
        "routes[0].accounts: b is not one of",
    ),
    (
        A + "[[routes]]\nto = '+1'\naccounts = ['a', 'b', 'a']",
        "routes[0].accounts: a comes twice; leave one (in sendline.toml)",
    ),
    (
        A + "[[routes]]\nto = '+1'\naccounts = ['S e', 'S e']",
        "routes[0].accounts: a name comes twice; leave one",
    ),
    ("[[routes]]\nto = '1'\naccounts = ['b']", "routes[0].to: must be the beginning"),
    ("[[routes]]\nto = '+1'\naccounts = []", "routes[0].accounts: "),
    *(
        (f"[[routes]]\nto = '+1'\naccounts = ['a', 'b']\nweights = {weights}", f"routes[0].weights{told}")
        for weights, told in (
            ("[1]", ": 1 of them, for accounts 2; write one for each account"),
            ("[1, 2, 3]", ": 3 of them, for accounts 2; write one for each account"),
            ("[0, 0]", ": all are 0; give at least one account more"),
            ("[1, -1]", "[1]: must be greater than or equal to 0"),
            ("[1, 1001]", "[1]: must be less than or equal to 1000"),
            ("[1, 0.5]", "[1]: must be a valid integer"),
            ("[1, true]", "[1]: must not be true or false"),
            ("5", ": must be"),
        )
    ),
    *(
        (
            f"stop_words = {stop}\n{other} = {words}",
            "stop_words: a word of them is in start_words or help_words",
        )
        for stop, other, words in (
            ("['STOP']", "start_words", "['stop']"),
            ("['Arr\u00eat']", "start_words", "['ARRET']"),
            ("['ARRET']", "help_words", "['AIDE', ' arr\u00eat! ']"),
            ("['D\u1eeaNG']", "start_words", "['D\u00d9NG']"),
        )
    ),
    ("stop_words = ['STOP', '!']", "stop_words[1]: a keyword has a letter or a digit"),
    ("[[routes]]\nto = '+1'\naccount = ['a']", "routes[0].account: not a setting; did you mean accounts?"),
    ("[[routes]]\nto = '+1'\naccounts = ['a']\n[[routes]]\nto = '+1'\naccounts = ['a']", "comes twice"),
]


@pytest.mark.parametrize(("text", "told"), BAD)
def test_a_wrong_value_is_told_with_its_field_and_the_fix(text, told):
    assert told in in_file(text)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("public_url = 'http://127.0.0.1:8700/'", "public_url", "http://127.0.0.1:8700"),
        ("public_url = 'http://localhost:8700'", "public_url", "http://localhost:8700"),
        ("public_url = 'https://a.example/sms/'", "public_url", "https://a.example/sms"),
        ("default_region = 'us'", "default_region", "US"),
        (
            "redis_url = 'rediss://u:p%40@h.example:6380/3?x=1'",
            "redis_url",
            SecretStr("rediss://u:p%40@h.example:6380/3?x=1"),
        ),
        ("redis_url = 'unix:///run/redis.sock?db=2'", "redis_url", SecretStr("unix:///run/redis.sock?db=2")),
        ("receiver_port = 0", "receiver_port", 0),
        ("valid_for = 60", "valid_for", 60.0),
        ("normal_share = 0", "normal_share", 0.0),
        ("bulk_share = 0.45", "bulk_share", 0.45),
        ("alert_command = ['notify', '', 'a b']", "alert_command", ("notify", "", "a b")),
        ("alert_command = 'notify \"a b\" c'", "alert_command", ("notify", "a b", "c")),
        ('alert_command = \'["notify", "a"]\'', "alert_command", ("notify", "a")),
        ("alert_command = ''", "alert_command", ()),
        (
            "stop_words = ['arr\u00eat', 'ARRET', 'Arr\u00c8t']",
            "stop_words",
            ("ARR\u00caT", "ARRET", "ARR\u00c8T"),
        ),
    ],
)
def test_a_right_value_is_taken_in_its_canonical_form(text, field, value):
    write(text)
    assert getattr(Settings.load(), field) == value


def test_an_accounts_limits_are_read_and_bound_nothing_by_default(monkeypatch):
    write(
        "[accounts.main]\nprovider = 'p'\nrate_unit = 'segments'\ndaily_cap = 10000000\n"
        "time_zone = 'Asia/Beirut'\nsender_rate = 0.5\nsender_burst = 3\n[accounts.plain]\nprovider = 'p'\n"
    )
    monkeypatch.setenv("SENDLINE_ACCOUNTS__MAIN__SENDER_DAILY_CAP", "7")
    limits = ("rate_unit", "daily_cap", "time_zone", "sender_rate", "sender_burst", "sender_daily_cap")
    main, plain = (
        [getattr(account, name) for name in limits] for account in Settings.load().accounts.values()
    )
    assert main == ["segments", 10_000_000, "Asia/Beirut", 0.5, 3, 7]
    assert plain == ["messages", None, "UTC", None, None, None]


def test_a_routes_weights_are_read_from_the_file_and_the_environment(monkeypatch):
    write(
        "[[routes]]\nto = '+1'\naccounts = 'a, b'\nweights = [1000, 0]\n"
        "[[routes]]\nto = '+2'\naccounts = ['a']\n"
    )
    assert [route.weights for route in Settings.load().routes] == [(1000, 0), ()]
    monkeypatch.setenv("SENDLINE_ROUTES", '[{"to": "+1", "accounts": "a,b", "weights": "70, 30"}]')
    assert [route.weights for route in Settings.load().routes] == [(70, 30)]


def test_a_command_in_the_environment_is_written_as_for_a_shell(monkeypatch):
    monkeypatch.setenv("SENDLINE_ALERT_COMMAND", "curl -d @- 'https://a.example/hook?token=s3cret, 1'")
    settings = Settings.load()
    assert settings.alert_command == ("curl", "-d", "@-", "https://a.example/hook?token=s3cret, 1")
    assert "s3cret" not in repr(settings)
    monkeypatch.setenv("SENDLINE_ALERT_COMMAND", "curl 's3cret")
    assert problem().endswith("(set by SENDLINE_ALERT_COMMAND)")
    assert "s3cret" not in problem()


def test_a_wrong_variable_is_named_and_a_wrong_argument_is_not_blamed_on_the_file(monkeypatch):
    write("max_attempts = 3")
    assert problem(max_attempts=99).endswith("less than or equal to 20")
    assert problem(max_attemps=9) == "max_attemps: not a setting; did you mean max_attempts?"
    monkeypatch.setenv("SENDLINE_MAX_ATTEMPTS", "99")
    assert problem().endswith("less than or equal to 20 (set by SENDLINE_MAX_ATTEMPTS)")


def test_an_account_that_exists_only_by_a_mistyped_variable_is_told(monkeypatch):
    write("[accounts.main]\nprovider = 'p'")
    monkeypatch.setenv("SENDLINE_ACCOUNTS__MIAN__API_KEY", "x")
    assert problem() == "accounts.mian.provider: missing; set it"


@pytest.mark.parametrize("name", ["SENDLINE_ACCOUNTS", "SENDLINE_ROUTES", "SENDLINE_ACCOUNTS__MAIN"])
def test_a_variable_that_should_be_json_and_is_not_is_told(monkeypatch, name):
    monkeypatch.setenv(name, "s3cret")
    assert problem() == f"{name}: not JSON; correct it, or use sendline.toml"


SECRETS = ["hunter2hunter2hunter2", "p4ssw0rd", "s3cret-api-key", "nested-s3cret"]


@pytest.fixture
def secretive():
    return Settings.load(
        redis_url="redis://:p4ssw0rd@localhost/0",
        secret_key="hunter2hunter2hunter2",
        accounts={
            "main": {
                "provider": "p",
                "senders": ["+13115552368"],
                "api_key": "s3cret-api-key",
                "deep": {"list": ["nested-s3cret"], "number": 5},
            }
        },
    )


def test_no_repr_shows_a_secret(secretive):
    for shown in (repr(secretive), str(secretive), str(secretive.model_dump()), secretive.model_dump_json()):
        assert not [secret for secret in SECRETS if secret in shown]
    assert "+13115552368" not in repr(secretive)
    assert secretive.accounts["main"].options["deep"]["number"] == 5


def test_no_error_shows_a_secret():
    for overrides in (
        {"redis_url": "http://:p4ssw0rd@localhost/0"},
        {"redis_url": "redis://p4ssw0rd\u2100@localhost"},
        {"secret_key": ["p4ssw0rd"]},
        {"secret_key": {"p4ssw0rd": 1}},
        {"accounts": {"main": "p4ssw0rd"}},
        {"accounts": {"main": {"api_key": "p4ssw0rd"}}},
        {"public_url": "https://me:p4ssw0rd@example.com"},
    ):
        assert "p4ssw0rd" not in problem(**overrides)


def test_the_debug_log_of_pydantic_settings_shows_nothing(monkeypatch, caplog):
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://:p4ssw0rd@localhost/0")
    with caplog.at_level(logging.DEBUG):
        Settings.load(secret_key=KEY)
    assert "p4ssw0rd" not in caplog.text
    assert KEY not in caplog.text


def test_settings_are_frozen_and_survive_pickling_and_account_settings_stand_alone(secretive):
    with pytest.raises(ValueError, match="frozen"):
        secretive.max_attempts = 3
    assert pickle.loads(pickle.dumps(secretive)) == secretive  # noqa: S301
    account = AccountSettings(provider="p", rate=1, token="t")
    assert Settings.load(accounts={"a": account}).accounts["a"] == account


def test_every_field_has_a_description_and_a_default():
    for model in (Settings, AccountSettings, RouteSettings):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert not field.is_required() or name in {"provider", "to", "accounts"}


def test_the_bounds_that_belong_together_hold_as_one_inequality():
    settings = Settings.load()
    assert settings.call_timeout <= bounds.LONGEST_CALL
    assert bounds.LONGEST_CALL + bounds.SETTLE_MARGIN < bounds.STOP_GRACE
    assert bounds.STOP_GRACE < bounds.TASK_TIME_LIMIT < settings.lease < bounds.VISIBILITY_TIMEOUT


def test_the_contract_loads_without_the_settings():
    code = "import sys, sendline.contract.numbers, sendline.contract.segments; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "sendline.contract.numbers" in loaded
    assert not {"pydantic", "pydantic_settings", "sendline.settings"} & set(loaded)


@given(
    st.dictionaries(st.text("ABC_", max_size=12).map("SENDLINE_ACCOUNTS__".__add__), st.text(), max_size=4)
)
def test_any_account_variables_are_read_or_told(environ):
    try:
        data = read_environment(environ, Settings.model_fields)
    except ConfigurationError:
        return
    assert set(data) <= {"accounts"}


class Listener:
    """A socket that accepts, in the embedded server's place."""

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self.path = directory / "s"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen()
        self.url = unix_url(self.path)


@pytest.fixture
def listener(tmp_path):
    there = Listener(tmp_path / "state" / "default")
    yield there
    there.socket.close()


def record(settings, **changes):
    fields = {"pid": os.getpid(), "url": "unix:///nowhere", "started": time.time(), "owner": os.getpid()}
    ServerRecord(**{**fields, **changes}).write(instance_dir(settings))


def test_a_client_finds_the_running_server_of_its_instance(tmp_path, listener):
    settings = Settings.load(state_dir=tmp_path / "state")
    assert instance_dir(settings) == tmp_path / "state" / "default"
    assert running_server(settings) is None
    record(settings, url=listener.url)
    assert running_server(settings) == ledger_url(settings) == listener.url
    assert (instance_dir(settings) / "server.json").stat().st_mode & 0o777 == 0o600
    assert running_server(Settings.load(state_dir=tmp_path / "state", instance="other")) is None


def test_a_server_that_is_dead_or_does_not_listen_is_not_found(tmp_path, listener):
    settings = Settings.load(state_dir=tmp_path / "state")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record(settings, url=listener.url, pid=ended.pid)
    assert running_server(settings) is None
    record(settings, url=listener.url)
    listener.socket.close()
    assert running_server(settings) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "5",
        "{}",
        '{"pid": 1}',
        "[" * 4000,
        '{"pid": -1, "url": "unix:///x", "started": 0, "owner": 1}',
        '{"pid": 1, "url": "redis://elsewhere", "started": 0, "owner": 1}',
    ],
)
def test_a_broken_server_file_is_as_none(tmp_path, content):
    settings = Settings.load(state_dir=tmp_path / "state")
    instance_dir(settings).mkdir(parents=True)
    (instance_dir(settings) / "server.json").write_text(content)
    assert running_server(settings) is None


def test_the_ledger_is_the_configured_redis_or_else_a_clear_error(tmp_path):
    assert ledger_url(Settings.load(redis_url="redis://:pw@h/1")) == "redis://:pw@h/1"
    with pytest.raises(ConfigurationError, match=r"redis_url: not set, and no embedded server is running"):
        ledger_url(Settings.load(state_dir=tmp_path))
