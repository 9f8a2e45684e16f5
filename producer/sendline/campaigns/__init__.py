"""Campaigns: one text template, many recipients. Nothing here is loaded until a campaign is asked for."""
