"""Signatures: what the documented recipe makes is taken, for a while, and nothing else ever is."""

import base64
import hashlib
import hmac
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sendline.settings.accounts import SignatureSettings
from sendline_worker.receiver import authentication
from sendline_worker.receiver.authentication import Signature
from worker.receiver.asking import BODY, NOW, PATH, QUERY, facts_of

NEW, OLD = "new-secret-0123456789", "old-secret-€-0123456789"
PUBLIC = "https://sms.example.com/hook"
URL = (PUBLIC.encode() + PATH + b"?" + QUERY).decode()
STAMPED = {"signs": "{timestamp}.{body}", "timestamp_header": "X-Time"}
SIGNS_ALL = {
    "signs": "v0:{timestamp}:{nonce}:{url}\n{body}",
    "timestamp_header": "X-Time",
    "nonce_header": "X-Nonce",
}


def check(*headers, body=BODY, now=NOW, public_url=PUBLIC, query=QUERY, **settings):
    settings = SignatureSettings(**{"secret": [NEW, OLD], "header": "X-Signature", **settings})
    return Signature(settings, public_url).check(facts_of(*headers, query=query), body, now)


def made(signed=BODY, *, secret=NEW, algorithm="sha256", encoding="hex", prefix=""):
    """The value of the header, by the recipe, with nothing of the code under test."""
    signed = signed if isinstance(signed, bytes) else signed.encode()
    digest = hmac.new(secret.encode(), signed, getattr(hashlib, algorithm)).digest()
    return prefix + (digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())


def by(value):
    return "X-Signature", value


def stamped(stamp, **more):
    """The two headers of a request signed at the time `stamp`, as text."""
    return by(made(stamp.encode() + b"." + BODY, **more)), ("X-Time", stamp)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256=", "v1="])
@pytest.mark.parametrize("secret", [NEW, OLD])
def test_every_configured_recipe_verifies_under_each_secret(algorithm, encoding, prefix, secret):
    scheme = {"algorithm": algorithm, "encoding": encoding, "prefix": prefix}
    assert check(by(made(secret=secret, **scheme)), **scheme) is None
    assert (
        check(by(made(secret=secret, **scheme)), body=BODY + b" ", **scheme) == "x-signature: wrong signature"
    )
    assert check(by(made(secret="other", **scheme)), **scheme) == "x-signature: wrong signature"
    assert check(**scheme) == "x-signature: missing"


HEX, BASE64 = made(), made(encoding="base64")
TAKEN = {
    "upper case": (by(HEX.upper()), {}),
    "mixed case": (by(HEX[:20].upper() + HEX[20:]), {}),
    "spaces around": (by(f"  {HEX}\t"), {}),
    "base64 without padding": (by(BASE64.rstrip("=")), {"encoding": "base64"}),
    "the second of two": (by(f"{made(b'x')},{HEX}"), {}),
    "the first of two": (by(f"{HEX} , {made(b'x')}"), {}),
    "beside garbage": (by(f"zz,,{HEX},"), {}),
    "beside another scheme": (by(f"t=1,v0={made(b'x')},v1={HEX}"), {"prefix": "v1="}),
    "the eighth": (by(",".join([made(b"x")] * 7 + [HEX])), {}),
    "name of the header in other case": (("x-SIGNATURE", HEX), {}),
}
REFUSED = {
    "twice the same": ([by(HEX)] * 2, {}),
    "a right and a wrong one, each in a header": ([by(HEX), by(made(b"x"))], {}),
    "empty": ([by("")], {}),
    "the ninth": ([by(",".join([made(b"x")] * 8 + [HEX]))], {}),
    "in another header": ([("Signature", HEX)], {}),
    "truncated by a digit": ([by(HEX[:-1])], {}),
    "truncated by a byte": ([by(HEX[:-2])], {}),
    "the first byte": ([by(HEX[:2])], {}),
    "a byte more": ([by(HEX + "00")], {}),
    "split by a space": ([by(HEX[:32] + " " + HEX[32:])], {}),
    "base64 where hex is due": ([by(BASE64)], {}),
    "hex where base64 is due": ([by(HEX)], {"encoding": "base64"}),
    "base64 of the hex": ([by(base64.b64encode(HEX.encode()))], {"encoding": "base64"}),
    "base64 truncated": ([by(BASE64[:-2])], {"encoding": "base64"}),
    "base64 with more padding": ([by(BASE64 + "=")], {"encoding": "base64"}),
    "base64 for URLs": ([by(BASE64.translate(str.maketrans("+/", "-_")) + "-")], {"encoding": "base64"}),
    "of another hash": ([by(made(algorithm="sha1"))], {}),
    "without the prefix": ([by(HEX)], {"prefix": "sha256="}),
    "with another prefix": ([by("sha1=" + HEX)], {"prefix": "sha256="}),
    "with the prefix twice": ([by("sha256=sha256=" + HEX)], {"prefix": "sha256="}),
    "with a prefix where none is due": ([by("sha256=" + HEX)], {}),
    "the prefix alone": ([by("sha256=")], {"prefix": "sha256="}),
    "not ASCII": ([by(b"\xff" * 64)], {}),
    "made with no secret": ([by(made(secret=""))], {}),
    "made with both secrets": ([by(made(secret=NEW + OLD))], {}),
    "a plain hash": ([by(hashlib.sha256(BODY).hexdigest())], {}),
}


