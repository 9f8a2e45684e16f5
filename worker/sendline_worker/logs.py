"""How the parts log: one line an event, to standard error, with ids and causes and nothing private."""

import logging
import sys
import time
import warnings
from typing import Final

FORMAT: Final = "%(asctime)s %(part)-9s %(levelname)-7s %(message)s"


class _Formatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def set_up_logs(part: str, *, level: int = logging.INFO) -> None:
    """Send what `sendline` logs to standard error, and other libraries' warnings with it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(FORMAT, defaults={"part": part}))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sendline").setLevel(level)
    logging.getLogger("celery").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    # Celery warns of root on every start; containers run as a user of their own (see Dockerfile)
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
