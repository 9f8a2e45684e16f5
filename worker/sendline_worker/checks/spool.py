"""What `sendline check` finds of this machine's spool."""

import time
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import ConfigurationError
from sendline.spool import SpoolDirectory
from sendline_worker.answers.spelling import counted, spell
from sendline_worker.checks.parts import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.settings import Settings

LONG: Final = 60.0
"""Seconds after which a message should have been delivered, were there a Redis and an app that runs."""
DELIVER: Final = "see that Redis is there and the app runs; `sendline spool deliver` delivers by hand"


def check_spool(settings: "Settings") -> "Iterator[Check]":
    """Check that what send() keeps on this machine's disk does not stay there."""
    if settings.spool_dir is None:
        return
    if not settings.spool_dir.expanduser().exists():
        yield Check("ok", "spool", "nothing was ever kept in spool_dir")
        return
    try:
        directory = SpoolDirectory(settings.spool_dir, settings.spool_most, create=False)
        waiting, refused = directory.waiting(), directory.refused()
    except ConfigurationError as error:
        yield Check("FAIL", "spool", str(error))
        return
    except OSError as error:
        yield Check("FAIL", "spool", f"spool_dir can't be read: {(error.strerror or '').lower()}")
        return
    age = time.time() - ids.time_of(waiting[0]) / 1000 if waiting else 0.0
    told = f"{counted(len(waiting), 'message')} waiting in spool_dir"
    if age > LONG:
        yield Check("warn", "spool", f"{told}, the oldest for {spell(age)}", DELIVER)
    else:
        yield Check("ok", "spool", told)
    if refused:
        fix = "see `sendline spool`, and delete the files of those that are done with"
        yield Check("warn", "spool", f"{counted(len(refused), 'message')} refused and kept aside", fix)
