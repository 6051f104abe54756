"""Fills a site that has run once with finished slides, by plain SQL: a year's growth in a minute.

Every database grows as it would: journal (one event and one row a pack, tallies), linking table, index of known files, catalog.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import duckdb

TIME = "2026-01-01T00:00:00+00:00"
CHUNK = 50_000
FIRST_NUMBER = 100_000_000_000


def prefill_site(state: Path, count: int) -> None:
    """Add ``count`` slides to the databases below ``state``; no daemon may run."""
    _fill_journal(state / "journal.sqlite", count)
    _fill_linking(state / "identified" / "linking.sqlite", count)
    _fill_index(state / "identified" / "intake.sqlite", count)
    fill_catalog(state / "catalog.duckdb", count, _head(state / "journal.sqlite"))


def pack_id(index: int) -> str:
    """The id of a made-up pack."""
    return f"{index:016x}"


def stored_event(index: int) -> str:
    """The event that stored a made-up slide, as the journal holds it."""
    image = {
        "format": "aperio",
        "extension": ".svs",
        "levels": [{"width": 90000, "height": 70000, "tile_width": 256, "tile_height": 256}],
        "compression": "jpeg",
        "mpp": 0.25,
        "magnification": 40.0,
        "icc": True,
        "removed": ["image:label", "image:macro", "key:Date", "key:Filename", "key:User"],
    }
    facts = {
        "number": str(FIRST_NUMBER + index),
        "revision": 1,
        "pack": pack_id(index),
        "batch": "b" * 12,
        "drop": "scanner",
        "image": image,
        "size": 1_500_000_000,
        "digest": f"blake3:{index:064x}",
        "seconds": 3.0,
        "anonymizer": "0.1.0",
    }
    return json.dumps({"pack": pack_id(index), "type": "slide.stored", "facts": facts})


def _fill_journal(path: Path, count: int) -> None:
    events = ((pack_id(i), TIME, "slide.stored", pack_id(i), stored_event(i)) for i in range(count))
    packs = ((pack_id(i), "done", "scanner", "b" * 12, 0, "", "", TIME, TIME) for i in range(count))
    with _open(path) as connection:
        _insert(connection, "INSERT INTO events (id, time, type, subject, data) VALUES (?, ?, ?, ?, ?)", events)
        columns = "pack, state, drop_name, batch, attempts, reason, detail, arrived, updated"
        _insert(connection, f"INSERT INTO packs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", packs)  # noqa: S608
        add = "INSERT INTO tallies VALUES (?, 'done', ?) ON CONFLICT DO UPDATE SET packs = packs + excluded.packs"
        connection.executemany(add, [("", count), ("b" * 12, count)])


def _fill_linking(path: Path, count: int) -> None:
    numbers = [str(FIRST_NUMBER + i) for i in range(count)]
    with _open(path) as connection:
        _insert(connection, "INSERT INTO numbers VALUES (?)", ((number,) for number in numbers))
        links = (("slide", secrets.token_bytes(32), number, secrets.token_bytes(48), 1) for number in numbers)
        _insert(connection, "INSERT INTO links VALUES (?, ?, ?, ?, ?)", links)
        claims = ((number, 1, secrets.token_bytes(32), pack_id(i)) for i, number in enumerate(numbers))
        _insert(connection, "INSERT INTO claims VALUES (?, ?, ?, ?)", claims)


def _fill_index(path: Path, count: int) -> None:
    # Of a drop folder that nobody watches any more: in one that is watched, files that are not there would be forgotten.
    packs = ((pack_id(i), "archive", b"", f"X{i}".encode(), "b" * 12, f"X{i}".encode()) for i in range(count))
    files = (("archive", b"", f"X{i}.svs".encode(), 1, 1, 1, pack_id(i), "image") for i in range(count))
    with _open(path) as connection:
        _insert(connection, "INSERT INTO packs VALUES (?, ?, ?, ?, ?, ?, 1)", packs)
        _insert(connection, "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", files)


def _head(journal: Path) -> int:
    with sqlite3.connect(journal) as connection:
        return int(connection.execute("SELECT max(seq) FROM events").fetchone()[0])


def fill_catalog(path: Path, count: int, head: int) -> None:
    """Add ``count`` slides to the catalog, which then has reached event ``head``; nobody may have it open."""
    level = "[{'width': 90000, 'height': 70000, 'tile_width': 256, 'tile_height': 256}]"
    with duckdb.connect(str(path)) as catalog:
        catalog.execute(
            f"""
            INSERT INTO stored_revisions BY NAME SELECT ({FIRST_NUMBER} + i)::VARCHAR AS number, 1 AS revision, printf('%016x', i) AS pack,
                '{"b" * 12}' AS batch, 'scanner' AS drop_name, 'aperio' AS format, '.svs' AS extension, 90000 AS width, 70000 AS height,
                {level} AS levels, 'jpeg' AS compression, 0.25 AS mpp, 40.0 AS magnification, true AS icc,
                ['image:label', 'image:macro', 'key:Date', 'key:Filename', 'key:User'] AS removed, 1500000000 AS size,
                'blake3:' || printf('%064x', i) AS digest, 3.0 AS seconds, '0.1.0' AS anonymizer,
                'slides/' || ({FIRST_NUMBER} + i)::VARCHAR || '/r1' AS key, TIMESTAMP '2026-01-01' AS stored
            FROM range({count}) AS made_up(i);
            INSERT INTO pack_history SELECT printf('%016x', i), 'scanner', '{"b" * 12}', 'stored', '', i, TIMESTAMP '2026-01-01'
            FROM range({count}) AS made_up(i);
            UPDATE position SET seq = {head};
            """  # noqa: S608 - our own numbers
        )


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _insert(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    for chunk in _chunks(rows):
        connection.executemany(statement, chunk)
        connection.commit()


def _chunks(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    pending = iter(rows)
    while chunk := list(islice(pending, CHUNK)):
        yield chunk
