"""The receiver: takes in what providers report, over HTTP, and writes it into the ledger."""

from sendline_worker.receiver.app import create_app
from sendline_worker.receiver.server import serve

__all__ = ["create_app", "serve"]
