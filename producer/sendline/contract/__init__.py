"""What a message is: its words, its statuses, its checks. Pure data and decisions, no I/O."""
