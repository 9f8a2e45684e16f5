"""How a callback_url may be written: alike for a message and for an account."""

import pytest

from sendline import InvalidMessage
from sendline.contract import ids
from sendline.contract.draft import Rules, draft
from sendline.contract.endpoints import MAX_URL, endpoint_url
from sendline.contract.errors import ConfigurationError
from sendline.contract.message import instant
from sendline.settings import Settings

SHAPE = [
    *("", " ", "app.example", "//app.example/", "ftp://app.example/", "http:", "http://", "http:///x"),
    *("http://user:pw@app.example/", "http://user@app.example/", "http://@app.example/"),
    *("https://app.example/#top", "https://app.example#", "https://app.example?a=1#b"),
    *("https://app.example/a b", " https://app.example/", "https://app.example/\n", "https://app.\nexample/"),
    *("https://app.example/\x00", "https://app.example/\x1b[31m", "https://app.example/\x7f\x9b"),
    *("https://app.example/\u2028", "https://app.example/\u202e", "https://app.example/\ud83d"),
    *("http://app.example\\@127.0.0.1/", "http://app.example:80@127.0.0.1/", "http://app\\.example/"),
    *("http://app.example:99999/", "http://app.example:x/", "http://app.example:٨٠/", "http://::1/"),
    *("http://[::1", "http://[127.0.0.1%25a]/", "http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/"),
    f"https://app.example/{'x' * (MAX_URL - 19)}",
]
HOSTS = [
    *("http://2130706433/", "http://0/", "http://127.1/", "http://127.0.1/", "http://0x7f.1/"),
    *("http://0x7f000001/", "http://0X7F.0.0.1/", "http://0x/", "http://0177.0.0.1/", "http://1.2.3.4.5/"),
    *("http://127.0.0.1./", "http://256.1.1.1/", "http://app.127/", "http://..../", "http://.app/"),
    *(
        "http://127。0。0。1/",
        "http://①27.0.0.1/",
        "http://١٢٧.0.0.1/",
        "http://127.0.0.①/",
        "http://\uff11/",
    ),
    *(
        "http://127%2e0%2e0%2e1/",
        "http://127.0.0.1%00/",
        "http://-app/",
        "http://app!/",
        "http://[127.0.0.1]/",
    ),
    *("http://[1::2::3]/", "http://[:]/", f"http://{'x' * 256}/"),
]
GOOD = [
    *("https://app.example", "http://app.example/", "HTTPS://App.Example:8443/hooks?key=1&b=@", "http://h?x"),
    *("https://app.example./", "https://my_app.internal/", "http://localhost:8000/", "https://1x.example/"),
    *("https://127.0.0.1.example/", "http://10.0.0.7/", "http://127.0.0.1:8000/", "http://[::1]:8000/x"),
    *("http://[FD00::1]/", "http://[::ffff:10.0.0.1]/", "https://bücher.example/ü", "https://हिन्दी.example/"),
    *("https://app.example:/", "https://app.example/@me:1", f"https://app.example/{'x' * (MAX_URL - 20)}"),
]


def sent(url):
    return draft(ids.new_id(), {"to": "+13115552367", "text": "Hi", "callback_url": url}, Rules(), instant(0))


def configured(url):
    account = {"provider": "opentact", "callback_url": url}
    return Settings(redis_url="redis://localhost", accounts={"main": account})


@pytest.mark.parametrize(
    ("url", "problem"),
    [*((url, "must be https://host") for url in SHAPE), *((url, "its host is neither") for url in HOSTS)],
    ids=ascii,
)
def test_a_url_that_is_oddly_written_is_refused_in_one_line_that_names_the_field(url, problem):
    with pytest.raises(InvalidMessage, match=f"^callback_url: {problem}") as refused:
        sent(url)
    with pytest.raises(ConfigurationError, match="callback_url") as wrong:
        configured(url)
    for said in (str(refused.value), str(wrong.value)):
        assert "\n" not in said
        assert not any(part in said for part in ("pw@", "2130706433", "\x1b", "0x7f"))


@pytest.mark.parametrize("url", GOOD, ids=ascii)
def test_any_other_is_taken_as_it_is_private_addresses_too(url):
    assert endpoint_url(url) == url
    assert sent(url).callback_url == url
    assert configured(url).accounts["main"].callback_url == url


@pytest.mark.parametrize("url", [12, b"https://app.example/", ["https://app.example/"]])
def test_what_is_no_text_is_no_url(url):
    with pytest.raises(InvalidMessage, match=r"^callback_url: must be a text"):
        sent(url)
