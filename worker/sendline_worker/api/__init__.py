"""The HTTP API: for apps that are not written in Python, or that shall not reach the ledger themselves."""

from sendline_worker.api.app import create_app
from sendline_worker.api.server import serve, serve_on

__all__ = ["create_app", "serve", "serve_on"]
