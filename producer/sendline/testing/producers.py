"""Producers that send nothing: real ones in all but the ledger."""

from typing import TYPE_CHECKING, Any

from sendline.producer import AsyncProducer, Producer
from sendline.testing.answering import AsyncMemoryLedger, MemoryLedger
from sendline.testing.core import RecordingCore
from sendline.testing.outbox import Outbox

if TYPE_CHECKING:
    from sendline.settings import Settings
    from sendline.testing.memory import Accounts


def default_settings() -> "Settings":
    """Return settings into which nothing of the machine leaks: no variable, no file."""
    from sendline.settings import Settings  # noqa: PLC0415 - as opening.py does

    return Settings.model_construct()


class RecordingProducer(Producer):
    """A Producer that keeps what it is given in an outbox, and sends nothing.

    producer = RecordingProducer()
    message = producer.send(to="+13115552367", text="Your code is 4711")
    producer.outbox.deliver(message)

    It checks, answers and refuses as the real one does. Nothing waits: wait() raises NotFinal at once where
    the message is not final, and the iterators end where there is nothing more.
    """

    def __init__(
        self,
        *,
        settings: "Settings | None" = None,
        accounts: "Accounts | None" = None,
        outbox: Outbox | None = None,
    ) -> None:
        """Follow `settings` (default: Sendline's own defaults; neither environment nor sendline.toml).

        `accounts`, names with their senders, stand for what workers publish; without any, every name of an
        account and every sender will do. `outbox` is one to share with others: it has its own accounts.
        """
        self.outbox = outbox or Outbox(accounts)
        self._core = RecordingCore(settings or default_settings(), self.outbox)
        self._ledger: Any = MemoryLedger(self.outbox._memory)


class AsyncRecordingProducer(AsyncProducer):
    """An AsyncProducer that keeps what it is given in an outbox, and sends nothing. See RecordingProducer."""

    def __init__(
        self,
        *,
        settings: "Settings | None" = None,
        accounts: "Accounts | None" = None,
        outbox: Outbox | None = None,
    ) -> None:
        """Take the same as RecordingProducer()."""
        self.outbox = outbox or Outbox(accounts)
        self._core = RecordingCore(settings or default_settings(), self.outbox)
        self._ledger: Any = AsyncMemoryLedger(self.outbox._memory)
