"""The way to providers over HTTP/1.1: each request goes out once, and it is known whether it was begun."""

from sendline_worker.wire.wire import ANSWER_LIMIT, Broken, Wire

__all__ = ["ANSWER_LIMIT", "Broken", "Wire"]
