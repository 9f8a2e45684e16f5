"""Somebody who knows the provider's ids and reports what is not so, with every token but the right one."""

import contextlib
import json
import random
from collections import Counter
from typing import Final, Self

import httpx
from pydantic import SecretStr

from reported.ground import Ground, key_of
from reported.messages import ACCOUNTS
from sendline.contract import ids
from sendline_worker.simulator.client import Received
from sendline_worker.simulator.face import fingerprint
from sendline_worker.tokens import CallbackUrls

NEVER_DELIVERED: Final = frozenset({"silent", "sent_only", "undelivered", "early_undelivered"})
"""Of these the forger says that they were delivered; of all others, that they were not."""
ANOTHERS: Final = "another account's own URL"
"""The one that is no lie about who reports: it is taken, and concerns none of that account's messages."""
PAGE: Final = 100
"""Entries of the log in one step."""
SIGNATURE: Final = 43
"""Characters of a token's signature."""
OWNERS: Final = {fingerprint(key_of(name)): name for name in ACCOUNTS}
"""The account of each credential that the provider sees."""
CHANCE: Final = 0.25
"""Of each accepted message that the forger concerns himself with it."""


class Forger:
    """Reads the provider's log, which nobody outside can, and posts lies to the receiver."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self._ground = ground
        self._rng = random.Random(f"{seed} forger")
        self._urls = ground.urls
        self._stolen = CallbackUrls(ground.receiver_url, (SecretStr("a key of the forger's own"),))
        self._http = httpx.Client(timeout=5, trust_env=False)
        self._after = 0
        self.posted: Counter[tuple[str, str]] = Counter()
        """How often which forgery got which answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def step(self) -> None:
        """Forge receipts of some of what the provider accepted, from where the last step ended."""
        for received in self._ground.simulator.log(self._after, PAGE):
            self._after = received.n
            if received.provider_id is not None and self._rng.random() < CHANCE:
                self._forge(received, received.provider_id)

    def _forge(self, received: Received, provider_id: str) -> None:
        own = OWNERS[received.account]
        [other] = set(ACCOUNTS) - {own}
        right = str(self._urls.account_url(own))
        one, two = (str(self._urls.message_url(own, ids.new_id())) for _ in range(2))
        forgeries = {
            "a wrong token": f"{right[:-5]}{'AAAAA' if right[-5:] != 'AAAAA' else 'BBBBB'}",
            "no token": right.rpartition("/")[0] + "/",
            "a forger's key": str(self._stolen.account_url(own)),
            "the token of another account": right.replace(f"/{own}/", f"/{other}/"),
            "the signature for another message": one[:-SIGNATURE] + two[-SIGNATURE:],
            ANOTHERS: str(self._urls.account_url(other)),
        }
        kind = self._rng.choice(list(forgeries))
        with contextlib.suppress(httpx.TransportError):  # the receiver may be away
            answered = self._http.post(forgeries[kind], content=_lie(received, provider_id)).status_code
            self.posted[kind, answered] += 1


def _lie(received: Received, provider_id: str) -> bytes:
    status = "delivered" if received.behaviour in NEVER_DELIVERED else "delivery_failed"
    to = [{"phone_number": received.recipient, "status": status}]
    payload = {"id": provider_id, "direction": "outbound", "to": to}
    return json.dumps({"data": {"event_type": "message.finalized", "payload": payload}}).encode()
