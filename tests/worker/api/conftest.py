"""A served API over a real ledger, keys of its own, and a client that speaks to it over loopback."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sendline.contract.api_key import ApiKey, Scope, hash_of, new_key, token
from sendline.ledger.api_keys import create_key
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from sendline_worker.api import create_app
from sendline_worker.api.protocol import ApiProtocol
from sendline_worker.api.server import server_of
from sendline_worker.serving import listening, running

LIMITS = Limits()
TO, SENDER = "+13115552367", "+13115552368"
NEW = {"to": TO, "text": "Your code is 4711", "sender": SENDER}


class Impatient(ApiProtocol):
    """With less patience than the real one."""

    head_seconds = 0.5


@dataclass
class Served:
    """A running API, its ledger, and what tests do with them."""

    url: str
    ledger: Ledger
    app: Any
    settings: Settings
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    limits = LIMITS

    def key(self, *scopes: str, name: str = "shop", **named: Any) -> tuple[ApiKey, str]:
        """Make a key; return it and its token."""
        key, secret = new_key(name, [Scope(each) for each in scopes], **named)
        created = self.ledger.run(create_key(LIMITS, key, hash_of(secret)))
        assert created is not None
        return key, token(key, secret)

    def client(self, *scopes: str, **named: Any) -> httpx.Client:
        """Return a client whose key has these scopes; `name`, `senders` and `rate` as new_key() takes them.

        Without scopes it has no key.
        """
        headers = {"Authorization": f"Bearer {self.key(*scopes, **named)[1]}"} if scopes else {}
        made = httpx.Client(base_url=self.url, headers=headers, timeout=15, trust_env=False)
        return self._stack.enter_context(made)


@contextlib.contextmanager
def served(settings: Settings, ledger: Ledger) -> Iterator[Served]:
    """Serve the API for the time of a with block."""
    app = create_app(settings)
    server = server_of(app)
    server.config.http = Impatient
    with listening("127.0.0.1", 0) as listener, running(server, listener) as url:
        api = Served(url, ledger, app, settings)
        with api._stack:
            yield api


@pytest.fixture
def new() -> dict[str, Any]:
    """The fields of a message that is accepted."""
    return dict(NEW)


@pytest.fixture
def api(settings, ledger, publish) -> Iterator[Served]:
    """The API over an empty ledger that knows the account main: `api.client("send", "read")` asks it."""
    publish("main")
    with served(settings, ledger) as api:
        yield api
