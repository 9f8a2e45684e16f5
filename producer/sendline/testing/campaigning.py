"""How campaigns are founded, steered and brought to their end in memory."""

import re
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.campaign import CampaignState
from sendline.contract.status import Status
from sendline.ledger.record import unpack
from sendline.testing.memory import KeptCampaign
from sendline.testing.moves import Moves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.testing.memory import Memory

_NEW, _SAME, _OTHER = 1, 2, 3
_PARTS: Final = 1_000_000
_UNSTARTED: Final = {CampaignState.CREATED, CampaignState.SCHEDULED}
_UNSTARTED_FOR: Final = 90 * 86_400_000
"""Milliseconds for which a campaign waits for its start."""
_FROM: Final = {
    "start": _UNSTARTED,
    "schedule": _UNSTARTED,
    "pause": {CampaignState.RUNNING},
    "resume": {CampaignState.PAUSED},
    "cancel": {*_UNSTARTED, CampaignState.RUNNING, CampaignState.PAUSED},
}
_TO: Final = {
    "start": CampaignState.RUNNING,
    "pause": CampaignState.PAUSED,
    "resume": CampaignState.RUNNING,
    "cancel": CampaignState.CANCELED,
}


class Campaigning:
    """Founds, steers and ends campaigns."""

    def __init__(self, memory: "Memory", moves: Moves) -> None:
        """Work on `memory`, whose lock the caller holds."""
        self._memory, self._moves = memory, moves

    def found(self, arguments: "Sequence[Any]") -> tuple[int, bytes]:
        """Found a campaign; answer as found.lua does."""
        _, name, own, spec, _, packed = arguments
        heeded = unpack(packed)
        there = self._memory.campaigns.get(name)
        if there is None:
            made = KeptCampaign(name, own, spec, self._memory.now(), heeded)
            made.times["ends"] = made.at + _UNSTARTED_FOR
            self._memory.campaigns[name] = made
            return _NEW, own
        alike = ("source", "owner")
        same = all(there.heeded.get(key.encode()) == heeded.get(key.encode()) for key in alike)
        return (_SAME if same and there.spec == spec else _OTHER), there.own

    def steer(self, arguments: "Sequence[Any]") -> tuple[int, bytes]:
        """Start, schedule, pause, resume or cancel; answer as steer.lua does."""
        _, name, what, argument = arguments
        campaign = self._memory.campaigns.get(name)
        if campaign is None:
            return -1, b""
        before = campaign.state
        if before is not _TO.get(what):
            if before not in _FROM[what]:
                return 0, before.value.encode()
            self._steer(campaign, what, argument)
        return 1, before.value.encode()

    def _steer(self, campaign: KeptCampaign, what: str, argument: str) -> None:
        if what == "start":
            self._start(campaign)
        elif what == "schedule":
            campaign.state, at = CampaignState.SCHEDULED, int(argument)
            campaign.times |= {"start_at": at, "ends": at + campaign.heeded[b"valid_for"]}
        elif what == "pause":
            campaign.state, campaign.cause = CampaignState.PAUSED, argument
        elif what == "resume":
            campaign.state, campaign.cause, campaign.outcomes = CampaignState.RUNNING, "", ""
        else:
            campaign.state, campaign.times["ended"] = CampaignState.CANCELED, self._memory.now()

    def _start(self, campaign: KeptCampaign) -> None:
        now = self._memory.now()
        campaign.state = CampaignState.RUNNING
        campaign.times |= {"started": now, "ends": now + campaign.heeded[b"valid_for"]}

    def _is_late(self, campaign: KeptCampaign) -> bool:
        is_over = campaign.times["ends"] <= self._memory.now()
        return campaign.state is CampaignState.CREATED and is_over

    def look_after(self) -> None:
        """Do what the tick does: start what is due, pause what fails, end what is over."""
        now = self._memory.now()
        for campaign in self._memory.campaigns.values():
            if campaign.state is CampaignState.SCHEDULED and campaign.times["start_at"] <= now:
                self._start(campaign)
            is_unstarted = campaign.state in _UNSTARTED and not self._is_late(campaign)
            if is_unstarted or campaign.state is CampaignState.FINISHED:
                continue
            self._pause_where_many_fail(campaign)
            self._end_what_waits(campaign, now)
            if campaign.state is not CampaignState.CANCELED and self._is_over(campaign, now):
                campaign.state, campaign.times["ended"] = CampaignState.FINISHED, now

    def _end_what_waits(self, campaign: KeptCampaign, now: int) -> None:
        canceled = campaign.state is CampaignState.CANCELED
        if not canceled and campaign.times["ends"] > now:
            return
        for entry in self._memory.of_campaign(campaign):
            if entry.waits and canceled:
                self._moves.give_up(entry, Status.CANCELED, "", "its campaign was canceled")
            elif entry.waits:
                late = self._is_late(campaign)
                self._moves.expire(
                    entry, "its campaign was not started in time" if late else "its campaign ended"
                )

    def _is_over(self, campaign: KeptCampaign, now: int) -> bool:
        states = {entry.state for entry in self._memory.of_campaign(campaign)}
        under_way = {Status.CREATED, Status.RETRYING, Status.SENDING} & states
        awaited = {Status.SENT, Status.UNCERTAIN} & states and campaign.open_until > now
        imported = campaign.complete or campaign.times["ends"] <= now
        return imported and not under_way and not awaited

    def _pause_where_many_fail(self, campaign: KeptCampaign) -> None:
        pause_at, over = campaign.heeded.get(b"pause_at"), campaign.heeded.get(b"pause_over", 0)
        if pause_at is None:
            return
        recent, mended = campaign.outcomes, 1
        while mended:
            recent, mended = re.subn("0(1*)x", r"1\1", recent)
        campaign.outcomes = recent = recent.replace("x", "")[-over:]
        failed = recent.count("1")
        is_running = campaign.state is CampaignState.RUNNING
        if is_running and len(recent) >= over and failed * _PARTS >= pause_at * over:
            campaign.state, campaign.outcomes = CampaignState.PAUSED, ""
            campaign.cause = f"{failed} of the last {over} failed"

    def hash_of(self, name: str) -> dict[str, object]:
        """Return the fields of a campaign as the ledger keeps them; empty where there is none."""
        c = self._memory.campaigns.get(name)
        if c is None:
            return {}
        fields: dict[str, object] = {key.decode(): value for key, value in c.heeded.items()}
        fields |= {"own": c.own, "spec": c.spec, "state": c.state.value, "at": c.at, "cause": c.cause}
        fields |= {"rows": c.rows, "rejected": c.rejected, "duplicates": c.duplicates, "line": c.line}
        fields |= {"complete": int(c.complete), **c.times}
        fields |= self._memory.counts(self._memory.of_campaign(c))
        return fields | {f"e:{code}": n for code, n in self._memory.errors_of(c).items()}
