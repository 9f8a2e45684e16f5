"""Where a webhook may lead: to addresses of the public internet, and to what the owner allows by name.

Pure. What `ipaddress` calls global differs between Python's patch releases, so the ranges that matter stand
here as well (IANA's special-purpose registries). In IPv6 only 2000::/3 is public unicast, and two forms that
carry an IPv4 address: it is judged as well.
"""

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final, Self

from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_SHAPE: Final = re.compile(r"https?://[^\s\x00-\x20\x7f@\\/?#]+([/?#][^\s\x00-\x20\x7f]*)?", re.IGNORECASE)
_SCHEME: Final = re.compile(r"https?:", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,254}")
_PRIVATE: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            # Public by its number: where Azure answers each of its own machines
            "168.63.129.16/32",
        ),
    )
)
_UNICAST: Final = IPv6Network("2000::/3")
_NOT_UNICAST: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
"""Protocol assignments with Teredo, and documentation."""
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""NAT64's prefix: what a resolver of an IPv6-only network answers for hosts that have IPv4 alone."""
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)


class ForbiddenError(OSError):
    """A webhook may not be sent there. Its text is for people, and holds no part of the address."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is permitted beside the public internet: hosts by name, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()

    @classmethod
    def of(cls, entries: "Iterable[str]") -> Self:
        """Return what the setting `webhook_allow` permits."""
        names, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                names.add(_plain(entry))
        return cls(frozenset(names), tuple(networks))

    def permits(self, host: str, address: str) -> bool:
        """Return whether `address` may be called, as a literal or as what the name `host` leads to.

        Never with a zone (`fe80::1%eth0`): where that leads depends on the machine.
        """
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            return False
        return _plain(host) in self.names or self._holds(parsed) or self._is_public(parsed)

    def target(self, text: str) -> URL:
        """Return the URL to call, before anything is looked up; raises ForbiddenError.

        Every literal in it is judged here. Any other host is a name, whose addresses are judged when it has
        been looked up.
        """
        url = _parse(text)
        host = url.raw_host or ""
        if ":" in host or _is_numeric(host):
            if not _is_canonical(host):
                raise ForbiddenError("its host is a number that is not written as an IP address")
            if not self.permits("", host):
                raise ForbiddenError(PRIVATE)
        elif _NAME.fullmatch(host) is None:
            raise ForbiddenError("its host is neither a name nor an IP address")
        return url

    def _holds(self, address: _Address) -> bool:
        return any(address in network for network in self.networks)

    def _is_public(self, address: _Address) -> bool:
        if isinstance(address, IPv4Address):
            return address.is_global and not any(address in network for network in _PRIVATE)
        if (mapped := address.ipv4_mapped) is not None:
            return self._holds(mapped) or self._is_public(mapped)
        if not all(self._holds(inner) or self._is_public(inner) for inner in _embedded(address)):
            return False
        if address in _TRANSLATED:
            return True
        return address in _UNICAST and not any(address in network for network in _NOT_UNICAST)


PRIVATE: Final = "its host leads to a private or reserved address; webhook_allow can name it"


def _parse(text: str) -> URL:
    if _SCHEME.match(text) is None:
        raise ForbiddenError("only http and https are called")
    if _SHAPE.fullmatch(text) is None:
        raise ForbiddenError("it is not written as https://host/path, without a user")
    try:
        return URL(text)
    except ValueError:
        raise ForbiddenError("it is not written as https://host/path, without a user") from None


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_numeric(host: str) -> bool:
    """Return whether aiohttp takes a host for an address: digits and dots only."""
    return host.replace(".", "").isdigit()


def _is_canonical(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _embedded(address: IPv6Address) -> "Iterator[IPv4Address]":
    """Yield the IPv4 addresses to which a relay or a translator would pass on what is sent to `address`."""
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    low = int(address) & 0xFFFF_FFFF_FFFF_FFFF
    if address in _TRANSLATED or low >> 32 in _ISATAP:
        yield IPv4Address(low & 0xFFFF_FFFF)
