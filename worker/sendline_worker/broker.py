"""Celery's way to Redis, made to survive a Redis that refuses.

kombu goes on after a lost connection, and ends the worker where Redis answers with an error. Out of memory,
with a full disk, or for the moments in which it is a replica, Redis answers, and gets over it.

A wake is a hint, and is taken from its queue for good. What kombu would keep of it until it is acknowledged
needs memory that Redis may not have, and a connection that may be gone by then, which ends the worker too.
"""

from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from redis import exceptions

SCHEMES: Final = ("redis", "rediss")


class QoS(redis.QoS):
    """Counts the wakes in hand, which bounds how many are taken, and keeps nothing of them in Redis."""

    restore_at_shutdown = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Take a wake in hand."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Be done with it."""
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Be done with it; the tick wakes somebody where work waits."""
        virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_: Any, **__: Any) -> None:
        """Do nothing: nothing was kept."""

    def restore_unacked(self, client: Any = None) -> None:
        """Do nothing: nothing was kept."""


class Channel(redis.Channel):
    """A channel with such wakes."""

    QoS = QoS


class Transport(redis.Transport):
    """kombu's transport, for which an error that Redis answers is as a lost connection."""

    Channel = Channel
    connection_errors = (*redis.Transport.connection_errors, exceptions.ResponseError)


def install() -> None:
    """Let this process' Celery use it for URLs of Redis."""
    for scheme in SCHEMES:
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
