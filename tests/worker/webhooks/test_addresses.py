"""Where a webhook may lead: whatever the spelling, to nothing private that is not allowed by name."""

import pytest

from sendline.contract.endpoints import endpoint_url
from sendline.settings import Settings
from sendline_worker.webhooks import addresses
from sendline_worker.webhooks.addresses import Allowed, ForbiddenError

PRIVATE = [
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    *("0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200"),
    *("::ffff:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::1"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8", "64:ff9b:1::127.0.0.1"),
    *("100::1", "2001::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "3fff::1", "5f00::1", "4000::1"),
    *(
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fe80::1%25eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ),
    *("2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "2606:4700::1111%eth0"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1"),
    *(
        "223.255.255.254",
        "168.63.129.15",
        "168.63.129.17",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ),
    *("2002:808:808::1",),
]
NO_ADDRESS = [
    "",
    "hook.example",
    "0x7f.1",
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "1.1.1.1.",
    " 1.1.1.1",
    "[::1]",
]


@pytest.mark.parametrize("address", [*PRIVATE, *NO_ADDRESS])
def test_no_private_address_and_nothing_that_is_none_is_permitted(address):
    assert not Allowed().permits("hook.example", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_permitted(address):
    assert Allowed().permits("hook.example", address)


def allowed(*entries):
    """What the setting makes of `entries`."""
    return Allowed.of(Settings(redis_url="redis://localhost", webhook_allow=entries).webhook_allow)


@pytest.mark.parametrize("host", ["hooks.internal", "HOOKS.internal", "hooks.internal."])
def test_a_host_that_is_allowed_by_name_may_be_private(host):
    assert allowed("Hooks.Internal").permits(host, "10.0.0.1")
    assert allowed("Hooks.Internal").permits(host, "::1")


@pytest.mark.parametrize("host", ["xhooks.internal", "a.hooks.internal", "hooks.internal.evil.example", ""])
def test_another_host_is_not_allowed_by_that_name(host):
    assert not allowed("hooks.internal").permits(host, "10.0.0.1")


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::1", "127.0.0.1"]
)
def test_an_address_in_an_allowed_network_is_permitted_in_each_of_its_forms(address):
    assert allowed("10.0.0.0/8", "fd00::/8", "127.0.0.1").permits("hook.example", address)


@pytest.mark.parametrize(
    "address",
    ["11.0.0.1%x", "127.0.0.2", "::ffff:127.0.0.2", "fc00::1", "64:ff9b::192.168.0.1", "::10.1.2.3"],
)
def test_an_address_beside_the_allowed_networks_is_not(address):
    assert not allowed("10.0.0.0/8", "fd00::/8", "127.0.0.1").permits("hook.example", address)


def test_a_zone_is_never_permitted():
    assert not allowed("fe80::/10", "hooks.internal").permits("hooks.internal", "fe80::1%eth0")
    assert allowed("fe80::/10").permits("hooks.internal", "fe80::1")


HOSTILE = [
    *(
        "ftp://hook.example/",
        "file:///etc/passwd",
        "gopher://hook.example/",
        "javascript:alert(1)",
        "unix:///s",
    ),
    *(
        "//hook.example/",
        "hook.example/",
        "",
        "http:",
        "http://",
        "http:///x",
        "http:hook",
        "http:/hook",
        " http://h",
    ),
    *("http://user@hook.example/", "http://:pw@hook.example/", "http://@hook.example/"),
    *("http://hook.example:80@127.0.0.1/", "http://hook.example\\@127.0.0.1/", "http://127.0.0.1\\.example/"),
    *("http://hook.example/a b", "http://hook.\nexample/", "http://hook.example/\r\nX: y", "http://h/\x00"),
    *("http://127.0.0.1/", "https://127.0.0.1:8443/", "http://127.1/", "http://2130706433/", "http://0/"),
    *(
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.1./",
        "http://127.0.0.1../",
        "http://..../",
    ),
    *("http://127。0。0。1/", "http://①27.0.0.1/", "http://١٢٧.0.0.1%00/", "http://127%2e0%2e0%2e1/"),
    *("http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/"),
    *(
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[fd00::1]/",
    ),
    *(
        "http://[2002:7f00:1::]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1",
        "http://::1/",
    ),
    *(
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://127.0.0.1%00.example/",
        "http://-h/",
    ),
    *("http://hook.example:99999/", "http://hook.example:x/", "http://[127.0.0.1]/"),
    *(
        "http://168.63.129.16/machine",
        "http://100.100.100.200/latest/meta-data",
        "http://[::ffff:a83f:8110]/",
    ),
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_before_anything_is_looked_up(url):
    with pytest.raises(ForbiddenError) as raised:
        Allowed().target(url)
    said = str(raised.value)
    assert 0 < len(said) < 90
    assert "127" not in said
    assert "hook.example" not in said
    assert raised.value.__cause__ is None
    if said != addresses.PRIVATE:  # which webhook_allow may permit: that is known only where it is called
        with pytest.raises(ValueError, match=r"^(must be|its host is) "):
            endpoint_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://hook.example",
            "http://hook.example:8080/a?b=c",
            "HTTPS://HOOK.example/",
            "http://8.8.8.8/",
        ),
        *(
            "https://[2606:4700:4700::1111]/",
            "https://münchen.example/",
            "http://hook.example./",
            "http://localhost/",
        ),
        *("http://0x7f.1/", "http://0x7f000001/", "http://127.0.0.1.nip.example/", "http://my_host:1/"),
    ],
)
def test_a_public_literal_and_every_name_may_be_looked_up(url):
    assert Allowed().target(url).scheme in {"http", "https"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://hook.example/", "only http and https"),
        ("http://me@hook.example/", "without a user"),
        ("http://[::1", "not written as"),
        ("http://2130706433/", "a number that is not written as an IP address"),
        ("http://127.0.0.1./", "a number that is not written as an IP address"),
        ("http://127.0.0.1/", "webhook_allow can name it"),
        ("http://a%00.example/", "neither a name nor an IP address"),
    ],
)
def test_a_refusal_says_what_is_wrong(url, reason):
    with pytest.raises(ForbiddenError, match=reason):
        Allowed().target(url)


def test_a_literal_of_an_allowed_network_is_a_target():
    assert str(allowed("127.0.0.1").target("http://127.0.0.1:1/x")) == "http://127.0.0.1:1/x"
    with pytest.raises(ForbiddenError, match="webhook_allow"):
        allowed("127.0.0.1").target("http://127.0.0.2:1/x")
