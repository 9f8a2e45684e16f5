"""Requests for the tests of who may report, as an ASGI server would hand them on."""

from sendline_worker.receiver.authentication import Facts

NOW = 1_800_000_000.0
BODY = b'{"id":"4711","text":"caf\xc3\xa9"}'
PATH = b"/receipts/main/tok%2Den"
QUERY = b"a=1&b=%20"
ABSENT = object()


def scope_of(*headers, client=("192.0.2.1", 4711), server=("127.0.0.1", 8080), query=QUERY):
    """The scope of a POST; each header is a (name, value) of text or bytes."""
    return {
        "type": "http",
        "method": "POST",
        "path": "/receipts/main/tok-en",
        "raw_path": PATH,
        "query_string": query,
        "headers": [(as_bytes(name), as_bytes(value)) for name, value in headers],
        "client": client,
        "server": server,
    }


def facts_of(*headers, **more):
    """What is known of such a request."""
    return Facts.of(scope_of(*headers, **more))


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()
