"""send()'s arguments: every bad value is refused with its field's name, every limit holds at its edge."""

import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sendline import CannotCarry, InvalidMessage, Lane, OnUncertain, RecipientRefused, UnknownAccount
from sendline.contract import ids
from sendline.contract.accounts import AccountCard, Capabilities, RouteRule
from sendline.contract.draft import FIELD_NAMES, Rules, draft, route_for
from sendline.ledger.directory import Directory
from sendline.ledger.limits import Limits
from sendline.ledger.verbs import accept

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TO, SENDER = "+13115552367", "+13115552368"
HALF = "\ud83d"
"""Half of a surrogate pair: a text that no encoding carries."""


def card(name, senders=(SENDER,), **capabilities):
    return AccountCard(name, Capabilities(**capabilities), senders)


RULES = Rules(accounts={"main": card("main"), "spare": card("spare", alphanumeric_sender=True, senders=())})


def make(rules=RULES, **fields):
    return draft(ids.new_id(), {"to": TO, "text": "Hello"} | fields, rules, NOW)


def refused(error=InvalidMessage, rules=RULES, **fields):
    with pytest.raises(InvalidMessage) as caught:
        make(rules, **fields)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


WRONG = [
    *(
        ("to", value)
        for value in (None, "", "  ", 13115552367, b"+13115552367", "hello", "+1", "+999123456789")
    ),
    *(("to", value) for value in ("5552367", "+1311555236712345", "x" * 1000, HALF, "+1311555\x002367")),
    *(("sender", value) for value in ("", 12, b"x", "far too long a name", "näme", HALF, "12", "+1")),
    *(("text", value) for value in ("", " \n", 12, b"Hello", "x" * 1601, f"a{HALF}b", "a\0b", ["Hello"])),
    *(("account", value) for value in ("", "Main", "a b", 12, "x" * 33, "a,b", "no\n", HALF, [])),
    *(("lane", value) for value in ("", "fast", None, 0, [], "URGENT", HALF)),
    *(("idempotency_key", value) for value in ("", "x" * 256, 12, b"x", HALF)),
    *(("not_before", value) for value in ("2026-01-03", 0, NOW.replace(tzinfo=None), NOW.date())),
    *(
        ("not_before", NOW + ahead)
        for ahead in (timedelta(days=-1), timedelta(seconds=-6), timedelta(days=367))
    ),
    ("not_before", datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
    ("not_before", datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))),
    *(
        ("valid_for", value)
        for value in (0, 0.999, -1, math.nan, math.inf, 1e300, "60", True, timedelta(days=31))
    ),
    *(("valid_for", value) for value in (30 * 86400 + 1, timedelta(0), [])),
    *(("on_uncertain", value) for value in ("", "maybe", 1, [])),
    *(
        ("callback_url", value)
        for value in ("", "example.com", "ftp://a.example", "http://", "https://a b.example")
    ),
    *(
        ("callback_url", value)
        for value in (12, "https://a.example/" + "x" * 983, f"https://a.example/{HALF}")
    ),
    *(
        ("metadata", value)
        for value in ("a", 12, ["a"], {str(n): "" for n in range(17)}, {1: "a"}, {"": "a"})
    ),
    *(("metadata", value) for value in ({"x" * 41: "a"}, {HALF: "a"})),
    *(("metadata.tag", {"tag": value}) for value in (1, None, "x" * 501, b"a", HALF)),
    *(
        ("campaign", value)
        for value in (
            "",
            "x" * 65,
            "-a",
            ".a",
            "_a",
            "a b",
            "a:b",
            "a,b",
            "a\n",
            "caf\u00e9",
            "\u0663",
            HALF,
            12,
            b"a",
            [],
        )
    ),
    ("color", "red"),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: ascii(value)[:40])
def test_a_bad_value_is_refused_with_the_name_of_its_field(field, value):
    rules = Rules()
    assert refused(rules=rules, **{field.split(".")[0]: value}).field == field


