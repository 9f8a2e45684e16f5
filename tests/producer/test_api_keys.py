"""API keys: their tokens, how they are kept and revoked, and what their rates let through."""

import math
import re
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ledger_world import CLOCK, START, Clock
from sendline.contract.api_key import (
    MOST_SENDERS,
    ApiKey,
    Scope,
    hash_of,
    is_key_id,
    key_name,
    key_rate,
    key_senders,
    new_key,
    parse_token,
    token,
)
from sendline.contract.message import instant
from sendline.ledger import api_keys
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import pack, unpack
from sendline.ledger.scripts import script

LIMITS = Limits(retention=1000)
SENDERS = ("+13115552368", "ACME")


@pytest.fixture(autouse=True)
def verbs_by_the_tests_clock(monkeypatch):
    monkeypatch.setattr(api_keys, "script", lambda verb: script(verb, clock=CLOCK))


@pytest.fixture
def made(ledger, clock):
    """Make a key and store it; returns it as it is kept, and its token."""

    def made(name="shop", *scopes, **rights):
        key, secret = new_key(name, scopes or [Scope.SEND], **rights)
        stored = ledger.run(api_keys.create_key(LIMITS, key, hash_of(secret)))
        assert stored is not None
        return stored, token(key, secret)

    return made


def listed(ledger):
    return {key.id: key for key in ledger.run(api_keys.list_keys(LIMITS))}


# Tokens


def test_a_token_is_read_back_and_its_secret_is_long_and_drawn_anew_each_time():
    tokens = {token(*new_key("shop", [Scope.SEND])) for _ in range(100)}
    assert len({parse_token(each)[0] for each in tokens}) == 100
    assert len({parse_token(each)[1] for each in tokens}) == 100
    assert all(re.fullmatch(r"sl_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", each) for each in tokens)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "sl_", "sl_abcdefghijkl_", "sl_abcdefghijkl_" + "x" * 42, "sl_abcdefghijkl_" + "x" * 44),
        *("sl_ABCDEFGHIJKL_" + "x" * 43, "sl_abcdefghijkl_" + "x" * 43 + "\n", "sl_abcdefghijkl" + "x" * 44),
        *(" sl_abcdefghijkl_" + "x" * 43, "sl_abcdefghijkl_" + "\u0661" * 43, "sl_" + "x" * 10_000),
    ],
)
def test_what_is_no_token_is_none(wrong):
    assert parse_token(wrong) is None


def test_neither_a_key_nor_what_is_kept_of_it_shows_its_secret():
    key, secret = new_key("shop", [Scope.SEND], senders=SENDERS)
    kept = api_keys.StoredKey(key, hash_of(secret))
    assert secret not in repr((key, kept))
    assert repr(hash_of(secret)) not in repr(kept)
    assert SENDERS[0] not in repr(kept)


def test_only_its_own_secret_opens_a_key():
    key, secret = new_key("shop", [Scope.SEND])
    kept = api_keys.StoredKey(key, hash_of(secret))
    assert kept.opens(secret)
    assert not any(kept.opens(wrong) for wrong in ("", secret[:-1], secret + "x", new_key("a", [])[1]))


# Rights


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_permits_itself_and_admin_permits_all(scope):
    key, _ = new_key("shop", [scope])
    allowed = set(Scope) if scope is Scope.ADMIN else {scope}
    assert {each for each in Scope if key.may(each)} == allowed


def test_a_revoked_key_may_nothing():
    key = ApiKey("a" * 12, "shop", frozenset(Scope), instant(0), revoked_at=instant(1))
    assert not any(key.may(scope) for scope in Scope)


def test_a_key_uses_the_senders_that_it_names_and_any_where_it_names_none():
    bound, free = new_key("shop", [], senders=SENDERS)[0], new_key("shop", [])[0]
    assert [bound.may_use(each) for each in (*SENDERS, "OTHER")] == [True, True, False]
    assert free.may_use("OTHER")


def test_a_key_sees_what_its_name_owns_and_admin_sees_all():
    key, admin = new_key("shop", [Scope.READ])[0], new_key("office", [Scope.ADMIN])[0]
    assert [key.sees(owner) for owner in ("shop", "office", None)] == [True, False, False]
    assert all(admin.sees(owner) for owner in ("shop", "office", None))


