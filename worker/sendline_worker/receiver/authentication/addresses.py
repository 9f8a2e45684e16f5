"""From where a request comes: its peer's address, or what trusted proxies say of it."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from sendline_worker.receiver.authentication.facts import Unfit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sendline_worker.receiver.authentication.facts import Facts

HEADER: Final = "x-forwarded-for"

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_MAPPED_BITS: Final = 96
_FORWARDED: Final = re.compile(
    rb"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)"
)
"""An address with a port or without: [IPv6]:port, IPv4:port, or IPv6 alone."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Addresses:
    """Demands that a request comes from one of the networks.

    X-Forwarded-For is believed only of a trusted proxy, and only as far as trusted proxies wrote it: the
    address is the rightmost that is none of theirs, and what its sender put to the left is not looked at. A
    peer at a Unix socket is a trusted proxy where there are any.
    """

    challenge: bytes | None = None

    def __init__(self, networks: "Iterable[str]", trusted_proxies: "Iterable[str]") -> None:
        """Each is an address or a network, as the settings checked them; raises ValueError for others."""
        self._networks = tuple(map(_network, networks))
        self._proxies = tuple(map(_network, trusted_proxies))

    def check(self, facts: "Facts", body: bytes, now: float) -> str | None:
        """Return why the request is refused, or None."""
        try:
            address = self._sender(facts)
        except Unfit as unfit:
            return str(unfit)
        return None if _within(address, self._networks) else "not from an address of its provider"

    def _sender(self, facts: "Facts") -> Address:
        """Return the address of who sent the request; raises Unfit."""
        if facts.peer is None:
            if not (facts.through_socket and self._proxies):
                raise Unfit("its peer has no address")
        else:
            peer = _peer(facts.peer)
            if not _within(peer, self._proxies):
                return peer
        return self._forwarded(facts)

    def _forwarded(self, facts: "Facts") -> Address:
        """Return the rightmost address that is no trusted proxy's; raises Unfit."""
        values = facts.values(HEADER)
        if not values:
            raise Unfit(f"{HEADER}: missing, though a trusted proxy sent it on")
        for text in reversed(b",".join(values).split(b",")):
            address = _written(text.strip(b" \t"))
            if not _within(address, self._proxies):
                return address
        raise Unfit(f"{HEADER}: names only trusted proxies")


def _network(text: str) -> Network:
    """Read a network; one of IPv4-mapped IPv6 addresses is that of their IPv4 addresses."""
    found = ip_network(text, strict=False)
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        mapped = found.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), found.prefixlen - _MAPPED_BITS))
    return found


def _peer(text: str) -> Address:
    try:
        return _plain(ip_address(text.partition("%")[0]))
    except ValueError:
        raise Unfit("its peer's address can't be read") from None


def _written(text: bytes) -> Address:
    """Read one address of the header; raises Unfit."""
    found = _FORWARDED.fullmatch(text)
    try:
        if found is not None:
            return _plain(ip_address(next(filter(None, found.groups())).decode()))
    except ValueError:
        pass
    raise Unfit(f"{HEADER}: holds what is no address")


def _plain(address: Address) -> Address:
    """Return the IPv4 address where an IPv6 address only wraps one."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
