"""Kore.ai: its adapter. What its pages say, and what they leave open, is in docs/providers.md."""

from sendline_worker.providers.kore.adapter import Kore, KoreOptions

__all__ = ["Kore", "KoreOptions"]
