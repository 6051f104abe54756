"""After a rotation only the new key opens the table, and every answer is as it was; a table of the first schema is brought up to date."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.linking.schema import APPLICATION_ID, CHECK_VALUE, MIGRATIONS
from slidekeeper.adapters.linking.sealing import Seal, first_schema_ring
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.errors import Refused, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import KnownContent
from writers.events import pack_id

OLD, NEW, NEWER = (Concealed(bytes(range(start, start + 32))) for start in (0, 1, 2))
CONTENT = "blake3:" + "ab" * 32
FIRST, SECOND = pack_id(1), pack_id(2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "identified"
    folder.mkdir(mode=0o700)
    return folder / "linking.sqlite"


@pytest.fixture
async def linking(path: Path) -> AsyncIterator[SqliteLinking]:
    linking = SqliteLinking.open(path, OLD)
    await fill(linking)
    yield linking
    await linking.close()


async def fill(linking: SqliteLinking) -> None:
    """Something of everything."""
    slide = await linking.slide_number(Barcode("S26-1"), Concealed("S26-1.svs"))
    gone = await linking.slide_number(Barcode("S26-9"))
    await linking.claim(slide, CONTENT, FIRST)
    await linking.offsets(await linking.refer(Domain.PATIENT, [Concealed("MRN1")]))
    await linking.erase([gone])


async def answers(linking: SqliteLinking) -> list[Any]:
    """What the table says of everything in it."""
    (slide,) = await linking.refer_slides([Concealed("S26-1.svs")])
    (row,) = await linking.refer_slides([Concealed("s26-1")])
    patients = await linking.refer(Domain.PATIENT, [Concealed("MRN1")])
    return [
        slide,
        row,
        patients,
        await linking.offsets(patients),
        await linking.aliases([slide]),
        await linking.claim(slide, CONTENT, SECOND),
        await linking.withdrawn(Domain.SLIDE, [Barcode("S26-9")]),
        await linking.reveal([slide, *patients]),
    ]


async def test_every_answer_is_as_it_was_after_any_number_of_rotations(linking: SqliteLinking, path: Path) -> None:
    before = await answers(linking)
    assert isinstance(before[5], KnownContent)
    assert [await linking.rotate(NEW), await linking.rotate(NEWER)] == [2, 3]
    assert await answers(linking) == before
    again = SqliteLinking.open(path, NEWER)
    assert await answers(again) == before
    assert again.version == 3
    await again.close()


async def test_the_old_key_opens_nothing_any_more_and_the_refusal_names_the_right_one(linking: SqliteLinking, path: Path) -> None:
    await linking.rotate(NEW)
    with pytest.raises(Refused, match=r"key-wrong.*sealed under key 2 \([0-9a-f]{8}\), not under this one"):
        SqliteLinking.open(path, OLD)


async def test_nothing_of_the_old_table_is_left_in_the_files(linking: SqliteLinking, path: Path) -> None:
    before = blobs(path)
    await linking.rotate(NEW)
    after = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not any(blob in after for blob in before)
    assert set(blobs(path)).isdisjoint(before)
    assert len(blobs(path)) == len(before)


def blobs(path: Path) -> list[bytes]:
    """Every hash and every sealed value of a table."""
    columns = {
        "links": ("lookup", "sealed"),
        "original_names": ("lookup", "sealed"),
        "aliases": ("lookup",),
        "offsets": ("sealed",),
        "claims": ("content",),
        "withdrawn": ("lookup",),
        "keyring": ("wrapped",),
    }
    connection = sqlite3.connect(path)
    found = [
        bytes(value)
        for table, names in columns.items()
        for row in connection.execute(f"SELECT {', '.join(names)} FROM {table}")
        for value in row
    ]
    connection.close()
    return found


async def test_a_damaged_value_stops_the_rotation_and_the_table_stays_whole(linking: SqliteLinking, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("UPDATE links SET sealed = zeroblob(40) WHERE domain = 'patient'")
    other.commit()
    other.close()
    with pytest.raises(Refused, match="linking-damaged"):
        await linking.rotate(NEW)
    assert await linking.refer_slides([Concealed("S26-1.svs")]) == [await linking.slide_number(Barcode("S26-1"))]
    await SqliteLinking.open(path, OLD).close()


CRASH = """
import asyncio, os, sys
from pathlib import Path
from slidekeeper.adapters.linking import {module}
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.adapters.linking.store import Store
from slidekeeper.model.concealed import Concealed
{owner}.{function} = lambda *_: os._exit(9)
linking = SqliteLinking.open(Path(sys.argv[1]), Concealed(bytes(range(32))))
asyncio.run(linking.rotate(Concealed(bytes(range(1, 33)))))
"""


@pytest.mark.parametrize(
    ("owner", "function", "fitting"), [("rotation", "save_ring", OLD), ("Store", "scrub", NEW)], ids=["before", "after"]
)
async def test_a_crash_leaves_the_old_table_or_the_new_one(path: Path, owner: str, function: str, fitting: Concealed[bytes]) -> None:
    linking = SqliteLinking.open(path, OLD)
    await fill(linking)
    before = await answers(linking)
    await linking.close()
    code = CRASH.format(module="rotation", owner=owner, function=function)
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    again = SqliteLinking.open(path, fitting)
    assert await answers(again) == before
    await again.scrub()
    await again.close()
    with pytest.raises(Refused, match="key-wrong"):
        SqliteLinking.open(path, NEW if fitting is OLD else OLD)


async def test_a_reader_that_holds_old_pages_back_is_told(linking: SqliteLinking, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linking._store.connection.execute("PRAGMA busy_timeout = 50")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM links").fetchone()
    with pytest.raises(Temporary, match="linking-busy"):
        await linking.rotate(NEW)
    reader.close()
    await linking.scrub()
    assert linking.version == 2


async def test_a_table_of_the_first_schema_keeps_its_answers_and_learns_aliases(path: Path) -> None:
    number = first_schema_table(path)
    linking = SqliteLinking.open(path, OLD)
    assert await linking.slide_number(Barcode("S26-1")) == number
    assert await linking.refer_slides([Concealed("scan of 1.svs")]) == [number]
    assert await linking.claim(number, CONTENT, SECOND) == KnownContent(number, 1, FIRST)
    for alias in ("s26-1.svs", "SCAN OF 1"):
        (row,) = await linking.refer_slides([Concealed(alias)])
        assert (await linking.aliases([row]))[row] == (number,)
    assert await linking.rotate(NEW) == 2
    assert await linking.slide_number(Barcode("S26-1")) == number
    await linking.close()


def test_a_table_of_the_first_schema_refuses_another_key_and_stays_as_it_is(path: Path) -> None:
    first_schema_table(path)
    before = sqlite3.connect(path).execute("SELECT * FROM links").fetchall()
    with pytest.raises(Refused, match="key-wrong"):
        SqliteLinking.open(path, NEW)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM links").fetchall() == before
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_table_of_the_first_schema_is_not_read_before_it_is_brought_up_to_date(path: Path) -> None:
    first_schema_table(path)
    with pytest.raises(Refused, match="linking-outdated"):
        SqliteLinking.open_read_only(path, OLD)


def first_schema_table(path: Path) -> SlideNumber:
    """A table as the first version made it, with one slide; returns its number."""
    seal, number = Seal(first_schema_ring(OLD)), SlideNumber("123456789012")
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"{MIGRATIONS[0]} CREATE TABLE seal_check (sealed BLOB NOT NULL);")
    connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;")
    connection.execute("INSERT INTO seal_check VALUES (?)", (seal.seal("check", CHECK_VALUE),))
    connection.execute("INSERT INTO numbers VALUES (?)", (number,))
    link = ("slide", seal.keyed_hash("slide", b"S26-1"), number, seal.seal("slide", b"S26-1"), 1)
    connection.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?)", link)
    name = (seal.keyed_hash("name", b"scan of 1.svs"), number, seal.seal("name", b"scan of 1.svs"), 1)
    connection.execute("INSERT INTO original_names VALUES (?, ?, ?, ?)", name)
    connection.execute("INSERT INTO claims VALUES (?, 1, ?, ?)", (number, seal.keyed_hash("content", CONTENT.encode()), FIRST))
    connection.close()
    return number
