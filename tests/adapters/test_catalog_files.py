"""A catalog that cannot be read is set aside for the journal to make anew; nobody else's reading costs it anything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adapters.test_catalog import contents, record, stored
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.errors import Refused, Temporary, Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.ports.journal import Recorded
from writers.events import NUMBER, event_of

STORED = [Recorded(7, "id-7", datetime(2026, 3, 14, tzinfo=UTC), event_of(fact.SlideStored))]
RUBBISH = b"no database at all " * 5000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.duckdb"


def open_catalog(path: Path) -> DuckdbCatalog:
    return DuckdbCatalog.open(path, memory_megabytes=100, threads=1)


async def make_catalog(path: Path) -> None:
    catalog = open_catalog(path)
    await catalog.project(STORED, 7)
    await catalog.close()


async def position(path: Path) -> int:
    catalog = open_catalog(path)
    found = await catalog.position()
    await catalog.close()
    return found


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path) -> None:
    path.write_bytes(RUBBISH)
    assert await position(path) == 0
    assert path.with_name("catalog.duckdb.set-aside").read_bytes() == RUBBISH


async def test_a_file_cut_short_is_set_aside(path: Path) -> None:
    await make_catalog(path)
    path.write_bytes(path.read_bytes()[:6000])
    assert await position(path) == 0
    assert path.with_name("catalog.duckdb.set-aside").stat().st_size == 6000


async def test_a_catalog_of_a_newer_version_is_set_aside(path: Path) -> None:
    await make_catalog(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99)")
    assert await position(path) == 0
    assert names(path.parent) == ["catalog.duckdb", "catalog.duckdb.set-aside"]


async def test_a_second_damage_replaces_what_was_set_aside(path: Path) -> None:
    for rubbish in (RUBBISH, RUBBISH + b"again"):
        path.write_bytes(rubbish)
        await position(path)
    assert path.with_name("catalog.duckdb.set-aside").read_bytes() == RUBBISH + b"again"


async def test_a_new_catalog_that_took_a_damaged_ones_place_can_be_filled(path: Path) -> None:
    path.write_bytes(RUBBISH)
    await make_catalog(path)
    assert await position(path) == 7


async def test_a_closed_catalog_can_be_read_and_stays_as_it_is(path: Path) -> None:
    await make_catalog(path)
    before = path.read_bytes()
    catalog = DuckdbCatalog.open_read_only(path)
    assert [row["number"] for row in await catalog.slides()] == [NUMBER]
    with pytest.raises(Temporary, match="catalog-fault"):
        await catalog.reset()
    await catalog.close()
    assert path.read_bytes() == before
    assert names(path.parent) == [path.name]


def test_a_damaged_catalog_is_refused_for_reading_and_left_alone(path: Path) -> None:
    path.write_bytes(RUBBISH)
    with pytest.raises(Refused, match=r"catalog-unreadable.*Start the daemon"):
        DuckdbCatalog.open_read_only(path)
    assert (path.read_bytes(), names(path.parent)) == (RUBBISH, [path.name])


READER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.read()
"""


