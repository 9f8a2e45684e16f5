"""The documents say what the code does: every status, code, setting, command and link in them is real."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from places import data_directory
from sendline import Producer
from sendline.contract.codes import ErrorCode
from sendline.contract.status import EDGES, FINAL, Status
from sendline.settings import AccountSettings, Settings, bounds
from sendline.settings.sources import PREFIX, read_environment, variable
from sendline_worker.accounts import load_accounts
from sendline_worker.celery_app import Fleet, make_app
from sendline_worker.cli import table
from sendline_worker.cli.main import main
from sendline_worker.demo import people
from sendline_worker.providers.base import Outbound
from sendline_worker.stack import Stack

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """Return what stands under `heading`, up to the next heading of its level or a higher one."""
    level = len(heading) - len(heading.lstrip("#"))
    _, _, rest = page(name).partition(f"\n{heading}\n")
    assert rest, f"{name} has no heading {heading!r}"
    return re.split(rf"(?m)^#{{1,{level}}} ", rest)[0]


def rows(text: str) -> Iterator[list[str]]:
    """Return the cells of every row of every table, without the heads."""
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        is_head = after.startswith("|--")
        if line.startswith("|") and not line.startswith("|--") and not is_head:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def words(cell: str) -> list[str]:
    """Return what stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def edges() -> set[tuple[str, str]]:
    return {(edge.source or "-", edge.target) for edge in EDGES}


# The life of a message


def drawn() -> set[tuple[str, str]]:
    """Return the edges of the page's diagrams; one from a box stands for one from each state in it."""
    found = set()
    for diagram in re.findall(r"```mermaid\n(.*?)```", page("docs/lifecycle.md"), re.DOTALL):
        assert diagram.startswith("stateDiagram-v2\n")
        boxes = {
            name: body.split() for name, body in re.findall(r"state (\w+) \{(.*?)\}", diagram, re.DOTALL)
        }
        for source, target in re.findall(r"(?m)^\s*(\S+) --> (\w+)(?:: .+)?$", diagram):
            found |= {(name.replace("[*]", "-"), target) for name in boxes.get(source, [source])}
    return found


def test_the_diagrams_draw_every_edge_and_no_other():
    assert drawn() == edges()


def test_the_table_of_moves_lists_every_edge_and_no_other():
    found = set()
    for source, target, _ in rows(section("docs/lifecycle.md", "## Every move")):
        found |= set(product(words(source) or ["-"], words(target)))
    assert found == edges()


def test_every_status_is_described_and_those_that_are_always_final_are_called_so():
    described = {words(row[0])[0]: row[2] for row in rows(section("docs/lifecycle.md", "## The statuses"))}
    assert set(described) == set(Status)
    assert {status for status, final in described.items() if final == "yes"} == FINAL
    for status in (Status.SENT, Status.UNCERTAIN):
        assert "deadline" in described[status]


def test_every_error_code_is_described_and_no_other():
    assert {words(row[0])[0] for row in rows(section("docs/lifecycle.md", "## Error codes"))} == set(
        ErrorCode
    )


def test_every_code_that_the_attempts_table_names_exists():
    table_of_attempts = list(rows(section("docs/lifecycle.md", "## Attempts")))
    named = {code for row in table_of_attempts for code in words(row[0])}
    assert len(table_of_attempts) == len(named)
    assert named <= set(ErrorCode)


# The glossary


WORDS = (
    *("message", "recipient, sender", "account", "provider", "route", "lane", "ledger", "claim"),
    *("attempt, outcome", "settle", "wake, tick", "receipt", "campaign", "event"),
)


def test_the_glossary_has_every_word_of_the_design():
    described = {row[0] for row in rows(page("docs/glossary.md"))}
    assert described >= set(WORDS)


def test_the_glossary_describes_no_word_twice():
    described = [row[0] for row in rows(page("docs/glossary.md"))]
    assert len(described) == len(set(described))


# Settings


def plain(value: Any) -> str | None:
    """Return a default as the page writes it; None where it is `none`."""
    return None if value in (None, (), {}) else str(value).removesuffix(".0")


