"""Which SQL may run: one statement that reads, and that calls no table function but those that compute.

DuckDB itself keeps the statement from files, networks and settings; this is the second fence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from slidekeeper.errors import Refused

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"})
"""Those that make their rows of their arguments; all others look at files, settings or the system."""

EXPLAIN = re.compile(r"\s*explain\b(\s+analyze\b)?(\s*\([^)]*\))?", re.IGNORECASE)

REMEDY = "Ask with one SELECT, DESCRIBE, SUMMARIZE or EXPLAIN over the published tables"


def check_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Let the statement pass.

    Raises:
        Refused: ``sql-refused``, ``sql-wrong``.
        duckdb.Error: it cannot be parsed.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise Refused("sql-refused", f"there are {len(statements)} statements", REMEDY)
    (statement,) = statements
    explained = EXPLAIN.match(statement.query) if statement.type == duckdb.StatementType.EXPLAIN else None
    if explained:
        check_statement(connection, statement.query[explained.end() :])
    elif statement.type != duckdb.StatementType.SELECT:
        raise Refused("sql-refused", f"{statement.type.name} does more than read", REMEDY)
    else:
        _check_functions(connection, statement.query)


def _check_functions(connection: duckdb.DuckDBPyConnection, select: str) -> None:
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [select]).fetchall()
    tree = json.loads(text)
    if tree.get("error", True):
        raise Refused("sql-refused", "it cannot be told what the statement does", REMEDY)
    for function in sorted(set(_table_functions(tree)) - TABLE_FUNCTIONS):
        raise Refused("sql-refused", f"the table function {function} may not be called", REMEDY)


def _table_functions(node: Any) -> Iterator[str]:
    """Names of all table functions in a serialized statement."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield str(node["function"]["function_name"]).lower()
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _table_functions(child)
