"""The bounds that belong together: a call must end before its worker is killed, and a claim outlive it.

longest call + margin < stop grace, longest call + margin < no claim, and task time limit < lease < visibility
timeout; all in seconds.
"""

from typing import Final

LONGEST_CALL: Final = 20
"""The most that one call to a provider may take."""
SETTLE_MARGIN: Final = 5
"""What a worker needs after its last call, to settle and to sign off."""
LEDGER_ANSWER: Final = 5
"""How long a worker waits for one answer of the ledger: longer than an app, since no request hangs on it."""
STOP_GRACE: Final = 30
"""What a worker is given between TERM and KILL."""
TASK_TIME_LIMIT: Final = 60
"""After this Celery kills a dispatch task's process; far above a time slice."""
LEASE: Final = 90
"""The default of `lease`: a claim older than this is judged dead."""
VISIBILITY_TIMEOUT: Final = 120
"""After this the broker hands an unacknowledged wake to another worker."""
NO_CLAIM: Final = 60
"""A worker ends, to be replaced, when work may go and nobody has claimed any for so long: then no call that
was begun before can still be on the wire."""