def setting_rows(heading: str, until: str) -> dict[str, list[str]]:
    text = section("docs/operations.md", heading).partition(until)[0]
    return {words(row[0])[0]: row for row in rows(text) if len(row) == 4}


def test_every_setting_is_documented_with_its_default_and_its_variable():
    documented = setting_rows("## Settings", "\n### ")
    assert set(documented) == set(Settings.model_fields)
    for name, (_, default, _, env) in documented.items():
        field = Settings.model_fields[name]
        given = field.get_default(call_default_factory=True)
        if given and isinstance(given, tuple):
            assert tuple(words(default)) == given, name
        else:
            written = None if default == "none" else words(default)[0].removesuffix(".0")
            assert written == plain(given), name
        assert words(env) == [variable((name,))]


def test_every_setting_of_an_account_is_documented_with_its_variable():
    documented = setting_rows("### Accounts and routes", "\n## ")
    assert set(documented) == set(AccountSettings.model_fields)
    for name, (_, default, _, env) in documented.items():
        field = AccountSettings.model_fields[name]
        written = plain(field.get_default(call_default_factory=True)) if not field.is_required() else None
        assert default == ("required" if field.is_required() else f"`{written}`" if written else "none"), name
        assert words(env) == [variable(("accounts", "name", name if name != "options" else "base_url"))]


def test_the_attempts_and_the_time_that_they_take_are_those_of_the_defaults():
    default = {name: field.default for name, field in Settings.model_fields.items()}
    attempts = default["max_attempts"]
    waits = (min(default["retry_base"] * 2**n, default["retry_max"]) for n in range(attempts - 1))
    longest = sum(waits) / 60
    text = section("docs/lifecycle.md", "## Attempts")
    assert f"`max_attempts` attempts ({attempts} if not set)" in text
    assert f"{longest / 2:.0f} to {longest:.0f} min" in text


def test_the_least_default_burst_is_the_one_in_force():
    described = setting_rows("### Accounts and routes", "\n## ")["burst"][2]
    scripts = (ROOT / "producer/sendline/ledger/lua").rglob("*.lua")
    source = "\n".join(script.read_text(encoding="utf-8") for script in scripts)
    [(burst_us, least)] = re.findall(r"(?m)^local BURST_US, LEAST_BURST = (\d+), (\d+)", source)
    assert f"in {int(burst_us) / 1000:g} ms, at least {least}" in described


