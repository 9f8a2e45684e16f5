"""The two ways to the ledger, sync and async: both run the same calls, each within its time."""

import asyncio
import os
import threading
import time
import weakref
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sendline.ledger.address import Address
from sendline.ledger.async_link import AsyncLink, LoopLinks
from sendline.ledger.faults import explain
from sendline.ledger.lineage import Lineage
from sendline.ledger.link import Link, left
from sendline.ledger.replies import ErrorReply, Garbled, accepted, has_moved, is_full, is_unknown, packed
from sendline.ledger.turns import NoTurn, Turns

if TYPE_CHECKING:
    from sendline.ledger.call import Call

T = TypeVar("T")

BACKOFF: Final = 0.02
"""Seconds before a call is tried again whose new connection failed.

Every verb has its effect once however often it arrives, so one more try is safe.
"""
_FAULTS: Final = (OSError, Garbled, ErrorReply)


class Ledger:
    """The sync way to the ledger. Safe across threads and forks."""

    def __init__(self, url: str, *, timeout: float = 2.0, max_connections: int = 50) -> None:
        """Prepare, without connecting. `timeout` in seconds bounds a call, whatever the server does."""
        self.url = url
        self.timeout = timeout
        self._address = Address.parse(url)
        self._most = max_connections
        self._lineage = Lineage()
        self._links: weakref.WeakSet[Link] = weakref.WeakSet()
        self._idle: list[Link] = []
        self._begin()
        _ledgers.add(self)
        weakref.finalize(self, _close_all, self._links)

    def run(self, call: "Call[T]", until: float | None = None) -> T:
        """Run `call` and return what it reads; `until`, an instant of the monotonic clock, may end it sooner.

        Raises LedgerUnavailable or LedgerRefused.
        """
        if self._pid != os.getpid():
            self.forget()
        until = monotonic() + self.timeout if until is None else until
        turns = self._turns
        try:
            turn = turns.take(until)
            try:
                reply = self._send(call, until)
            except TimeoutError:
                self._drop_idle()
                raise
            finally:
                turns.give_back(turn)
        except _FAULTS as error:
            raise explain(error, self.url) from error
        return call.answer(reply, self._lineage)

    def close(self) -> None:
        """Close every connection; one that is in use, once its call has ended."""
        unused, self._idle = self._idle, []
        with suppress(IndexError):
            while True:
                self._drop(unused.pop())

    def forget(self) -> None:
        """Leave the connections to the parent, where this process is the child of a fork."""
        with _forgetting:
            if self._pid != os.getpid():
                _close_all(self._links)
                self._begin()

    def _begin(self) -> None:
        self._turns = Turns(self._most)
        self._idle = []
        self._pid = os.getpid()  # not every fork is told to Python: uWSGI's are not

    def _send(self, call: "Call[T]", until: float) -> Any:
        seen = self._lineage.packed
        reply = self._ask(packed(call.command(seen)), until)
        if is_unknown(reply):
            loaded = self._ask(packed(call.loading()), until)
            reply = self._ask(packed(call.again(loaded, seen)), until)
        elif is_full(reply):
            reply = self._ask(packed(call.unkept(seen)), until)
        return accepted(reply)

    def _ask(self, command: bytes, until: float) -> Any:
        link: Link | None
        try:
            link = self._idle.pop()
        except IndexError:
            link = None
        try:
            reply = self._through(link or self._open(until), command, until)
            if link is None or not has_moved(reply):
                return reply
        except OSError:
            if monotonic() >= until:
                raise
            if link is None:
                time.sleep(min(BACKOFF, left(until)))
        self._drop_idle()
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
        idle.append(link)
        if idle is not self._idle:  # closed meanwhile
            with suppress(ValueError):
                idle.remove(link)
                self._drop(link)
        return reply

    def _drop_idle(self) -> None:
        """Close the connections that nobody uses: what ails one ails the others."""
        with suppress(IndexError):
            while True:
                self._drop(self._idle.pop())

    def _drop(self, link: Link) -> None:
        self._links.discard(link)
        link.close()


def _close_all(links: "weakref.WeakSet[Link] | set[AsyncLink]") -> None:
    every: tuple[Link | AsyncLink, ...] = tuple(links)
    for link in every:
        link.close()
    links.clear()


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
        self._pid = os.getpid()
        _ledgers.add(self)
        weakref.finalize(self, _forget_all, self._heres)

    async def run(self, call: "Call[T]", until: float | None = None) -> T:
        """Run `call` and return what it reads; `until`, an instant of the monotonic clock, may end it sooner.

        Raises LedgerUnavailable or LedgerRefused.
        """
        if self._pid != os.getpid():
            self.forget()
        until = monotonic() + self.timeout if until is None else until
        here = self._here()
        is_crowded, has_turn = here.free.locked(), False
        try:
            async with asyncio.timeout(left(until)), here.free:
                has_turn = True
                reply = await self._send(here, call, until)
        except TimeoutError as error:
            if has_turn:
                here.drop_idle()
            raise explain(NoTurn(self._most) if is_crowded and not has_turn else error, self.url) from error
        except _FAULTS as error:
            raise explain(error, self.url) from error
        return call.answer(reply, self._lineage)

    async def aclose(self) -> None:
        """Close every connection, of all loops; one that is in use, once its call has ended."""
        for here in tuple(self._heres):
            here.close()

    def forget(self) -> None:
        """Leave the connections to the parent, where this process is the child of a fork."""
        with _forgetting:
            if self._pid != os.getpid():
                _forget_all(self._heres)
                self._pid = os.getpid()

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
        if is_unknown(reply):
            loaded = await self._ask(here, packed(call.loading()), until)
            reply = await self._ask(here, packed(call.again(loaded, seen)), until)
        elif is_full(reply):
            reply = await self._ask(here, packed(call.unkept(seen)), until)
        return accepted(reply)

    async def _ask(self, here: LoopLinks, command: bytes, until: float) -> Any:
        link: AsyncLink | None
        try:
            link = here.idle.pop()
        except IndexError:
            link = None
        try:
            reply = await self._through(here, link or await self._open(here, until), command)
            if link is None or not has_moved(reply):
                return reply
        except OSError:
            if monotonic() >= until:
                raise
            if link is None:
                await asyncio.sleep(BACKOFF)
        here.drop_idle()
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
        idle.append(link)
        if idle is not here.idle:  # closed meanwhile, perhaps by another thread
            with suppress(ValueError):
                idle.remove(link)
                here.drop(link)
        return reply


def _forget_all(heres: list[LoopLinks]) -> None:
    while heres:
        _close_all(heres.pop().links)


_forgetting = threading.Lock()
_ledgers: "weakref.WeakSet[Ledger | AsyncLedger]" = weakref.WeakSet()


def _in_the_child() -> None:
    global _forgetting  # noqa: PLW0603 - another thread of the parent may have held it
    _forgetting = threading.Lock()
    for ledger in list(_ledgers):
        ledger.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
