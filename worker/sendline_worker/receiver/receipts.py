"""The one thing the receiver is for: takes a request with a token of ours, reads it, stores what it tells."""

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect, Request

from sendline.contract.errors import LedgerError, LedgerUnavailable
from sendline_worker.providers.base import Hook, UnreadableReceipt
from sendline_worker.receiver.exchange import BodyTooLarge, answer, read_body, refuse
from sendline_worker.reports import reports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from sendline.ledger.work import Reported
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.collector import Collector
    from sendline_worker.tokens import CallbackUrls, Verified

REQUEST_SECONDS: Final = 10.0
"""How long a request may take, from the end of its head to our answer."""
RETRY_SECONDS: Final = 5
"""When the provider shall try again what we could not store."""
METHODS: Final = frozenset({"POST", "GET"})

log = logging.getLogger("sendline.receiver")


class Receipts:
    """The ASGI endpoint of receipts. No log line of its holds more than account, size, count and outcome."""

    def __init__(
        self, accounts: "Mapping[str, Account]", urls: "CallbackUrls", counts: Counter[str], seconds: float
    ) -> None:
        self._accounts = accounts
        self._urls = urls
        self._counts = counts
        self._seconds = seconds

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        until = asyncio.get_running_loop().time() + self._seconds
        found = self._find(scope)
        if found is None:
            self._counts["not_found"] += 1
            return await refuse(receive, send, 404, "not found")
        account, verified = found
        try:
            async with asyncio.timeout_at(until):
                body = await read_body(scope, receive)
        except BodyTooLarge:
            self._note(account, "too_large", "its body is too large")
            return await refuse(receive, send, 413, "too large")
        except TimeoutError:
            self._note(account, "too_slow", "its body did not come in time")
            return await answer(send, 408, "too slow", headers={b"connection": b"close"})
        except ClientDisconnect:
            return self._note(account, "broken_off", "broken off by its sender")
        told = self._read(account, verified, Request(scope), body)
        if told is None:
            return await answer(send, 500, "internal")
        return await self._store(scope, send, account, told, until)

    def _find(self, scope: "Scope") -> "tuple[Account, Verified] | None":
        """Return whom the URL names; the token is checked first, so that no answer tells who exists."""
        name, token = scope["path_params"]["account"], scope["path_params"]["token"]
        verified = self._urls.read(name, token)
        account = self._accounts.get(name)
        if verified is None or account is None or scope["method"] not in METHODS:
            return None
        return account, verified

    def _read(
        self, account: "Account", verified: "Verified", request: Request, body: bytes
    ) -> "list[Reported] | None":
        """Return what the ledger shall be told; None where the adapter has a fault.

        What no adapter can read will not become readable: nothing is told, and its sender need not retry.
        """
        hook = Hook(dict(request.headers), dict(request.query_params), body)
        try:
            return reports(account.name, verified, account.adapter.read_receipts(hook))
        except UnreadableReceipt:
            self._note(account, "unreadable", f"unreadable, {len(body)} bytes")
            return []
        except Exception as error:  # noqa: BLE001 - any fault of an adapter
            self._counts["fault"] += 1
            what = type(error).__name__
            log.error("account %s: its adapter failed: %s", account.name, what)
            return None

    async def _store(
        self, scope: "Scope", send: "Send", account: "Account", told: "list[Reported]", until: float
    ) -> None:
        collector: Collector = scope["state"]["collector"]
        try:
            async with asyncio.timeout_at(until):
                words = Counter[str](await collector.store(told))
        except (LedgerError, TimeoutError) as error:
            why = error if isinstance(error, LedgerError) else LedgerUnavailable("the ledger is too slow")
            self._note(account, "not_stored", f"not stored: {why}")
            headers = {b"retry-after": str(RETRY_SECONDS).encode()}
            return await answer(send, 503, "unavailable", headers=headers)
        self._counts.update(words)
        if words:
            summary = ", ".join(f"{number} {word}" for word, number in sorted(words.items()))
            log.info("account %s: receipts: %s", account.name, summary)
        return await answer(send, 200, "ok")

    def _note(self, account: "Account", word: str, what: str) -> None:
        self._counts[word] += 1
        log.warning("account %s: a request with receipts: %s", account.name, what)
