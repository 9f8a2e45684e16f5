"""Kore.ai: adapter and simulated face. What its pages say, and what they leave open: docs/providers.md."""
