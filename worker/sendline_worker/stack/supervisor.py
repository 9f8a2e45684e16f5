"""Keeps a stack running: a worker or a receiver that ends by itself is started again, not for ever."""

import logging
import signal
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NoReturn

from sendline_worker.stack.part import Part, PartFailed, PartRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline_worker.stack.stack import Stack

log = logging.getLogger("sendline.stack")

REPLACED: Final = frozenset({"worker", "receiver", "api"})
"""Parts that keep nothing: they are started again. The server and the simulator hold what would be lost."""
ENDS_MOST: Final = 5
"""So many ends of one part within WITHIN, and it is given up."""
WITHIN: Final = 60.0
"""Seconds."""
FIRST_WAIT: Final = 0.5
"""Seconds until a part is started again; twice as long with each further end within WITHIN."""
LOOK_EVERY: Final = 0.2
"""Seconds between two looks."""


class Supervisor:
    """Looks after the parts of one stack. Call look() a few times a second, from the stack's own thread."""

    def __init__(self, stack: "Stack", *, clock: "Callable[[], float]" = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._stack = stack
        self._clock = clock
        self._ends: defaultdict[str, list[float]] = defaultdict(list)
        self._due: dict[str, float] = {}
        self._starting: set[str] = set()

    def look(self) -> None:
        """Start again what has ended. Raises PartFailed where that can't be done, or was done too often."""
        server = self._stack.server
        if server is not None and not server.is_running():
            raise PartFailed("the embedded server ended by itself")
        for part in self._stack.parts:
            if part.name in self._due:
                self._start_when_due(part.name)
            elif not part.is_running():
                self._has_ended(part)
            elif part.name in self._starting:
                self._await(part)

    def run(self) -> NoReturn:
        """Look for ever: ends by PartFailed, or by KeyboardInterrupt at Ctrl-C."""
        while True:
            self.look()
            time.sleep(LOOK_EVERY)

    def _start_when_due(self, name: str) -> None:
        if self._clock() >= self._due[name]:
            self._stack.start_again(name)
            self._starting.add(name)
            del self._due[name]

    def _await(self, part: Part) -> None:
        try:
            ready = part.is_ready()
        except PartRefused:
            raise
        except PartFailed as error:
            log.warning("%s", error)
            part.end(0)
            self._has_ended(part)
            return
        if ready:
            self._starting.discard(part.name)
            log.info("the %s runs again", part.name)

    def _has_ended(self, part: Part) -> None:
        if part.name in self._starting:
            _raise_refusal(part)
            self._starting.discard(part.name)
        how = _ending(part.exit_code)
        if part.name not in REPLACED:
            raise PartFailed(f"the {part.name} ended by itself ({how})")
        now = self._clock()
        ends = self._ends[part.name] = [at for at in self._ends[part.name] if now - at < WITHIN] + [now]
        if len(ends) >= ENDS_MOST:
            raise PartFailed(
                f"the {part.name} ended by itself {len(ends)} times within {WITHIN:g} s, the last time with "
                f"{how}: what it logged says why"
            )
        wait = FIRST_WAIT * 2 ** (len(ends) - 1)
        self._due[part.name] = now + wait
        log.warning("the %s ended by itself (%s); it is started again in %g s", part.name, how, wait)


def _raise_refusal(part: Part) -> None:
    """Raise PartRefused where `part`, which has ended, said why it could not be started."""
    try:
        part.is_ready()
    except PartRefused:
        raise
    except PartFailed:
        return


def _ending(code: int | None) -> str:
    """Return an exit code in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
