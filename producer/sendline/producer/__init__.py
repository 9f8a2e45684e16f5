"""What a web app calls: two faces, sync and async, of one logic."""

from sendline.producer.aio import AsyncProducer
from sendline.producer.sync import Producer

__all__ = ["AsyncProducer", "Producer"]