@pytest.mark.parametrize(("header", "settings"), TAKEN.values(), ids=TAKEN)
def test_a_signature_is_taken_however_its_header_may_be_written(header, settings):
    assert check(header, **settings) is None


@pytest.mark.parametrize(("headers", "settings"), REFUSED.values(), ids=REFUSED)
def test_nothing_else_passes_for_a_signature(headers, settings):
    assert check(*headers, **settings) is not None


SECONDS = f"{NOW:.0f}"
WINDOW = [
    (SECONDS, None),
    (f"{NOW - 300:.0f}", None),
    (f"{NOW + 300:.0f}", None),
    (f"{NOW - 301:.0f}", "x-time: too old"),
    (f"{NOW + 301:.0f}", "x-time: too far ahead"),
    (f"{(NOW - 300) * 1000:.0f}", None),
    (f"{(NOW + 300) * 1000:.0f}", None),
    (f"{(NOW - 300) * 1000 - 1:.0f}", "x-time: too old"),
    (f"{(NOW + 300) * 1000 + 1:.0f}", "x-time: too far ahead"),
    ("0", "x-time: too old"),
    ("9" * 16, "x-time: too far ahead"),
    ("9" * 17, "x-time: not a time"),
    ("9" * 5000, "x-time: not a time"),
    ("", "x-time: not a time"),
    ("now", "x-time: not a time"),
    (f"-{SECONDS}", "x-time: not a time"),
    (f"+{SECONDS}", "x-time: not a time"),
    (f"{SECONDS}.5", "x-time: not a time"),
    ("1_800_000_000", "x-time: not a time"),
    ("nan", "x-time: not a time"),
    ("١٨٠٠٠٠٠٠٠٠", "x-time: not a time"),
]


@pytest.mark.parametrize(("stamp", "why"), WINDOW)
def test_a_signed_time_must_be_about_now(stamp, why):
    assert check(*stamped(stamp), **STAMPED) == why


def test_a_request_is_refused_once_it_is_older_than_the_tolerance():
    headers = stamped(SECONDS)
    assert check(*headers, now=NOW + 9, tolerance=10, **STAMPED) is None
    assert check(*headers, now=NOW + 11, tolerance=10, **STAMPED) == "x-time: too old"
    assert check(*headers, now=NOW - 11, tolerance=10, **STAMPED) == "x-time: too far ahead"


def test_a_time_that_was_not_signed_is_no_time():
    signature, _ = stamped(SECONDS)
    later = ("X-Time", f"{NOW + 1:.0f}")
    assert check(signature, later, **STAMPED) == "x-signature: wrong signature"
    assert check(signature, ("X-Time", SECONDS + "000"), **STAMPED) == "x-signature: wrong signature"
    assert check(signature, ("X-Time", "0" + SECONDS), **STAMPED) == "x-signature: wrong signature"
    assert check(signature, **STAMPED) == "x-time: missing"
    assert check(*stamped(SECONDS), later, **STAMPED) == "x-time: comes more than once"


SIGNED = f"v0:{SECONDS}:n-1:{URL}\n".encode() + BODY
NONCE, TIME = ("X-Nonce", "n-1"), ("X-Time", SECONDS)


def test_time_nonce_and_url_are_signed_where_the_recipe_has_them():
    assert check(by(made(SIGNED)), TIME, NONCE, **SIGNS_ALL) is None
    assert check(by(made(SIGNED)), TIME, NONCE, public_url=PUBLIC + "/", **SIGNS_ALL) is None


