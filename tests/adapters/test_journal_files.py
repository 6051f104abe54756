"""The journal's file survives kills and full disks, and a file that is not ours is refused as it is."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.workflow.states import PackState
from writers.events import event_of

PRELUDE = """
import asyncio, os, resource, sys
from pathlib import Path
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Unavailable
from slidekeeper.messages import events as fact
from writers.events import event_of, pack_id

path = Path(sys.argv[1])
journal = SqliteJournal.open(path, SystemClock(), outbox=True)

def tell(text):
    os.write(1, f"> {text}\\n".encode())

def allow(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def fill():
    allow(path.with_name(path.name + "-wal").stat().st_size + 100)

async def trouble(wanted):
    while bool(journal.trouble) is not wanted:
        await asyncio.sleep(0.01)
"""

COMMITS_FOR_EVER = """
async def commit(worker):
    for number in range(10**9):
        pack = pack_id(worker * 10**9 + number)
        await journal.commit_all([event_of(fact.PackArrived, pack), event_of(fact.PackSettled, pack)])
        tell(pack)

async def main():
    await asyncio.gather(*(commit(worker) for worker in range(8)))
"""

WAITS_OUT_A_FULL_DISK = """
async def main():
    await journal.commit(event_of(fact.PackArrived, pack_id(0)))
    fill()
    commits = [asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(number)))) for number in range(1, 50)]
    await trouble(True)
    tell(sum(commit.done() for commit in commits))
    tell(await journal.head())
    allow(resource.RLIM_INFINITY)
    await asyncio.gather(*commits)
    await trouble(False)
    tell(await journal.head())
    await journal.close()
"""

CLOSES_ON_A_FULL_DISK = """
async def main():
    await journal.commit(event_of(fact.PackArrived, pack_id(0)))
    fill()
    commit = asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(1))))
    await trouble(True)
    await journal.close()
    try:
        await commit
    except Unavailable as error:
        tell(f"{error.place} {error.reason}")
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    program = f"{PRELUDE}\n{script}\nasyncio.run(main())"
    environ = {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True, env=environ)


