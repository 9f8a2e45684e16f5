"""Final records of campaigns: what is kept of them is little, and all of it comes back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendline.contract import ids
from sendline.contract.status import CODES
from sendline.ledger.functions import divided, unkept
from sendline.ledger.record import FIELDS, pack, steps, unpack
from sendline.ledger.scripts import ALONE, _with_constants, prelude

FILES_AND_RETURNS = """
local kept, answer = cmsgpack.unpack(ARGV[1]), {}
for _, each in ipairs(kept) do
  archive(each[1], each[2])
end
write_archive('3600000')
filed, pulled = {}, {}
for place, each in ipairs(kept) do
  answer[place] = archived_raw(each[1])
end
return answer
"""
"""A script: packed pairs of id and record; returns each record as the archive gives it back, or nothing."""

TEXTS = st.text(max_size=12)
NUMBERS = st.integers(0, 2**45)
ENTRIES = st.tuples(st.sampled_from(sorted(CODES.values())), NUMBERS, st.sampled_from(["", "gone"]), TEXTS)
RECIPIENTS = st.one_of(
    st.integers(1_000_000, 999_999_999_999_999).map("+{}".format),
    st.sampled_from(["", "+", "+0123456", "1", "+1e9"]),
)


@st.composite
def records(draw):
    values = {name: draw(NUMBERS) for name in FIELDS}
    values |= {
        "to": draw(RECIPIENTS),
        "timeline": b"".join(map(_packed, draw(st.lists(ENTRIES, min_size=1, max_size=9)))),
    }
    for name in ("route", "account", "sender", "provider_id", "error", "text", "extras", "campaign", "zones"):
        values[name] = draw(TEXTS)
    return [*values.values(), *draw(st.lists(st.one_of(TEXTS, NUMBERS), max_size=2))]  # of a later release


def _packed(entry):
    return b"".join(map(pack, entry))


def read(raw):
    """A record's values, its timeline read: the same text may be packed in more than one way."""
    values = unpack(raw)
    place = FIELDS.index("timeline")
    return [*values[:place], steps(values[place]), *values[place + 1 :]]


@pytest.fixture(scope="module")
def script():
    text = "\n".join([prelude(ALONE["recall"]), FILES_AND_RETURNS])
    return unkept(divided(_with_constants(text)), "allow-oom")


@pytest.fixture
def store(raw, script):
    """Files records of one campaign and returns what comes back."""

    def run(found):
        beginning = ids.new_id()[:6]
        kept = [[beginning + ids.new_id()[6:], values] for values in found]
        return raw.eval(script, 0, pack(kept))

    return run


def test_whatever_is_filed_comes_back_as_it_was(store):
    filed = 0

    @settings(max_examples=100, deadline=None)
    @given(st.lists(records(), min_size=1, max_size=12))
    def check(found):
        nonlocal filed
        for values, raw in zip(found, store(found), strict=True):
            if raw is not None:
                filed += 1
                assert read(raw) == read(pack(values))

    check()
    assert filed > 100
