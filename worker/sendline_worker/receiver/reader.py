"""Reads a request with a token of ours: whether it is its provider's, and what it tells."""

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import Headers, QueryParams

from sendline.ledger.rejected import BODY_KEPT, Rejected
from sendline_worker.providers.base import Hook, UnreadableReceipt
from sendline_worker.receiver.authentication import Facts, Refusal, refusal
from sendline_worker.receiver.authentication.authenticator import TOO_LARGE, UNSUPPORTED
from sendline_worker.receiver.decoding import TAKEN, NotEncoded, UnknownEncoding, decoded
from sendline_worker.receiver.exchange import BodyTooLarge, Lazy
from sendline_worker.reports import arrivals, reports

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from starlette.types import Scope

    from sendline.ledger.inbound import Arrival
    from sendline.ledger.work import Reported
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.authentication import Authenticator
    from sendline_worker.reports import Reading
    from sendline_worker.tokens import Verified

log = logging.getLogger("sendline.receiver")


class Content(NamedTuple):
    """What the ledger shall be told, and what else the answer goes by."""

    reports: "Sequence[Reported]" = ()
    arrivals: "Sequence[Arrival]" = ()
    rejected: Rejected | None = None
    is_fault: bool = False
    """It is ours that it could not be read: its sender shall try again."""
    refusal: Refusal | None = None
    """It is not its provider's, or is not read."""


class Reader:
    """Reads requests, and counts and logs what is amiss with them."""

    def __init__(
        self,
        demands: "Mapping[str, Sequence[Authenticator]]",
        reading: "Reading",
        counts: "Counter[str]",
    ) -> None:
        self._demands = demands
        self._reading = reading
        self._counts = counts

    def facts(self, account: "Account", scope: "Scope") -> Facts | None:
        """Return what the account's demands go by, if it has any; to be asked for before the body is read."""
        return Facts.of(scope) if self._demands.get(account.name) else None

    def read(
        self,
        account: "Account",
        verified: "Verified",
        scope: "Scope",
        body: bytes,
        facts: Facts | None = None,
    ) -> Content:
        """Return what the ledger shall be told. `facts` can be left out of a request that came whole.

        `body` is as it was sent: so it is authenticated, before it is decompressed.

        What no adapter can read will not become readable: it is kept, and its sender need not retry. What an
        adapter failed on is kept, too, and its sender shall retry, since that can be mended.
        """
        facts = facts or self.facts(account, scope)
        if facts and (refused := refusal(self._demands[account.name], facts, body, time.time())):
            self.note(account, "refused", f"refused: {refused.reason}")
            return Content(refusal=refused)
        try:
            plain = decoded(scope, body)
        except (BodyTooLarge, UnknownEncoding, NotEncoded) as error:
            return self._not_decoded(account, scope, body, error)
        return self._told(account, verified, scope, plain)

    def _told(self, account: "Account", verified: "Verified", scope: "Scope", body: bytes) -> Content:
        headers, query = Lazy(_headers_of, scope), Lazy(_query_of, scope)
        try:
            told = account.adapter.read_receipts(Hook(headers, query, body))
            senders = account.settings.senders
            arrived = arrivals(account.name, self._reading, told, senders=senders)
            return Content(reports(account.name, verified, told), arrived)
        except UnreadableReceipt as error:
            self.note(account, "unreadable", f"unreadable, {len(body)} bytes")
            return Content(rejected=_rejected(account, str(error), scope, body))
        except Exception as error:  # noqa: BLE001 - any fault of an adapter
            self._counts["fault"] += 1
            what = type(error).__name__
            log.error("account %s: its adapter failed: %s", account.name, what)
            why = f"the adapter failed: {what}"
            return Content(rejected=_rejected(account, why, scope, body), is_fault=True)

    def _not_decoded(self, account: "Account", scope: "Scope", body: bytes, error: Exception) -> Content:
        if isinstance(error, BodyTooLarge):
            self.note(account, "too_large", "its body is too large, decompressed")
            return Content(refusal=Refusal(TOO_LARGE, "too large"))
        if isinstance(error, UnknownEncoding):
            self.note(account, "unknown_encoding", f"its Content-Encoding is not one of {TAKEN.decode()}")
            return Content(refusal=Refusal(UNSUPPORTED, "unknown encoding", {b"accept-encoding": TAKEN}))
        self.note(account, "unreadable", f"not what its Content-Encoding says, {len(body)} bytes")
        return Content(rejected=_damaged(account, scope, body))

    def note(self, account: "Account", word: str, what: str) -> None:
        """Count a request as `word`, and log what is amiss."""
        self._counts[word] += 1
        log.warning("account %s: a request with receipts: %s", account.name, what)


def _headers_of(scope: "Scope") -> dict[str, str]:
    return dict(Headers(scope=scope))


def _query_of(scope: "Scope") -> dict[str, str]:
    return dict(QueryParams(scope["query_string"]))


def _rejected(account: "Account", why: str, scope: "Scope", body: bytes) -> Rejected:
    """Return what is kept of a request, its body decompressed; its path, which holds a token, is not."""
    headers = _headers_of(scope)
    headers.pop("content-encoding", None)
    return Rejected(account.name, why, headers, _raw_query(scope), body[:BODY_KEPT], len(body))


def _damaged(account: "Account", scope: "Scope", body: bytes) -> Rejected:
    """Return what is kept of a body that can't be decompressed: nothing that an erasure can't look into."""
    why, kept = "not what its Content-Encoding says", body[:BODY_KEPT] if body.isascii() else b""
    return Rejected(account.name, why, _headers_of(scope), _raw_query(scope), kept, len(body))


def _raw_query(scope: "Scope") -> str:
    text: str = scope["query_string"].decode("latin-1")
    return text
