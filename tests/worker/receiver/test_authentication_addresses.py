"""From where a report comes: its peer, and what a proxy says of it where that proxy is trusted."""

import pytest

from sendline_worker.receiver.authentication import Addresses
from worker.receiver.asking import BODY, NOW, facts_of

PROVIDER, STRANGER, EDGE, INNER = "192.0.2.7", "198.51.100.9", "10.0.0.1", "10.0.0.2"
NETWORKS = ("192.0.2.0/24", "2001:db8:5::/48")
PROXIES = ("10.0.0.0/30", "fd00::1/128")


def reason(peer, *forwarded, networks=NETWORKS, proxies=PROXIES, **more):
    client = None if peer is None else (peer, 4711)
    headers = [("X-Forwarded-For", each) for each in forwarded]
    return Addresses(networks, proxies).check(facts_of(*headers, client=client, **more), BODY, NOW)


LET_IN = {
    "the peer itself": (PROVIDER,),
    "the peer itself, over IPv6": ("2001:db8:5::7",),
    "the peer on a socket for both": (f"::ffff:{PROVIDER}",),
    "the peer, whatever it says": (PROVIDER, STRANGER),
    "through a proxy": (EDGE, PROVIDER),
    "through a proxy on a socket for both": (f"::ffff:{EDGE}", PROVIDER),
    "through a proxy over IPv6": ("fd00::1", PROVIDER),
    "through a proxy, over IPv6": (EDGE, "2001:db8:5::7"),
    "through a proxy that maps": (EDGE, f"::ffff:{PROVIDER}"),
    "with its port": (EDGE, f"{PROVIDER}:50123"),
    "in brackets": (EDGE, "[2001:db8:5::7]"),
    "in brackets, with its port": (EDGE, "[2001:db8:5::7]:50123"),
    "through two proxies": (EDGE, f"{PROVIDER}, {INNER}"),
    "through two proxies, with tabs": (EDGE, f"{PROVIDER}\t,\t{INNER}"),
    "through three, one header each": (EDGE, PROVIDER, INNER, "fd00::1"),
    "behind what its sender made up": (EDGE, f"{STRANGER}, {PROVIDER}"),
    "behind garbage its sender made up": (EDGE, f"unknown, , \x01, {PROVIDER}"),
    "behind a header its sender made up": (EDGE, STRANGER, f"{PROVIDER}, {INNER}"),
}
REFUSED = {
    "a stranger": (STRANGER,),
    "a stranger that names the provider": (STRANGER, PROVIDER),
    "a stranger that names a proxy and the provider": (STRANGER, f"{PROVIDER}, {INNER}"),
    "a stranger on a socket for both": (f"::ffff:{STRANGER}", PROVIDER),
    "a neighbour of the proxies": ("10.0.0.4", PROVIDER),
    "a stranger through a proxy": (EDGE, STRANGER),
    "a stranger that put the provider to the left": (EDGE, f"{PROVIDER}, {STRANGER}"),
    "a stranger that put the provider into a header": (EDGE, PROVIDER, STRANGER),
    "a stranger that put provider and proxy to the left": (EDGE, f"{PROVIDER}, {INNER}, {STRANGER}"),
    "a stranger through two proxies": (EDGE, f"{PROVIDER}, {STRANGER}, {INNER}"),
    "a stranger through two proxies, two headers": (EDGE, f"{PROVIDER}, {STRANGER}", INNER),
    "a proxy that says nothing": (EDGE,),
    "a proxy that names only proxies": (EDGE, f"{INNER}, {EDGE}"),
    "an empty header": (EDGE, ""),
    "an empty end": (EDGE, f"{PROVIDER},"),
    "an empty last header": (EDGE, PROVIDER, ""),
    "garbage behind the provider": (EDGE, f"{PROVIDER}, unknown"),
    "garbage behind the provider, before a proxy": (EDGE, f"{PROVIDER}, _hidden, {INNER}"),
    "a name": (EDGE, "provider.example"),
    "quotes": (EDGE, f'"{PROVIDER}"'),
    "two in one": (EDGE, f"{PROVIDER} {PROVIDER}"),
    "too short": (EDGE, "192.0.2"),
    "too large": (EDGE, "192.0.2.256"),
    "leading zeros": (EDGE, "192.0.02.7"),
    "a number": (EDGE, "3221225991"),
    "a network": (EDGE, f"{PROVIDER}/24"),
    "a port without address": (EDGE, ":80"),
    "a port that is none": (EDGE, f"{PROVIDER}:http"),
    "an open bracket": (EDGE, "[2001:db8:5::7"),
    "IPv4 in brackets of another": (EDGE, f"[{PROVIDER}]x"),
    "a zone": (EDGE, "2001:db8:5::7%eth0"),
    "other digits": (EDGE, "١٩٢.0.2.7"),
    "bytes": (EDGE, b"\xff"),
    "a peer that can't be read": ("testclient", PROVIDER),
}


