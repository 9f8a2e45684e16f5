"""Who may report: logins, what all demands of an account come to, and that nothing of it gets into a log."""

import base64
from types import SimpleNamespace

import pytest
from pydantic import SecretStr, ValidationError

from sendline.contract.errors import ConfigurationError
from sendline.settings.accounts import AccountSettings, SignatureSettings
from sendline_worker.receiver import authentication
from sendline_worker.receiver.authentication import (
    Addresses,
    Facts,
    Login,
    Refusal,
    Signature,
    authenticators_of,
    refusal,
)
from sendline_worker.receiver.authentication.encodings import from_base64, from_hex
from worker.receiver.asking import BODY, NOW, PATH, QUERY, facts_of, scope_of

LOGINS = ("gate:s3cret:with:colons", "wächter:pässwort€")
CHALLENGE = {b"www-authenticate": b'Basic realm="receipts", charset="UTF-8"'}


def basic(login, *, scheme="Basic", padding=True, charset="utf-8"):
    written = base64.b64encode(login.encode(charset)).decode()
    return "Authorization", f"{scheme} {written if padding else written.rstrip('=')}"


def raw(value):
    return "Authorization", value


def checked(*headers):
    return Login(map(SecretStr, LOGINS)).check(facts_of(*headers), BODY, NOW)


RIGHT = {
    "the first": basic(LOGINS[0]),
    "the second, not ASCII": basic(LOGINS[1]),
    "scheme in lower case": basic(LOGINS[0], scheme="basic"),
    "two spaces": basic(LOGINS[0], scheme="Basic "),
    "without padding": basic(LOGINS[1], padding=False),
}
WRONG = {
    "other password": [basic("gate:secret")],
    "other user": [basic("gatf:s3cret:with:colons")],
    "one's user and the other's password": [basic("gate:pässwort€")],
    "a beginning of it": [basic(LOGINS[0][:-1])],
    "more than it": [basic(LOGINS[0] + "s")],
    "both at once": [basic(",".join(LOGINS))],
    "user alone": [basic("gate")],
    "other case": [basic(LOGINS[0].upper())],
    "empty": [basic("")],
    "Latin-1": [basic("wächter:pässwort", charset="latin-1")],
    "a line end": [basic(LOGINS[0] + "\n")],
    "missing": [],
    "twice the same": [basic(LOGINS[0])] * 2,
    "a right and a wrong one": [basic(LOGINS[0]), basic("gate:wrong")],
    "in another header": [("X-Authorization", basic(LOGINS[0])[1])],
    "other scheme": [basic(LOGINS[0], scheme="Bearer")],
    "no scheme": [raw(base64.b64encode(LOGINS[0].encode()))],
    "scheme alone": [raw("Basic")],
    "not base64": [raw("Basic %%%%")],
    "not encoded": [raw(f"Basic {LOGINS[0]}")],
    "not ASCII": [raw(b"Basic \xff\xfe")],
    "truncated": [raw(basic(LOGINS[0])[1][:-5])],
    "a space within": [raw(basic(LOGINS[0])[1][:-8] + " " + basic(LOGINS[0])[1][-8:])],
}


@pytest.mark.parametrize("header", RIGHT.values(), ids=RIGHT)
def test_a_configured_login_is_let_in(header):
    assert checked(header) is None


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_no_other_login_is_let_in(headers):
    assert checked(*headers) is not None


def test_a_login_that_is_doubled_or_missing_is_told_apart_in_the_log():
    assert checked() == "authorization: missing"
    assert checked(basic(LOGINS[0]), basic(LOGINS[0])) == "authorization: comes more than once"
    assert checked(basic("gate:wrong")) == "wrong user or password"


