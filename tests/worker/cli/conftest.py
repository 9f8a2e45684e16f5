"""Running one command of `sendline` in the test's own process."""

import json

import pytest

from ledger_world import World
from sendline.campaigns import importing
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


@pytest.fixture
def hands(ledger, raw, publish):
    """Claim, settle and tick by hand, on the server's own clock; one account is known."""
    publish("main")
    return World(ledger, raw, None)


@pytest.fixture
def people(tmp_path):
    """Write a CSV file of some people; returns its path."""

    def people(number=10, name="people.csv", *, start=0):
        rows = [f"+1311{5_550_000 + place:07},name {place}" for place in range(start, start + number)]
        (tmp_path / name).write_text("\n".join(["to,name", *rows]) + "\n")
        return str(tmp_path / name)

    return people


@pytest.fixture
def cut_off(monkeypatch):
    """Let Ctrl-C, or an error, come before stretch number `at` of an import; returns the stretches so far."""

    def cut_off(at, error=KeyboardInterrupt):
        packed, calls = importing.campaigns.enlist, []

        def interrupted(limits, stretch):
            calls.append(stretch)
            if len(calls) == at:
                raise error
            return packed(limits, stretch)

        monkeypatch.setattr(importing.campaigns, "enlist", interrupted)
        return calls

    return cut_off


@pytest.fixture
def campaign(run, people, hands):
    """Create a campaign by the command; returns its name."""

    def campaign(number=10, name="sale", *words, text="Hi {{ name }}"):
        code, _, err = run(
            "create", name, "--text", text, "--recipients", people(number), *words, command="campaign"
        )
        assert (code, err) == (0, "")
        return name

    return campaign
