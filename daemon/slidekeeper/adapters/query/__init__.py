"""Asks the published catalog in SQL, in a DuckDB that can reach nothing else."""
