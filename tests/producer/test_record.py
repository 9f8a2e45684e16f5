"""The stored record: Python reads what Lua writes, and nobody loses what a newer release added."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline import ErrorCode, Lane, OnUncertain, Status
from sendline.contract import ids
from sendline.contract.message import instant
from sendline.ledger.keys import message_key
from sendline.ledger.record import (
    FIELDS,
    VERSION,
    Record,
    digest,
    events,
    pack,
    pack_provider_id,
    timeline,
    unpack,
    unpack_provider_id,
)

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

PROVIDER_IDS = [
    "x",
    UUID,
    UUID.upper(),
    UUID.replace("-", ""),
    "0123456789abcdef",
    "\u00e9\u4f60\U0001f600",
    "SM" + "0" * 32,
    "-1",
    "\x00short",
]


@pytest.mark.parametrize("provider_id", PROVIDER_IDS, ids=ascii)
def test_a_providers_id_comes_back_as_it_went_in(provider_id):
    assert unpack_provider_id(pack_provider_id(provider_id)) == provider_id


def test_a_uuid_takes_17_bytes():
    assert len(pack_provider_id(UUID)) == 17


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_a_providers_id(provider_id):
    assert unpack_provider_id(pack_provider_id(provider_id)) == provider_id


def test_no_id_is_none():
    assert unpack_provider_id(b"") is None


@given(st.lists(st.text(max_size=3), max_size=3), st.lists(st.text(max_size=3), max_size=3))
def test_a_digest_keeps_its_parts_apart(one, other):
    assert (digest(*one) == digest(*other)) == (one == other)


def test_the_packed_form_has_no_bin_type_which_lua_can_not_read():
    assert pack([b"\xff\x00", "a"]) == msgpack.packb([b"\xff\x00", "a"], use_bin_type=False)


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("on_uncertain", [None, *OnUncertain])
def test_what_was_accepted_is_read_back(world, lane, on_uncertain):
    extras = {"callback_url": "https://a.example/x", "metadata": {"\u00e9": "\U0001f600", "empty": ""}}
    message_id = world.accept(
        "a,b", lane=lane, on_uncertain=on_uncertain, text="Gr\u00fc\u00dfe\n\u20ac", **extras
    )
    message = world.get(message_id)
    assert message.id == ids.to_text(message_id)
    assert (message.status, message.lane, message.on_uncertain) == (Status.CREATED, lane, on_uncertain)
    assert (message.route, message.account, message.text) == (("a", "b"), None, "Gr\u00fc\u00dfe\n\u20ac")
    assert {"callback_url": message.callback_url, "metadata": message.metadata} == extras
    assert message.created_at == instant(world.clock.ms)
    assert message.expires_at == instant(world.clock.ms + 3_600_000)
    assert (message.due_at, message.attempts, message.segments) == (None, 0, 1)
    assert (message.provider_id, message.error, message.cancel_requested) == (None, None, False)
    assert [(entry.at, entry.status) for entry in message.timeline] == [(message.created_at, Status.CREATED)]


def test_a_message_without_text_sender_and_route_is_read_back(world):
    message = world.get(world.accept("", text=None, sender=None))
    assert (message.text, message.sender, message.route, message.segments) == (None, None, (), 0)


@pytest.mark.parametrize("lane", list(Lane))
def test_the_campaign_of_a_message_is_read_back(world, lane):
    message_id = world.accept(lane=lane, campaign="Black-Friday_2026")
    assert world.get(message_id).campaign == "Black-Friday_2026"
    assert world.get(message_id).to_dict()["campaign"] == "Black-Friday_2026"
    assert world.record(message_id).campaign == b"Black-Friday_2026"


def test_a_message_of_no_campaign_is_read_back(world):
    message_id = world.accept()
    assert world.record(message_id).campaign == b""
    assert world.get(message_id).campaign is None


def test_a_record_of_an_earlier_release_has_no_campaign(world, raw):
    message_id = world.accept(campaign="spring")
    earlier = unpack(raw.get(message_key(message_id)))[: FIELDS.index("campaign")]
    raw.set(message_key(message_id), pack(earlier))
    assert world.record(message_id).campaign == b""
    assert world.get(message_id).campaign is None


def test_a_record_that_was_cut_off_is_not_taken_for_an_earlier_releases():
    with pytest.raises(IndexError):
        _ = Record(pack([1, 2])).timeline


def test_the_version_comes_first():
    assert FIELDS[0] == "version"


def test_a_record_is_packed_by_lua_as_by_python(world, raw):
    stored = raw.get(message_key(world.accept()))
    assert pack(unpack(stored)) == stored
    assert Record(stored).version == VERSION


def test_a_record_knows_no_other_fields(world):
    with pytest.raises(AttributeError):
        _ = world.record(world.accept()).nothing


# A newer release appended a field, and knows an error code that this one does not

ADDED = [b"a newer release's field", 7, {b"a": [1, 2]}]


@pytest.fixture
def newer(world, raw):
    """Accept a message, and rewrite its record as a newer release would."""
    world.configure("main")

    def accept(**fields):
        message_id = world.accept(**fields)
        rewrite(message_id)
        return message_id

    def rewrite(message_id):
        values = unpack(raw.get(message_key(message_id)))
        values[FIELDS.index("version")] = VERSION + 1
        values[FIELDS.index("error")] = b"a_newer_code"
        values[FIELDS.index("flags")] += 1 << 20
        values[FIELDS.index("timeline")] += b"".join(map(pack, [0, 0, b"a_newer_code", b""]))
        raw.set(message_key(message_id), pack(values + ADDED), keepttl=True)

    return accept


def untouched(raw, message_id):
    values = unpack(raw.get(message_key(message_id)))
    assert values[FIELDS.index("version")] == VERSION + 1
    assert values[FIELDS.index("flags")] >> 20 == 1
    assert values[len(FIELDS) :] == ADDED
    return True


def test_a_newer_releases_record_is_read(world, newer):
    message = world.get(newer())
    assert message.error == "a_newer_code"
    assert not isinstance(message.error, ErrorCode)
    assert message.timeline[-1].code == "a_newer_code"
    assert message.to_dict()["error"] == "a_newer_code"


def test_a_newer_releases_fields_survive_every_verb(world, newer, raw):
    message_id = newer(on_uncertain="hold")
    for outcome in ({"target": "retrying", "delay": 5}, {"target": "uncertain"}):
        claim = world.claim_one()
        assert untouched(raw, message_id)
        assert world.settle(claim, **outcome) == "settled"
        assert untouched(raw, message_id)
        world.clock.advance(6)
        world.tick()
        assert untouched(raw, message_id)
    assert world.receive("sent", message_id=message_id, provider_id=UUID) == "applied"
    assert untouched(raw, message_id)
    assert world.receive("delivered", provider_id=UUID) == "applied"
    assert untouched(raw, message_id)
    assert world.get(message_id).timeline[1].code == "a_newer_code"


def test_a_newer_releases_fields_survive_cancel_expiry_a_dead_claim_and_a_late_settle(world, newer, raw):
    canceled, expired, dead, overtaken = [newer(lane=lane) for lane in ("bulk", "bulk", "urgent", "normal")]
    world.cancel(canceled)
    claims = {claim.message_id: claim for claim in world.claim(2).claims}
    assert set(claims) == {dead, overtaken}
    assert world.receive("delivered", message_id=overtaken) == "applied"
    assert world.settle(claims[overtaken], "sent", provider_id="x") == "learned"
    world.cancel(dead)
    world.clock.advance(4000)
    world.tick()
    assert world.counts() == {"canceled": 1, "expired": 1, "uncertain": 1, "delivered": 1}
    assert all(untouched(raw, message_id) for message_id in (canceled, expired, dead, overtaken))


def test_a_newer_releases_event_is_read():
    message_id = ids.new_id()
    raw = pack([message_id, 5, 900, "", ""]) + pack([message_id, 5, 1000, "a_newer_code", "why", "more"])
    first, read = events(7, raw)
    assert first.seq == 6
    assert (read.seq, read.message_id, read.status) == (7, ids.to_text(message_id), Status.DELIVERED)
    assert (read.code, read.reason) == ("a_newer_code", "why")


# The timeline


def test_a_timeline_keeps_its_first_entry_and_its_newest_ones(world):
    world.configure("main")
    message_id = world.accept(valid_for=86400)
    for attempt in range(200):
        assert world.settle(world.claim_one(), "retrying", delay=-1, reason=f"attempt {attempt}") == "settled"
        world.clock.advance(1)
    record = world.record(message_id)
    entries = timeline(record.timeline, record.created)
    assert len(record.timeline) <= 4096
    assert (entries[0].status, entries[-1].reason) == (Status.CREATED, "attempt 199")
    kept = [entry.reason for entry in entries if entry.reason]
    assert kept == [f"attempt {attempt}" for attempt in range(200 - len(kept), 200)]
    assert len(kept) > 50


@pytest.mark.parametrize(
    "reason", ["x" * 10_000, "\u4f60" * 5_000, "\ud83d", "a\0b"], ids=["long", "wide", "half", "nul"]
)
def test_any_reason_of_a_provider_can_be_written_down_and_read(world, reason):
    world.configure("main")
    message_id = world.accept(valid_for=86400)
    for _ in range(3):
        assert world.settle(world.claim_one(), "retrying", delay=-1, reason=reason) == "settled"
    written = world.get(message_id).timeline[-1].reason
    assert written
    assert len(written) <= 500
    assert len(world.record(message_id).timeline) < 4096


def test_any_reason_of_a_receipt_can_be_written_down_and_read(world):
    world.configure("main")
    message_id = world.accept()
    world.settle(world.claim_one(), "sent", provider_id="x")
    assert world.receive("undelivered", provider_id="x", reason="\ud83d" + "x" * 10_000) == "applied"
    assert len(world.get(message_id).timeline[-1].reason) <= 500


@pytest.mark.parametrize("provider_id", [*PROVIDER_IDS, "\ud83d"], ids=ascii)
def test_a_providers_id_leads_to_its_message(world, provider_id):
    world.configure("main")
    message_id = world.accept()
    assert world.settle(world.claim_one(), "sent", provider_id=provider_id) == "settled"
    assert world.get(message_id).provider_id == provider_id.replace("\ud83d", "?")
    assert world.receive("delivered", provider_id=provider_id) == "applied"
    assert world.get(message_id).status is Status.DELIVERED
