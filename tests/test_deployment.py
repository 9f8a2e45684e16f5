"""Containers: no engine is at hand, so every command, variable, port and file they name is checked."""

import configparser
import contextlib
import fnmatch
import json
import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from sendline.ledger.connection import Ledger
from sendline.settings import Settings, bounds
from sendline.settings.sources import read_environment
from sendline_worker.accounts import load_accounts
from sendline_worker.api.app import create_app as create_api
from sendline_worker.checks.server import check_redis
from sendline_worker.cli import table
from sendline_worker.cli.failures import MISTAKE
from sendline_worker.ending import UNHEALTHY
from sendline_worker.receiver.server import app_of
from sendline_worker.serving.production import STOP_SECONDS
from sendline_worker.simulator.app import create_app
from sendline_worker.simulator.options import SimulatorOptions
from sendline_worker.stack import supervisor
from servers import ValkeyServer

ROOT = Path(__file__).parents[1]
PASSWORD = "0123456789abcdef"
SECRET_KEY = "fedcba9876543210fedcba9876543210"
FILLED_IN = {"VALKEY_PASSWORD": PASSWORD, "SENDLINE_SECRET_KEY": SECRET_KEY}
PARTS = ("worker", "receiver", "api", "simulator")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def env_file(name: str) -> dict[str, str]:
    lines = (line for line in text(name).splitlines() if line.strip() and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def filled_in() -> dict[str, str]:
    """Return what .env holds once a person has filled in the example."""
    return {**env_file(".env.example"), **FILLED_IN}


def interpolated(value: str, variables: dict[str, str]) -> str:
    """Return `value` as Compose does: ${NAME}, ${NAME:-default}, ${NAME:?what to do}."""

    def replace(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        given = variables.get(name, "")
        assert given or kind != ":?", f"{name}: {rest}"
        return given or (rest if kind == ":-" else "")

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", replace, value)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Compose sees it."""

    def each(value: Any) -> Any:
        if isinstance(value, str):
            return interpolated(value, filled_in())
        if isinstance(value, dict):
            return {key: each(item) for key, item in value.items()}
        return [each(item) for item in value] if isinstance(value, list) else value

    return each(yaml.safe_load(text("docker-compose.yml")))


def environment(compose: dict[str, Any], part: str) -> dict[str, str]:
    """Return the variables that a part's container gets."""
    service = compose["services"][part]
    from_file = filled_in() if service.get("env_file") == ".env" else {}
    return {**from_file, **service["environment"]}


@pytest.fixture
def settings_of(compose, monkeypatch):
    """Load the settings that a part finds in its container."""

    def load(part: str) -> Settings:
        for name, value in environment(compose, part).items():
            monkeypatch.setenv(name, value)
        return Settings.load()

    return load


def seconds(length: str) -> int:
    found = re.fullmatch(r"(\d+)s", length)
    assert found, f"{length} is not in seconds"
    return int(found[1])


def check_command(arguments: list[str]) -> None:
    """Fail where `sendline ARGUMENTS` is no command."""
    name, *rest = arguments
    if name == "--help":
        return
    module = table.module_of(name)
    assert module, f"there is no command `sendline {name}`"
    command = typer.main.get_command(import_module(module).app)
    with command.make_context(f"sendline {name}", rest):
        pass


# docker-compose.yml


def test_every_part_runs_a_command_that_exists(compose):
    assert {name for name, service in compose["services"].items() if "build" in service} == set(PARTS)
    for part in PARTS:
        command = compose["services"][part]["command"]
        assert command[0] == part
        check_command(command)


@pytest.mark.parametrize("part", PARTS)
def test_every_variable_of_a_part_is_a_setting(part, compose, settings_of):
    assert all(name.startswith("SENDLINE_") or name in FILLED_IN for name in environment(compose, part))
    settings_of(part)


@pytest.mark.parametrize("part", ["worker", "receiver", "api"])
def test_the_settings_of_a_part_name_the_server_its_password_and_an_account_that_loads(part, settings_of):
    settings = settings_of(part)
    assert settings.redis_url.get_secret_value() == f"redis://:{PASSWORD}@valkey:6379/0"
    assert [key.get_secret_value() for key in settings.secret_key] == [SECRET_KEY]
    [account] = load_accounts(settings).values()
    assert account.capabilities.receipts
    assert settings.durability == "disk"


def test_the_receiver_can_be_made_from_its_settings(settings_of):
    paths = [route.path for route in app_of(settings_of("receiver")).routes]
    assert "/health" in paths


def test_ports_are_the_defaults_and_are_published_on_this_machine_only(compose, settings_of):
    ports = {name: Settings.model_fields[f"{name}_port"].default for name in ("receiver", "api")}
    published = {n: service["ports"] for n, service in compose["services"].items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in ports.items()}
    settings = settings_of("receiver")
    everywhere = "0.0.0.0"  # noqa: S104 - in a container
    assert (settings.receiver_host, settings.receiver_port) == (everywhere, ports["receiver"])
    assert urlsplit(settings.public_url).port == ports["receiver"]
    settings = settings_of("api")
    assert (settings.api_host, settings.api_port) == (everywhere, ports["api"])


def test_the_api_can_be_made_from_its_settings_and_answers_whether_it_is_ready(settings_of):
    assert "/readyz" in create_api(settings_of("api")).openapi()["paths"]


def test_the_simulator_is_where_the_account_looks_for_it(compose, settings_of):
    simulator = compose["services"]["simulator"]
    assert simulator["profiles"] == ["simulator"]
    assert simulator["network_mode"] == "service:receiver"
    options = settings_of("worker").accounts["main"].options
    base_url = urlsplit(options["base_url"].get_secret_value())
    assert base_url.hostname == "receiver"
    assert base_url.port == Settings.model_fields["simulator_port"].default


def test_the_simulator_listens_where_others_reach_it(settings_of):
    settings = settings_of("simulator")
    assert settings.simulator_host == "0.0.0.0"  # noqa: S104 - in a container
    assert settings.simulator_port == Settings.model_fields["simulator_port"].default


def test_each_part_is_given_the_time_that_it_needs_to_end(compose):
    grace = {part: seconds(compose["services"][part].get("stop_grace_period", "10s")) for part in PARTS}
    assert grace["worker"] > bounds.LONGEST_CALL + bounds.SETTLE_MARGIN
    assert grace["worker"] >= bounds.STOP_GRACE
    assert grace["receiver"] > STOP_SECONDS
    assert grace["api"] > STOP_SECONDS


def test_health_checks_ask_what_exists(compose):
    services = compose["services"]
    kind, program, *arguments = services["worker"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "sendline")
    check_command(arguments)
    asked = {part: services[part]["healthcheck"]["test"] for part in ("receiver", "api", "simulator")}
    for test in asked.values():
        assert test[:3] == ["CMD", "python", "-c"]
        compile(test[3], "health check", "exec")
    receiver, api, simulator = (
        re.search(r"http://127\.0\.0\.1:(\d+)(/\S+?)'", test[3]) for test in asked.values()
    )
    assert receiver.groups() == (str(Settings.model_fields["receiver_port"].default), "/health")
    assert api.groups() == (str(Settings.model_fields["api_port"].default), "/readyz")
    assert simulator.group(1) == str(Settings.model_fields["simulator_port"].default)
    paths = [route.path for route in create_app(SimulatorOptions()).routes]
    assert simulator.group(2) in paths


def test_a_health_check_is_given_longer_than_it_takes_at_most(compose):
    for service in compose["services"].values():
        assert seconds(service["healthcheck"]["timeout"]) < seconds(service["healthcheck"]["interval"])


def test_what_a_service_depends_on_exists_and_is_healthy_first(compose):
    for service in compose["services"].values():
        for name, how in service.get("depends_on", {}).items():
            assert compose["services"][name]["healthcheck"]
            assert how == {"condition": "service_healthy"}


def test_no_part_runs_with_more_rights_than_it_needs(compose):
    for part in PARTS:
        service = compose["services"][part]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_server_is_run_with_the_configuration_that_stands_there(compose):
    valkey = compose["services"]["valkey"]
    [config] = valkey["configs"]
    assert valkey["command"] == ["valkey-server", config["target"]]
    assert valkey["environment"] == {"REDISCLI_AUTH": PASSWORD}
    assert valkey["volumes"] == ["ledger:/data"]
    assert "ledger" in compose["volumes"]


def test_a_real_server_with_that_configuration_passes_every_check(compose):
    """Its lines are given as options, for those of the place are the test's own."""
    lines = compose["configs"]["valkey"]["content"].splitlines()
    options = [shlex.split(line) for line in lines if not line.startswith("dir ")]
    assert "dir /data" in lines
    flags = [word for key, *values in options for word in (f"--{key}", *values)]
    with ValkeyServer(*flags) as server:
        url = server.url_with("default", PASSWORD)
        settings = Settings(redis_url=url)
        with contextlib.closing(Ledger(url)) as ledger:
            found = list(check_redis(settings, ledger))
        with contextlib.closing(Ledger(server.url)) as stranger:
            [refused] = check_redis(settings, stranger)
    assert {check.subject for check in found} >= {"redis", "memory", "durability", "clock"}
    assert [check for check in found if check.level != "ok"] == []
    assert refused.level == "FAIL"


def test_what_is_missing_in_env_is_asked_for():
    for name in ("VALKEY_PASSWORD", "SENDLINE_SECRET_KEY", "SENDLINE_PUBLIC_URL"):
        assert re.search(rf"\$\{{{name}:\?[^}}]+\}}", text("docker-compose.yml"))


def test_no_secret_stands_in_a_file():
    example = env_file(".env.example")
    assert {name: example[name] for name in FILLED_IN} == dict.fromkeys(FILLED_IN, "")
    for line in text("docker-compose.yml").splitlines():
        if re.search(r"(?i)(password|secret_key|api_key|requirepass|auth)\b[^#]*[: ]\S", line):
            assert "${" in line or line.lstrip().startswith("#"), line


# What starts a part again that has ended


def test_compose_starts_every_part_again(compose):
    assert {service["restart"] for service in compose["services"].values()} == {"unless-stopped"}


def test_the_unit_for_systemd_starts_a_worker_again_but_not_where_something_must_be_mended():
    [block] = re.findall(r"(?ms)^```ini\n(.*?)^```", text("docs/operations.md"))
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(block)
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert int(service["RestartPreventExitStatus"]) == MISTAKE != UNHEALTHY
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= bounds.STOP_GRACE
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name in project()["project"]["scripts"]
    check_command(arguments)
    name, value = service["Environment"].split("=", 1)
    assert read_environment({name: value}, Settings.model_fields)


def test_the_page_tells_after_how_long_a_stuck_worker_ends_and_with_what():
    _, _, health = text("docs/operations.md").partition("\n## Health\n")
    health = " ".join(health.split())
    assert f"claimed anything for {bounds.NO_CLAIM} s" in health
    assert f"ends with exit code {UNHEALTHY}. No call is cut off by that: a call ends within" in health
    assert f"within {bounds.LONGEST_CALL} s" in health
    assert f"ends {supervisor.ENDS_MOST} times within a minute" in health
    assert supervisor.WITHIN == 60


# Dockerfile


def instructions() -> list[tuple[str, str]]:
    joined = text("Dockerfile").replace("\\\n", " ")
    lines = (line for line in joined.splitlines() if line.strip() and not line.startswith("#"))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> set[str]:
    """Return what is copied from the repository into the image that builds."""
    copies = [shlex.split(rest) for word, rest in instructions() if word == "COPY"]
    return {source for words in copies if not words[0].startswith("--from") for source in words[:-1]}


def project() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))


