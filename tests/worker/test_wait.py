"""A wait is said at once, not at every try, and once more when it goes on."""

import logging

import pytest

from sendline_worker import wait
from sendline_worker.wait import Wait


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_it_is_said_at_once_and_again_only_after_a_while(lines, monkeypatch):
    claiming = Wait(logging.getLogger("sendline.test"), "claiming")
    for _ in range(100):
        claiming.must_wait("Redis is away")
    assert lines() == [("WARNING", "claiming waits: Redis is away")]
    monkeypatch.setattr(wait, "TELL_EVERY", 0.0)
    claiming.must_wait("Redis is away")
    assert len(lines()) == 2


def test_its_end_is_said_where_it_was_said_to_wait(lines):
    claiming = Wait(logging.getLogger("sendline.test"), "claiming")
    claiming.is_over()
    assert lines() == []
    for _ in range(2):
        claiming.must_wait("Redis is away")
        claiming.is_over()
        claiming.is_over()
    said = [("WARNING", "claiming waits: Redis is away"), ("INFO", "claiming goes on")]
    assert lines() == said * 2
