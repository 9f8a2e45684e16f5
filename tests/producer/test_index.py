"""The index of provider ids: small shelves, more of them the more entries a day has, and none for ever."""

import dataclasses

import pytest

import sendline.ledger.audit
import sendline.ledger.repair
from ledger_world import CLOCK
from sendline.contract import ids
from sendline.ledger import audit, repair
from sendline.ledger.keys import KEYS
from sendline.ledger.record import digest
from sendline.ledger.scripts import script

DAY = 86_400


@pytest.fixture
def index(world, monkeypatch):
    """Notes an id for a provider id, or tells which one is noted, on the world's clock."""
    for module in (sendline.ledger.audit, sendline.ledger.repair):
        monkeypatch.setattr(module, "script", lambda verb: script(verb, clock=CLOCK))
    return Index(world)


class Index:
    def __init__(self, world):
        self.world = world

    def note(self, provider_id, message_id, seen=b""):
        name = digest("main", provider_id)
        call = repair.reindex(self.world.limits, name, seen=seen, right=message_id, provider_id=b"")
        assert self.world.ledger.run(call)

    def find(self, provider_ids):
        digests = [digest("main", each) for each in provider_ids]
        return self.world.ledger.run(audit.indexed(self.world.limits, digests))

    def sizes(self):
        """How many entries each shelf has, by its level."""
        sizes = {}
        for key in self.world.raw.scan_iter(KEYS["index"] + "*", count=10_000):
            sizes.setdefault(len(key.rpartition(b":")[2]) - 1, []).append(self.world.raw.hlen(key))
        return sizes


def test_entries_are_found_on_whatever_level_they_lie(index):
    noted = {f"p{n}": ids.new_id() for n in range(1_500)}
    for provider_id, message_id in noted.items():
        index.note(provider_id, message_id)
    sizes = index.sizes()
    assert {level: sum(each) for level, each in sizes.items()} == {0: 1_024, 1: 476}
    assert len(sizes[0]) == 16
    assert 180 <= len(sizes[1]) <= 256
    assert index.find(noted) == list(noted.values())
    assert index.find(["p1500", "p"]) == [None, None]


def test_a_shelf_costs_few_bytes_an_entry(index, world):
    for n in range(800):
        index.note(f"p{n}", ids.new_id())
    keys = list(world.raw.scan_iter(KEYS["index"] + "*", count=10_000))
    assert {world.raw.object("encoding", key) for key in keys} == {b"listpack"}
    assert sum(world.raw.memory_usage(key, samples=0) for key in keys) / 800 < 45


def test_an_entry_of_a_day_ago_is_found_beside_those_of_today(index, world):
    yesterday, today = ids.new_id(), ids.new_id()
    index.note("old", yesterday)
    world.clock.advance(DAY)
    index.note("new", today)
    assert index.find(["old", "new"]) == [yesterday, today]


def test_one_that_is_named_anew_is_noted_once(index):
    first, second = ids.new_id(), ids.new_id()
    index.note("p", first)
    index.note("p", second, seen=first)
    assert index.find(["p"]) == [second]
    assert sum(map(sum, index.sizes().values())) == 1


def test_an_entry_is_kept_for_the_deadline_and_less_than_a_day_more(index, world):
    index.note("p", ids.new_id())
    deadline = world.limits.deadline
    for key in [*world.raw.keys(KEYS["index"] + "*"), KEYS["indexed"]]:
        assert deadline < world.raw.pttl(key) / 1000 <= deadline + DAY


def test_days_whose_shelves_have_ended_are_forgotten(index, world):
    index.note("old", ids.new_id())
    world.clock.advance(world.limits.deadline + DAY + 1)
    index.note("new", ids.new_id())
    assert len(world.raw.hgetall(KEYS["indexed"])) == 1


def test_a_longer_deadline_holds_for_shelves_that_are_there(index, world):
    index.note("p", ids.new_id())
    world.limits = dataclasses.replace(world.limits, deadline=2 * world.limits.deadline)
    index.note("q", ids.new_id())
    [shelf] = [
        key for key in world.raw.keys(KEYS["index"] + "*") if world.raw.hexists(key, digest("main", "q"))
    ]
    for key in (shelf, KEYS["indexed"]):
        assert world.raw.pttl(key) / 1000 > world.limits.deadline


def test_days_are_not_forgotten_sooner_where_the_clock_steps_back(index, world):
    index.note("p", ids.new_id())
    before = world.raw.pttl(KEYS["indexed"])
    world.clock.advance(-DAY)
    index.note("q", ids.new_id())
    assert world.raw.pttl(KEYS["indexed"]) >= before - 5_000
