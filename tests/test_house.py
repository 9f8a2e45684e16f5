"""The rules of the house: what may stand where."""

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

import pytest

from sendline_worker.providers.registry import ADAPTERS

ROOT = Path(__file__).parents[1]
PRODUCER, WORKER = ROOT / "producer" / "sendline", ROOT / "worker" / "sendline_worker"
LEDGER, SETTINGS, PROVIDERS = PRODUCER / "ledger", PRODUCER / "settings", WORKER / "providers"
SOURCES = sorted(
    path for folder in (PRODUCER, WORKER) for path in folder.rglob("*") if path.suffix in {".py", ".lua"}
)
MODULES = [path for path in SOURCES if path.suffix == ".py"]
SCRIPTS = sorted((LEDGER / "lua").glob("*.lua"))
MOST_LINES = 350


def name(path):
    return str(path.relative_to(ROOT))


def inside(path, *places):
    return any(path.is_relative_to(place) for place in places)


def test_there_is_something_to_look_at():
    assert len(MODULES) > 50
    assert len(SCRIPTS) >= 9


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_providers_name_appears_only_in_its_adapter_and_the_registry(path):
    text = path.read_text().lower()
    allowed = {
        provider for provider in ADAPTERS if inside(path, PROVIDERS / provider, PROVIDERS / "registry.py")
    }
    assert not [provider for provider in set(ADAPTERS) - allowed if provider in text]


@pytest.mark.parametrize("path", [p for p in SOURCES if not inside(p, LEDGER)], ids=name)
def test_only_the_ledger_knows_redis_keys(path):
    assert not re.search(r"\bsl:", path.read_text())


@pytest.mark.parametrize("path", [p for p in MODULES if not inside(p, SETTINGS)], ids=name)
def test_only_the_settings_read_the_environment(path):
    reads = {"environ", "environb", "getenv", "getenvb"}
    found = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in reads)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and reads & {a.name for a in node.names})
    ]
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_file_is_too_long_to_read(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_is_called_by_a_word_that_means_everything(path):
    assert path.stem not in {"utils", "util", "helpers", "misc", "common", "client_utils"}


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_script_says_what_it_takes_and_returns(path):
    header = []
    for line in path.read_text().splitlines():
        if not line.startswith("--"):
            break
        header.append(line)
    text = "\n".join(header)
    assert re.match(r"-- [A-Z].*\.$", header[0]), "the first line says what it does"
    assert "-- KEYS:" in text
    assert "-- ARGV[2" in text
    assert re.search(r"^-- Returns ", text, re.MULTILINE)


@functools.cache
def functions_by_script():
    """Each script's name, and the modules and functions that call it."""
    found = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for verb in set(re.findall(r"script\('(\w+)'\)", ast.unparse(node))):
                    found[verb].append((path, node))
    return found


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_script_is_called_by_exactly_one_typed_function(path):
    [(module, function)] = functions_by_script()[path.stem]
    assert inside(module, LEDGER)
    assert isinstance(function.returns, ast.Subscript)
    assert ast.unparse(function.returns).startswith("Call[")
    assert all(argument.annotation for argument in function.args.args + function.args.kwonlyargs)


def test_every_script_that_is_called_exists():
    called = {
        word
        for path in MODULES
        for word in re.findall(r"\bscript\(\"(\w+)\"", path.read_text())
        if inside(path, LEDGER)
    }
    assert called == {path.stem for path in SCRIPTS}
