"""Asks providers what became of messages whose fate is not known, where they can be asked."""

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sendline.contract.codes import ErrorCode
from sendline.contract.errors import LedgerError
from sendline.contract.status import Status
from sendline.ledger import doubts, work
from sendline_worker import elapsed
from sendline_worker.providers.base import Found, Inquiry, Unanswered
from sendline_worker.providers.judgement import without
from sendline_worker.reports import report
from sendline_worker.wire import Broken

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline_worker.accounts import Account
    from sendline_worker.dispatch.attempt import Carrier
    from sendline_worker.providers.base import Finding

log = logging.getLogger("sendline.dispatch")

EVERY: Final = 1.0
"""Seconds between two looks for messages that are to be asked about."""


class Inquirer:
    """Asks in the background, one message an account at a time. The ledger says which, and when again."""

    def __init__(self, ledger: "AsyncLedger", limits: "Limits", carrier: "Carrier") -> None:
        """Prepare, without asking."""
        self._ledger = ledger
        self._limits = limits
        self._carrier = carrier
        self._quiet_until: dict[str, float] = {}

    async def run(self) -> None:
        """Ask for ever; return at once where no account can be asked."""
        names = [name for name, account in self._carrier.accounts.items() if account.limits.asks]
        while names:
            await asyncio.sleep(EVERY)
            now = elapsed.now()
            free = [name for name in names if self._quiet_until.get(name, 0) <= now]
            try:
                asked = await self._ledger.run(doubts.inquire(self._limits, free)) if free else []
            except LedgerError:
                continue  # dispatcher and tick tell of it
            await asyncio.gather(*map(self._ask, asked))

    async def _ask(self, asked: doubts.Asked) -> None:
        try:
            message = asked.record.message(asked.message_id)
            account = self._carrier.accounts[message.account or ""]
            finding = await self._finding(account, asked, message)
            if isinstance(finding, Found):
                await self._tell(account, asked.message_id, message.text, finding)
            elif isinstance(finding, Unanswered):
                self._quiet_until[account.name] = elapsed.now() + finding.pause
                log.warning("account %s could not be asked: %s", account.name, finding.reason)
            else:
                log.info("message %s: account %s knows of no such message yet", message.id, account.name)
        except LedgerError as error:
            log.warning("what a provider tells of an uncertain message is asked again: %s", error)
        except Exception as error:  # noqa: BLE001 - a fault in one must not end the asking for all
            log.error("asking about an uncertain message failed: %s", type(error).__name__)

    async def _finding(self, account: "Account", asked: doubts.Asked, message: "Message") -> "Finding":
        sent = self._carrier.outbound(account, asked.message_id, asked.record)
        begun, ended = _when_called(message)
        inquiry = Inquiry(
            provider_id=message.provider_id,
            to=sent.to,
            sender=sent.sender,
            text=sent.text,
            callback_url=sent.callback_url,
            begun=begun,
            ended=ended,
        )
        request = account.adapter.inquire(inquiry)
        if request is None:
            return Unanswered("there is nothing to ask by")
        answer = await self._carrier.wire.call(request)
        if isinstance(answer, Broken):
            return Unanswered(answer.reason)
        return account.adapter.judge_inquiry(inquiry, answer)

    async def _tell(self, account: "Account", message_id: bytes, text: str | None, found: Found) -> None:
        """Write the first receipt that is not known as another message's."""
        for receipt in found.receipts:
            quoting = report(account.name, message_id, receipt)
            told = replace(quoting, guessed=not found.sure, reason=without(quoting.reason, text))
            [word] = await self._ledger.run(work.receive(self._limits, [told]))
            if word != "foreign":
                log.info("account %s knows of a message that was uncertain: %s", account.name, word)
                return


def _when_called(message: "Message") -> tuple["datetime", "datetime"]:
    """Return the moments between which every request left of which it is not known what it came to."""
    told = [entry for entry in message.timeline if entry.code != ErrorCode.LATE]
    doubts = [place for place, entry in enumerate(told) if entry.status is Status.UNCERTAIN]
    first, last = told[doubts[0]], told[doubts[-1]]
    called = [entry.at for entry in told[: doubts[0]] if entry.status is Status.SENDING]
    forgotten = first.code == ErrorCode.FAILOVER
    return (message.created_at if forgotten or not called else called[-1]), last.at
