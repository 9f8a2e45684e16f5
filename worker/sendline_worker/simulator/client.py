"""A small client for the simulator's own endpoints, for tests, demos and benchmarks."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Posted:
    """One receipt that was tried. `result` is the status answered, or what went wrong."""

    report: str
    at: float
    result: str


@dataclass(frozen=True, slots=True)
class Received:
    """One request in the log. `at` is unix seconds, `answer` a status, `reset`, `hang`, `cut` or `gone`."""

    n: int
    at: float
    mono_ns: int
    provider: str
    account: str
    recipient: str
    sender: str
    text: str | None
    provider_id: str | None
    behaviour: str
    answer: str
    receipts: tuple[Posted, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts. `accepted_twice` are messages (recipient, sender and text) accepted more than once.

    `asked` are look-ups and searches; they are not among those `received`, and not in the log.
    """

    received: int
    accepted: int
    accepted_twice: int
    by_behaviour: dict[str, int]
    by_answer: dict[str, int]
    max_per_second: int
    max_per_second_by_account: dict[str, int]
    receipts_taken: int
    receipts_failed: int
    receipts_pending: int
    asked: int
    redirects_followed: int
    redirects_with_credentials: int
    first_at: float | None
    last_at: float | None


class SimulatorClient:
    """Talks to one simulator; raises httpx.HTTPError where it can't, ValueError for a mistaken argument."""

    def __init__(self, base_url: str, *, timeout: float = 10.0) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def wait_ready(self, timeout: float = 10.0) -> None:
        """Return once the simulator answers; raises TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._http.get("/_simulator/health").raise_for_status()
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no simulator answered within {timeout:g} s") from None
                time.sleep(0.02)
            else:
                return

    def log(self, after: int = 0, limit: int = 1_000) -> list[Received]:
        """Return at most `limit` (up to 10,000) entries numbered above `after`, oldest first."""
        page = self._call("GET", f"/_simulator/log?after={after}&limit={limit}")
        return [_received(entry) for entry in page["entries"]]

    def whole_log(self) -> "Iterator[Received]":
        """Return all entries that are kept, oldest first, page by page."""
        after = 0
        while page := self.log(after, 10_000):
            yield from page
            after = page[-1].n

    def summary(self) -> Summary:
        """Return the counts."""
        return Summary(**self._call("GET", "/_simulator/summary"))

    def behave(
        self,
        behaviour: str,
        *,
        count: int | None = None,
        recipient: str | None = None,
        provider: str | None = None,
        probability: float = 1.0,
        seed: int | None = None,
        delay: float | tuple[float, float] | None = None,
        retry_after: float | None = None,
        late: float | None = None,
        asking: bool = False,
    ) -> None:
        """Let the requests that fit meet `behaviour`: the next `count` of them, or all until cleared.

        `delay` (before the answer), `retry_after` and `late` (before the first receipt) are seconds.
        `asking`: the rule is for look-ups and searches, and not for sends.
        """
        rule = {
            "behaviour": behaviour, "count": count, "recipient": recipient, "provider": provider,
            "probability": probability, "seed": seed,
            "delay": delay, "retry_after": retry_after, "late": late,
            "asking": asking,
        }  # fmt: skip
        self._call("POST", "/_simulator/behaviour", rule)

    def clear(self) -> None:
        """Drop all behaviours that were set."""
        self._call("DELETE", "/_simulator/behaviour")

    def inbound(
        self,
        sender: str,
        to: str,
        text: str,
        *,
        times: int = 1,
        provider_id: str | None = None,
        provider: str | None = None,
        callback_url: str | None = None,
    ) -> tuple[str, list[str]]:
        """Let a message come in: the account's webhook is called `times` times, each once.

        Return its provider's id, made up where None, and what each call was answered: a status, or what went
        wrong. `provider` may be None where one of them reports; `callback_url`: the settings' where None.
        """
        message = {
            "from": sender, "to": to, "text": text, "times": times,
            "provider_id": provider_id, "provider": provider, "callback_url": callback_url,
        }  # fmt: skip
        answer = self._call("POST", "/_simulator/inbound", message)
        return answer["provider_id"], answer["results"]

    def reset(self) -> None:
        """Let it be as at its start."""
        self._call("POST", "/_simulator/reset")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change callback_url, shape, receipt_delay, latency or numbers; return all settings."""
        return self._call("POST", "/_simulator/settings", changes)

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = self._http.request(method, path, json=body)
        if response.status_code == httpx.codes.BAD_REQUEST:
            raise ValueError(response.json()["error"])
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def _received(entry: dict[str, Any]) -> Received:
    receipts = tuple(Posted(**each) for each in entry.pop("receipts"))
    return Received(**entry, receipts=receipts)
