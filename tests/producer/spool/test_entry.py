"""What a file of the spool holds: whole, or not at all."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline.contract import ids
from sendline.contract.draft import Draft, Rules, draft
from sendline.contract.lane import Lane, OnUncertain
from sendline.spool import batch
from sendline.spool.entry import LARGEST, PAST, Damaged, Entry, Newer

TO = "+13115552367"
NOW = datetime(2026, 5, 1, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def made(**others):
    return draft(ids.new_id(), {"to": TO, "text": "Hello"} | others, Rules(), NOW)


def full():
    return Draft(
        *(ids.new_id(), TO, "Grüße\n", "+13115552368", "main", ("main", "spare"), Lane.URGENT),
        *(2, NOW_MS + 5000, 60_000, OnUncertain.HOLD, "https://a.example/x", {"order": "7"}),
        *("key", "sale", "shop"),
    )


def resigned(raw, change):
    """The file as another release would have written it: changed, with a digest that fits."""
    from sendline.spool.entry import digest_of

    head, _, body = raw.partition(b"\n")
    words = head.decode().split(" ")
    plain = json.loads(body)
    words[1] = change(plain) or words[1]
    body = json.dumps(plain).encode()
    return f"{words[0]} {words[1]} {digest_of(body)}\n".encode() + body


@pytest.mark.parametrize("one", [full(), made()], ids=["everything", "little"])
def test_what_was_packed_comes_back(one):
    assert all(getattr(full(), field.name) not in (None, (), {}) for field in fields(Draft))
    assert Entry.unpack(Entry(one, 17).pack()) == Entry(one, 17)


@given(text=TEXTS, key=TEXTS, value=TEXTS)
def test_every_text_comes_back(text, key, value):
    one = replace(made(), text=text, idempotency_key=key, metadata={"a": value})
    assert Entry.unpack(Entry(one, NOW_MS).pack()).draft == one


@given(st.data())
def test_a_file_that_was_cut_off_or_changed_is_never_taken_for_a_whole_one(data):
    raw = Entry(full(), NOW_MS).pack()
    place = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(Damaged):
        Entry.unpack(raw[:place])
    changed = bytearray(raw)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((Damaged, Newer)):
        Entry.unpack(bytes(changed))
    with pytest.raises(Damaged):
        Entry.unpack(raw + b"\0")


@given(st.binary(max_size=200))
def test_what_is_no_file_of_a_spool_is_damaged(raw):
    with pytest.raises(Damaged):
        Entry.unpack(raw)


def test_a_file_is_read_only_up_to_a_bound():
    with pytest.raises(Damaged):
        Entry.unpack(Entry(replace(made(), text="x" * LARGEST), NOW_MS).pack())


def test_the_largest_message_takes_less_than_that_bound():
    metadata = {f"{place:02}" + "\U0001f600" * 38: "\U0001f600" * 500 for place in range(16)}
    routes = tuple(f"{place:032}" for place in range(1000))
    key, url = "\U0001f600" * 255, "https://a.example/" + "x" * 1900
    one = made(text="\U0001f600" * 1600, metadata=metadata, idempotency_key=key, callback_url=url[:900])
    assert len(Entry(replace(one, route=routes), NOW_MS).pack()) < LARGEST


def test_a_file_of_a_later_release_is_told_apart_from_a_damaged_one():
    raw = Entry(made(), NOW_MS).pack()
    with pytest.raises(Newer, match="format is 3"):
        Entry.unpack(resigned(raw, lambda _: "3"))
    with pytest.raises(Newer, match="does not know"):
        Entry.unpack(resigned(raw, lambda plain: plain["message"].update(colour="red")))


def test_who_reads_single_messages_only_leaves_a_file_of_several_alone():
    entries = [Entry(made(), NOW_MS), Entry(made(), NOW_MS)]
    [(together, raw)] = batch.batches(entries)
    assert together == entries
    with pytest.raises(Newer, match="format is 2"):
        Entry.unpack(raw)


def test_a_file_of_the_first_release_is_read():
    written = (
        b"sendline-spool 1 7090c100e9a279cc733f39f4d827c62c\n"
        b'{"at": 1777593600000, "message": {"id": "019de0a4c8007000800000000000000a", "lane": "normal", '
        b'"metadata": {}, "not_before_ms": 0, "route": ["main"], "segments": 1, "text": "Hello", '
        b'"to": "+13115552367", "valid_for_ms": 60000}}'
    )
    entry = Entry.unpack(written)
    assert (entry.at_ms, entry.draft.to, entry.draft.route) == (1777593600000, TO, ("main",))
    assert (entry.draft.sender, entry.draft.idempotency_key, entry.draft.owner) == (None, None, None)


def test_what_is_left_of_its_validity_is_what_it_is_accepted_with():
    entry = Entry(replace(made(), valid_for_ms=60_000), NOW_MS)
    assert entry.due(NOW_MS).valid_for_ms == 60_000
    assert entry.due(NOW_MS + 59_999).valid_for_ms == 1
    assert entry.due(NOW_MS + 60_000).valid_for_ms == PAST
    assert entry.due(NOW_MS + 10**10).valid_for_ms == PAST
    assert PAST < 0


def test_the_validity_of_a_scheduled_message_begins_when_it_is_due():
    entry = Entry(replace(made(), valid_for_ms=60_000, not_before_ms=NOW_MS + 5000), NOW_MS)
    assert entry.due(NOW_MS + 4000) == entry.draft
    later = entry.due(NOW_MS + 15_000)
    assert (later.not_before_ms, later.valid_for_ms) == (0, 50_000)


def test_what_is_left_is_never_more_than_it_was_where_a_clock_was_set_back():
    entry = Entry(replace(made(), valid_for_ms=60_000), NOW_MS)
    assert entry.due(NOW_MS - 3_600_000) == entry.draft


def test_neither_numbers_nor_texts_are_in_what_an_entry_shows():
    assert "Gr" not in repr(Entry(full(), 1))
    assert "1311" not in repr(Entry(full(), 1))
