"""Alignment: rows of records are tied to slides; what did not match is counted, and why."""
