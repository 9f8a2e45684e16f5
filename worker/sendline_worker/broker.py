"""Celery's way to Redis, made to survive a Redis that refuses.

kombu goes on after a lost connection, and ends the worker where Redis answers with an error. Out of memory,
with a full disk, or for the moments in which it is a replica, Redis answers, and gets over it.
"""

from typing import Final

from kombu.transport import TRANSPORT_ALIASES, redis
from redis import exceptions

SCHEMES: Final = ("redis", "rediss")


class Transport(redis.Transport):
    """kombu's transport, for which an error that Redis answers is as a lost connection."""

    connection_errors = (*redis.Transport.connection_errors, exceptions.ResponseError)


def install() -> None:
    """Let this process' Celery use it for URLs of Redis."""
    for scheme in SCHEMES:
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
