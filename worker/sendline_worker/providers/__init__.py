"""The providers: one package for each, and what they share."""
