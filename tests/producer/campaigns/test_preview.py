"""The preview adds up what the texts of a campaign take, and names what makes them dear."""

# ruff: noqa: RUF001 - look-alikes are meant

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline.campaigns.preview import LOOKALIKES, Forcing, Previewer, Sample, SegmentCounts
from sendline.campaigns.templates import Template
from sendline.contract.errors import InvalidCampaign
from sendline.contract.segments import GSM_DEFAULT, GSM_EXTENSION, measure

TO = "+13115552367"
GSM = frozenset(GSM_DEFAULT + GSM_EXTENSION)


def previewed(template, texts, **options):
    previewer = Previewer(Template(template), **options)
    for text in texts:
        previewer.add(TO, text)
    return previewer.result()


def test_segments_encodings_and_cost_are_added_up():
    preview = previewed("{{ a }}", ["a" * 160, "b" * 161, "ж" * 71, "c"], price=Decimal("0.00785"))
    assert preview.recipients == 4
    assert preview.segments == SegmentCounts(min=1, mean=1.5, max=2, total=6)
    assert preview.encodings == {"GSM-7": 3, "UCS-2": 1}
    assert preview.longest == 161
    assert preview.cost == Decimal("0.0471")


def test_the_cost_has_four_places_and_halves_go_up():
    assert str(previewed("a", ["a"], price=Decimal("0.00005")).cost) == "0.0001"
    assert str(previewed("a", ["a"], price=Decimal(2)).cost) == "2.0000"
    assert previewed("a", ["a"]).cost is None


@pytest.mark.parametrize("price", ["-0.01", "NaN", "Infinity", "1000.01"])
def test_a_price_that_can_be_none_is_refused(price):
    with pytest.raises(InvalidCampaign, match="price: must be 0 to 1000"):
        previewed("a", [], price=Decimal(price))


def test_nothing_added_is_all_zeros():
    preview = previewed("a", [], price=Decimal("0.01"))
    assert preview.segments == SegmentCounts(min=0, mean=0.0, max=0, total=0)
    assert preview.cost == 0
    assert preview.samples == preview.forcing == ()


def test_samples_are_the_first_texts_with_masked_numbers():
    preview = previewed("{{ a }}", ["first", "second", "third"], samples=2)
    assert preview.samples == (Sample("+13***67", "first"), Sample("+13***67", "second"))
    assert "first" not in repr(preview)


def test_characters_that_force_ucs_2_are_told_with_their_recipients_and_where_they_come_from():
    texts = ["it’s Zoë’s", "it’s ok", "it's ж", "it's €"]
    preview = previewed("it’s {{ a|default('…') }}", texts)
    assert preview.forcing == (
        Forcing("’", 2, in_template=True),
        Forcing("ë", 1, in_template=False),
        Forcing("ж", 1, in_template=False),
    )
    assert previewed("{{ a|default('…') }}", ["…"]).forcing == (Forcing("…", 1, in_template=True),)


def test_of_many_such_characters_the_ten_of_most_recipients_are_told():
    letters = "абвгдежзийклмнопрст"
    preview = previewed("{{ a }}", [letters[:size] for size in range(1, 20)])
    assert [each.character for each in preview.forcing] == list(letters[:10])
    assert [each.recipients for each in preview.forcing] == list(range(19, 9, -1))


def test_look_alikes_are_told_and_replaced_by_nobody():
    preview = previewed("{{ a }}", ["“Hi” – it’s…\u00a0ж"])
    assert preview.replacements == {"“": '"', "”": '"', "–": "-", "’": "'", "…": "...", "\u00a0": " "}
    assert preview.samples[0].text == "“Hi” – it’s…\u00a0ж"


def test_every_look_alike_forces_ucs_2_and_its_replacement_does_not():
    for character, replacement in LOOKALIKES.items():
        assert measure(character).encoding == "UCS-2"
        assert measure(replacement).encoding == "GSM-7"


@given(st.lists(st.text("ab’жйклмнопрстуф€😀", min_size=1, max_size=90), min_size=1, max_size=8))
def test_the_counts_are_those_of_the_texts(texts):
    preview = previewed("{{ a }}", texts)
    counts = [measure(text).count for text in texts]
    assert preview.segments.total == sum(counts)
    assert (preview.segments.min, preview.segments.max) == (min(counts), max(counts))
    assert preview.segments.mean == pytest.approx(sum(counts) / len(counts))
    assert sum(preview.encodings.values()) == len(texts)
    for each in preview.forcing:
        assert each.character not in GSM
        assert each.recipients == sum(each.character in text for text in texts)