def test_every_login_is_compared_whichever_is_right(monkeypatch):
    real, calls = authentication.login.hmac.compare_digest, []
    watched = SimpleNamespace(
        digest=authentication.login.hmac.digest,
        compare_digest=lambda one, other: calls.append((one, other)) or real(one, other),
    )
    monkeypatch.setattr(authentication.login, "hmac", watched)
    for login in (*LOGINS, "no:body", "x" * 5000):
        calls.clear()
        checked(basic(login))
        assert len(calls) == len(LOGINS)
        assert {len(each) for pair in calls for each in pair} == {32}


NETWORK = "192.0.2.0/24"
SIGNATURE = SignatureSettings(secret="hush-hush-hush", header="X-Signature")


def account(**demands):
    return AccountSettings(provider="opentact", **demands)


def made(**demands):
    return authenticators_of(account(**demands), trusted_proxies=(), public_url="https://sms.example.com")


def signed(body=BODY):
    digest = authentication.signature.hmac.digest(b"hush-hush-hush", body, "sha256")
    return "X-Signature", digest.hex()


def test_an_account_that_demands_nothing_lets_everybody_in():
    assert made() == ()
    assert refusal((), facts_of(), BODY, NOW) is None


def test_each_demand_of_an_account_is_checked_and_the_cheapest_first():
    kinds = made(receipts_from=NETWORK, receipts_login=LOGINS[0], receipts_signature=SIGNATURE)
    assert [type(each) for each in kinds] == [Addresses, Login, Signature]
    assert [type(each) for each in made(receipts_login=LOGINS[0])] == [Login]
    assert [type(each) for each in made(receipts_signature=SIGNATURE)] == [Signature]


ALL = {"receipts_from": NETWORK, "receipts_login": LOGINS[0], "receipts_signature": SIGNATURE}
VERDICTS = [
    ([basic(LOGINS[0]), signed()], "192.0.2.1", None),
    ([basic(LOGINS[0]), signed()], "192.0.3.1", (403, {})),
    ([signed()], "192.0.2.1", (401, CHALLENGE)),
    ([basic("no:body"), signed()], "192.0.2.1", (401, CHALLENGE)),
    ([basic(LOGINS[0])], "192.0.2.1", (403, {})),
    ([basic(LOGINS[0]), signed(b"other")], "192.0.2.1", (403, {})),
    ([basic("no:body")], "192.0.3.1", (403, {})),
]


@pytest.mark.parametrize(("headers", "peer", "verdict"), VERDICTS)
def test_all_that_is_configured_must_hold_and_only_a_login_is_asked_for_again(headers, peer, verdict):
    found = refusal(made(**ALL), facts_of(*headers, client=(peer, 1)), BODY, NOW)
    assert (found and (found.status, found.headers)) == verdict
    assert found is None or found.word == {401: "unauthorized", 403: "forbidden"}[found.status]


class Faulty:
    """What an adapter might make, with a fault that quotes the request."""

    challenge = None

    def check(self, facts, body, now):
        raise ValueError(body)


def test_a_fault_of_an_authenticator_lets_nobody_in_and_quotes_nothing():
    assert refusal((Faulty(),), facts_of(), BODY, NOW) == Refusal(500, "its check failed: ValueError")


def test_a_signed_request_is_taken_again():
    authenticators = made(receipts_signature=SIGNATURE)
    assert [refusal(authenticators, facts_of(signed()), BODY, NOW) for _ in range(3)] == [None] * 3