def listen(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().removeprefix("> ").strip()


def said(script: str, path: Path) -> list[str]:
    answer, _ = start(script, path).communicate(timeout=30)
    return [line.removeprefix("> ") for line in answer.splitlines() if line.startswith("> ")]


async def make_journal(path: Path) -> None:
    journal = SqliteJournal.open(path, ManualClock(), outbox=False)
    await journal.commit_all([event_of(fact.PackArrived), event_of(fact.PackSettled)])
    await journal.close()


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.mark.parametrize("commits", [1, 40, 400])
async def test_a_kill_loses_nothing_that_was_acknowledged(path: Path, commits: int) -> None:
    with start(COMMITS_FOR_EVER, path) as process:
        acknowledged = [listen(process) for _ in range(commits)]
        process.send_signal(signal.SIGKILL)
        acknowledged += iter(lambda: listen(process), "")
    journal = SqliteJournal.open(path, ManualClock(), outbox=False)
    settled = {row.pack for row in await journal.packs([PackState.SETTLED], limit=10**6)}
    arrived = await journal.packs([PackState.ARRIVED])
    counts, head, backlog = await journal.counts(), await journal.head(), await journal.backlog()
    await journal.close()
    assert len(acknowledged) >= commits
    assert set(acknowledged) <= settled
    assert arrived == []
    assert (counts, head, backlog) == ({PackState.SETTLED: len(settled)}, 2 * len(settled), 2 * len(settled))


async def test_what_a_killed_daemon_committed_can_be_read_before_it_is_started_again(path: Path) -> None:
    with start(COMMITS_FOR_EVER, path) as process:
        pack = listen(process)
        process.kill()
    journal = SqliteJournal.open_read_only(path)
    row = await journal.pack(pack)  # type: ignore[arg-type]
    await journal.close()
    assert row is not None


def test_commits_wait_while_the_disk_is_full_and_go_on_when_it_is_not(path: Path) -> None:
    assert said(WAITS_OUT_A_FULL_DISK, path) == ["0", "1", "50"]


async def test_a_commit_that_still_waits_when_the_journal_closes_is_told_so(path: Path) -> None:
    assert said(CLOSES_ON_A_FULL_DISK, path) == ["state io-error"]
    journal = SqliteJournal.open(path, ManualClock(), outbox=False)
    assert await journal.head() == 1
    await journal.close()


async def test_a_journal_opened_again_goes_on_where_it_was(path: Path) -> None:
    await make_journal(path)
    journal = SqliteJournal.open(path, ManualClock(), outbox=False)
    recorded = await journal.commit(event_of(fact.SlideAnonymized))
    await journal.close()
    assert recorded.seq == 3


async def test_a_closed_journal_is_one_file(path: Path) -> None:
    await make_journal(path)
    assert list(files(path.parent)) == [path.name]


async def test_reading_makes_and_changes_no_file(path: Path) -> None:
    await make_journal(path)
    before = files(path.parent)
    journal = SqliteJournal.open_read_only(path)
    assert await journal.counts() == {PackState.SETTLED: 1}
    assert list(files(path.parent)) == [path.name]
    await journal.close()
    assert files(path.parent) == before


async def test_a_journal_opened_for_reading_takes_no_event(path: Path) -> None:
    await make_journal(path)
    journal = SqliteJournal.open_read_only(path)
    with pytest.raises(Refused, match="journal-read-only"):
        await journal.commit(event_of(fact.PackVanished))
    await journal.close()


def test_reading_where_no_journal_is_makes_none(path: Path) -> None:
    with pytest.raises(Refused, match="no-journal"):
        SqliteJournal.open_read_only(path)
    assert files(path.parent) == {}


def open_for_writing(path: Path) -> SqliteJournal:
    return SqliteJournal.open(path, ManualClock(), outbox=False)


both_ways = pytest.mark.parametrize("opener", [open_for_writing, SqliteJournal.open_read_only], ids=["writing", "reading"])


def write_foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (address TEXT)")
    connection.close()


@both_ways
def test_a_damaged_file_is_refused_and_stays_as_it_is(path: Path, opener: Any) -> None:
    path.write_bytes(b"no database at all " * 300)
    before = files(path.parent)
    with pytest.raises(Refused, match=r"journal-damaged.*Restore"):
        opener(path)
    assert files(path.parent) == before


@both_ways
async def test_a_journal_whose_first_page_is_lost_is_refused(path: Path, opener: Any) -> None:
    await make_journal(path)
    path.write_bytes(b"\0" * 4096 + path.read_bytes()[4096:])
    with pytest.raises(Refused, match="journal-damaged"):
        opener(path)


@both_ways
def test_another_programs_database_is_refused(path: Path, opener: Any) -> None:
    write_foreign(path)
    with pytest.raises(Refused, match="not-a-journal"):
        opener(path)


def test_another_programs_database_stays_as_it_is(path: Path) -> None:
    write_foreign(path)
    before = files(path.parent)
    with pytest.raises(Refused, match="not-a-journal"):
        open_for_writing(path)
    assert files(path.parent) == before


@both_ways
async def test_a_journal_of_a_newer_version_is_refused(path: Path, opener: Any) -> None:
    await make_journal(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Refused, match=r"journal-too-new.*schema 99"):
        opener(path)


def test_a_folder_that_is_not_there_is_a_trouble_that_may_pass(path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot-open") as trouble:
        open_for_writing(path.parent / "absent" / path.name)
    assert trouble.value.place == "state"


def test_an_empty_file_left_by_a_kill_at_the_first_start_is_no_journal_to_read(path: Path) -> None:
    path.touch()
    with pytest.raises(Refused):
        SqliteJournal.open_read_only(path)


async def test_an_empty_file_left_by_a_kill_at_the_first_start_becomes_a_journal(path: Path) -> None:
    path.touch()
    await make_journal(path)
    assert path.stat().st_size > 0


async def test_a_copy_taken_while_the_journal_is_closed_is_a_backup(path: Path) -> None:
    await make_journal(path)
    copy = path.with_name("copy.sqlite")
    shutil.copyfile(path, copy)
    journal = open_for_writing(copy)
    event = (await journal.latest(1))[0].event
    await journal.close()
    assert event == event_of(fact.PackSettled)
