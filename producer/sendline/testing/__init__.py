"""For the tests of apps that send with Sendline: producers that keep messages instead of sending them.

from sendline.testing import recording

with recording() as outbox:
    sign_up("+13115552367")
    outbox.assert_sent(to="+13115552367", text_contains="Welcome")

With pytest, the fixture `outbox` does the same. No Redis, no worker, no waiting. See docs/testing.md.
"""

from sendline.testing.answering import NotInMemory
from sendline.testing.moves import NoSuchMove
from sendline.testing.outbox import Outbox
from sendline.testing.producers import AsyncRecordingProducer, RecordingProducer
from sendline.testing.recording import recording

__all__ = [
    "AsyncRecordingProducer",
    "NoSuchMove",
    "NotInMemory",
    "Outbox",
    "RecordingProducer",
    "recording",
]
