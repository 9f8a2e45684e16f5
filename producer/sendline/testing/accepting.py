"""How messages are accepted in memory: as accept.lua and enlist.lua do it."""

import json
from typing import TYPE_CHECKING, Any, Final

from sendline.campaigns.templates import Template
from sendline.contract.campaign import CampaignState
from sendline.contract.codes import ErrorCode
from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.status import Status
from sendline.ledger.record import Flag, unpack
from sendline.testing.entry import Entry
from sendline.testing.moves import OPTED_OUT, Moves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.testing.memory import KeptCampaign, Memory

_NEW, _KNOWN, _CONFLICT, _SUPPRESSED = 1, 2, 3, 4
_DONE, _AGAIN, _ELSEWHERE, _UNKNOWN, _CLOSED = 1, 2, 0, -1, -2
TAKES_NO_MORE: Final = {CampaignState.CANCELED, CampaignState.FINISHED}


class Accepting:
    """Takes messages in, each as it came over the wire."""

    def __init__(self, memory: "Memory", moves: Moves) -> None:
        """Accept into `memory`, whose lock the caller holds."""
        self._memory, self._moves = memory, moves

    def accept(self, arguments: "Sequence[Any]") -> list[Any]:
        """Accept single messages; answer as accept.lua does."""
        memory = self._memory
        ttl = unpack(arguments[0])[4]
        fault = next_fault(memory) if len(arguments) > 1 else None
        now = memory.now()
        answers = [self._accept_one(unpack(raw), ttl, now) for raw in arguments[1:]]
        if fault is not None:
            self._fail(answers, fault)
        return [now, *answers]

    def _accept_one(self, m: "Sequence[Any]", ttl: int, now: int) -> tuple[int, bytes, bytes]:
        memory = self._memory
        message_id, key, content = m[0], m[12], m[13]
        there = memory.entries.get(message_id)
        if there is None and key:
            first, said, until = memory.keys.get(key, (b"", b"", 0))
            if until > memory.now():
                kept = memory.entries.get(first)
                same = said == content
                return (_KNOWN if same else _CONFLICT), first, kept.raw() if same and kept else b""
            memory.keys[key] = message_id, content, memory.now() + ttl
        if there is None:
            there = self._made(m, now)
            self._begin(there)
        refused = there.state is Status.SUPPRESSED
        return (_SUPPRESSED, message_id, there.raw()) if refused else (_NEW, message_id, b"")

    def _made(self, m: "Sequence[Any]", now: int) -> Entry:
        wait = max(m[3] - now, 0)
        text = m[10].decode()
        return Entry(
            id=m[0],
            said=text or None,
            lane=m[1],
            flags=m[2],
            created=now,
            expires=wait + m[4],
            due=wait,
            route=m[5].decode(),
            account=m[6].decode(),
            to=m[7].decode(),
            sender=m[8].decode(),
            segments=m[9],
            text=text,
            extras=m[11],
            campaign=m[14].decode(),
        )

    def _begin(self, entry: Entry) -> None:
        """Keep a new message, and tell of it; its recipient may have opted out."""
        self._memory.entries[entry.id] = entry
        if entry.to not in self._memory.suppressed:
            self._memory.write_down(entry, "", "")
            return
        entry.state, entry.error = Status.SUPPRESSED, ErrorCode.OPTED_OUT
        entry.text, entry.due, entry.expires = "", 0, 0
        entry.extras = b"" if entry.has(Flag.TEMPLATED) else entry.extras
        self._memory.write_down(entry, entry.error, OPTED_OUT)

    def _fail(self, answers: "Sequence[tuple[int, bytes, bytes]]", code: ErrorCode) -> None:
        """Let the first message that was accepted just now fail, as Outbox.fail_next() asked."""
        for verdict, message_id, _ in answers:
            if verdict == _NEW:
                entry = self._memory.entries[message_id]
                self._moves.claim(entry)
                self._moves.give_up(entry, Status.FAILED, code, "asked for by fail_next()")
                return
        self._memory.failures.appendleft(code)  # none was accepted: it is the next one's

    def enlist(self, arguments: "Sequence[Any]") -> tuple[int, int]:
        """Accept a stretch of a campaign's recipients; answer as enlist.lua does."""
        _, name, own, before, line, rows, rejected, is_last, shared, _, *recipients = arguments
        campaign = self._memory.campaigns.get(name)
        if campaign is None or campaign.own != own:
            return _UNKNOWN, 0
        if line == campaign.line and (not is_last or campaign.complete):
            return _AGAIN, campaign.line
        if campaign.complete or campaign.state in TAKES_NO_MORE:
            return _CLOSED, campaign.line
        if before != campaign.line:
            return _ELSEWHERE, campaign.line
        template = Template(json.loads(campaign.spec)["text"])
        for raw in recipients:
            self._enlist_one(campaign, template, unpack(shared), unpack(raw))
        campaign.line, campaign.complete = line, bool(is_last)
        campaign.rows += rows
        campaign.rejected += rejected
        return _DONE, line

    def _enlist_one(
        self, campaign: "KeptCampaign", template: Template, shared: "Sequence[Any]", m: "Sequence[Any]"
    ) -> None:
        if m[0] in self._memory.entries:
            campaign.duplicates += 1
            return
        flags, account, routes, *_ = shared
        values = unpack(m[3]) if m[3] else {}
        now = self._memory.now()
        entry = Entry(
            id=m[0],
            said=template.render({name.decode(): value.decode() for name, value in values.items()}),
            lane=LANE_CODES[Lane.BULK],
            flags=flags,
            created=now,
            expires=0,
            due=max(m[6] - now, 0),
            route=routes[m[7] - 1].decode(),
            account=account.decode(),
            to=m[1].decode(),
            sender=m[4].decode(),
            segments=m[2],
            text="",
            extras=m[3],
            campaign=campaign.name,
            zones=m[5].decode(),
        )
        campaign.members.append(entry.id)
        self._begin(entry)


def next_fault(memory: "Memory") -> ErrorCode | None:
    """Return with which code the next message is to fail, None: with none; raises what was asked for."""
    fault = memory.failures.popleft() if memory.failures else None
    if isinstance(fault, Exception):
        raise fault
    return fault
