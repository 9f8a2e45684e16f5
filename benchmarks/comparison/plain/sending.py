"""Sends SMS with Celery, one task a message, as a good engineer writes it in an afternoon.

Acks are late, so that a message outlives a worker that dies; each thread keeps its connections to the
provider alive; what surely failed is tried again; nothing is done that is not needed: no result backend, no
events, one status hash a message in the broker's Redis.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import redis
from celery import Celery
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

QUEUE, URGENT = "sms", "urgent"


def make_app(redis_url: str, sms_url: str = "", headers: Mapping[str, str] | None = None) -> Celery:
    """Return the app, of a worker or of a web app that only enqueues."""
    app = Celery("plain", broker=broker_of(redis_url), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_track_started=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 3600},
    )
    app.task(name="send_sms", shared=False)(
        sender_of(redis.Redis.from_url(redis_url), sms_url, headers or {})
    )
    return app


def sender_of(statuses: "redis.Redis", url: str, headers: Mapping[str, str]) -> Callable[..., None]:
    """Return the task: post a message, write down what became of it."""
    local = threading.local()

    def client() -> httpx.Client:
        """Return the client of this thread; one for all threads costs more, for they wait for each other."""
        if not hasattr(local, "client"):
            local.client = httpx.Client(headers=dict(headers), timeout=20)
        made: httpx.Client = local.client
        return made

    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(5),
        wait=wait_exponential_jitter(0.5),
        reraise=True,
    )
    def post(to: str, sender: str, text: str) -> Any:
        answer = client().post(url, json={"from": sender, "to": to, "text": text})
        answer.raise_for_status()
        return answer.json()

    def send_sms(message_id: str, to: str, sender: str, text: str) -> None:
        provider_id = post(to, sender, text)["payload"]["uuid"]
        statuses.hset(f"sms:{message_id}", mapping={"status": "sent", "provider_id": provider_id})

    return send_sms


def broker_of(url: str) -> str:
    """Return the broker's URL, which names a Unix socket in words of its own."""
    return "redis+socket:" + url.removeprefix("unix:") if url.startswith("unix:") else url


class WebApp:
    """The side that enqueues."""

    def __init__(self, redis_url: str) -> None:
        self.app = make_app(redis_url)
        self.redis = redis.Redis.from_url(redis_url)
        self._task = self.app.tasks["send_sms"]

    def send(self, message_id: str, to: str, sender: str, text: str, queue: str = QUEUE) -> None:
        """Write the status, then the task."""
        self.redis.hset(f"sms:{message_id}", mapping={"status": "queued", "to": to})
        self._task.apply_async((message_id, to, sender, text), queue=queue)

    def close(self) -> None:
        """Let go of all connections."""
        self.app.close()
        self.redis.close()