CHANGED = [
    ([TIME, ("X-Nonce", "n-2")], {}, "x-signature: wrong signature"),
    ([TIME], {}, "x-nonce: missing"),
    ([TIME, NONCE, NONCE], {}, "x-nonce: comes more than once"),
    ([TIME, ("X-Nonce", "")], {}, "x-nonce: not 1 to 256 printable characters"),
    ([TIME, ("X-Nonce", "n" * 257)], {}, "x-nonce: not 1 to 256 printable characters"),
    ([TIME, ("X-Nonce", "n 1")], {}, "x-nonce: not 1 to 256 printable characters"),
    ([TIME, NONCE], {"query": b""}, "x-signature: wrong signature"),
    ([TIME, NONCE], {"query": QUERY + b"&c"}, "x-signature: wrong signature"),
    ([TIME, NONCE], {"public_url": "http://sms.example.com/hook"}, "x-signature: wrong signature"),
    (
        [TIME, NONCE, ("Host", "sms.example.com")],
        {"public_url": "https://x.example"},
        "x-signature: wrong signature",
    ),
]


@pytest.mark.parametrize(("headers", "more", "why"), CHANGED)
def test_a_changed_nonce_or_url_is_refused(headers, more, why):
    assert check(by(made(SIGNED)), *headers, **more, **SIGNS_ALL) == why


def test_a_url_without_a_query_has_no_question_mark():
    header = by(made(PUBLIC.encode() + PATH + BODY))
    assert check(header, query=b"", signs="{url}{body}") is None
    assert check(header, query=b"a", signs="{url}{body}") == "x-signature: wrong signature"


def test_braces_in_what_came_are_no_parts_of_the_recipe():
    body = b"{timestamp}{url}\\g<0>%s{0}"
    assert (
        check(
            by(made(b"{nonce}." + body)),
            ("X-Nonce", "{nonce}"),
            body=body,
            signs="{nonce}.{body}",
            nonce_header="x-nonce",
        )
        is None
    )


def test_spaces_around_a_secret_do_not_count_and_bytes_of_the_environment_do():
    assert check(by(made(secret="good")), secret=["good\n"]) is None
    digest = hmac.new(b"good\xff", BODY, "sha256").hexdigest()
    assert check(by(digest), secret=["good\udcff"]) is None


def test_every_secret_is_compared_with_every_signature_whichever_is_right(monkeypatch):
    calls = []
    watched = SimpleNamespace(
        digest=hmac.digest,
        compare_digest=lambda one, other: calls.append((one, other)) or hmac.compare_digest(one, other),
    )
    monkeypatch.setattr(authentication.signature, "hmac", watched)
    for right in (made(), made(secret=OLD), made(b"x")):
        calls.clear()
        check(by(f"{right},{made(b'y')}"))
        assert len(calls) == 4
        assert all(isinstance(each, bytes) for pair in calls for each in pair)


def flipped(value, bit):
    """Return `value` with one bit of it turned over."""
    changed = bytearray(value)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=150)
SCHEMES = st.fixed_dictionaries(
    {
        "algorithm": st.sampled_from(["sha1", "sha256", "sha512"]),
        "encoding": st.sampled_from(["hex", "base64"]),
        "prefix": st.sampled_from(["", "sha256=", "v1:"]),
    }
)


@given(
    body=st.binary(min_size=1, max_size=300),
    secret=SECRETS,
    scheme=SCHEMES,
    skew=st.integers(-300, 300),
    milliseconds=st.booleans(),
    bit=st.integers(0, 2**16),
)
def test_what_the_recipe_makes_verifies_and_no_flipped_bit_does(
    body, secret, scheme, skew, milliseconds, bit
):
    stamp = str((int(NOW) + skew) * (1000 if milliseconds else 1)).encode()
    header = by(made(stamp + b"." + body, secret=secret, **scheme))
    more = {**scheme, **STAMPED}
    assert check(header, ("X-Time", stamp), body=body, secret=[secret], **more) is None
    assert check(header, ("X-Time", stamp), body=flipped(body, bit), secret=[secret], **more) is not None
    assert check(header, ("X-Time", flipped(stamp, bit)), body=body, secret=[secret], **more) is not None
    other = flipped(secret.encode(), bit).decode(errors="surrogateescape")
    assume(other.strip())
    assert check(header, ("X-Time", stamp), body=body, secret=[other], **more) is not None


@given(bit=st.integers(0, 8 * 32 - 1), encoding=st.sampled_from(["hex", "base64"]))
def test_no_flipped_bit_of_a_signature_verifies(bit, encoding):
    digest = flipped(hmac.new(NEW.encode(), BODY, "sha256").digest(), bit)
    written = digest.hex() if encoding == "hex" else base64.b64encode(digest)
    assert check(by(written), encoding=encoding) == "x-signature: wrong signature"


@given(
    st.lists(
        st.tuples(st.sampled_from(["x-signature", "x-time", "x-nonce"]), st.binary(max_size=80)), max_size=4
    )
)
def test_whatever_comes_is_refused_with_a_reason_and_raises_nothing(headers):
    assert isinstance(check(*headers, **SIGNS_ALL), str)
