"""The one thing the receiver is for: takes a request with a token of ours, reads it, stores what it tells."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from sendline.contract.errors import LedgerError
from sendline_worker.receiver.exchange import BodyTooLarge, answer, answer_ok, read_body, refuse
from sendline_worker.receiver.reader import Reader
from sendline_worker.reports import is_unheeded
from sendline_worker.wait import Wait

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from sendline.ledger.inbound import Arrival
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.authentication import Authenticator
    from sendline_worker.receiver.collector import Collector
    from sendline_worker.receiver.reader import Content
    from sendline_worker.reports import Reading
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
        self._urls = urls
        self.reader = Reader(demands, reading, counts)
        self._counts = counts
        self._seconds = seconds
        self._storing = Wait(log, "what is reported")

    async def serve(self, name: str, token: str, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request to the URL with the account's `name` and `token`."""
        until = self.until()
        found = self.find(name, token, scope["method"])
        if found is None:
            self._counts["not_found"] += 1
            return await refuse(receive, send, 404, "not found")
        account, verified = found
        facts = self.reader.facts(account, scope)  # before the body: its trailers would count as headers
        try:
            body = await read_body(scope, receive, until)
        except BodyTooLarge:
            self.reader.note(account, "too_large", "its body is too large")
            return await refuse(receive, send, 413, "too large")
        except TimeoutError:
            self.reader.note(account, "too_slow", "its body did not come in time")
            return await answer(send, 408, "too slow", headers={b"connection": b"close"})
        except ClientDisconnect:
            return self.reader.note(account, "broken_off", "broken off by its sender")
        content = self.reader.read(account, verified, scope, body, facts)
        return await self.finish(account, content, scope, receive, send, until=until)

    def until(self) -> float:
        """Return when a request must be answered that is whole now, by the loop's clock."""
        return asyncio.get_running_loop().time() + self._seconds

    def find(self, name: str, token: str, method: str) -> "tuple[Account, Verified] | None":
        """Return whom the URL names; the token is checked first, so that no answer tells who exists."""
        verified = self._urls.read(name, token)
        account = self._accounts.get(name)
        if verified is None or account is None or method not in METHODS:
            return None
        return account, verified

    async def finish(
        self,
        account: "Account",
        content: "Content",
        scope: "Scope",
        _receive: "Receive",
        send: "Send",
        *,
        until: float,
        stored: "Awaitable[object] | None" = None,
    ) -> None:
        """Tell the ledger, then answer. `stored`: its reports are on their way to the ledger."""
        if content.refusal is not None:
            refused = content.refusal
            return await answer(send, refused.status, refused.word, headers=dict(refused.headers))
        collector: Collector = scope["state"]["collector"]
        try:
            if content.reports:
                await (stored or collector.store(content.reports, until))
            if content.arrivals:
                await collector.take_in(content.arrivals, until)
                self._warn_of_unheeded(account, content.arrivals)
            if content.rejected is not None:
                await collector.keep(content.rejected, until)
        except LedgerError as error:
            self._counts["not_stored"] += 1
            self._storing.must_wait(error)
            headers = {b"retry-after": str(RETRY_SECONDS).encode()}
            return await answer(send, 503, "unavailable", headers=headers)
        self._storing.is_over()
        if content.is_fault:
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
