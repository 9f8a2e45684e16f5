"""Where the servers of tests keep their data: in memory, if there is room. No test pulls the plug."""

import contextlib
import functools
import shutil
import tempfile

MEMORY = "/dev/shm"  # noqa: S108 - what is made in it is private
ROOM = 2_000_000_000
"""Bytes that must be free there."""


@functools.cache
def _parent() -> str | None:
    """Where directories are made; None: where the machine keeps what is temporary.

    Writing each change "to the disk" costs nothing in memory. Processes that are killed lose as little there
    as on a disk: only a machine that dies does, and none does in tests.
    """
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free > ROOM:
            tempfile.TemporaryDirectory(dir=MEMORY).cleanup()
            return MEMORY
    return None


def data_directory() -> tempfile.TemporaryDirectory[str]:
    """Make a directory for a server's data, with a name short enough for a socket in it."""
    return tempfile.TemporaryDirectory(prefix="sl-", dir=_parent())
