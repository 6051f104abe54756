"""Multi-pattern search."""
