"""OpenTact: its adapter. What its pages say, and what they leave open, is in docs/providers.md."""

from sendline_worker.providers.opentact.adapter import OpenTact, OpenTactOptions

__all__ = ["OpenTact", "OpenTactOptions"]
