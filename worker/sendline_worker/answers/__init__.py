"""Answers to people: why a message waits, which limit holds it, and until about when."""
