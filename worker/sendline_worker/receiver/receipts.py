"""The one thing the receiver is for: takes a request with a token of ours, reads it, stores what it tells."""

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect, Request

from sendline.contract.errors import LedgerError, LedgerUnavailable
from sendline.ledger.rejected import BODY_KEPT, Rejected
from sendline_worker.providers.base import Hook, UnreadableReceipt
from sendline_worker.receiver.authentication import Facts, refusal
from sendline_worker.receiver.exchange import BodyTooLarge, answer, read_body, refuse
from sendline_worker.reports import arrivals, reports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from sendline.contract.keywords import Keywords
    from sendline.ledger.inbound import Arrival
    from sendline.ledger.work import Reported
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.authentication import Authenticator
    from sendline_worker.receiver.collector import Collector
    from sendline_worker.tokens import CallbackUrls, Verified

REQUEST_SECONDS: Final = 10.0
"""How long a request may take, from the end of its head to our answer."""
RETRY_SECONDS: Final = 5
"""When the provider shall try again what we could not store."""
METHODS: Final = frozenset({"POST", "GET"})

log = logging.getLogger("sendline.receiver")


@dataclass(frozen=True, slots=True)
class _Read:
    """What the ledger shall be told, and the answer once it was."""

    reports: "Sequence[Reported]" = ()
    arrivals: "Sequence[Arrival]" = ()
    rejected: Rejected | None = None
    is_fault: bool = False
    """It is ours that it could not be read: its sender shall try again."""


class Receipts:
    """The ASGI endpoint of receipts. No log line of its holds more than account, size, count and outcome."""

    def __init__(
        self,
        accounts: "Mapping[str, Account]",
        urls: "CallbackUrls",
        *,
        demands: "Mapping[str, Sequence[Authenticator]]",
        keywords: "Keywords",
        counts: Counter[str],
        seconds: float,
    ) -> None:
        self._accounts = accounts
        self._demands = demands
        self._urls = urls
        self._counts = counts
        self._seconds = seconds
        self._keywords = keywords

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        until = asyncio.get_running_loop().time() + self._seconds
        found = self._find(scope)
        if found is None:
            self._counts["not_found"] += 1
            return await refuse(receive, send, 404, "not found")
        account, verified = found
        facts = Facts.of(scope)  # before the body, whose trailers would count as headers
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
        refused = refusal(self._demands.get(account.name, ()), facts, body, time.time())
        if refused is not None:
            self._note(account, "refused", f"refused: {refused.reason}")
            return await answer(send, refused.status, refused.word, headers=dict(refused.headers))
        read = self._read(account, verified, Request(scope), body)
        return await self._store(scope, send, account, read, until)

    def _find(self, scope: "Scope") -> "tuple[Account, Verified] | None":
        """Return whom the URL names; the token is checked first, so that no answer tells who exists."""
        name, token = scope["path_params"]["account"], scope["path_params"]["token"]
        verified = self._urls.read(name, token)
        account = self._accounts.get(name)
        if verified is None or account is None or scope["method"] not in METHODS:
            return None
        return account, verified

    def _read(self, account: "Account", verified: "Verified", request: Request, body: bytes) -> _Read:
        """Return what the ledger shall be told.

        What no adapter can read will not become readable: it is kept, and its sender need not retry. What an
        adapter failed on is kept, too, and its sender shall retry, since that can be mended.
        """
        hook = Hook(dict(request.headers), dict(request.query_params), body)
        try:
            told = account.adapter.read_receipts(hook)
            return _Read(reports(account.name, verified, told), arrivals(account.name, self._keywords, told))
        except UnreadableReceipt as error:
            self._note(account, "unreadable", f"unreadable, {len(body)} bytes")
            return _Read(rejected=_rejected(account, str(error), request, body))
        except Exception as error:  # noqa: BLE001 - any fault of an adapter
            self._counts["fault"] += 1
            what = type(error).__name__
            log.error("account %s: its adapter failed: %s", account.name, what)
            why = f"the adapter failed: {what}"
            return _Read(rejected=_rejected(account, why, request, body), is_fault=True)

    async def _store(
        self, scope: "Scope", send: "Send", account: "Account", read: _Read, until: float
    ) -> None:
        collector: Collector = scope["state"]["collector"]
        try:
            async with asyncio.timeout_at(until):
                words = await collector.store(read.reports)
                arrived = await collector.take_in(read.arrivals) if read.arrivals else []
                if read.rejected is not None:
                    await collector.keep(read.rejected)
        except (LedgerError, TimeoutError) as error:
            why = error if isinstance(error, LedgerError) else LedgerUnavailable("the ledger is too slow")
            self._note(account, "not_stored", f"not stored: {why}")
            headers = {b"retry-after": str(RETRY_SECONDS).encode()}
            return await answer(send, 503, "unavailable", headers=headers)
        self._counts.update(words)
        self._counts.update(f"inbound_{word}" for word in arrived)
        _tell(account, "receipts", words)
        _tell(account, "inbound messages", arrived)
        if read.is_fault:
            return await answer(send, 500, "internal")
        return await answer(send, 200, "ok")

    def _note(self, account: "Account", word: str, what: str) -> None:
        self._counts[word] += 1
        log.warning("account %s: a request with receipts: %s", account.name, what)


def _tell(account: "Account", what: str, words: "Sequence[str]") -> None:
    if words:
        summary = ", ".join(f"{number} {word}" for word, number in sorted(Counter(words).items()))
        log.info("account %s: %s: %s", account.name, what, summary)


def _rejected(account: "Account", why: str, request: Request, body: bytes) -> Rejected:
    """Return what is kept of a request; its path, which holds a token, is not."""
    query = request.scope["query_string"].decode("latin-1")
    return Rejected(account.name, why, dict(request.headers), query, body[:BODY_KEPT], len(body))
