"""OpenTact: adapter, simulated face, and face before Sendline. What its pages say: docs/providers.md."""
