"""Bringing the catalog up to the journal, and publishing it."""