def test_no_reason_and_no_repr_quotes_a_secret_or_the_request():
    private = [
        *LOGINS,
        "s3cret",
        "hush",
        BODY.decode(),
        "4711",
        "tok%2Den",
        "tok-en",
        "b=%20",
        "198.51.100.7",
    ]
    requests = [facts_of(header) for header in RIGHT.values()]
    requests += [facts_of(*headers) for headers in WRONG.values()]
    signatures = (signed(), signed(b"x"), ("X-Signature", "4711"))
    requests += [facts_of(basic(LOGINS[0]), signature) for signature in signatures]
    requests += [facts_of(("X-Forwarded-For", "198.51.100.7, tok-en"), client=("10.0.0.1", 1))]
    parts = authenticators_of(account(**ALL), trusted_proxies=("10.0.0.1",), public_url="https://x.example")
    said = [repr(part) for part in parts]
    for facts in requests:
        reasons = [part.check(facts, BODY, NOW) for part in parts]
        said += [repr(facts), str(facts), repr(refusal(parts, facts, BODY, NOW)), *filter(None, reasons)]
    private += [basic(login)[1] for login in LOGINS] + [signed()[1]]
    assert len(set(said)) > len(parts) + 5
    assert [each for each in private if each in "\n".join(said)] == []


SETTINGS = [
    ({"secret": "good-secret", "prefix": "v1,"}, "receipts_signature.prefix: "),
    ({"secret": "good-secret", "signs": "{url}{body}"}, "receipts_signature.signs: "),
]


@pytest.mark.parametrize("secret", [["good-secret", ""], "good-secret\n\n", ["  "]])
def test_an_empty_secret_by_which_anybody_could_sign_is_refused_with_the_settings(secret):
    with pytest.raises(ValidationError, match="empty; put the secret here"):
        SignatureSettings(header="X-S", secret=secret)


@pytest.mark.parametrize(("given", "beginning"), SETTINGS)
def test_a_signature_that_could_never_hold_or_hold_for_anybody_is_refused_at_the_start(given, beginning):
    settings = account(receipts_signature=SignatureSettings(header="X-S", **given))
    with pytest.raises(ConfigurationError) as told:
        authenticators_of(settings, trusted_proxies=(), public_url=None)
    assert str(told.value).startswith(beginning)
    assert "good" not in str(told.value)


def test_facts_are_those_of_the_request_as_it_was_sent():
    facts = facts_of(("HOST", "a.example"), ("X-One", " 1\t"), ("x-one", "2"))
    assert (facts.method, facts.path, facts.query, facts.peer) == ("POST", PATH, QUERY, "192.0.2.1")
    assert facts.values("x-one") == (b"1", b"2")
    assert facts.host == b"a.example"
    assert facts_of().host is None
    assert facts_of(("Host", "a.example"), ("Host", "b.example")).host is None


def test_what_is_added_to_the_scope_later_such_as_a_trailer_is_no_fact():
    scope = scope_of()
    facts = Facts.of(scope)
    scope["headers"].append((b"authorization", b"Basic"))
    assert facts.values("authorization") == ()


def test_a_path_that_the_server_decoded_is_written_as_a_url_again():
    scope = scope_of() | {"path": "/receipts/main/a b", "raw_path": None}
    assert Facts.of(scope).path == b"/receipts/main/a%20b"


def test_the_package_exports_what_it_lists_in_order():
    names = authentication.__all__
    assert names == sorted(names)
    assert all(hasattr(authentication, name) for name in names)


ENCODED = [
    (from_hex, b"00fF", b"\0\xff"),
    (from_hex, b"0", None),
    (from_hex, b"", None),
    (from_hex, b"00 ff", None),
    (from_hex, b"00ff\n", None),
    (from_hex, b"\xd9\xa0", None),
    (from_base64, b"AP8=", b"\0\xff"),
    (from_base64, b"AP8", b"\0\xff"),
    (from_base64, b"AP9=", None),
    (from_base64, b"AP8==", None),
    (from_base64, b"AP8=\n", None),
    (from_base64, b"AP 8=", None),
    (from_base64, b"-_-_", None),
    (from_base64, b"+/+/", b"\xfb\xff\xbf"),
    (from_base64, b"A", None),
    (from_base64, b"A===", None),
    (from_base64, b"=", None),
    (from_base64, b"", None),
]


@pytest.mark.parametrize(("decode", "text", "value"), ENCODED)
def test_an_encoded_value_has_one_spelling(decode, text, value):
    assert decode(text) == value
