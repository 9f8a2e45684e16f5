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


@functools.cache
def text_of(path):
    return path.read_text()


@functools.cache
def tree_of(path):
    return ast.parse(text_of(path))


def inside(path, *places):
    return any(path.is_relative_to(place) for place in places)


def test_there_is_something_to_look_at():
    assert len(MODULES) > 50
    assert len(SCRIPTS) >= 9


def offenders(paths, is_at_fault):
    """The names of the files at fault: one test looks at all, for there are hundreds."""
    return [name(path) for path in paths if is_at_fault(path)]


def test_a_providers_name_appears_only_in_its_adapter_and_the_registry():
    for provider in ADAPTERS:
        others = [
            path for path in SOURCES if not inside(path, PROVIDERS / provider, PROVIDERS / "registry.py")
        ]
        assert offenders(others, lambda path, word=provider: word in text_of(path).lower()) == []


def test_only_the_ledger_knows_redis_keys():
    others = [path for path in SOURCES if not inside(path, LEDGER)]
    assert offenders(others, lambda path: re.search(r"\bsl:", text_of(path))) == []


def test_only_the_settings_read_the_environment():
    reads = {"environ", "environb", "getenv", "getenvb"}
    found = [
        f"{name(path)}:{node.lineno}"
        for path in MODULES
        if not inside(path, SETTINGS)
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Attribute) and node.attr in reads)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and reads & {a.name for a in node.names})
    ]
    assert found == []


def test_no_file_is_too_long_to_read():
    assert offenders(SOURCES, lambda path: len(text_of(path).splitlines()) > MOST_LINES) == []


def test_no_module_is_called_by_a_word_that_means_everything():
    words = {"utils", "util", "helpers", "misc", "common", "client_utils"}
    assert offenders(MODULES, lambda path: path.stem in words) == []


def test_nothing_stands_there_to_be_written_later():
    stubs = re.compile(r"raise NotImplementedError|\b(TODO|FIXME|XXX)\b")
    assert offenders(SOURCES, lambda path: stubs.search(text_of(path))) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_script_says_what_it_takes_and_returns(path):
    header = []
    for line in text_of(path).splitlines():
        if not line.startswith("--"):
            break
        header.append(line)
    text = "\n".join(header)
    assert re.match(r"-- [A-Z].*\.$", header[0]), "the first line says what it does"
    assert "-- KEYS:" in text
    assert re.search(r"-- ARGV\[[12]", text)
    assert re.search(r"^-- Returns ", text, re.MULTILINE)


@functools.cache
def functions_by_script():
    """Each script's name, and the modules and functions that call it."""
    found = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef) and "script(" in text_of(path):
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
        for word in re.findall(r"\bscript\(\"(\w+)\"", text_of(path))
        if inside(path, LEDGER)
    }
    assert called == {path.stem for path in SCRIPTS}
