"""The catalog's tables and how they came to be, one numbered migration after the other.

Tables are appended to, and carry no index: the position, moved in the same transaction, is what makes projecting an event twice
harmless, and so the cost of a pack does not grow with the catalog. Only a withdrawal takes rows away, and notes in ``residue`` that their
bytes are still in the file. Rows of records are in no table, so that removing them from the bucket is enough. What people query are the
views. Times are UTC.
"""

from __future__ import annotations

import duckdb

MIGRATIONS = (
    """
    CREATE TABLE position (seq BIGINT NOT NULL);
    INSERT INTO position VALUES (0);
    CREATE TABLE stored_revisions (
        number VARCHAR, revision INTEGER, pack VARCHAR, batch VARCHAR, drop_name VARCHAR, format VARCHAR, extension VARCHAR,
        width BIGINT, height BIGINT, levels STRUCT(width BIGINT, height BIGINT, tile_width BIGINT, tile_height BIGINT)[],
        compression VARCHAR, mpp DOUBLE, magnification DOUBLE, icc BOOLEAN, removed VARCHAR[], size BIGINT, digest VARCHAR,
        seconds DOUBLE, anonymizer VARCHAR, key VARCHAR, stored TIMESTAMP
    );
    CREATE TABLE pack_history (pack VARCHAR, drop_name VARCHAR, batch VARCHAR, state VARCHAR, reason VARCHAR, seq BIGINT, time TIMESTAMP);
    CREATE TABLE batch_history (
        batch VARCHAR, drop_name VARCHAR, state VARCHAR, packs BIGINT, catalogued BIGINT, seq BIGINT, time TIMESTAMP);
    CREATE VIEW revisions AS SELECT * FROM stored_revisions ORDER BY number, revision;
    CREATE VIEW slides AS SELECT * FROM stored_revisions QUALIFY revision = max(revision) OVER (PARTITION BY number) ORDER BY number;
    CREATE VIEW packs AS
        SELECT pack, max(drop_name) AS drop_name, max(batch) AS batch, arg_max(state, seq) AS state, arg_max(reason, seq) AS reason,
               min(time) AS arrived, max(time) AS updated
        FROM pack_history GROUP BY pack ORDER BY pack;
    CREATE VIEW batches AS
        SELECT batch, max(drop_name) AS drop_name, arg_max(state, seq) AS state, max(packs) AS packs, max(catalogued) AS catalogued,
               min(time) AS opened, max(time) AS updated
        FROM batch_history GROUP BY batch ORDER BY batch;
    """,
    # Sorting a million revisions, or ranking them by a window, takes more memory than DuckDB is given: these two come as they were stored.
    """
    CREATE OR REPLACE VIEW revisions AS SELECT * FROM stored_revisions;
    CREATE OR REPLACE VIEW slides AS
        SELECT * FROM stored_revisions AS stored
        WHERE NOT EXISTS (FROM stored_revisions AS newer WHERE newer.number = stored.number AND newer.revision > stored.revision);
    """,
    # Counts and keys of records; what a withdrawal names is hidden until it is gone from everywhere.
    """
    CREATE TABLE records_history (
        records VARCHAR, revision INTEGER, batch VARCHAR, state VARCHAR, reason VARCHAR, key VARCHAR,
        sources STRUCT(source VARCHAR, contract VARCHAR, contract_version INTEGER, "rows" BIGINT, rejected MAP(VARCHAR, BIGINT),
                       "columns" VARCHAR[], small_cells BIGINT, digest VARCHAR)[],
        seq BIGINT, time TIMESTAMP
    );
    CREATE TABLE alignment_history (
        records VARCHAR, revision INTEGER, alignment INTEGER, counts MAP(VARCHAR, BIGINT), seq BIGINT, time TIMESTAMP);
    CREATE TABLE withdrawn_slides (number VARCHAR, seq BIGINT);
    CREATE TABLE residue (seq BIGINT);
    CREATE OR REPLACE VIEW revisions AS SELECT * FROM stored_revisions WHERE number NOT IN (SELECT number FROM withdrawn_slides);
    CREATE OR REPLACE VIEW slides AS
        SELECT * FROM revisions AS stored
        WHERE NOT EXISTS (FROM stored_revisions AS newer WHERE newer.number = stored.number AND newer.revision > stored.revision);
    CREATE VIEW alignments AS
        SELECT records, revision, alignment, counts, time AS aligned FROM alignment_history
        QUALIFY row_number() OVER (PARTITION BY records, revision ORDER BY seq DESC) = 1 AND alignment IS NOT NULL;
    CREATE VIEW record_revisions AS
        WITH told AS (
            SELECT * REPLACE (coalesce(revision, max(revision) OVER (PARTITION BY records ORDER BY seq)) AS revision) FROM records_history),
        revised AS (
            SELECT records, revision, arg_max(batch, seq) AS batch, arg_max(state, seq) AS state, arg_max(reason, seq) AS reason,
                   arg_max(key, seq) AS key, arg_max(sources, seq) AS sources, min(time) AS arrived, max(time) AS updated
            FROM told GROUP BY records, revision)
        SELECT records, revision, batch, state, reason, key, sources,
               list_sum(list_transform(sources, lambda source: source.rows)) AS row_count,
               list_sum(list_transform(sources, lambda source: coalesce(list_sum(map_values(source.rejected)), 0))) AS rejected_count,
               alignment, counts, arrived, aligned, updated
        FROM revised LEFT JOIN alignments USING (records, revision);
    CREATE VIEW records AS
        SELECT * FROM record_revisions QUALIFY revision = max(revision) OVER (PARTITION BY records);
    CREATE VIEW current_records AS
        SELECT * FROM record_revisions WHERE sources IS NOT NULL QUALIFY revision = max(revision) OVER (PARTITION BY records);
    """,
    # The training half: stagings, runs, and the versions that they became.
    """
    CREATE TABLE staging_history (
        staging VARCHAR, name VARCHAR, tier VARCHAR, sql VARCHAR, slides BIGINT, size BIGINT, state VARCHAR, reason VARCHAR,
        seq BIGINT, time TIMESTAMP);
    CREATE TABLE run_history (
        run VARCHAR, project VARCHAR, name VARCHAR, state VARCHAR, status VARCHAR, version INTEGER, reason VARCHAR,
        seq BIGINT, time TIMESTAMP);
    CREATE TABLE version_history (
        project VARCHAR, version INTEGER, run VARCHAR, tree VARCHAR, status VARCHAR, files BIGINT, size BIGINT, added BIGINT,
        missing BIGINT, seconds DOUBLE, change VARCHAR, until DATE, seq BIGINT, time TIMESTAMP);
    CREATE VIEW stagings AS
        SELECT staging, max(name) AS name, max(tier) AS tier, max(sql) AS sql, max(slides) AS slides, max(size) AS size,
               arg_max(state, seq) AS state, arg_max(reason, seq) AS reason, min(time) AS ordered, max(time) AS updated
        FROM staging_history GROUP BY staging ORDER BY staging;
    CREATE VIEW runs AS
        SELECT run, max(project) AS project, max(name) AS name, arg_max(state, seq) AS state, arg_max(status, seq) AS status,
               max(version) AS version, arg_max(reason, seq) AS reason, min(time) AS appeared, max(time) AS updated
        FROM run_history GROUP BY run ORDER BY run;
    CREATE VIEW versions AS
        SELECT project, version, max(run) AS run, max(status) AS status, max(files) AS files, max(size) AS size, max(added) AS added,
               max(missing) AS missing, max(tree) AS tree, arg_max_null(until, seq) FILTER (change IN ('held', 'freed')) AS held_until,
               arg_max(change, seq) FILTER (change IN ('damaged', 'healed')) IS NOT DISTINCT FROM 'damaged' AS damaged,
               bool_or(change = 'removed') AS removed, min(time) AS created
        FROM version_history GROUP BY project, version ORDER BY project, version;
    """,
)

RESET = """
    BEGIN;
    DELETE FROM stored_revisions; DELETE FROM pack_history; DELETE FROM batch_history;
    DELETE FROM records_history; DELETE FROM alignment_history; DELETE FROM withdrawn_slides;
    DELETE FROM staging_history; DELETE FROM run_history; DELETE FROM version_history;
    INSERT INTO residue VALUES (0);
    UPDATE position SET seq = 0;
    COMMIT
"""
"""Begins the catalog anew."""

PUBLISHED = {
    "slides": "stored_revisions",
    "revisions": "stored_revisions",
    "packs": "pack_history",
    "batches": "batch_history",
    "stagings": "staging_history",
    "runs": "run_history",
    "versions": "version_history",
}
"""The views that researchers read as Parquet, and the table that each is made of; what is made of records is in ``publications``."""


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the schema up to this version.

    Raises:
        duckdb.Error: the file is damaged.
        ValueError: a newer version wrote it.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    version = int(row[0]) if row else 0
    if version > len(MIGRATIONS):
        raise ValueError("the catalog was written by a newer version")
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        connection.begin()
        connection.execute(statements)
        connection.execute("INSERT INTO schema_version VALUES (?)", [number])
        connection.commit()
