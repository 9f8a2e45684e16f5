"""Asks providers, where they can be asked, about messages of unknown fate and those whose receipt is late."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from sendline.contract.codes import ErrorCode
from sendline.contract.errors import LedgerError
from sendline.contract.status import Status
from sendline.ledger import doubts, work
from sendline_worker import elapsed
from sendline_worker.providers.base import Found, Inquiry, NotFound, Unanswered
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
SOON: Final = 0.1
"""Seconds until the next look while answers come: what an account's rate leaves for asking is used."""


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
        answered = False
        while names:
            await asyncio.sleep(min(SOON, EVERY) if answered else EVERY)
            answered, now = False, elapsed.now()
            free = [name for name in names if self._quiet_until.get(name, 0) <= now]
            try:
                asked = await self._ledger.run(doubts.inquire(self._limits, free)) if free else []
            except LedgerError:
                continue  # dispatcher and tick tell of it
            answered = any(await asyncio.gather(*map(self._ask, asked)))

    async def _ask(self, asked: doubts.Asked) -> bool:
        """Ask about one message; return whether the provider gave an answer."""
        try:
            message = asked.record.message(asked.message_id)
            account = self._carrier.accounts[message.account or ""]
            finding = await self._finding(account, asked, message)
            if isinstance(finding, Found):
                await self._tell(account, asked.message_id, message, finding)
            elif isinstance(finding, Unanswered):
                self._quiet_until[account.name] = elapsed.now() + finding.pause
                log.warning("account %s could not be asked: %s", account.name, finding.reason)
            else:
                log.info("message %s: account %s knows of no such message yet", message.id, account.name)
            return not isinstance(finding, Unanswered)
        except LedgerError as error:
            log.warning("what a provider tells of a message is asked again: %s", error)
        except Exception as error:  # noqa: BLE001 - a fault in one must not end the asking for all
            log.error("asking about a message failed: %s", type(error).__name__)
        return False

    async def _finding(self, account: "Account", asked: doubts.Asked, message: "Message") -> "Finding":
        sent = await self._carrier.outbound(account, asked.message_id, asked.record)
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
        finding = account.adapter.judge_inquiry(inquiry, answer)
        if message.status is Status.SENT and isinstance(finding, Found) and not finding.sure:
            return (
                NotFound()
            )  # its id is known, and its text is not any more: what looks like it is another one
        return finding

    async def _tell(self, account: "Account", message_id: bytes, message: "Message", found: Found) -> None:
        """Write the first receipt that is not known as another message's."""
        for receipt in found.receipts:
            quoting = report(account.name, message_id, receipt)
            told = quoting._replace(guessed=not found.sure, reason=without(quoting.reason, message.text))
            [word] = await self._ledger.run(work.receive(self._limits, [told]))
            if word != "foreign":
                level = logging.DEBUG if word == "unchanged" else logging.INFO
                log.log(
                    level, "account %s knows of a message that was %s: %s", account.name, message.status, word
                )
                return


def _when_called(message: "Message") -> tuple["datetime", "datetime"]:
    """Return the moments between which every request left that was accepted, or may have been."""
    told = [entry for entry in message.timeline if entry.code != ErrorCode.LATE]
    ends = [place for place, entry in enumerate(told) if entry.status in (Status.UNCERTAIN, Status.SENT)] or [
        len(told) - 1
    ]
    first, last = told[ends[0]], told[ends[-1]]
    called = [entry.at for entry in told[: ends[0]] if entry.status is Status.SENDING]
    forgotten = first.code == ErrorCode.FAILOVER
    return (message.created_at if forgotten or not called else called[-1]), last.at
