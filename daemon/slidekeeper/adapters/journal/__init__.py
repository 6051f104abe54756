"""The journal in SQLite: one writer thread, group commit, and the workflow's decisions taken inside the transaction."""
