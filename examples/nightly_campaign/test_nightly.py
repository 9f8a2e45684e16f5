"""How the script is tested: nothing is sent, and neither Redis nor a worker runs.

python -m pytest test_nightly.py
"""

# ruff: noqa: ANN001, ANN201, PLR2004, S101

import sys

import pytest
from nightly import AGAIN, DONE, main


@pytest.fixture
def night(monkeypatch, tmp_path):
    (tmp_path / "people.csv").write_text("name,number\nAda,+13115552367\nBoris,+13115552368\n")
    words = ["people.csv", "reports", "Good morning {{ name }}", "--night", "2026-01-01", "--patience", "0"]
    monkeypatch.setattr(sys, "argv", ["nightly.py", *words])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_second_run_finishes_what_the_first_began(outbox, night):
    assert main() == AGAIN
    assert [message.text for message in outbox] == ["Good morning Ada", "Good morning Boris"]
    for message in outbox:
        outbox.deliver(message)

    assert main() == DONE
    assert len(outbox) == 2
    report = (night / "reports" / "nightly-2026-01-01.csv").read_text()
    assert report.count(",delivered,") == 2
