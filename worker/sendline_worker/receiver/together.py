"""Receipts that arrive together are read and stored together, without a task or a future for each."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sendline_worker.receiver.exchange import body_at_hand, write_ok

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from sendline.ledger.work import Received, Reported
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.collector import Collector
    from sendline_worker.receiver.reader import Content
    from sendline_worker.receiver.receipts import Receipts
    from sendline_worker.serving import GoOn


class _Begun(NamedTuple):
    """A request that came whole."""

    name: str
    token: str
    scope: "Scope"
    go_on: "GoOn"


class _Read(NamedTuple):
    """One that was read: it holds receipts, and nothing else."""

    scope: "Scope"
    go_on: "GoOn"
    account: "Account"
    content: "Content"


class Together:
    """Takes the requests that one turn of the event loop brings; what is no plain receipt goes on in a task.

    They are parsed one after the other, then read one after the other: to turn from one to the other for each
    costs a tenth more, for neither stays in the processor's cache.
    """

    def __init__(self, receipts: "Receipts") -> None:
        self._receipts = receipts
        self._begun: list[_Begun] = []

    def begin(self, name: str, token: str, scope: "Scope", go_on: "GoOn") -> None:
        """Take a request that came whole, to the URL with the account's `name` and `token`."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._take)
        self._begun.append(_Begun(name, token, scope, go_on))

    def _take(self) -> None:
        begun, self._begun = self._begun, []
        until = self._receipts.until()
        every = [read for each in begun if (read := self._read(each, until))]
        if not every:
            return
        reports: list[Reported] = []
        for each in every:
            reports += each.content.reports
        collector: Collector = every[0].scope["state"]["collector"]
        stored: asyncio.Future[list[Received]] = asyncio.ensure_future(collector.store(reports, until))
        stored.add_done_callback(partial(self._end, every, until))

    def _read(self, begun: _Begun, until: float) -> _Read | None:
        """Return what a request holds; None where it goes on in a task."""
        name, token, scope, go_on = begun
        try:
            found = self._receipts.find(name, token, scope["method"])
            body = body_at_hand(scope)
            if found is None or body is None:
                go_on(partial(self._receipts.serve, name, token))
                return None
            account, verified = found
            content = self._receipts.reader.read(account, verified, scope, body)
        except Exception as error:  # noqa: BLE001 - as of any other task: the server logs it, and answers 500
            go_on(partial(_fail, error))
            return None
        if content.reports and not content.arrivals:
            return _Read(scope, go_on, account, content)
        go_on(partial(self._receipts.finish, account, content, until=until))
        return None

    def _end(self, every: list[_Read], until: float, stored: "asyncio.Future[list[Received]]") -> None:
        """Answer requests whose receipts are stored. Where they are not, tasks tell."""
        is_stored = stored.exception() is None
        for scope, go_on, account, content in every:
            if not (is_stored and write_ok(scope)):
                go_on(partial(self._receipts.finish, account, content, until=until, stored=stored))


async def _fail(error: Exception, _scope: "Scope", _receive: "Receive", _send: "Send") -> None:
    raise error
