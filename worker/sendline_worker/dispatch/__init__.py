"""The path of a message in a worker process: claim, attempt, settle."""