def test_what_is_copied_exists():
    for source in copied():
        assert (ROOT / source).exists(), source


def test_what_the_package_is_built_from_is_copied():
    wheel = project()["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "constraints.txt", project()["project"]["readme"]}
    needed |= {
        *project()["project"]["license-files"],
        *wheel["only-include"],
        *wheel.get("force-include", {}),
    }
    for path in needed:
        assert path.split("/")[0] in copied(), path


def test_docker_is_told_of_what_is_copied_and_of_nothing_else():
    lines = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied()
    excluded = [
        line.removeprefix("**/") for line in lines if not line.startswith(("!", "*\n")) and line != "*"
    ]
    assert not [source for source in copied() for each in excluded if fnmatch.fnmatch(source, each)]


def test_the_package_is_installed_with_an_extra_that_exists_and_pinned_versions():
    [install] = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert "-c constraints.txt" in install
    extras = re.findall(r"\.\[([\w,]+)\]", install)
    assert extras
    assert set(extras[0].split(",")) <= set(project()["project"]["optional-dependencies"])
    assert {"worker", "api"} <= set(extras[0].split(","))
    assert "index" not in text("Dockerfile")
    assert "://" not in text("constraints.txt")


def test_the_python_of_the_image_is_one_that_the_package_names():
    versions = {
        re.search(r"python:([\d.]+)-slim", rest)[1] for word, rest in instructions() if word == "FROM"
    }
    assert len(versions) == 1
    assert f"Programming Language :: Python :: {versions.pop()}" in project()["project"]["classifiers"]


def test_the_image_runs_sendline_as_a_user_of_its_own():
    found = dict(instructions())
    assert found["USER"] == "sendline"
    assert [
        rest
        for word, rest in instructions()
        if word == "RUN" and "useradd" in rest and rest.endswith(" sendline")
    ]
    [program] = json.loads(found["ENTRYPOINT"])
    assert program in project()["project"]["scripts"]
    check_command(json.loads(found["CMD"]))


def test_the_image_looks_for_a_configuration_file_where_the_page_says():
    assert f"`{dict(instructions())['WORKDIR']}/sendline.toml`" in text("docs/operations.md")
