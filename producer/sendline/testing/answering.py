"""The ledger's place in a recording producer: it answers the very calls that Redis would get, from memory."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sendline.contract.errors import SendlineError
from sendline.ledger.keys import KEYS
from sendline.ledger.record import pack, unpack
from sendline.ledger.scripts import Script
from sendline.testing.accepting import Accepting
from sendline.testing.campaigning import Campaigning
from sendline.testing.erasing import Erasing
from sendline.testing.moves import Moves

if TYPE_CHECKING:
    from sendline.ledger.call import Call
    from sendline.testing.memory import Memory

T = TypeVar("T")
Arguments = Sequence[Any]

_IDEMPOTENCY: Final = KEYS["idempotency"].encode()
_STREAM_FIELDS: Final = {KEYS["events"]: b"e", KEYS["inbound"]: b"m"}


class NotInMemory(SendlineError, NotImplementedError):
    """A recording producer can't answer this: it needs a real ledger."""


class MemoryLedger:
    """Answers calls at once. What it can't answer it refuses by name: it makes nothing up."""

    timeout: Final = 2.0
    """As of a real one; nothing ever takes so long."""

    def __init__(self, memory: "Memory") -> None:
        """Answer from `memory`."""
        self.memory = memory
        self.moves = Moves(memory)
        self.campaigns = Campaigning(memory, self.moves)
        accepting, erasing = Accepting(memory, self.moves), Erasing(memory, self.moves)
        self._answers: dict[str, Callable[[Arguments], Any]] = {
            "accept": accepting.accept,
            "enlist": accepting.enlist,
            "found": self.campaigns.found,
            "steer": self.campaigns.steer,
            "cancel": self._cancel,
            "erase": erasing.erase,
            "forget": erasing.forget,
            "SMISMEMBER": self._were_erased,
            "inbound": self._take_in,
            "PING": lambda _: b"PONG",
            "CONFIG": lambda _: [b"appendonly", b"yes", b"appendfsync", b"always"],
            "recall": lambda arguments: [self._record(each) for each in arguments],
            "GET": lambda arguments: self._directory(arguments[0]),
            "MGET": lambda arguments: [self._remembered(key) for key in arguments],
            "HGET": lambda arguments: self._newest(*arguments),
            "HGETALL": lambda arguments: self._hash(arguments[0]),
            "XRANGE": lambda arguments: self._entries(arguments[0], 0, 1),
            "XREAD": self._read,
            "LRANGE": self._members,
            "LLEN": lambda arguments: len(self._member_ids(arguments[0])),
        }

    def run(self, call: "Call[T]", *_: Any, **__: Any) -> T:
        """Return what `call` reads. Raises NotInMemory, and what Outbox.fail_next() was given."""
        name = call.target.name if isinstance(call.target, Script) else call.target
        answer = self._answers.get(name)
        if answer is None:
            raise not_in_memory(name)
        with self.memory.lock:
            self.campaigns.look_after()
            reply = answer(call.arguments)
            self.campaigns.look_after()
            return call.read(reply)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _record(self, message_id: bytes) -> bytes | None:
        entry = self.memory.entries.get(message_id)
        return entry.raw() if entry else None

    def _directory(self, key: Any) -> bytes | None:
        if key != KEYS["directory"]:
            raise not_in_memory("a read of this key")
        return self.memory.directory_json()

    def _remembered(self, key: Any) -> bytes | None:
        if not isinstance(key, bytes) or not key.startswith(_IDEMPOTENCY):
            raise not_in_memory("a read of this key")
        first, content, until = self.memory.keys.get(key.removeprefix(_IDEMPOTENCY), (b"", b"", 0))
        return first + content if until > self.memory.now() else None

    def _cancel(self, arguments: Arguments) -> bytes | None:
        entry = self.memory.entries.get(arguments[1])
        if entry is None:
            return None
        self.moves.cancel(entry)
        return entry.raw()

    def _hash(self, key: str) -> list[bytes]:
        if key == KEYS["counts"]:
            fields: dict[str, Any] = dict(self.memory.counts())
        elif key.startswith(KEYS["campaign"]):
            fields = self.campaigns.hash_of(key.removeprefix(KEYS["campaign"]))
        else:
            raise not_in_memory("a read of this key")
        pairs = ((name, value if isinstance(value, bytes) else str(value)) for name, value in fields.items())
        return [each.encode() if isinstance(each, str) else each for pair in pairs for each in pair]

    def _stream(self, key: str) -> list[bytes]:
        if key not in _STREAM_FIELDS:
            raise not_in_memory("a read of this stream")
        return self.memory.events if key == KEYS["events"] else self.memory.inbound

    def _newest(self, key: str, field: str) -> bytes:
        streams = {"seq": KEYS["events"], "inbound": KEYS["inbound"]}
        if key != KEYS["meta"] or field not in streams:
            raise not_in_memory("a read of this field")
        return str(len(self._stream(streams[field]))).encode()

    def _entries(self, key: str, after: int, most: int) -> list[Any]:
        found = enumerate(self._stream(key)[after:], after + 1)
        kept = islice(((seq, raw) for seq, raw in found if raw), most)
        return [[f"{seq}-0".encode(), [_STREAM_FIELDS[key], raw]] for seq, raw in kept]

    def _were_erased(self, arguments: Arguments) -> list[int]:
        key, *numbers = arguments
        if key != KEYS["inbound_erased"]:
            raise not_in_memory("a read of this key")
        return [int(not self.memory.inbound[number - 1]) for number in numbers]

    def _read(self, arguments: Arguments) -> list[Any] | None:
        """Answer XREAD at once: who waits for more would wait for the test itself."""
        key, behind = arguments[-2:]
        found = self._entries(key, int(behind.split("-")[0]), arguments[1])
        return [[key, found]] if found else None

    def _member_ids(self, key: str) -> list[bytes]:
        if not key.startswith(KEYS["members"]):
            raise not_in_memory("a read of this list")
        campaign = self.memory.campaigns.get(key.removeprefix(KEYS["members"]))
        return campaign.members if campaign else []

    def _members(self, arguments: Arguments) -> list[bytes]:
        key, first, last = arguments
        return self._member_ids(key)[first : last + 1]

    def _take_in(self, arguments: Arguments) -> list[int]:
        return [self._arrive(*unpack(raw)) for raw in arguments[1:]]

    def _arrive(self, account: bytes, digest: bytes, provider_id: bytes, sender: bytes, *said: bytes) -> int:
        to, text, keyword = said
        memory = self.memory
        if digest in memory.inbound_seen:
            return 0
        memory.inbound_seen.add(digest)
        memory.inbound.append(pack([account, sender, to, text, memory.now(), keyword, provider_id]))
        if keyword == b"stop":
            memory.suppressed.add(sender.decode())
        elif keyword == b"start":
            memory.suppressed.discard(sender.decode())
        return 1


class AsyncMemoryLedger:
    """The same, awaited."""

    timeout: Final = MemoryLedger.timeout

    def __init__(self, memory: "Memory") -> None:
        """Answer from `memory`."""
        self._ledger = MemoryLedger(memory)

    async def run(self, call: "Call[T]", *_: Any, **__: Any) -> T:
        """Return what `call` reads. Raises NotInMemory, and what Outbox.fail_next() was given."""
        return self._ledger.run(call)

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def not_in_memory(what: str) -> NotInMemory:
    """Return the error of something that is not kept in memory."""
    return NotInMemory(f"{what}: not kept in memory; test this against a real ledger (see docs/testing.md)")