GOOD = [
    ("to", "+1 (311) 555-2367"),
    ("text", "x" * 1600),
    ("text", "\n\u00e9\U0001f600"),
    ("sender", SENDER),
    ("idempotency_key", "x" * 255),
    ("idempotency_key", "ключ"),
    ("not_before", NOW - timedelta(seconds=5)),
    ("not_before", NOW + timedelta(days=366)),
    ("valid_for", 1),
    ("valid_for", 30 * 86400),
    ("valid_for", timedelta(days=30)),
    ("callback_url", "https://a.example/" + "x" * 982),
    ("metadata", {str(n): "x" * 500 for n in range(16)}),
    ("metadata", {"x" * 40: ""}),
    *(("lane", lane) for lane in (*Lane, "bulk")),
    *(("on_uncertain", choice) for choice in (*OnUncertain, "hold", None)),
    *(("campaign", name) for name in ("7", "x" * 64, "Black-Friday_2026.b", None)),
]


@pytest.mark.parametrize(("field", "value"), GOOD, ids=lambda value: ascii(value)[:40])
def test_a_value_at_its_limit_is_taken(field, value):
    make(**{field: value})


def test_every_field_is_tried_above():
    assert {field.split(".")[0] for field, _ in WRONG} == FIELD_NAMES | {"color"}


def test_an_error_never_quotes_a_number_or_a_text():
    for fields in ({"to": "+1987654321"}, {"to": "+99987654321"}, {"text": "secret" * 400}):
        said = str(refused(**fields))
        assert "87654" not in said
        assert "secret" not in said


def test_no_repr_shows_a_number_or_a_text():
    made = make(sender=SENDER, text="secret")
    for shown in (repr(made), repr(accept(Limits(), [made]))):
        assert not [word for word in (TO, SENDER, "secret", "return redis") if word in shown]


def test_nothing_but_to_and_text_is_needed():
    made = make()
    assert (made.to, made.text, made.sender, made.account) == (TO, "Hello", None, None)
    assert (made.lane, made.segments, made.not_before_ms) == (Lane.NORMAL, 1, 0)
    assert made.valid_for_ms == 72 * 3600 * 1000
    assert (made.on_uncertain, made.callback_url, made.metadata, made.idempotency_key) == (
        None,
        None,
        {},
        None,
    )
    assert made.campaign is None


@pytest.mark.parametrize("lane", list(Lane))
def test_a_message_of_any_lane_may_belong_to_a_campaign(lane):
    assert make(lane=lane, campaign="spring").campaign == "spring"


def test_urgent_messages_are_valid_for_ten_minutes_unless_they_say_otherwise():
    assert make(lane="urgent").valid_for_ms == 600_000
    assert make(lane="urgent", valid_for=30).valid_for_ms == 30_000


def test_times_become_milliseconds():
    made = make(not_before=NOW + timedelta(seconds=1.5), valid_for=timedelta(minutes=2))
    assert made.not_before_ms == NOW.timestamp() * 1000 + 1500
    assert made.valid_for_ms == 120_000


@pytest.mark.parametrize(
    ("text", "segments"),
    [("x" * 160, 1), ("x" * 161, 2), ("\u4f60" * 70, 1), ("\u4f60" * 71, 2), ("x" * 1600, 11), (None, 0)],
)
def test_segments_are_counted(text, segments):
    rules = Rules(accounts={"flow": card("flow", text=False)} if text is None else {})
    assert make(rules, text=text).segments == segments


def test_local_numbers_are_read_in_the_default_region():
    made = make(Rules(default_region="US"), to="(311) 555-2367", sender="311 555 2368")
    assert (made.to, made.sender) == (TO, SENDER)


def test_only_to_keeps_everybody_else_out():
    rules = Rules(only_to=("+1311555", "+49"))
    assert make(rules).to == TO
    assert refused(RecipientRefused, rules, to="+13125552367").field == "to"


def test_an_account_that_is_not_configured_is_refused_with_those_that_are():
    assert str(refused(UnknownAccount, account="other")).endswith("known: main, spare")


def test_any_well_formed_account_is_taken_while_none_is_known():
    assert make(Rules(), account="other").route == ("other",)


def test_a_named_account_is_a_route_of_one():
    assert make(account="spare", sender="Acme").route == ("spare",)


def test_without_an_account_all_that_can_carry_it_are_its_route_in_order():
    assert make(sender=SENDER).route == ("main", "spare")
    assert make(sender="Acme").route == ("spare",)


def test_the_longest_prefix_of_the_routes_decides():
    routes = [RouteRule("+1", ("main", "spare")), RouteRule("+1311", ("spare",)), RouteRule("+49", ("main",))]
    rules = Rules(accounts=RULES.accounts, routes=routes)
    assert make(rules, sender=SENDER).route == ("spare",)
    assert make(rules, sender=SENDER, to="+13125552367").route == ("main", "spare")
    assert make(rules, sender=SENDER, to="+442079460123").route == ("main", "spare")


