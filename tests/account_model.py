"""What the ledger promises of one account: the part of the model that outcomes change."""

from dataclasses import dataclass, field

PAUSE = 5
"""Seconds for which an account pauses where an outcome says so."""
BREAKS_AFTER = 10
"""Messages whose calls fail one after the other until an account's breaker opens."""
FIRST_PROBE, LONGEST_PROBE = 2000, 60_000
"""Milliseconds until one message tries an account whose breaker is open; doubled each time."""


@dataclass
class State:
    """What the model knows of one account. Times in ms, instants of calls in µs."""

    stopped: bool = False
    broken: bool = False
    """It is its breaker that is open."""
    stopped_after: int = -1
    paused_until: int = 0
    failures: int = 0
    failed: bytes = b""
    """The message whose failure was counted last: its next one, too, may be its own fault."""
    probes: int = 0
    claimed: list[int] = field(default_factory=list)
    """The instants of the tokens that claims took, down to the millisecond."""
    asked: list[int] = field(default_factory=list)

    def affect(self, effect, message_id, token, newest, now):
        """Take in what an attempt says; one that was under way when it stopped says little."""
        if effect == "open":
            self._recover()
        elif effect == "pause":
            if self.broken and token > self.stopped_after:
                self._recover()
            self.paused_until = max(self.paused_until, now + PAUSE * 1000)
        elif effect == "stop":
            self.stopped, self.broken, self.stopped_after = True, False, newest
            self.paused_until = max(self.paused_until, now + PAUSE * 1000)
        elif effect == "fail":
            self._fail(message_id, newest, now)

    def _recover(self):
        self.failures, self.failed = 0, b""
        if self.stopped:
            self.stopped, self.broken, self.paused_until, self.probes = False, False, 0, 0

    def _fail(self, message_id, newest, now):
        if self.stopped and not self.broken:
            self.paused_until = now + LONGEST_PROBE
        elif self.stopped or (self.failed != message_id and self.failures + 1 >= BREAKS_AFTER):
            wait = min(FIRST_PROBE * 2**self.probes, LONGEST_PROBE)
            self.paused_until, self.probes = now + wait, self.probes + 1
            self.stopped, self.broken, self.stopped_after = True, True, newest
        elif self.failed != message_id:
            self.failures, self.failed = self.failures + 1, message_id
