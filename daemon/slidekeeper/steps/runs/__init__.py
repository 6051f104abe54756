"""Runs: observes where training writes, and tells when a run is done."""
