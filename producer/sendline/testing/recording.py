"""recording(): every producer of this process puts its messages into one outbox, for a while."""

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

import sendline.settings
from sendline.contract.errors import ConfigurationError
from sendline.producer import AsyncProducer, Producer, aio, sync
from sendline.testing.answering import AsyncMemoryLedger, MemoryLedger
from sendline.testing.core import RecordingCore
from sendline.testing.outbox import Outbox
from sendline.testing.producers import AsyncRecordingProducer, RecordingProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sendline.settings import Settings
    from sendline.testing.memory import Accounts, Memory

T = TypeVar("T")
NOWHERE: Final = "redis://not-configured.invalid:6379/0"
"""The ledger of a producer that was made while recording, with none configured: it can't be used after."""
_ABSENT: Final = object()


@contextmanager
def recording(
    *, settings: "Settings | None" = None, accounts: "Accounts | None" = None, outbox: Outbox | None = None
) -> "Iterator[Outbox]":
    """Keep what all producers of this process are given in one outbox, until the block ends.

    with recording() as outbox:
        app.sign_up("+13115552367")
    outbox.assert_sent(to="+13115552367", text_contains="Welcome")

    It holds for every Producer and AsyncProducer, in all threads, also for those that were made before; while
    it does they need neither Redis nor its URL. Each follows its own settings, or `settings`. `accounts`,
    names with their senders, stand for what workers publish. A RecordingProducer keeps its own outbox. At the
    end, however the block is left, all is as before.
    """
    kept = Outbox(accounts) if outbox is None else outbox
    memory = kept._memory

    def core(usual: Any) -> RecordingCore:
        return RecordingCore(settings or usual._settings, kept)

    with ExitStack() as stack:
        stack.enter_context(_put(sendline.settings, "ledger_url", _lenient(sendline.settings.ledger_url)))
        for shell in (sync, aio):
            stack.enter_context(_put(shell, "open_spool", _no_spool))
        for face, make in ((Producer, MemoryLedger), (AsyncProducer, AsyncMemoryLedger)):
            stack.enter_context(_put(face, "_core", _Instead("_core", core)))
            stack.enter_context(_put(face, "_ledger", _Instead("_ledger", partial(_ledger, make, memory))))
        yield kept


def _no_spool(_: object) -> None:
    """Open no spool: what an outage of the real ledger has left is not for a test to deliver."""


def _ledger(make: "Callable[[Memory], T]", memory: "Memory", _: object) -> T:
    return make(memory)


class _Instead:
    """What every producer has in the place of one of its own things, which it has again afterwards.

    A data descriptor: it goes before what the instance holds. What the instance is given meanwhile, it keeps.
    """

    def __init__(self, name: str, make: "Callable[[Any], Any]") -> None:
        """`make` returns what stands in for what the producer holds itself."""
        self._name, self._make = name, make
        self._made: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def __get__(self, producer: Any, face: type | None = None) -> Any:
        if producer is None:
            raise AttributeError(self._name)  # of the class: it has none
        usual = vars(producer)[self._name]
        if isinstance(producer, RecordingProducer | AsyncRecordingProducer):
            return usual
        made = self._made.get(producer)
        if made is None:
            made = self._made.setdefault(producer, self._make(usual))
        return made

    def __set__(self, producer: Any, value: Any) -> None:
        vars(producer)[self._name] = value


@contextmanager
def _put(holder: Any, name: str, value: Any) -> "Iterator[None]":
    before = vars(holder).get(name, _ABSENT)
    setattr(holder, name, value)
    try:
        yield
    finally:
        if before is _ABSENT:
            delattr(holder, name)
        else:
            setattr(holder, name, before)


def _lenient(usual: "Callable[[Settings], str]") -> "Callable[[Settings], str]":
    def ledger_url(settings: "Settings") -> str:
        try:
            return usual(settings)
        except ConfigurationError:
            return NOWHERE

    return ledger_url