def test_every_variable_that_a_page_names_is_a_setting():
    for path in PAGES:
        for name in set(re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", path.read_text(encoding="utf-8"))):
            if name.endswith("_FILE"):
                name = name.removesuffix("_FILE")  # noqa: PLW2901 - its file is not at hand
            value = {f"{PREFIX}ACCOUNTS": "{}", f"{PREFIX}ROUTES": "[]"}.get(name, "1")
            assert read_environment({name: value}, Settings.model_fields), f"{path.name}: {name}"


def test_the_bounds_that_belong_together_stand_as_they_are():
    text = section("docs/operations.md", "## Stopping and deploying")
    assert f"{bounds.LONGEST_CALL} + {bounds.SETTLE_MARGIN} < {bounds.STOP_GRACE}" in text
    assert f"{bounds.TASK_TIME_LIMIT} < {bounds.LEASE} < {bounds.VISIBILITY_TIMEOUT}" in text


def test_the_budget_of_memory_is_that_of_the_test_that_measures_it():
    [budget] = re.findall(r"(?m)^\w*_MOST,.* = (\d+), (\d+), (\d+)$", page("tests/producer/test_memory.py"))
    text = section("docs/operations.md", "### Memory")
    assert "tests/producer/test_memory.py" in text
    assert all(f" {most} " in text for most in budget)


# Celery


def test_every_setting_of_celery_that_the_page_names_is_set_and_every_one_set_is_named():
    conf = make_app(Fleet(Settings(redis_url="redis://localhost:6379/0"), {})).conf
    given = set(conf.broker_transport_options)  # reading one setting makes Celery tell its changes apart
    given |= set(conf.changes) - {"broker_url", "deprecated_settings"}
    named = {name for row in rows(section("docs/operations.md", "## Celery")) for name in words(row[0])}
    assert named == given


def test_numbers_and_words_of_the_celery_table_are_those_in_force():
    conf = make_app(Fleet(Settings(redis_url="redis://localhost:6379/0"), {})).conf
    values = {**conf, **conf.broker_transport_options}
    for name, value, _ in rows(section("docs/operations.md", "## Celery")):
        [first, *_] = words(name)
        if value.isdecimal():
            assert values[first] == int(value), first
        elif value in ("on", "off"):
            for each in words(name):
                assert values[each] is (value == "on"), each


# The simulator


def test_the_configuration_for_parts_of_their_own_fits_together(tmp_path):
    [block] = re.findall(r"(?ms)^```toml\n(.*?)^```", page("docs/simulator.md"))
    file = tmp_path / "sendline.toml"
    file.write_text(block, encoding="utf-8")
    settings = Settings.load(file)
    [account] = load_accounts(settings).values()
    request = account.adapter.compose(Outbound("m", "+13115552367", account.card.senders[0], "Hello", None))
    assert request.url.port == settings.simulator_port
    assert settings.public_url == f"http://{settings.receiver_host}:{settings.receiver_port}"


# Links and commands


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{path.name} links to {target}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", linked.read_text(encoding="utf-8"))
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{path.name} links to {target}"


def command(name: str) -> Any:
    """Return the command `name` of the command line; fails where there is none."""
    module = table.module_of(name)
    assert module is not None, f"there is no command `sendline {name}`"
    return typer.main.get_command(import_module(module).app)


def check_command(line: str) -> None:
    """Fail where the command line `line`, which begins with `sendline`, can't be run."""
    _, *arguments = shlex.split(line, comments=True)
    if not arguments or arguments[0] in ("COMMAND", "--help", "--version"):
        return
    name, *rest = arguments
    found = command(name)
    _check_words(f"sendline {name}", found, rest)


def _check_words(said: str, found: Any, rest: list[str]) -> None:
    """Fail where the command `found`, shown as `said`, does not take `rest`."""
    options = {option: param for param in found.params for option in param.opts + param.secondary_opts}
    members = getattr(found, "commands", {})
    takes_more = any(param.param_type_name == "argument" for param in found.params)
    taken = iter(rest)
    for word in taken:
        if word == "--help":
            continue
        if word.startswith("--"):
            option, _, value = word.partition("=")
            assert option in options, f"`{said}` has no option {option}"
            if not (options[option].is_flag or value):
                assert next(taken, None) is not None, f"`{said} {option}` needs a value"
        elif members:
            assert word in members, f"`{said}` has no command {word}"
            _check_words(f"{said} {word}", members[word], list(taken))
            return
        else:
            assert takes_more, f"`{said}` takes no argument such as {word}"


def shown_commands(text: str) -> Iterator[str]:
    """Return the `sendline ...` commands of a page: in code blocks, and in backticks in its text."""
    for kind, block in re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text):
        if kind in ("", "sh", "bash", "console", "text"):
            for line in block.replace("\\\n", " ").splitlines():
                bare = re.sub(r"^\s*\$ ", "", line)
                if re.match(r"(docker compose \w+ \w+ )?sendline [a-z-]", bare):
                    yield re.split(r"\s[<>|&]", "sendline " + bare.partition("sendline ")[2])[0]
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    yield from (
        " ".join(found.split())
        for found in re.findall(r"`(?:docker compose exec \w+ )?(sendline [a-z][^`]*)`", prose)
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_is_shown_exists_with_its_options(path):
    for line in shown_commands(path.read_text(encoding="utf-8")):
        check_command(line)


def test_a_command_that_does_not_exist_would_be_found():
    for wrong in ("sendline sned", "sendline send --too +1", "sendline worker main", "sendline send --to"):
        with pytest.raises(AssertionError):
            check_command(wrong)


def test_commands_of_a_family_are_known_with_their_options():
    for right in ("", " --older 1h --limit=5", " resend ID ID", " fail --all --error failover --yes"):
        check_command(f"sendline uncertain{right}")
    for wrong in ("reesnd ID", "ID", "resend --limit 5", "--all", "resend --reason", "fail ID --too"):
        with pytest.raises(AssertionError):
            check_command(f"sendline uncertain {wrong}")


def test_every_command_of_make_that_is_shown_exists():
    targets = set(re.findall(r"(?m)^([a-z]+):", page("Makefile")))
    for path in PAGES:
        named = set(re.findall(r"(?m)(?:`|^\s*(?:\$ )?)make ([a-z]+)", path.read_text(encoding="utf-8")))
        assert named <= targets, path.name


# The README


def test_the_readme_is_short():
    assert len(page("README.md").splitlines()) < 150


def test_the_figures_of_the_readme_are_those_of_the_bench():
    [told] = re.findall(r"send ([\d.]+) times what .* at ([\d.]+) of a bare", page("README.md"))
    results = page("benchmarks/results.md")
    times = r"messages a second against the best plain Celery .*, 2 worker processes \|.*\| ([\d.]+)"
    cpu = r"CPU a message against the bare client, 2 worker processes \|.*\| ([\d.]+)"
    assert told == tuple(re.findall(each, results)[0] for each in (times, cpu))


@pytest.fixture(scope="module")
def up():
    """What `sendline up` runs, with nothing configured."""
    with data_directory() as place:
        logs = Path(place) / "logs"
        logs.mkdir()
        nothing = Settings.model_construct(_fields_set=set(), processes=2)
        with Stack(nothing, Path(place) / "instance", logs=logs) as stack:
            yield stack


@pytest.fixture
def beside_it(up, monkeypatch):
    """Let commands and producers find it."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", up.settings.redis_url.get_secret_value())


def alike(shown: str) -> list[str]:
    """Return lines without what differs from run to run: ids, times, lengths of time, widths of columns."""
    shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", shown)
    shown = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", shown)
    shown = re.sub(r"\b\d+(\.\d+)? m?s\b", "LENGTH", shown)
    return [" ".join(line.split()) for line in shown.strip().splitlines()]


@pytest.mark.acceptance
@pytest.mark.xdist_group("readme")
@pytest.mark.usefixtures("beside_it")
def test_the_session_of_the_readme_prints_what_it_shows(capfd, poll):
    [block] = re.findall(r"(?ms)^```console\n(.*?)^```", page("README.md"))
    steps = re.findall(r"(?ms)^\$ (.*?)\n(.*?)(?=^\$ |\Z)", block)
    assert len(steps) == 3
    id_of: dict[str, str] = {}
    for command_line, shown in steps:
        words_of = [id_of.get(word, word) for word in shlex.split(command_line)[1:]]
        if words_of[0] == "status":
            with Producer() as producer:
                poll(lambda: producer.get(words_of[1]).final, timeout=30)  # noqa: B023 - called at once
        assert main(words_of) == 0
        printed = capfd.readouterr().out
        assert alike(printed) == alike(shown)
        id_of[shown.split()[0]] = printed.split()[0]


@pytest.mark.acceptance
@pytest.mark.xdist_group("readme")
@pytest.mark.usefixtures("beside_it")
def test_the_example_of_the_readme_sends_a_message():
    [block] = re.findall(r"(?ms)^```python\n(.*?)^```", page("README.md"))
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - the example is ours
    names["producer"].close()
    assert names["message"].status is Status.DELIVERED


def test_the_configuration_in_the_readme_is_one(tmp_path):
    [block] = re.findall(r"(?ms)^```toml\n(.*?)^```", page("README.md"))
    file = tmp_path / "readme.toml"
    file.write_text(block, encoding="utf-8")
    assert Settings.load(file).accounts


def test_the_number_of_messages_of_the_demo_is_that_of_its_file():
    number = len(people.read_people(ROOT / "examples" / "people.csv"))
    assert f"{number:,}" in page("README.md")


def test_no_phone_number_on_a_page_could_be_a_real_one():
    allowed = SimpleNamespace(test="+1311555", kore_page="+16693422058")
    for path in PAGES:
        for number in re.findall(r"\+[1-9][0-9]{6,}", path.read_text(encoding="utf-8")):
            assert number.startswith((allowed.test, allowed.kore_page)), f"{path.name}: {number}"
