"""The two ways to the ledger, sync and async: both run the same calls, each within its time."""

import asyncio
import os
import time
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sendline.ledger import resolving
from sendline.ledger.address import Address
from sendline.ledger.async_link import AsyncLink, LoopLinks
from sendline.ledger.faults import explain
from sendline.ledger.lineage import Lineage
from sendline.ledger.link import Link, left
from sendline.ledger.replies import ErrorReply, Garbled, accepted, packed

if TYPE_CHECKING:
    from sendline.ledger.call import Call

T = TypeVar("T")

BACKOFF: Final = 0.02
"""Seconds before a call is tried again whose new connection failed.

Every verb has its effect once however often it arrives, so one more try is safe.
"""
_FAULTS: Final = (OSError, Garbled, ErrorReply)
_NO_SCRIPT: Final = "NOSCRIPT"


class Ledger:
    """The sync way to the ledger. Safe across threads and forks."""

    def __init__(self, url: str, *, timeout: float = 2.0, max_connections: int = 50) -> None:
        """Prepare, without connecting. `timeout` in seconds bounds a call, whatever the server does."""
        self.url = url
        self.timeout = timeout
        self._address = Address.parse(url)
        self._most = max_connections
        self._lineage = Lineage()
        self._links: set[Link] = set()
        self._idle: list[Link] = []
        self._begin()
        _ledgers.add(self)
        weakref.finalize(self, _close_all, self._links)

    def run(self, call: "Call[T]", until: float | None = None) -> T:
        """Run `call` and return what it reads; `until`, an instant of the monotonic clock, may end it sooner.

        Raises LedgerUnavailable or LedgerRefused.
        """
        until = monotonic() + self.timeout if until is None else until
        try:
            self._take_turn(until)
            try:
                reply = self._send(call, until)
            finally:
                self._turns.put(None)
        except _FAULTS as error:
            raise explain(error, self.url) from error
        return call.answer(reply, self._lineage)

    def close(self) -> None:
        """Close every connection; one that is in use, once its call has ended."""
        unused, self._idle = self._idle, []
        for link in unused:
            self._drop(link)

    def forget(self) -> None:
        """Leave the connections to the parent: this process is the child of a fork."""
        _close_all(self._links)
        self._begin()

    def _begin(self) -> None:
        self._turns: SimpleQueue[None] = SimpleQueue()  # a Semaphore takes ten times as long
        for _ in range(self._most):
            self._turns.put(None)
        self._idle = []

    def _take_turn(self, until: float) -> None:
        try:
            self._turns.get(timeout=left(until))
        except Empty:
            raise TimeoutError from None

    def _send(self, call: "Call[T]", until: float) -> Any:
        seen = self._lineage.packed
        reply = self._ask(packed(call.command(seen)), until)
        if isinstance(reply, ErrorReply) and str(reply).startswith(_NO_SCRIPT):
            reply = self._ask(packed(call.command_with_source(seen)), until)
        return accepted(reply)

    def _ask(self, command: bytes, until: float) -> Any:
        try:
            link = self._idle.pop()
        except IndexError:
            link = None
        try:
            return self._through(link or self._open(until), command, until)
        except OSError:
            if monotonic() >= until:
                raise
        if link is None:
            time.sleep(min(BACKOFF, left(until)))
        self.close()  # what cut one connection has cut the others
        return self._through(self._open(until), command, until)

    def _open(self, until: float) -> Link:
        link = Link(self._address, until)
        self._links.add(link)
        return link

    def _through(self, link: Link, command: bytes, until: float) -> Any:
        idle = self._idle
        try:
            reply = link.ask(command, until)
        except BaseException:
            self._drop(link)
            raise
        if idle is self._idle:
            idle.append(link)
        else:  # closed meanwhile
            self._drop(link)
        return reply

    def _drop(self, link: Link) -> None:
        self._links.discard(link)
        link.close()


def _close_all(links: "set[Link] | set[AsyncLink]") -> None:
    while links:
        links.pop().close()


class AsyncLedger:
    """The async way to the ledger. Each event loop has connections of its own; safe across forks."""

    def __init__(self, url: str, *, timeout: float = 2.0, max_connections: int = 50) -> None:
        """Prepare, without connecting. `timeout` in seconds bounds a call, whatever the server does."""
        self.url = url
        self.timeout = timeout
        self._address = Address.parse(url)
        self._most = max_connections
        self._lineage = Lineage()
        self._heres: list[LoopLinks] = []
        _ledgers.add(self)
        weakref.finalize(self, _forget_all, self._heres)

    async def run(self, call: "Call[T]", until: float | None = None) -> T:
        """Run `call` and return what it reads; `until`, an instant of the monotonic clock, may end it sooner.

        Raises LedgerUnavailable or LedgerRefused.
        """
        until = monotonic() + self.timeout if until is None else until
        here = self._here()
        try:
            async with asyncio.timeout(left(until)), here.free:
                reply = await self._send(here, call, until)
        except _FAULTS as error:
            raise explain(error, self.url) from error
        return call.answer(reply, self._lineage)

    async def aclose(self) -> None:
        """Close every connection, of all loops; one that is in use, once its call has ended."""
        for here in tuple(self._heres):
            here.close()

    def forget(self) -> None:
        """Leave the connections to the parent: this process is the child of a fork."""
        _forget_all(self._heres)

    def _here(self) -> LoopLinks:
        loop = asyncio.get_running_loop()
        heres = tuple(self._heres)  # loops of other threads come and go meanwhile
        for here in heres:
            if here.of() is loop:
                return here
        for here in heres:
            if here.is_over():
                here.close()
                with suppress(ValueError):
                    self._heres.remove(here)
        here = LoopLinks(loop, self._most)
        self._heres.append(here)
        return here

    async def _send(self, here: LoopLinks, call: "Call[T]", until: float) -> Any:
        seen = self._lineage.packed
        reply = await self._ask(here, packed(call.command(seen)), until)
        if isinstance(reply, ErrorReply) and str(reply).startswith(_NO_SCRIPT):
            reply = await self._ask(here, packed(call.command_with_source(seen)), until)
        return accepted(reply)

    async def _ask(self, here: LoopLinks, command: bytes, until: float) -> Any:
        link = here.idle.pop() if here.idle else None
        try:
            return await self._through(here, link or await self._open(here, until), command)
        except OSError:
            if monotonic() >= until:
                raise
        if link is None:
            await asyncio.sleep(BACKOFF)
        here.close()  # what cut one connection has cut the others
        return await self._through(here, await self._open(here, until), command)

    async def _open(self, here: LoopLinks, until: float) -> AsyncLink:
        link = await AsyncLink.open(self._address, until)
        here.links.add(link)
        return link

    async def _through(self, here: LoopLinks, link: AsyncLink, command: bytes) -> Any:
        idle = here.idle
        try:
            reply = await link.ask(command)
        except BaseException:
            here.drop(link)
            raise
        if idle is here.idle:
            idle.append(link)
        else:  # closed meanwhile
            here.drop(link)
        return reply


def _forget_all(heres: list[LoopLinks]) -> None:
    while heres:
        _close_all(heres.pop().links)


_ledgers: "weakref.WeakSet[Ledger | AsyncLedger]" = weakref.WeakSet()


def _in_the_child() -> None:
    resolving.forget()
    for ledger in list(_ledgers):
        ledger.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
