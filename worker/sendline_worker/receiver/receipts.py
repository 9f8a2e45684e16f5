"""The one thing the receiver is for: takes a request with a token of ours, reads it, stores what it tells."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect

from sendline.contract.errors import LedgerError
from sendline.ledger.rejected import BODY_KEPT, Rejected
from sendline_worker.providers.base import Hook, UnreadableReceipt
from sendline_worker.receiver.authentication import Facts, refusal
from sendline_worker.receiver.exchange import BodyTooLarge, Lazy, answer, answer_ok, read_body, refuse
from sendline_worker.reports import arrivals, is_unheeded, reports

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from sendline.ledger.inbound import Arrival
    from sendline.ledger.work import Reported
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.authentication import Authenticator
    from sendline_worker.receiver.collector import Collector
    from sendline_worker.reports import Reading
    from sendline_worker.tokens import CallbackUrls, Verified

REQUEST_SECONDS: Final = 10.0
"""How long a request may take, from the end of its head to our answer."""
RETRY_SECONDS: Final = 5
"""When the provider shall try again what we could not store."""
METHODS: Final = frozenset({"POST", "GET"})

log = logging.getLogger("sendline.receiver")


class _Read(NamedTuple):
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
        reading: "Reading",
        counts: "Counter[str]",
        seconds: float,
    ) -> None:
        self._accounts = accounts
        self._demands = demands
        self._urls = urls
        self._counts = counts
        self._seconds = seconds
        self._reading = reading

    async def serve(self, name: str, token: str, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request to the URL with the account's `name` and `token`."""
        until = asyncio.get_running_loop().time() + self._seconds
        found = self._find(name, token, scope["method"])
        if found is None:
            self._counts["not_found"] += 1
            return await refuse(receive, send, 404, "not found")
        account, verified = found
        demands = self._demands.get(account.name, ())
        facts = Facts.of(scope) if demands else None  # before the body: its trailers would count as headers
        try:
            body = await read_body(scope, receive, until)
        except BodyTooLarge:
            self._note(account, "too_large", "its body is too large")
            return await refuse(receive, send, 413, "too large")
        except TimeoutError:
            self._note(account, "too_slow", "its body did not come in time")
            return await answer(send, 408, "too slow", headers={b"connection": b"close"})
        except ClientDisconnect:
            return self._note(account, "broken_off", "broken off by its sender")
        if facts is not None and (refused := refusal(demands, facts, body, time.time())):
            self._note(account, "refused", f"refused: {refused.reason}")
            return await answer(send, refused.status, refused.word, headers=dict(refused.headers))
        read = self._read(account, verified, scope, body)
        return await self._store(scope, send, account, read, until)

    def _find(self, name: str, token: str, method: str) -> "tuple[Account, Verified] | None":
        """Return whom the URL names; the token is checked first, so that no answer tells who exists."""
        verified = self._urls.read(name, token)
        account = self._accounts.get(name)
        if verified is None or account is None or method not in METHODS:
            return None
        return account, verified

    def _read(self, account: "Account", verified: "Verified", scope: "Scope", body: bytes) -> _Read:
        """Return what the ledger shall be told.

        What no adapter can read will not become readable: it is kept, and its sender need not retry. What an
        adapter failed on is kept, too, and its sender shall retry, since that can be mended.
        """
        headers = Lazy(lambda: dict(Headers(scope=scope)))
        query = Lazy(lambda: dict(QueryParams(scope["query_string"])))
        try:
            told = account.adapter.read_receipts(Hook(headers, query, body))
            senders = account.settings.senders
            arrived = arrivals(account.name, self._reading, told, senders=senders)
            return _Read(reports(account.name, verified, told), arrived)
        except UnreadableReceipt as error:
            self._note(account, "unreadable", f"unreadable, {len(body)} bytes")
            return _Read(rejected=_rejected(account, str(error), scope, body))
        except Exception as error:  # noqa: BLE001 - any fault of an adapter
            self._counts["fault"] += 1
            what = type(error).__name__
            log.error("account %s: its adapter failed: %s", account.name, what)
            why = f"the adapter failed: {what}"
            return _Read(rejected=_rejected(account, why, scope, body), is_fault=True)

    async def _store(
        self, scope: "Scope", send: "Send", account: "Account", read: _Read, until: float
    ) -> None:
        collector: Collector = scope["state"]["collector"]
        try:
            if read.reports:
                await collector.store(read.reports, until)
            if read.arrivals:
                await collector.take_in(read.arrivals, until)
                self._warn_of_unheeded(account, read.arrivals)
            if read.rejected is not None:
                await collector.keep(read.rejected, until)
        except LedgerError as error:
            self._note(account, "not_stored", f"not stored: {error}")
            headers = {b"retry-after": str(RETRY_SECONDS).encode()}
            return await answer(send, 503, "unavailable", headers=headers)
        if read.is_fault:
            return await answer(send, 500, "internal")
        return await answer_ok(scope, send)

    def _warn_of_unheeded(self, account: "Account", arrived: "Sequence[Arrival]") -> None:
        unheeded = sum(map(is_unheeded, arrived))
        if unheeded:
            self._counts["unheeded"] += unheeded
            log.warning(
                "account %s: %d STOP or START unheeded: from a sender that can't be read as a number",
                account.name,
                unheeded,
            )

    def _note(self, account: "Account", word: str, what: str) -> None:
        self._counts[word] += 1
        log.warning("account %s: a request with receipts: %s", account.name, what)


def _rejected(account: "Account", why: str, scope: "Scope", body: bytes) -> Rejected:
    """Return what is kept of a request; its path, which holds a token, is not."""
    query = scope["query_string"].decode("latin-1")
    return Rejected(account.name, why, dict(Headers(scope=scope)), query, body[:BODY_KEPT], len(body))
