"""Start a program that ends when its starter ends: `python launch.py STARTER PROGRAM ARGUMENT...`.

Run as a script between fork and exec, where code of a process with threads would not be safe. The kernel
sends SIGTERM when the thread that started this ends (PR_SET_PDEATHSIG, Linux only; it survives the exec).
Elsewhere the program outlives a killed starter; the next start of its instance ends it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program; exit where the starter is gone already."""
    starter, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != starter:
        sys.exit("the process that wanted this server is gone")
    os.execv(program[0], program)  # noqa: S606 - that is its whole purpose


if __name__ == "__main__":
    main()
