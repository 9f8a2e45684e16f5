"""A campaign under a random, seeded mix of faults, judged by what sender, ledger and provider saw."""
