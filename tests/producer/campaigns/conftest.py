"""What tests of campaigns stand on: a producer whose accounts are known, and claims by hand."""

from collections.abc import Iterator

import pytest

from sendline import Producer
from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger import work
from sendline.ledger.limits import Limits
from sendline.settings import Settings


@pytest.fixture
def producer(redis_url, publish) -> Iterator[Producer]:
    """A producer of an empty ledger with one account."""
    publish("main")
    with Producer(settings=Settings(redis_url=redis_url, durability="memory")) as made:
        yield made


class Hands:
    """A dispatcher by hand: claims, settles, ticks."""

    def __init__(self, ledger) -> None:
        self.ledger = ledger
        self.limits = Limits()
        self._calls = 0
        self._settles = 0

    def claim(self, room: int = 64) -> list[work.Claim]:
        self._calls += 1
        request = work.ClaimRequest(
            dispatcher="d", number=self._calls, room=room, room_below_urgent=room, lease=90, horizon=2,
            promise=3, may_sign_off=False,
        )  # fmt: skip
        return list(self.ledger.run(work.claim(self.limits, request)).claims)

    def settle(self, claims, target=Status.SENT, **fields) -> list[str]:
        self._settles += 1
        is_sent = target is Status.SENT
        settlements = [
            work.Settlement(
                message_id=claim.message_id,
                token=claim.token,
                account=claim.account,
                target=target,
                provider_id=ids.to_text(claim.message_id) if is_sent else None,
                **fields,
            )
            for claim in claims
        ]
        return self.ledger.run(work.settle(self.limits, "d", self._settles, settlements))

    def send_all(self, target=Status.SENT, **fields) -> int:
        """Claim and settle until nothing is left that may go."""
        number = 0
        while claims := self.claim():
            self.settle(claims, target, **fields)
            number += len(claims)
        return number

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.ledger.run(work.tick(self.limits, "w", lock=2.5, most=500))


@pytest.fixture
def hands(ledger) -> Hands:
    """Claims, settles and ticks by hand."""
    return Hands(ledger)
