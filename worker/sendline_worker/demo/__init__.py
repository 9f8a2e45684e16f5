"""The whole of Sendline on one machine, shown at work and checked by what the provider saw."""