async def test_a_catalog_that_somebody_reads_is_not_taken_for_a_damaged_one(path: Path) -> None:
    await make_catalog(path)
    with subprocess.Popen([sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        with pytest.raises(Unavailable, match="catalog-in-use"):
            open_catalog(path)
    assert names(path.parent) == [path.name]


def test_a_folder_that_is_not_there_is_a_trouble_that_may_pass(path: Path) -> None:
    with pytest.raises(Unavailable) as trouble:
        open_catalog(path.parent / "absent" / path.name)
    assert (trouble.value.place, trouble.value.reason) == ("state", "catalog")
    assert str(path.parent) not in str(trouble.value)


FILLS_ITS_DISK = """
import asyncio, resource, sys
from pathlib import Path
from adapters.test_catalog_files import STORED, open_catalog
from slidekeeper.errors import Unavailable

def allow(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def refused(path, action):
    allow(0)
    try:
        await action()
    except Unavailable as error:
        allow(resource.RLIM_INFINITY)
        print(error.place, error.reason)

async def main(path):
    async def opening():
        open_catalog(path)
    await refused(path, opening)
    catalog = open_catalog(path)
    await refused(path, lambda: catalog.publish(path.parent / "published"))
    await refused(path, lambda: catalog.project(STORED, 7))
    print(await catalog.position())
    await catalog.project(STORED, 7)
    print(await catalog.position())
    await catalog.close()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_is_a_trouble_that_may_pass(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE sound (number INTEGER)")
    environ = {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.run([sys.executable, "-c", FILLS_ITS_DISK, path], stdout=subprocess.PIPE, check=True, text=True, env=environ)
    assert process.stdout.splitlines() == ["state catalog"] * 3 + ["0", "7"]
    assert not path.with_name(path.name + ".set-aside").exists()


MANY = record(*[stored(number) for number in range(2000)])


async def all_views(catalog: DuckdbCatalog, folder: Path) -> dict[str, Any]:
    """Every view, published; a view's rows in one order, for damage and rebuilding may change it."""
    return {view: sorted(map(repr, rows)) for view, rows in (await contents(catalog, folder)).items()}


def zero_a_block(path: Path) -> None:
    """Zero 4 KB in the middle of the file, where the digests of all slides lie, as a failing disk does."""
    with path.open("r+b") as file:
        file.seek(path.read_bytes().rindex(b"blake3:") // 4096 * 4096)
        file.write(bytes(4096))


async def damaged_catalog(path: Path, folder: Path) -> tuple[DuckdbCatalog, dict[str, Any]]:
    """An open catalog with a damaged block that nobody has read yet, and what its views held before."""
    catalog = open_catalog(path)
    await catalog.project(MANY, len(MANY))
    before = await all_views(catalog, folder / "before")
    await catalog.close()
    zero_a_block(path)
    return open_catalog(path), before


@pytest.mark.parametrize("who", ["a question", "a publication"])
async def test_damage_that_is_found_later_sets_the_file_aside_and_the_journal_makes_it_again(path: Path, tmp_path: Path, who: str) -> None:
    catalog, before = await damaged_catalog(path, tmp_path)
    with pytest.raises(Temporary, match="catalog-damaged"):
        await (catalog.slides(limit=5000) if who == "a question" else catalog.publish(tmp_path / "published"))
    assert await catalog.position() == 0
    await catalog.project(MANY, len(MANY))
    assert await all_views(catalog, tmp_path / "published") == before
    await catalog.close()
    assert path.with_name("catalog.duckdb.set-aside").exists()


async def test_many_who_find_the_damage_set_one_file_aside(path: Path, tmp_path: Path) -> None:
    catalog, _ = await damaged_catalog(path, tmp_path)
    found = await asyncio.gather(*(catalog.slides(limit=5000) for _ in range(5)), catalog.publish(tmp_path), return_exceptions=True)
    assert any(isinstance(each, Temporary) for each in found)
    assert path.with_name("catalog.duckdb.set-aside").stat().st_size > path.stat().st_size
    await catalog.close()


async def test_who_did_not_hear_of_the_damage_can_neither_append_behind_the_gap_nor_publish_it(path: Path, tmp_path: Path) -> None:
    catalog, _ = await damaged_catalog(path, tmp_path)
    with pytest.raises(Temporary):
        await catalog.slides(limit=5000)
    for unaware in (catalog.project(record(stored(1), after=9000), 9001), catalog.publish(tmp_path / "published")):
        with pytest.raises(Temporary, match="begun anew"):
            await unaware
    assert await catalog.position() == 0
    assert not (tmp_path / "published").exists()
    await catalog.close()


async def test_damage_found_while_no_daemon_runs_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    catalog, _ = await damaged_catalog(path, tmp_path)
    await catalog.close()
    before = path.read_bytes()
    reading = DuckdbCatalog.open_read_only(path)
    with pytest.raises(Refused, match="catalog-unreadable"):
        await reading.slides(limit=5000)
    await reading.close()
    assert path.read_bytes() == before


async def test_a_publication_under_way_does_not_hold_up_the_closing(path: Path, tmp_path: Path) -> None:
    catalog = open_catalog(path)
    catalog._publications.execute("CREATE OR REPLACE TEMP VIEW slides AS SELECT count(*) AS n FROM range(10000000) a, range(1000000) b")
    publishing = asyncio.create_task(catalog.publish(tmp_path / "published"))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await catalog.close()
    with pytest.raises(Unavailable, match="catalog-closed"):
        await publishing


async def test_a_fault_of_ours_costs_no_catalog_and_no_daemon(path: Path) -> None:
    await make_catalog(path)
    catalog = open_catalog(path)
    catalog._structures["stored_revisions"] = "no structure"
    with pytest.raises(Temporary, match="catalog-fault"):
        await catalog.project([replace(STORED[0], seq=8)], 8)
    assert await catalog.position() == 7
    await catalog.close()
    assert names(path.parent) == [path.name]
