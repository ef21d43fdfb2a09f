"""Searching: candidates from the index, released as hits with their error rate and the reason they may be shown."""
