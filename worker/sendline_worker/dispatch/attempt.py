"""One attempt: from a claim to an outcome. Whatever happens on the way, it ends in an outcome."""

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tenacity import AsyncRetrying, retry_if_result, stop_before_delay, wait_random_exponential

from sendline.contract import ids
from sendline.contract.codes import ErrorCode
from sendline.contract.errors import LedgerError
from sendline_worker import elapsed
from sendline_worker.dispatch.texts import RenderError, Texts
from sendline_worker.outcomes import Accepted, NotBegun, Outcome, Refused, Uncertain
from sendline_worker.providers.base import Answer, Outbound
from sendline_worker.providers.judgement import judge_broken, without
from sendline_worker.wire import Broken, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from tenacity import RetryCallState

    from sendline.ledger.record import Record
    from sendline.ledger.work import Claim
    from sendline_worker.accounts import Account
    from sendline_worker.dispatch.latest import Latest
    from sendline_worker.tokens import CallbackUrls

log = logging.getLogger("sendline.dispatch")


@dataclass(frozen=True, slots=True)
class Carrier:
    """Calls providers: the accounts, the wire, where receipts shall come, and what messages say."""

    accounts: "Mapping[str, Account]"
    wire: Wire
    urls: "CallbackUrls"
    texts: Texts

    async def attempt(self, account: "Account", claim: "Claim", latest: "Latest") -> Outcome:
        """Call the provider once and return what it came to; raises only CancelledError.

        No call of this claim begins later than `latest`; until then one that never left is tried again.
        """
        try:
            message = await self.outbound(account, claim.message_id, claim.record)
        except LedgerError:
            return NotBegun("its campaign's text could not be read")
        except RenderError as error:
            return Refused(ErrorCode.REJECTED, f"its text can't be filled in: {error}")
        outcome = await self._attempt(account, message, latest)
        if isinstance(outcome, Accepted):
            return outcome
        return replace(outcome, reason=without(outcome.reason, message.text))

    async def _attempt(self, account: "Account", message: Outbound, latest: "Latest") -> Outcome:
        if why := account.card.refusal(text=message.text, sender=message.sender or None):
            return Refused(ErrorCode.NO_ROUTE, f"{why[0]}: {why[1]}")
        try:
            request = account.adapter.compose(message)
        except Exception as error:  # noqa: BLE001 - an attempt ends in an outcome, whatever happens
            log.error("message %s: account %s can't compose it: %s", message.id, account.name, _kind(error))
            return Refused(ErrorCode.REJECTED, f"can't be put into the provider's form: {_kind(error)}")
        answer = await self._call(request, latest.at)
        if isinstance(answer, Broken):
            return NotBegun(latest.otherwise) if answer.too_late else judge_broken(answer)
        try:
            return account.adapter.judge(answer)
        except Exception as error:  # noqa: BLE001 - the same
            kind = _kind(error)
            log.error("message %s: account %s can't read its answer: %s", message.id, account.name, kind)
            return Uncertain(f"its answer can't be read: {kind}")

    async def outbound(self, account: "Account", message_id: bytes, record: "Record") -> Outbound:
        """Return the message as the account's adapter is given it: the same at every call.

        Raises LedgerError, RenderError where what it says can't be told.
        """
        senders = account.settings.senders
        takes_url = account.capabilities.reference
        return Outbound(
            id=ids.to_text(message_id),
            to=record.to.decode(),
            sender=record.sender.decode() or (senders[0] if senders else ""),
            text=await self.texts.of(message_id, record),
            callback_url=self.urls.message_url(account.name, message_id) if takes_url else None,
        )

    async def _call(self, request: "httpx.Request", begin_by: float) -> Answer | Broken:
        answer = await self.wire.call(request, begin_by=begin_by)
        left = begin_by - elapsed.now()
        if not _never_left(answer) or left <= 0:
            return answer
        return await AsyncRetrying(
            retry=retry_if_result(_never_left),
            stop=stop_before_delay(left),
            wait=wait_random_exponential(multiplier=0.1, max=0.5),
            retry_error_callback=_last_result,
        )(self.wire.call, request, begin_by=begin_by)


def _kind(error: Exception) -> str:
    """Return what is told of a fault: its text could quote the message."""
    return type(error).__name__


def _never_left(answer: Answer | Broken) -> bool:
    return isinstance(answer, Broken) and not answer.on_wire and not answer.too_late


def _last_result(state: "RetryCallState") -> Answer | Broken:
    if state.outcome is None:
        raise AssertionError
    result: Answer | Broken = state.outcome.result()
    return result
