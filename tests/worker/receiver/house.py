"""A receiver, its ledger and its accounts, all real, for the tests beside this file."""

import contextlib
import json
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import redis
from pydantic import SecretStr

from sendline.contract import ids
from sendline.contract.draft import Draft
from sendline.contract.lane import Lane
from sendline.contract.status import Status
from sendline.ledger import verbs, work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.connection import AsyncLedger, Ledger
from sendline.ledger.inbound import inbound_after
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.rejected import rejected
from sendline.settings import Settings
from sendline_worker.accounts import Account, directory_json, directory_of, load_accounts
from sendline_worker.embedded import EmbeddedServer
from sendline_worker.providers.base import Receipt, UnreadableReceipt
from sendline_worker.receiver import create_app
from sendline_worker.receiver.server import server_of
from sendline_worker.reports import Reading
from sendline_worker.serving import WholeProtocol, listening, running
from sendline_worker.tokens import CallbackUrls

LIMITS = Limits()
BESIDE = (KEYS["rejected"].encode(), KEYS["decision"].encode())
KEY = SecretStr("k" * 32)
READING = Reading()
NUMBER = "+13115552367"
TEXT = "Your code is 4711"
OPENTACT = {"provider": "opentact", "base_url": "http://127.0.0.1:1", "api_key": "sk-live-0123456789"}
KORE = {
    "provider": "kore",
    "base_url": "http://127.0.0.1:1",
    "bot_id": "st-1",
    "jwt": "header.claims.signature",
}


class QueryAdapter:
    """An adapter of a provider that reports by query, several messages at once, and has its faults."""

    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def read_receipts(self, hook):
        if "boom" in hook.query:
            raise ZeroDivisionError(hook.query["boom"])
        if "id" not in hook.query:
            raise UnreadableReceipt("no id")
        status = Status(hook.query["status"]) if "status" in hook.query else None
        reason = json.loads(hook.query.get("reason", '""'))
        return [Receipt(each or None, status, reason=reason) for each in hook.query["id"].split(",")]


def make_accounts(settings):
    accounts = load_accounts(settings)
    plain = accounts["plain"]
    return accounts | {"plain": Account("plain", plain.settings, QueryAdapter(plain.adapter))}


class Protocol(WholeProtocol):
    """With less patience than the real one."""

    head_seconds = 0.4


@dataclass
class House:
    """The running parts, and what tests do with them."""

    url: str
    server: EmbeddedServer
    ledger: Ledger
    urls: CallbackUrls
    app: Any
    settings: Settings
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=15, trust_env=False))
    calls: int = 0

    def accepted(self, account="main"):
        """Accept a message and return its id."""
        message_id = ids.new_id()
        draft = Draft(
            message_id, NUMBER, TEXT, "+13115552368", None, (account,), Lane.NORMAL, 1, 0, 3_600_000
        )
        self.ledger.run(verbs.accept(LIMITS, [draft]))
        return message_id

    def sending(self, account="main"):
        """Accept and claim a message and return its claim."""
        message_id = self.accepted(account)
        self.calls += 1
        asked = work.ClaimRequest("test", self.calls, 10, 10, 90, 2, 5, may_sign_off=False)
        [claim] = self.ledger.run(work.claim(LIMITS, asked)).claims
        assert claim.message_id == message_id
        return claim

    def settle(self, claim, provider_id=None):
        """Settle a claim as sent and return the verdict."""
        settlement = work.Settlement(
            claim.message_id, claim.token, claim.account, Status.SENT, deadline=3600, provider_id=provider_id
        )
        self.calls += 1
        return self.ledger.run(work.settle(LIMITS, "test", self.calls, [settlement]))[0]

    def sent(self, provider_id=None, account="main"):
        """Let a message be sent and return its id."""
        claim = self.sending(account)
        assert self.settle(claim, provider_id) == "settled"
        return claim.message_id

    def message(self, message_id):
        """Return the message as it stands."""
        return self.ledger.run(verbs.get(message_id))

    def status(self, message_id):
        return self.message(message_id).status

    def here(self, url):
        """Return where `url`, made for the public, is on this machine."""
        return url.replace(self.urls.account_url("x").partition("/receipts/")[0], self.url)

    def account_url(self, account="main"):
        return self.here(self.urls.account_url(account))

    def message_url(self, message_id, account="main"):
        return self.here(self.urls.message_url(account, message_id))

    def post(self, url, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(url, content=content)

    def everything(self):
        """Return all that the ledger holds, but for rejected requests and the names of calls."""
        with contextlib.closing(redis.Redis.from_url(self.server.url)) as raw:
            keys = [key for key in raw.scan_iter(count=1000) if not key.startswith(BESIDE)]
            return {key: raw.dump(key) for key in keys}

    def rejected(self):
        """Return the rejected requests that are kept, the newest first."""
        return self.ledger.run(rejected(datetime.now(UTC)))

    def inbound(self):
        """Return what came in, the oldest first."""
        return self.ledger.run(inbound_after(0, block_ms=None))

    @contextlib.contextmanager
    def unmoved(self, *, rejected=0):
        """Hold that the block changes nothing in the ledger, which counts what it holds, and that it keeps
        so many rejected requests and no more.
        """
        kept = len(self.rejected())
        before, counted = self.everything(), self.ledger.run(verbs.counts())
        assert sum(counted.values()) == 2 * counted["accepted"] > 0
        yield
        assert self.ledger.run(verbs.counts()) == counted
        assert self.everything() == before
        assert len(self.rejected()) == kept + rejected

    @contextlib.contextmanager
    def connected(self):
        """A bare connection to the receiver."""
        host, port = self.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=15) as connection:
            yield connection

    def raw(self, request):
        """Send bytes, and return all that comes back until the connection is closed."""
        with self.connected() as connection:
            connection.sendall(request)
            return read_all(connection)


