"""What is known of a request before its body is read: all that an authenticator goes by."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Unfit(Exception):
    """A request can't be what it should be. The text says why, and quotes nothing of the request."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One request, as its bytes came. Its repr shows no header and no URL."""

    peer: str | None
    """The address at the other end of the connection; None where there is none, or it is gone."""
    through_socket: bool
    """It came over a Unix socket. A missing `peer` alone does not mean that: a TCP peer that resets its
    connection at once has no address either, but its request is still read."""
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    """Names in lower case, in the order in which they came; one that came twice is here twice."""
    method: str
    path: bytes = field(repr=False)
    """As it was sent, percent signs and all, without the query."""
    query: bytes = field(repr=False)
    """What stands behind the question mark."""
    host: bytes | None = field(repr=False)
    """Where the request says it goes, for which nothing vouches; None where it says so never or twice."""

    @classmethod
    def of(cls, scope: "Mapping[str, Any]") -> "Facts":
        """Return what an ASGI `scope` says.

        Call it before the body is read: a server may add the trailers, which come behind the body and
        which no proxy has looked at, to the headers of the scope.
        """
        client, server = scope.get("client"), scope.get("server")
        headers = tuple((name.lower(), value.strip(b" \t")) for name, value in scope["headers"])
        hosts = [value for name, value in headers if name == b"host"]
        return cls(
            peer=client[0] if client else None,
            through_socket=not client and server is not None and server[1] is None,
            headers=headers,
            method=scope["method"],
            path=scope.get("raw_path") or quote(scope["path"]).encode(),
            query=scope["query_string"],
            host=hosts[0] if len(hosts) == 1 else None,
        )

    def values(self, name: str) -> tuple[bytes, ...]:
        """Return all values of the header `name`, which is in lower case."""
        wanted = name.encode()
        return tuple(value for each, value in self.headers if each == wanted)

    def single(self, name: str) -> bytes:
        """Return the value of a header that must come once; raises Unfit.

        Two parties that read a doubled header may each take another one, so it is no value at all.
        """
        values = self.values(name)
        if len(values) == 1:
            return values[0]
        raise Unfit(f"{name}: comes more than once" if values else f"{name}: missing")
