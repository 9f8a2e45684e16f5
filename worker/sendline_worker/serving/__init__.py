"""What our HTTP servers share: a port of their own or one clear line, bounds on clients, an orderly end."""

from sendline_worker.serving.bounded import BoundedProtocol
from sendline_worker.serving.lingering import linger
from sendline_worker.serving.production import configuration, run
from sendline_worker.serving.server import BACKLOG, Server, base_url, listening, running
from sendline_worker.serving.whole import GoOn, WholeProtocol, abort, whole_body, write_answer

__all__ = [
    "BACKLOG",
    "BoundedProtocol",
    "GoOn",
    "Server",
    "WholeProtocol",
    "abort",
    "base_url",
    "configuration",
    "linger",
    "listening",
    "run",
    "running",
    "whole_body",
    "write_answer",
]
