"""The catalog in DuckDB: a projection of the journal that can be thrown away and rebuilt."""
