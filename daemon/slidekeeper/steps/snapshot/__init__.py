"""Protection: a finished run becomes one immutable version."""
