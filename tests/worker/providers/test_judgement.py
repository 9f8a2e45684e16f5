"""The general table, and the words in which it is told."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sendline.contract.codes import ErrorCode
from sendline_worker.outcomes import AccountStopped, NotAccepted, Refused, Throttled, Uncertain
from sendline_worker.providers.base import Answer
from sendline_worker.providers.judgement import (
    REASON_LENGTH,
    explanation,
    json_object,
    judge_broken,
    judge_by_status,
    retry_after,
    scrub,
    without,
)
from sendline_worker.wire import Broken


def answer(status: int, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def test_the_wire_flag_alone_decides_what_a_broken_call_is():
    assert judge_broken(Broken(False, "no connection")) == NotAccepted("no connection")
    assert judge_broken(Broken(True, "no answer")) == Uncertain("no answer")


TABLE = {
    **dict.fromkeys((100, 101, 199, 500, 501, 502, 504, 505, 511, 599, 600, 999), Uncertain),
    **dict.fromkeys((200, 201, 202, 204, 206, 299), None),
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), AccountStopped),
    **dict.fromkeys(
        (400, 404, 405, 406, 409, 410, 413, 415, 418, 422, 424, 426, 428, 431, 451, 499), Refused
    ),
    **dict.fromkeys((401, 402, 403), AccountStopped),
    **dict.fromkeys((408, 425, 503), NotAccepted),
    429: Throttled,
}


@pytest.mark.parametrize(("status", "kind"), TABLE.items())
def test_each_status_means_what_the_table_says(status, kind):
    outcome = judge_by_status(answer(status))
    assert outcome is None if kind is None else type(outcome) is kind


def test_a_refusal_without_a_known_code_is_rejected():
    outcome = judge_by_status(answer(422), said="nope")
    assert outcome == Refused(ErrorCode.REJECTED, "422: nope")


def test_a_redirect_names_the_setting_that_is_wrong():
    assert judge_by_status(answer(302)) == AccountStopped("302: a redirect, so a wrong base_url")


def test_429_pauses_for_what_it_says_or_a_second():
    assert judge_by_status(answer(429)) == Throttled(1.0, "429: slow down")
    assert judge_by_status(answer(429, retry_after="7")) == Throttled(7.0, "429: slow down")
    assert judge_by_status(answer(429, retry_after="soon")) == Throttled(1.0, "429: slow down")


def test_503_pauses_the_account_only_if_it_says_for_how_long():
    assert judge_by_status(answer(503, retry_after="7")) == Throttled(7.0, "503: slow down")
    assert isinstance(judge_by_status(answer(503, retry_after="soon")), NotAccepted)


@pytest.mark.parametrize("status", [307, 401, 404, 409, 500, 502, 504, 599])
def test_an_owner_may_know_a_status_to_accept_nothing(status):
    outcome = judge_by_status(answer(status), not_accepted=frozenset({status}))
    assert isinstance(outcome, NotAccepted)
    assert type(judge_by_status(answer(status), not_accepted=frozenset({status + 1}))) is TABLE[status]


def test_an_owner_can_make_neither_an_acceptance_nor_a_pause_not_accepted():
    everything = frozenset(range(100, 600))
    assert judge_by_status(answer(200), not_accepted=everything) is None
    assert isinstance(judge_by_status(answer(429), not_accepted=everything), Throttled)


DATE = "Sat, 21 Nov 2026 12:00:00 GMT"

PAUSES = {
    "seconds": ({"retry_after": "30"}, 30.0),
    "seconds with spaces": ({"retry_after": " 30 "}, 30.0),
    "a fraction": ({"retry_after": "1.5"}, 1.5),
    "none": ({"retry_after": "0"}, 1.0),
    "too many": ({"retry_after": "86400"}, 3600.0),
    "a date": ({"retry_after": "Sat, 21 Nov 2026 12:00:45 GMT", "date": DATE}, 45.0),
    "a date of another zone": ({"retry_after": "Sat, 21 Nov 2026 13:00:45 +0100", "date": DATE}, 45.0),
    "a date gone by": ({"retry_after": "Sat, 21 Nov 2026 11:00:00 GMT", "date": DATE}, 1.0),
    "a date far off": ({"retry_after": "Sun, 21 Nov 2027 12:00:00 GMT", "date": DATE}, 3600.0),
    "a date alone, gone by": ({"retry_after": "Sat, 21 Nov 2026 12:00:45 GMT"}, 1.0),
    "a date alone, to come": ({"retry_after": "Sat, 21 Nov 2099 12:00:45 GMT"}, 3600.0),
    "a date without a zone": ({"retry_after": "Sat, 21 Nov 2026 12:00:45", "date": DATE}, None),
    "a date beyond the calendar": ({"retry_after": "Sat, 21 Nov 99999 12:00:45 GMT", "date": DATE}, None),
    "missing": ({}, None),
    "empty": ({"retry_after": ""}, None),
    "negative": ({"retry_after": "-5"}, None),
    "infinite": ({"retry_after": "inf"}, None),
    "other digits": ({"retry_after": "\uff13\uff10"}, None),
    "ten thousand digits": ({"retry_after": "9" * 10_000}, None),
    "words": ({"retry_after": "a while"}, None),
}


@pytest.mark.parametrize("kind", PAUSES)
def test_retry_after_is_read_and_bounded(kind):
    headers, seconds = PAUSES[kind]
    assert retry_after(answer(429, **headers)) == seconds


SCRUBBED = {
    "Unknown number +13115552367": "Unknown number #",
    "Unknown number +1 (311) 555-2367.": "Unknown number #.",
    "311.555.2367 and 13115552367": "# and #",
    "code 4002": "code 4002",
    "error 1234, 5678": "error 1234, 5678",
    "code 12345": "code #",
    "two\r\nlines\x00\x1b[31m": "two lines [31m",
    "a\u2028b\u202ec\ud800d": "a b c d",
    "bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abc-_": "bad token #",
    "": "",
    "  \t ": "",
}


@pytest.mark.parametrize("text", SCRUBBED)
def test_a_providers_words_are_scrubbed(text):
    assert scrub(text) == SCRUBBED[text]


def test_a_scrubbed_text_is_short_and_can_be_encoded():
    assert len(scrub("word " * 1000)) == REASON_LENGTH
    outcome = judge_by_status(answer(400), said="wörd \ud800" * 1000)
    assert isinstance(outcome, Refused)
    assert len(outcome.reason) <= REASON_LENGTH
    outcome.reason.encode()


BODIES = {
    b'{"a": 1}': {"a": 1},
    b"": None,
    b"[]": None,
    b'"text"': None,
    b"null": None,
    b"<html>": None,
    b"\xff\xfe": None,
    b'{"a": "\xff"}': None,
    b"[" * 60_000: None,
    b'{"a":' * 10_000: None,
    b'{"a": ' + b"9" * 5000 + b"}": None,
}


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_only_an_object_is_an_object(body):
    assert json_object(body) == BODIES[body]


EXPLAINED = (
    ({"message": "why"}, "why"),
    ({"error": {"code": 1, "message": "inner"}}, "inner"),
    ({"error": "flat"}, "flat"),
    ({"msg": "short"}, "short"),
    ({"message": 7, "reason": "typed"}, "typed"),
    ({"message": " "}, ""),
    ({}, ""),
    (None, ""),
)


@pytest.mark.parametrize(("answered", "words"), EXPLAINED)
def test_a_providers_words_are_found_where_providers_put_them(answered, words):
    assert explanation(answered) == words


KEPT_BACK = {
    "nothing in common": ("400: no such number", "Hello, world!", "400: no such number"),
    "no text": ("400: no such number", None, "400: no such number"),
    "an empty text": ("400: no such number", "", "400: no such number"),
    "a run of 8": ("400: refused: 'is the c'", "Here is the code", "400"),
    "a run of 7": ("400: refused: is the", "Here is the code", "400: refused: is the"),
    "other capitals and white space": ("400: YOUR  CODE is bad", "Your\ncode is", "400"),
    "all of a short text": ("400: bad word lunch", "Lunch", "400"),
    "all of a text too short to tell": ("400: go on", "go", "400: go on"),
    "no status": ("state: Your code is 4821", "Your code is 4821", "#"),
    "a code": ("400: 4821 is spam", "Use 4821 now", "400: # is spam"),
    "a code of three digits": ("400: 482 and 13", "Use 482, 13 times", "400: # and 13"),
    "a code written apart": ("400: 482193 is spam", "Use 482-193 now", "400: # is spam"),
    "a number that the text has not": ("400: error 4002", "Use 4821 now", "400: error 4002"),
    "the status is no code": ("404: not found", "Room 404 is free", "404: not found"),
    "words of ours": ("no connection", "Use 4821 now", "no connection"),
}


@pytest.mark.parametrize("kind", KEPT_BACK)
def test_a_reason_does_not_repeat_the_text(kind):
    reason, text, left = KEPT_BACK[kind]
    assert without(reason, text) == left


LETTERS = st.text(st.sampled_from("ab 12:#\nÄß"), max_size=30)


@given(text=LETTERS, before=LETTERS, after=LETTERS, place=st.integers(0, 30), status=st.booleans())
@example(text="ab # cde 123", before="ab 123 cde", after="", place=0, status=True)
def test_no_run_of_8_characters_of_the_text_survives(text, before, after, place, status):
    said = before + text[place : place + 9] + after
    left = without(f"400: {said}" if status else said, text)
    assert not any(text[start : start + 8] in left for start in range(len(text) - 7))


@given(text=LETTERS, reason=LETTERS)
def test_what_is_dropped_from_a_reason_is_dropped_once(text, reason):
    left = without(reason, text)
    assume(left != "#")
    assert without(left, text) == left
