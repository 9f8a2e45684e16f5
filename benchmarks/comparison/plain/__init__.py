"""The plain Celery program: one task a message. It knows nothing of Sendline."""