def read_all(connection):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def head(url, *lines):
    """Return the head of a POST to `url`."""
    path = "/" + url.split("/", 3)[3]
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: test", *lines, "", ""]).encode()


@contextlib.contextmanager
def housed(
    directory,
    *,
    keys=(KEY,),
    durability="memory",
    request_seconds=5.0,
    ledger=AsyncLedger,
    redis_timeout=2.0,
    reading=READING,
    demands=None,
):
    """A whole house for the time of a with block."""
    accounts = {"main": OPENTACT, "other": OPENTACT, "plain": OPENTACT, "flows": KORE}
    settings = Settings(secret_key=list(keys), public_url="https://sms.example.com/hook", accounts=accounts)
    urls = CallbackUrls(settings.public_url, settings.secret_key)
    loaded = make_accounts(settings)
    with EmbeddedServer(directory / "v", durability) as server, contextlib.closing(Ledger(server.url)) as own:
        directory_text = directory_json(directory_of(loaded, settings))
        limits = [AccountLimits(name, 10_000, 10_000, None, None) for name in loaded]
        own.run(configure(LIMITS, directory_text, Wake("celery", b"wake"), limits))
        app = create_app(
            loaded,
            urls,
            lambda: ledger(server.url, timeout=redis_timeout),
            LIMITS,
            request_seconds=request_seconds,
            reading=reading,
            demands=demands,
        )
        serving = server_of(app)
        serving.config.http = Protocol
        with listening("127.0.0.1", 0) as listener, running(serving, listener) as url:
            house = House(url, server, own, urls, app, settings)
            with contextlib.closing(house.client):
                yield house


def new_provider_id():
    return str(uuid4())


def event(provider_id, state="success", *, delivered=False):
    """A receipt in the envelope of the events."""
    payload = {
        "type": "smso",
        "uuid": provider_id,
        "state": state,
        "delivered": delivered,
        "to": NUMBER,
        "message": TEXT,
    }
    return {"type": "sms", "message": "SMS: type: smso", "payload": payload}


def data(provider_id, status):
    """A receipt in the shape that the webhook page shows."""
    to = [{"phone_number": NUMBER, "status": status}]
    payload = {"id": provider_id, "direction": "outbound", "to": to, "text": TEXT}
    return {"data": {"event_type": "message.finalized", "payload": payload}}


def written(text, provider_id="in-1", sender="+13115550001", to="+13115552368"):
    """A message that came in, in the shape that the webhook page shows."""
    payload = {
        "id": provider_id,
        "direction": "inbound",
        "from": {"phone_number": sender},
        "to": [{"phone_number": to}],
        "text": text,
    }
    return {"data": {"event_type": "message.received", "payload": payload}}
