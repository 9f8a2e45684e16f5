"""Sends messages under faults, and says at the end what became of each: by the ledger and the provider."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from parts import audit_findings
from sendline import Message, Producer, Status
from sendline.settings import Settings
from sendline_worker.simulator.client import SimulatorClient
from waiting import poll

UNSETTLED = (Status.CREATED, Status.SENDING, Status.RETRYING, Status.SENT)
RECIPIENTS = 9000
"""From 9000 on the simulator misbehaves by number."""


class Judge:
    """Knows what `send()` accepted, and holds it against the ledger and the simulator's log."""

    def __init__(self, settings: Settings, simulator: SimulatorClient) -> None:
        self.producer = Producer(settings=settings)
        self.accepted: dict[str, str] = {}
        """Every accepted message's text, which is its own, by its id."""
        self._settings = settings
        self._simulator = simulator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.producer.close()

    def send(self, number: int, tag: str, **fields: Any) -> list[str]:
        """Accept `number` messages; return their ids."""
        return self.note(self.producer.send_many(drafts(number, tag, **fields)))

    def note(self, messages: Iterable[Message]) -> list[str]:
        """Remember what another producer accepted; return the ids."""
        new = {message.id: message.text or "" for message in messages}
        self.accepted |= new
        return list(new)

    def statuses(self, ids: Iterable[str] | None = None) -> dict[str, Status]:
        """What the ledger says of each."""
        return {each: self.producer.get(each).status for each in (self.accepted if ids is None else ids)}

    def await_sent(self, number: int, tag: str, timeout: float = 30) -> None:
        """Wait until the provider has accepted `number` messages with `tag`."""
        poll(lambda: self.sent(tag).total() >= number, timeout, every=0.02)

    def await_settled(self, timeout: float = 40, ids: Iterable[str] | None = None) -> None:
        """Wait until nothing waits, is on the wire, or has its receipt to come."""
        if ids is not None:
            poll(lambda: not set(self.statuses(ids).values()) & set(UNSETTLED), timeout, every=0.1)
            return
        try:
            poll(lambda: not any(self.producer.counts()[each] for each in UNSETTLED), timeout, every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.producer.counts()}") from None

    def sent(self, tag: str = "") -> Counter[str]:
        """How often the provider accepted each text that begins with `tag`."""
        entries = self._simulator.whole_log()
        return Counter(
            entry.text for entry in entries if entry.provider_id and (entry.text or "").startswith(tag)
        )

    def check(self, ids: Iterable[str] | None = None, *, uncertain: int = 0) -> Counter[Status]:
        """Nothing was lost, nothing doubled, nobody lies; at most `uncertain` messages have an unknown fate.

        Return how many have each status.
        """
        times = self.sent()
        statuses = self.statuses(ids)
        assert [text for text, number in times.items() if number > 1] == [], "sent twice"
        lies = [
            f"{status}: {self.accepted[id_]}"
            for id_, status in statuses.items()
            if self._lies(id_, status, times)
        ]
        assert lies == [], "the ledger says what the provider does not"
        counts = Counter(statuses.values())
        assert counts[Status.DELIVERED] + counts[Status.UNCERTAIN] == len(statuses), counts
        assert counts[Status.UNCERTAIN] <= uncertain, counts
        return counts

    def audit(self) -> None:
        """The ledger is sound."""
        assert audit_findings(self._settings) == ()

    def _lies(self, message_id: str, status: Status, times: Counter[str]) -> bool:
        number = times[self.accepted[message_id]]
        return (status is Status.DELIVERED and number == 0) or (status is Status.FAILED and number > 0)


def drafts(number: int, tag: str, **fields: Any) -> list[dict[str, Any]]:
    """Messages with texts of their own, to ordinary recipients."""
    return [
        {"to": f"+1311555{place % RECIPIENTS:04d}", "text": f"{tag} {place}", **fields}
        for place in range(number)
    ]
