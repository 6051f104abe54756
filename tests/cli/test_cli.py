"""Every command answers in plain words or JSON, and ends with the exit code it promises; also where no daemon runs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from slidekeeper import __version__
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.cli import door as module
from slidekeeper.cli.app import app
from slidekeeper.cli.context import plain_errors
from slidekeeper.errors import Refused
from slidekeeper.messages.events import PackArrived, PackQuarantined
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, FileIdentity, Member, PackFiles, RelativePath, Role
from slidekeeper.steps.catalog.step import CatalogStep
from steps.catalog.catalogued import record_stored_slide

NUMBER, HELD = str(10**11 + 1), "f" * 16
OK, FAILED, USAGE, NOT_RUNNING, NOT_FOUND = range(5)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("SLIDEKEEPER_BUCKET__RESERVE_BYTES", "0")
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


Command = Callable[..., Result]


@pytest.fixture
def fresh(tmp_path: Path) -> Command:
    """Commands for a site that has never run."""
    assert call("init", str(tmp_path / "site")).exit_code == OK
    return lambda *arguments: call("--config", str(tmp_path / "site" / "slidekeeper.toml"), *arguments)


@pytest.fixture
def site(fresh: Command, tmp_path: Path) -> Command:
    """Commands for a site that has run: one slide is stored, one pack is held."""
    asyncio.run(fill(tmp_path / "site" / "state"))
    return fresh


async def fill(state: Path) -> None:
    journal = SqliteJournal.open(state / "journal.sqlite", SystemClock(), outbox=False)
    catalog = DuckdbCatalog.open(state / "catalog.duckdb", 96, 1)
    known = SqliteKnownFiles(state / "identified" / "intake.sqlite")
    await record_stored_slide(journal, 1)
    await journal.commit(PackArrived(pack=HELD, drop="scanner", batch=f"{1:012x}"))
    await journal.commit(PackQuarantined(pack=HELD, step="intake", reason="incomplete-pack", detail="no image came"))
    await CatalogStep(catalog, journal).catch_up(await journal.head())
    member = Member(RelativePath(b"monday/Abernathy-\xff.txt"), Role.BARCODE, FileIdentity(1, 1, 1))
    await known.remember([PackFiles(PackId(HELD), "scanner", BatchId(f"{1:012x}"), RelativePath(b"a"), Barcode("a"), (member,))])
    for store in (known, catalog, journal):
        await store.close()


def test_the_version_is_told() -> None:
    assert call("--version").output == f"slidekeeper {__version__}\n"


def test_a_new_site_says_what_it_made_and_how_to_start_it(tmp_path: Path) -> None:
    made = call("init", str(tmp_path / "site"))
    assert made.exit_code == OK
    assert f"created {tmp_path / 'site' / 'slidekeeper.toml'}" in made.output
    assert "run" in made.output.splitlines()[-1]


def test_a_site_is_not_made_twice(fresh: Command, tmp_path: Path) -> None:
    again = call("init", str(tmp_path / "site"))
    assert (again.exit_code, again.stdout) == (FAILED, "")
    assert "site-exists" in again.stderr


def test_a_sound_site_passes_its_check(fresh: Command) -> None:
    checked = fresh("check")
    assert checked.exit_code == OK
    assert "the linking table's key is there" in checked.output


def test_an_unsound_site_fails_its_check_and_says_what_to_do(fresh: Command, tmp_path: Path) -> None:
    (tmp_path / "site" / "bucket").rmdir()
    checked = fresh("check")
    assert checked.exit_code == FAILED
    assert f"{tmp_path / 'site' / 'bucket'} is not there" in checked.output
    assert "Create or mount it" in checked.output


def test_a_failed_check_is_json_too(fresh: Command, tmp_path: Path) -> None:
    (tmp_path / "site" / "bucket").rmdir()
    checked = fresh("check", "--json")
    assert checked.exit_code == FAILED
    (error,) = [finding for finding in json.loads(checked.stdout) if finding["level"] == "error"]
    assert (error["topic"], set(error)) == ("bucket.path", {"level", "topic", "text", "remedy"})


def test_status_tells_the_counts_without_a_daemon(site: Command) -> None:
    status = site("status")
    assert status.exit_code == OK
    assert "not running" in status.output
    assert "incomplete-pack" in status.output


def test_events_are_listed_oldest_first(site: Command) -> None:
    listed = site("events").output
    assert listed.index("batch.opened") < listed.index("slide.stored") < listed.index("pack.quarantined")


def test_events_can_be_narrowed(site: Command) -> None:
    events = json.loads(site("events", "--json", "--type", "pack.arrived", "--type", "slide.stored", "-n", "2", "--after", "2").stdout)
    assert [event["type"] for event in events] == ["slidekeeper.slide.stored", "slidekeeper.pack.arrived"]


def test_slides_are_listed_by_number(site: Command) -> None:
    assert NUMBER in site("slides", "list").output
    assert "No slides yet" in site("slides", "list", "--batch", "c" * 12).output


def test_a_slide_is_shown_with_all_that_is_known(site: Command) -> None:
    (shown,) = json.loads(site("slides", "show", NUMBER, "--json").stdout)
    assert (shown["number"], shown["revision"]) == (NUMBER, 1)
    assert NUMBER in site("slides", "show", NUMBER).output


def test_held_packs_are_listed_with_their_reasons(site: Command) -> None:
    listed = site("quarantine", "list").output
    assert HELD in listed
    assert "incomplete-pack" in listed


def test_where_files_are_is_told_only_on_request(site: Command) -> None:
    assert "Abernathy" not in site("quarantine", "show", HELD).output
    assert "Abernathy" not in site("quarantine", "show", HELD, "--json").output
    revealed = site("quarantine", "show", HELD, "--reveal")
    assert (revealed.exit_code, "Abernathy" in revealed.output) == (OK, True)


JSON_COMMANDS: list[list[str]] = [
    ["check"],
    ["status"],
    ["events"],
    ["slides", "list"],
    ["slides", "show", NUMBER],
    ["quarantine", "list"],
    ["quarantine", "show", HELD],
    ["quarantine", "show", HELD, "--reveal"],
]


@pytest.mark.parametrize("arguments", JSON_COMMANDS, ids=" ".join)
def test_every_answer_can_be_had_as_one_json_document(site: Command, arguments: list[str]) -> None:
    answer = site(*arguments, "--json")
    assert answer.exit_code == OK
    assert json.loads(answer.stdout)


@pytest.mark.parametrize("arguments", [["status"], ["events"], ["slides", "list"], ["quarantine", "list"]], ids=" ".join)
def test_a_site_that_never_ran_says_so(fresh: Command, arguments: list[str]) -> None:
    answer = fresh(*arguments)
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert "slidekeeper run" in answer.stderr


@pytest.mark.parametrize("arguments", [["quarantine", "show", "0" * 16], ["slides", "show", "0" * 12]], ids=" ".join)
def test_what_does_not_exist_has_its_own_exit_code(site: Command, arguments: list[str]) -> None:
    answer = site(*arguments, "--json")
    assert (answer.exit_code, answer.stdout) == (NOT_FOUND, "")
    assert answer.stderr.startswith("unknown-")


@pytest.mark.parametrize(
    "arguments",
    [["quarantine", "retry", HELD], ["quarantine", "discard", "--yes", HELD], ["batch", "ready", "."], ["events", "--follow"]],
    ids=" ".join,
)
def test_orders_need_the_daemon_and_say_so(site: Command, arguments: list[str]) -> None:
    answer = site(*arguments)
    assert answer.exit_code == NOT_RUNNING
    assert "daemon-not-running" in answer.stderr


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "nothing", "end of input"])
def test_nothing_is_discarded_without_a_yes(site: Command, tmp_path: Path, answer: str) -> None:
    asked = CliRunner().invoke(app, ["--config", str(tmp_path / "site" / "slidekeeper.toml"), "quarantine", "discard", HELD], input=answer)
    assert asked.exit_code == FAILED
    assert "Discard?" in asked.output
    assert "daemon-not-running" not in asked.stderr


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["slides", "list", "--limit", "0"], ["slides", "show"], ["events", "--limit", "many"], ["status", "--xml"], ["init"]],
    ids=" ".join,
)
def test_wrong_usage_has_its_own_exit_code(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == USAGE


def test_without_settings_a_command_says_where_it_looked(tmp_path: Path) -> None:
    if Path("/etc/slidekeeper/slidekeeper.toml").exists():
        pytest.skip("this machine has a site of its own")
    answer = call("status")
    assert answer.exit_code == FAILED
    assert "no-settings" in answer.stderr
    assert "slidekeeper init" in answer.stderr


def test_settings_in_the_working_directory_are_found(site: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "site")
    assert call("status").exit_code == OK


@pytest.mark.parametrize("command", [["status"], ["check"], ["run"], ["slides", "list"]], ids=" ".join)
def test_wrong_settings_are_told_by_file_and_key(fresh: Command, tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "site" / "slidekeeper.toml"
    file.write_text(file.read_text() + "\n[engine]\nwrokers = 2\n")
    answer = fresh(*command)
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert f"{file}: engine.wrokers: unknown key" in answer.stderr


def test_a_settings_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    answer = call("--config", str(tmp_path / "none.toml"), "status")
    assert answer.exit_code == FAILED
    assert "none.toml: cannot be read" in answer.stderr


def test_what_is_allowed_is_told_with_its_brackets(fresh: Command, tmp_path: Path) -> None:
    file = tmp_path / "site" / "slidekeeper.toml"
    file.write_text(file.read_text() + '\n[site]\nname = "Über"\n')
    if "[a-z0-9]" not in str(fresh("status").stderr):
        pytest.fail("the pattern is not whole")


def test_a_pack_id_with_brackets_is_simply_unknown(site: Command) -> None:
    assert site("quarantine", "show", "[/x]").exit_code == NOT_FOUND


def test_a_folder_with_brackets_in_its_name_is_told_whole(tmp_path: Path) -> None:
    assert f"created {tmp_path}/[old]/drop" in call("init", str(tmp_path / "[old]")).output


@pytest.mark.parametrize("arguments", [["status"], ["quarantine", "retry", HELD], ["batch", "ready", "."]], ids=" ".join)
def test_a_daemon_that_dies_while_it_is_asked_is_no_fault_of_the_command(site: Command, tmp_path: Path, arguments: list[str]) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "site" / "state" / "slidekeeper.sock"))
        door.listen()
        door.settimeout(5)
        answer = hang_up_on(door, lambda: site(*arguments))
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert answer.stderr.startswith("daemon-silent")


def test_a_daemon_that_does_not_answer_in_time_is_told(site: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "site" / "state" / "slidekeeper.sock"))
        door.listen()
        answer = site("status")
    assert answer.exit_code == FAILED
    assert "did not answer in time" in answer.stderr


def test_a_socket_left_behind_by_a_dead_daemon_is_no_daemon(site: Command, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "site" / "state" / "slidekeeper.sock"))
    assert site("status").exit_code == OK
    assert site("quarantine", "retry", HELD).exit_code == NOT_RUNNING


def hang_up_on(door: socket.socket, command: Callable[[], Result]) -> Any:
    """Take one connection and end it, while a command runs."""

    async def both() -> Result:
        asked = asyncio.create_task(asyncio.to_thread(command))
        connection, _ = await asyncio.to_thread(door.accept)
        connection.recv(100)
        connection.close()
        return await asked

    return asyncio.run(both())


def test_errors_for_people_are_plain_though_the_daemons_tasks_fail_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("tasks", [ExceptionGroup("intake", [Refused("intake-index-damaged", "SQLite says so", "Move it away")])])
    with pytest.raises(typer.Exit) as ended, plain_errors():
        raise group
    told = capsys.readouterr().err
    assert (ended.value.exit_code, "intake-index-damaged" in told, "Move it away" in told) == (1, True, True)
    with pytest.raises(ExceptionGroup), plain_errors():
        raise ExceptionGroup("tasks", [Refused("intake-index-damaged"), ZeroDivisionError()])
