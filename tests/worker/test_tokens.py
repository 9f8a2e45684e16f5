"""Tokens: what they say, whom they belong to, and that nothing else passes for one."""

import os
import string
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sendline_worker.tokens import LONGEST_URL, CallbackUrls, Verified

PUBLIC = "https://sms.example.com"
OLD, NEW, OTHER = (SecretStr(letter * 32) for letter in "onx")
ALPHABET = string.ascii_letters + string.digits + "-_"


@pytest.fixture
def urls():
    return CallbackUrls(PUBLIC, [NEW])


def token(url):
    return url.rpartition("/")[2]


def test_an_accounts_url_names_the_account_and_no_message(urls):
    url = urls.account_url("main")
    assert url.startswith(f"{PUBLIC}/receipts/main/")
    assert urls.read("main", token(url)) == Verified(None)


def test_a_messages_url_names_the_message(urls):
    message_id = os.urandom(16)
    url = urls.message_url("main", message_id)
    assert url.startswith(f"{PUBLIC}/receipts/main/")
    assert urls.read("main", token(url)) == Verified(message_id)


def test_a_url_is_the_same_each_time_so_that_it_can_stay_in_a_profile(urls):
    assert urls.account_url("main") == CallbackUrls(PUBLIC, [NEW]).account_url("main")


def test_a_token_holds_for_its_own_account_only(urls):
    assert urls.read("other", token(urls.account_url("main"))) is None
    assert urls.read("other", token(urls.message_url("main", bytes(16)))) is None


def test_what_was_read_before_vouches_for_nothing_else(urls):
    main = token(urls.account_url("main"))
    rotated = CallbackUrls(PUBLIC, [OTHER, NEW])
    newer = token(rotated.account_url("main"))
    for _ in range(2):
        assert rotated.read("main", main) == rotated.read("main", newer) == Verified(None)
        assert rotated.read("other", main) is None
        assert rotated.read("main", main[:-1] + ("A" if main[-1] != "A" else "B")) is None
        assert rotated.read("main", "A" * 43) is None


def test_a_messages_token_holds_for_its_own_message_only(urls):
    one, two = (token(urls.message_url("main", os.urandom(16))) for _ in range(2))
    assert urls.read("main", one.split(".")[0] + "." + two.split(".")[1]) is None


def test_an_accounts_signature_is_none_for_a_message_and_the_reverse(urls):
    named, signature = token(urls.message_url("main", bytes(16))).split(".")
    assert urls.read("main", signature) is None
    assert urls.read(f"main.{named}", signature) is None
    assert urls.read("main", f"{named}.{token(urls.account_url('main'))}") is None


def test_the_first_key_signs_and_all_verify():
    before, between, after = (CallbackUrls(PUBLIC, keys) for keys in ([OLD], [NEW, OLD], [NEW]))
    old, new = token(before.account_url("main")), token(between.account_url("main"))
    assert between.read("main", old) == between.read("main", new) == Verified(None)
    assert after.read("main", new) == Verified(None)
    assert after.read("main", old) is None
    assert before.read("main", new) is None


def test_a_line_end_behind_a_key_is_no_part_of_it(urls):
    from_file = CallbackUrls(PUBLIC, [SecretStr(NEW.get_secret_value() + "\n")])
    assert from_file.account_url("main") == urls.account_url("main")


@pytest.mark.parametrize(("public_url", "keys"), [(None, [NEW]), (PUBLIC, []), (None, [])])
def test_there_is_no_url_without_an_address_or_a_key(public_url, keys):
    urls = CallbackUrls(public_url, keys)
    assert urls.account_url("main") is None
    assert urls.message_url("main", bytes(16)) is None


def test_without_an_address_tokens_are_still_read_and_without_a_key_none_is(urls):
    given = token(urls.account_url("main"))
    assert CallbackUrls(None, [NEW]).read("main", given) == Verified(None)
    assert CallbackUrls(PUBLIC, []).read("main", given) is None


def test_a_messages_url_has_at_most_255_characters_or_is_none():
    overhead = len(CallbackUrls(PUBLIC, [NEW]).message_url("a" * 32, bytes(16))) - len(PUBLIC)
    longest = PUBLIC + "/" + "p" * (LONGEST_URL - overhead - len(PUBLIC) - 1)
    assert len(CallbackUrls(longest, [NEW]).message_url("a" * 32, bytes(16))) == LONGEST_URL
    assert CallbackUrls(longest + "p", [NEW]).message_url("a" * 32, bytes(16)) is None


@pytest.mark.parametrize("place", range(66))
def test_every_character_of_a_token_counts(urls, place):
    good = token(urls.message_url("main", os.urandom(16)))
    for character in {*ALPHABET, ".", "=", "é"} - {good[place]}:
        assert urls.read("main", good[:place] + character + good[place + 1 :]) is None


@given(
    account=st.text(max_size=40),
    forged=st.text(max_size=120) | st.text(alphabet=ALPHABET + ".=", max_size=70),
)
def test_nothing_but_a_token_passes_and_nothing_breaks_the_reader(account, forged):
    assert CallbackUrls(PUBLIC, [NEW]).read(account, forged) is None


@pytest.mark.parametrize("suffix", ["\n", " ", "=", ".", "a", "\0", "a" * 1_000_000])
def test_a_token_with_something_behind_it_is_none(urls, suffix):
    assert urls.read("main", token(urls.account_url("main")) + suffix) is None


def test_no_key_shows_in_a_repr():
    assert NEW.get_secret_value() not in repr(CallbackUrls(PUBLIC, [NEW]))


def test_a_messages_url_costs_microseconds(urls):
    message_id = os.urandom(16)
    best = min(timeit.repeat(lambda: urls.message_url("main", message_id), number=1000, repeat=20))
    assert best / 1000 < 30e-6  # 4 us where it was measured
