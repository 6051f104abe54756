"""Tables as hospitals send them: decoded strictly, cut into rows whose lines are known, read by DuckDB."""
