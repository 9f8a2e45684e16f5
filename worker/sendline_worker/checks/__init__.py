"""What `sendline check` looks at: settings, providers, workers, limits, and the server."""
