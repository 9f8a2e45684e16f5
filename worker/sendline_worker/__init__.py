"""What runs: the Celery app, the dispatch, the adapters, the receiver, the command line."""
