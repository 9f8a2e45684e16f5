"""All that Redis holds about messages: the one truth, and the only package that knows its keys."""