# Weights

ABC = {name: card(name) for name in ("a", "b", "c")}


def routes_of(number, weights, accounts=ABC, sender=None):
    """Return how many of `number` messages got each order of the accounts."""
    rules = Rules(accounts=accounts, routes=[RouteRule("+1", ("a", "b", "c"), weights)])
    return Counter("".join(make(rules, sender=sender).route) for _ in range(number))


def test_messages_are_spread_by_weight_and_the_others_follow_in_order():
    found = routes_of(4000, (700, 200, 100))
    assert set(found) == {"abc", "bac", "cab"}
    assert [found[route] / 4000 for route in ("abc", "bac", "cab")] == pytest.approx(
        [0.7, 0.2, 0.1], abs=0.05
    )


def test_an_account_of_weight_0_is_only_a_fallback():
    assert set(routes_of(300, (1, 0, 1))) == {"abc", "cab"}
    assert set(routes_of(100, (0, 0, 1))) == {"cab"}


@pytest.mark.parametrize("weights", [(), (5, 0, 0), (0, 0, 0)])
def test_without_a_choice_the_configured_order_stands(weights):
    assert set(routes_of(100, weights)) == {"abc"}


def test_the_draw_is_among_the_accounts_that_can_carry_the_message():
    accounts = ABC | {"a": card("a", senders=("+13115550000",))}
    found = routes_of(1000, (900, 50, 50), accounts, SENDER)
    assert set(found) == {"bc", "cb"}
    assert found["bc"] == pytest.approx(500, abs=100)
    alone = {name: card(name, senders=("+13115550000",)) for name in ("a", "c")} | {"b": card("b")}
    assert set(routes_of(100, (1, 0, 0), alone, SENDER)) == {"b"}


def test_the_same_message_gets_the_same_order_in_every_process():
    rules = Rules(accounts=ABC, routes=[RouteRule("+1", ("a", "b", "c"), (1, 1, 1))])

    def firsts():
        made = (bytes(15) + bytes([n]) for n in range(12))
        return "".join(
            route_for(rules, to=TO, sender=None, text="x", account=None, message_id=one)[0] for one in made
        )

    assert firsts() == firsts() == "aabbacacccab"


def test_a_named_account_is_not_drawn():
    rules = Rules(accounts=ABC, routes=[RouteRule("+1", ("a", "b", "c"), (1, 1, 1))])
    assert {make(rules, account="b").route for _ in range(20)} == {("b",)}


def test_weights_are_published_and_those_of_an_earlier_release_are_none():
    directory = Directory(dict(ABC), (RouteRule("+1", ("a", "b"), (3, 1)), RouteRule("+2", ("c",))))
    plain = json.loads(json.dumps(directory.to_plain()))
    assert Directory.parse(plain) == directory
    for route in plain["routes"]:
        del route["weights"]
    assert [rule.weights for rule in Directory.parse(plain).routes] == [(), ()]


@pytest.mark.parametrize(
    ("account", "fields", "field"),
    [
        (card("a"), {"text": None}, "text"),
        (card("a", text=False), {}, "text"),
        (card("a", max_length=4), {}, "text"),
        (card("a", senders=()), {}, "sender"),
        (card("a"), {"sender": "+13115550000"}, "sender"),
        (card("a", senders=()), {"sender": "Acme"}, "sender"),
    ],
)
def test_a_message_that_no_account_can_carry_is_refused_with_the_field(account, fields, field):
    assert refused(CannotCarry, Rules(accounts={"a": account}), **fields).field == field


def test_an_account_that_no_worker_published_yet_is_not_held_against_a_message():
    assert make(Rules(accounts={"a": None})).route == ("a",)


def test_the_fingerprint_stands_for_recipient_sender_account_and_text():
    first = make(sender=SENDER, account="main")
    assert (
        make(sender=SENDER, account="main", lane="bulk", metadata={"a": "b"}, campaign="spring").fingerprint
        == first.fingerprint
    )
    others = [
        make(sender=SENDER, account="main", to="+13115550000"),
        make(sender=SENDER, account="main", text="Hello!"),
        make(account="main"),
        make(sender=SENDER, account="spare"),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_an_error_of_a_batch_names_the_place_and_keeps_its_kind():
    error = refused(UnknownAccount, account="other").at(7)
    assert (type(error), error.field) == (UnknownAccount, "messages[7].account")
