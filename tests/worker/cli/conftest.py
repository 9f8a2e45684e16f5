"""Running one command of `sendline` in the test's own process."""

import json

import pytest

from sendline_worker.cli.main import main


@pytest.fixture
def run(request, redis_url, monkeypatch, capsys):
    """Run the module's COMMAND on the ledger of the test; returns its code, its output and its errors."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)

    def run(*words, command=request.module.COMMAND):
        code = main([command, *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def read(run):
    """Run it with --json and return what it printed."""

    def read(*words, code=0):
        found, out, err = run(*words, "--json")
        assert (found, err, out.count("\n")) == (code, "", 1)
        return json.loads(out)

    return read