@pytest.mark.parametrize("wrong", ["", "Shop", "-shop", "a b", "a" * 33, "shöp", "shop\n", "a.b"])
def test_a_name_that_no_account_could_have_is_refused(wrong):
    with pytest.raises(ValueError, match="1 to 32 lower-case letters"):
        key_name(wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1e-6, 10_001, math.inf, math.nan])
def test_a_rate_beyond_its_bounds_is_refused(wrong):
    with pytest.raises(ValueError, match="messages a second"):
        key_rate(wrong)


def test_senders_are_canonical_each_once_and_not_too_many():
    given_ones = ["(311) 555-2368", "+13115552368", "ACME", " ACME "]
    assert key_senders(given_ones, "US") == SENDERS
    with pytest.raises(ValueError, match=f"at most {MOST_SENDERS}"):
        key_senders([f"S{number}" for number in range(MOST_SENDERS + 1)], None)
    with pytest.raises(ValueError, match="has no country code"):
        key_senders(["3115552368"], None)


def test_the_form_of_an_id_is_known():
    assert is_key_id(new_key("shop", [])[0].id)
    assert not any(is_key_id(each) for each in ("", "shop", "a" * 13, "A" * 12))


# Keys in the ledger


def test_a_key_is_kept_as_it_was_made_by_the_servers_clock(made, ledger, clock):
    key, text = made("shop", Scope.SEND, Scope.READ, senders=SENDERS, rate=7.3)
    assert key.created_at == instant(clock.ms)
    key_id, secret = parse_token(text)
    kept = ledger.run(api_keys.read_key(key_id))
    assert kept.key == key == listed(ledger)[key_id]
    assert (key.name, key.scopes, key.senders, key.rate) == ("shop", {Scope.SEND, Scope.READ}, SENDERS, 7.3)
    assert kept.opens(secret)
    assert ledger.run(api_keys.read_key("b" * 12)) is None


def test_no_secret_is_in_the_ledger(made, raw):
    _, text = made()
    secret = parse_token(text)[1]
    kept = b"".join(raw.hgetall(KEYS["api_keys"]).values())
    assert secret.encode() not in kept
    assert hash_of(secret) in kept


def test_a_call_that_arrives_twice_makes_one_key(ledger, clock):
    key, secret = new_key("shop", [Scope.SEND])
    call = api_keys.create_key(LIMITS, key, hash_of(secret))
    first = ledger.run(call)
    clock.advance(5)
    assert ledger.run(call) == first
    assert list(listed(ledger).values()) == [first]


def test_the_id_of_another_key_is_not_taken_over(made, ledger):
    key, _ = made()
    assert ledger.run(api_keys.create_key(LIMITS, key, hash_of("mine"))) is None
    assert not ledger.run(api_keys.read_key(key.id)).opens("mine")


def test_keys_of_one_name_stand_beside_each_other_the_oldest_first(made, ledger, clock):
    old, _ = made()
    clock.advance(1)
    new, _ = made()
    assert [key.id for key in ledger.run(api_keys.list_keys(LIMITS))] == [old.id, new.id]


def test_a_revoked_key_stays_known_as_such_for_the_retention_and_then_goes(made, ledger, raw, clock):
    key, _ = made()
    other, _ = made()
    clock.advance(10)
    revoked_at = instant(clock.ms)
    assert ledger.run(api_keys.revoke_key(LIMITS, key.id)) is True
    clock.advance(LIMITS.retention - 0.001)
    assert ledger.run(api_keys.revoke_key(LIMITS, key.id)) is False
    assert listed(ledger)[key.id].revoked_at == revoked_at
    assert ledger.run(api_keys.read_key(key.id)).key.revoked_at == revoked_at
    clock.advance(0.001)
    assert listed(ledger).keys() == {other.id}
    assert raw.hkeys(KEYS["api_keys"]) == [other.id.encode()]
    assert ledger.run(api_keys.read_key(key.id)) is None


def test_several_are_revoked_in_one_call_each_with_its_word(made, ledger):
    one, two = made()[0], made()[0]
    ledger.run(api_keys.revoke_key(LIMITS, one.id))
    words = ledger.run(api_keys.revoke_keys(LIMITS, [one.id, two.id, "b" * 12]))
    assert words == [False, True, None]
    assert all(key.revoked_at for key in listed(ledger).values())


