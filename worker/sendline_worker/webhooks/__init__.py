"""Webhooks to the app: one signed call to an endpoint that may lead to no private address."""
