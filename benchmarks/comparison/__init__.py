"""Sendline beside a plain Celery program and a bare client: the same work, on one machine, in one session."""