@pytest.mark.parametrize("asked", LET_IN.values(), ids=LET_IN)
def test_who_comes_from_the_networks_is_let_in(asked):
    assert reason(*asked) is None


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
def test_nobody_else_is_let_in(asked):
    assert reason(*asked) is not None


@pytest.mark.parametrize("asked", [value for value in LET_IN.values() if value[0] in {EDGE, "fd00::1"}])
def test_without_trusted_proxies_no_header_is_believed(asked):
    assert reason(*asked, proxies=()) is not None
    assert reason(PROVIDER, STRANGER, proxies=()) is None


SOCKETS = [("/run/receiver.sock", None), ("", None)]
ELSEWHERE = [("127.0.0.1", 8080), ("::1", 8080), None]


@pytest.mark.parametrize("server", SOCKETS)
def test_a_unix_socket_is_a_trusted_proxy_where_there_are_any(server):
    assert reason(None, PROVIDER, server=server) is None
    assert reason(None, f"{PROVIDER}, {EDGE}", server=server) is None
    assert reason(None, f"{PROVIDER}, {STRANGER}", server=server) is not None
    assert reason(None, server=server) is not None
    assert reason(None, PROVIDER, server=server, proxies=()) is not None


@pytest.mark.parametrize("server", ELSEWHERE)
def test_a_peer_that_reset_its_connection_is_not_taken_for_a_unix_socket(server):
    assert reason(None, PROVIDER, server=server) == "its peer has no address"


WIDE = [
    ("::ffff:192.0.2.0/120", PROVIDER, True),
    ("::ffff:192.0.2.0/120", f"::ffff:{PROVIDER}", True),
    ("::ffff:192.0.2.0/120", STRANGER, False),
    ("192.0.2.7", f"::ffff:{PROVIDER}", True),
    ("::/0", PROVIDER, False),
    ("::/0", f"::ffff:{PROVIDER}", False),
    ("::/0", "2001:db8::1", True),
    ("0.0.0.0/0", "2001:db8::1", False),
    ("0.0.0.0/0", f"::ffff:{PROVIDER}", True),
    ("fe80::/10", "fe80::1%eth0", True),
]


@pytest.mark.parametrize(("network", "peer", "is_in"), WIDE)
def test_an_address_that_ipv6_wraps_is_its_ipv4_address_everywhere(network, peer, is_in):
    assert (reason(peer, networks=(network,)) is None) == is_in


REASONS = [
    ((STRANGER, PROVIDER), "not from an address of its provider"),
    ((EDGE,), "x-forwarded-for: missing, though a trusted proxy sent it on"),
    ((EDGE, INNER), "x-forwarded-for: names only trusted proxies"),
    ((EDGE, "secret"), "x-forwarded-for: holds what is no address"),
]


@pytest.mark.parametrize(("asked", "why"), REASONS)
def test_the_reason_tells_what_to_mend(asked, why):
    assert reason(*asked) == why