def test_the_number_of_keys_is_bounded_and_those_that_go_make_room(made, ledger, clock, monkeypatch):
    monkeypatch.setattr(api_keys, "MOST_KEYS", 2)
    one, _ = made()
    made()
    key, secret = new_key("shop", [])
    call = api_keys.create_key(LIMITS, key, hash_of(secret))
    assert ledger.run(call) is None
    ledger.run(api_keys.revoke_key(LIMITS, one.id))
    assert ledger.run(call) is None
    clock.advance(LIMITS.retention)
    assert ledger.run(call).id == key.id


DAMAGED = {
    "garbage": b"\x00garbage",
    "an empty text": b"",
    "other kinds": pack(["a", "b", "c", "d"]),
    "too short": pack([1, 2]),
    "its rights": pack([1, START // 1000, 0, b"\xc1"]),
    "a later release": pack([2, START // 1000, 0, pack([b"h" * 32, "shop", ["send"], [], 0])]),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_key_that_cannot_be_read_opens_nothing_and_harms_no_other(damage, made, ledger, raw):
    key, _ = made()
    raw.hset(KEYS["api_keys"], "b" * 12, DAMAGED[damage])
    assert ledger.run(api_keys.read_key("b" * 12)) is None
    assert listed(ledger).keys() == {key.id}
    assert ledger.run(api_keys.revoke_key(LIMITS, "b" * 12)) in (True, False)


def test_what_a_later_release_appends_to_a_key_survives_its_being_revoked(made, ledger, raw):
    key, _ = made()
    version, *rest = unpack(raw.hget(KEYS["api_keys"], key.id))
    raw.hset(KEYS["api_keys"], key.id, pack([version, *rest, "more"]))
    assert ledger.run(api_keys.revoke_key(LIMITS, key.id)) is True
    assert unpack(raw.hget(KEYS["api_keys"], key.id))[4] == b"more"


def test_keys_are_revoked_while_the_server_is_out_of_memory(made, ledger, raw):
    key, _ = made()
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", 1)
    try:
        assert ledger.run(api_keys.revoke_key(LIMITS, key.id)) is True
        assert listed(ledger)[key.id].revoked_at
    finally:
        raw.config_set("maxmemory", 0)


# Rates, against an exact model


@dataclass
class Bucket:
    """Leaky: `full` is the instant (us) at which all that was let through would have gone at the rate."""

    rate: float
    full: int = 0
    written: int = 0
    answers: dict[bytes, bool] = field(default_factory=dict)

    @property
    def each(self):
        return math.ceil(1_000_000 / self.rate)

    @property
    def most(self):
        return max(1, math.floor(self.rate))

    def ahead(self, now):
        """How much of the future (us) is taken: no more and no less where the clock was set back."""
        ahead = max(self.full - max(self.written, now), 0)
        if self.written > now:
            self.full, self.written = now + ahead, now
        return ahead

    def ask(self, now, number, name):
        ahead = self.ahead(now)
        free = self.most - math.ceil(ahead / self.each)
        needed = min(number, self.most)
        allowed = name in self.answers or not number or free >= needed
        wait = 0 if allowed else ahead + (needed - self.most) * self.each
        if allowed and number and name not in self.answers:
            self.answers[name] = True
            ahead += number * self.each
            self.full, self.written = now + ahead, now
            free = self.most - math.ceil(ahead / self.each)
        return allowed, self.most, max(free, 0), wait, ahead


rates = st.sampled_from([0.1, 0.7, 1, 1.5, 3, 7.3, 10, 333, 1000, 10_000])
asks = st.tuples(st.just("ask"), st.sampled_from([0, 1, 1, 1, 2, 5, 20, 1000]))
agains = st.tuples(st.just("again"), st.integers(0, 5))
waits = st.tuples(st.just("wait"), st.sampled_from([0, 1, 999, 50_000, 300_000, 1_000_000, 90_000_000]))
jumps = st.tuples(st.just("wait"), st.sampled_from([-1, -400_000, -3_600_000_000, 3_600_000_000]))
dues = st.tuples(st.just("due"), st.sampled_from([-1, 0, 0, 1]))
steps = st.lists(st.one_of(asks, asks, asks, asks, agains, waits, jumps, dues), min_size=5, max_size=40)


@pytest.fixture
def fresh(redis_url, raw):
    """Make an empty ledger with a clock of its own: for each example."""

    @contextmanager
    def make():
        raw.flushall()
        with closing(Ledger(redis_url)) as ledger:
            yield ledger, Clock(raw)

    return make


def asked(ledger, rate, number, name, who="key"):
    got = ledger.run(api_keys.admit(LIMITS, who, rate, number, name=name))
    return (
        *(got.allowed, got.limit, got.remaining),
        *(round(seconds * 1_000_000) for seconds in (got.retry_after_s, got.reset_s)),
    )


@hypothesis_settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rates, steps)
def test_a_rate_lets_through_what_the_model_lets_through(fresh, rate, taken):
    names, calls, last = count(), [], (0, 0)
    with fresh() as (ledger, clock):
        model = Bucket(rate)
        for kind, value in taken:
            if kind == "wait":
                clock.advance(value / 1_000_000)
                last = last if value >= 0 else (last[0], 0)
            elif kind == "due":  # to when the last one that was refused may go, or beside that
                clock.advance(max(last[1] + value, 0) / 1_000_000)
                calls.append((last[0] or 1, b"%d" % next(names)))
            elif kind == "ask":
                calls.append((value, b"%d" % next(names)))
            if kind == "wait" or not calls:
                continue
            number, name = calls[max(-1 - value, -len(calls))] if kind == "again" else calls[-1]
            got = asked(ledger, rate, number, name)
            assert got == model.ask(clock.us, number, name)
            assert got[0] or kind != "due" or value < 0 or not last[1], "it was told that it might go by now"
            last = (number, got[3])


@pytest.mark.parametrize("rate", [0.5, 1, 20, 333])
def test_never_more_goes_than_the_rate_and_one_seconds_worth(ledger, clock, rate):
    sent, names = [], count()
    for _ in range(300):
        if asked(ledger, rate, 1, b"%d" % next(names))[0]:
            sent.append(clock.us)
        clock.advance(0.0371 / rate)
    seconds = (clock.us - START) / 1_000_000
    assert rate * seconds * 0.98 <= len(sent) <= rate * seconds + max(1, rate) + 1


def test_a_request_for_more_than_goes_at_once_is_let_through_when_nothing_is_taken(ledger, clock):
    assert asked(ledger, 10, 25, b"a") == (True, 10, 0, 0, 2_500_000)
    assert asked(ledger, 10, 1, b"b") == (False, 10, 0, 1_600_000, 2_500_000)
    assert asked(ledger, 10, 25, b"c") == (False, 10, 0, 2_500_000, 2_500_000)
    clock.advance(2.499999)
    assert not asked(ledger, 10, 25, b"d")[0]
    clock.advance(0.000001)
    assert asked(ledger, 10, 25, b"e")[0]


def test_a_request_is_let_through_whole_or_not_at_all(ledger, clock):
    assert asked(ledger, 10, 8, b"a")[:3] == (True, 10, 2)
    assert asked(ledger, 10, 3, b"b")[:3] == (False, 10, 2)
    assert asked(ledger, 10, 2, b"c")[:3] == (True, 10, 0)


def test_to_ask_what_is_left_takes_nothing_and_writes_nothing(ledger, raw, clock):
    assert asked(ledger, 10, 0, b"a") == (True, 10, 10, 0, 0)
    assert raw.keys("sl:*") == []
    asked(ledger, 10, 25, b"b")
    assert asked(ledger, 10, 0, b"c") == (True, 10, 0, 0, 2_500_000)


def test_keys_do_not_take_from_each_other(ledger, clock):
    assert asked(ledger, 1, 1, b"a", "one")[0]
    assert asked(ledger, 1, 1, b"b", "two")[0]
    assert not asked(ledger, 1, 1, b"c", "one")[0]


def test_nothing_is_left_of_a_rate_that_nobody_uses_any_more(ledger, raw, clock):
    asked(ledger, 10, 5, b"a")
    key = KEYS["admitted"] + "key"
    assert timedelta(seconds=60) < timedelta(milliseconds=raw.pttl(key)) <= timedelta(seconds=61)
    assert 0 < raw.pttl(KEYS["decision"] + "a") <= 60_000


def test_two_processes_share_a_rate(redis_url, clock):
    with closing(Ledger(redis_url)) as one, closing(Ledger(redis_url)) as other:
        verdicts = [asked((one, other)[n % 2], 4, 1, b"%d" % n)[0] for n in range(6)]
    assert verdicts == [True, True, True, True, False, False]
