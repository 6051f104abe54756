"""The journal's truth, read back from a bucket after the state is lost."""
