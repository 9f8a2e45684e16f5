"""Encodings and segment counts, against a slow packer that is obviously right."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendline.contract.segments import GSM_DEFAULT, GSM_EXTENSION, measure


def pack(text, single, part, width):
    """Fill segments one character at a time, never splitting one."""
    total = sum(width(char) for char in text)
    if total <= single:
        return total, 1
    segments = [0]
    for char in text:
        if segments[-1] + width(char) > part:
            segments.append(0)
        segments[-1] += width(char)
    return total, len(segments)


def septets(char):
    return 2 if char in GSM_EXTENSION else 1


def utf16_units(char):
    return len(char.encode("utf-16-le")) // 2


GSM_TEXT = st.text(st.sampled_from(GSM_DEFAULT + GSM_EXTENSION * 8), max_size=500)
PLAIN_TEXT = st.text(st.sampled_from(GSM_DEFAULT), max_size=500)
WIDE_TEXT = st.text(st.sampled_from("aé€“ж漢😀𝄞"), max_size=250)


@given(GSM_TEXT | PLAIN_TEXT)
@example("a" * 152 + "€" + "a" * 153)
@example("a" * 159 + "€")
@example("€" * 80)
@example("€" * 81)
def test_gsm_text_counts_as_the_slow_packer_says(text):
    found = measure(text)
    assert (found.encoding, found.offending) == ("GSM-7", ())
    assert (found.units, found.count) == pack(text, 160, 153, septets)


@given(WIDE_TEXT)
@example("😀" * 35)
@example("😀" * 36)
@example("a" * 66 + "😀" + "a" * 66)
def test_other_text_counts_as_the_slow_packer_says(text):
    text += "ж"
    found = measure(text)
    assert found.encoding == "UCS-2"
    assert (found.units, found.count) == pack(text, 70, 67, utf16_units)


@given(st.text(max_size=300))
def test_the_encoding_is_gsm_exactly_when_every_character_is_in_its_tables(text):
    assert (measure(text).encoding == "GSM-7") == all(char in GSM_DEFAULT + GSM_EXTENSION for char in text)


def test_the_default_alphabet_has_127_characters_and_the_extension_ten():
    assert len(set(GSM_DEFAULT)) == 127
    assert len(set(GSM_EXTENSION)) == 10
    assert not set(GSM_DEFAULT) & set(GSM_EXTENSION)


def test_the_default_alphabet_is_in_the_order_of_the_standard():
    places = {
        0x00: "@",
        0x0A: "\n",
        0x0D: "\r",
        0x10: "Δ",
        0x1A: "Ξ",
        0x20: " ",
        0x24: "¤",
        0x40: "¡",
        0x5F: "§",
    }
    places |= {0x60: "¿", 0x41: "A", 0x61: "a", 0x7F: "à", 0x09: "Ç"}
    table = GSM_DEFAULT[:0x1B] + "\x1b" + GSM_DEFAULT[0x1B:]
    assert {place: table[place] for place in places} == places


@pytest.mark.parametrize(
    ("text", "units", "count"),
    [
        ("", 0, 1),
        ("a" * 160, 160, 1),
        ("a" * 161, 161, 2),
        ("a" * 306, 306, 2),
        ("a" * 307, 307, 3),
        ("ж" * 70, 70, 1),
        ("ж" * 71, 71, 2),
        ("ж" * 134, 134, 2),
        ("ж" * 135, 135, 3),
    ],
)
def test_the_limits_are_160_153_70_and_67(text, units, count):
    assert (measure(text).units, measure(text).count) == (units, count)


def test_an_escape_pair_at_the_seam_moves_whole_into_the_next_segment():
    assert measure("a" * 152 + "€" + "a" * 152).count == 3
    assert measure("a" * 151 + "€" + "a" * 153).count == 2


def test_a_surrogate_pair_at_the_seam_moves_whole_into_the_next_segment():
    assert measure("ж" * 66 + "😀" + "ж" * 66).count == 3
    assert measure("ж" * 65 + "😀" + "ж" * 67).count == 2


def test_the_offending_characters_are_named_once_in_order_and_at_most_ten():
    assert measure("“Hi” said “ж” 😀").offending == ("“", "”", "ж", "😀")
    assert measure("".join(map(chr, range(0x4E00, 0x4E64)))).offending == tuple(
        map(chr, range(0x4E00, 0x4E0A))
    )


def test_lone_surrogates_and_escapes_are_counted_and_not_stumbled_over():
    assert measure("\ud83d" * 71).count == 2
    assert measure("\x1b" * 71).encoding == "UCS-2"
