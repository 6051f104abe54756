"""The broker's door opens for a stated reason, to whoever may pass, once the use is journaled; nothing but its answer holds a value."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.linking.keys import load_key
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.bootstrap import broker as bootstrap
from slidekeeper.bootstrap.lock import state_lock
from slidekeeper.cli.app import app
from slidekeeper.messages.events import DaemonStarted
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.phi import Barcode

OK, FAILED, USAGE, _, NOT_FOUND = range(5)
REASON = "recall of a staining lot"
WHY = ("--reason", REASON)
BARCODE, NAME, PATIENT = "S26-4711", "S26-4711 Mustermann.svs", "MRN-0815"
Command = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site that has run and knows one slide and one patient."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["init", str(tmp_path / "site")]).exit_code == OK
    return tmp_path / "site"


@pytest.fixture
def numbers(folder: Path) -> Sequence[str]:
    """The slide's and the patient's number."""
    return asyncio.run(fill(folder))


async def fill(folder: Path) -> Sequence[str]:
    journal = SqliteJournal.open(folder / "state" / "journal.sqlite", SystemClock(), outbox=False)
    await journal.commit(DaemonStarted(version="1", pending=0))
    await journal.close()
    await DuckdbCatalog.open(folder / "state" / "catalog.duckdb", 96, 1).close()
    linking = SqliteLinking.open(table(folder), load_key(key(folder), {}))
    slide = await linking.slide_number(Barcode(BARCODE), Concealed(NAME))
    patients = await linking.refer(Domain.PATIENT, [Concealed(PATIENT)])
    await linking.close()
    return [slide, *patients]


@pytest.fixture
def broker(folder: Path, numbers: Sequence[str]) -> Command:
    def call(*arguments: str, lines: str = "") -> Result:
        command = ["--config", str(folder / "slidekeeper.toml"), "broker", *arguments]
        return CliRunner().invoke(app, command, input=lines)

    return call


def key(folder: Path) -> Path:
    return folder / "keys" / "linking.key"


def table(folder: Path) -> Path:
    return folder / "state" / "identified" / "linking.sqlite"


def set_group(folder: Path, group: str) -> None:
    with (folder / "slidekeeper.toml").open("a") as file:
        file.write(f'\n[broker]\ngroup = "{group}"\n')


def log_of(broker: Command) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(broker("log", "--json").stdout)
    return rows


def test_a_slide_is_found_by_barcode_and_by_file_name(broker: Command, numbers: Sequence[str]) -> None:
    answer = broker("lookup", BARCODE, NAME, "--domain", "slide", *WHY, "--json")
    assert answer.exit_code == OK
    assert [row["number"] for row in json.loads(answer.stdout)] == [numbers[0]] * 2


def test_values_come_from_standard_input_where_no_history_keeps_them(broker: Command, numbers: Sequence[str]) -> None:
    answer = broker("lookup", "--domain", "patient", *WHY, lines=f"{PATIENT}\r\n\n {PATIENT}\n")
    assert (answer.exit_code, answer.stdout.count(numbers[1])) == (OK, 2)


def test_what_has_no_number_has_its_own_exit_code_and_gets_none(broker: Command) -> None:
    answer = broker("lookup", PATIENT, "MRN-2", "--domain", "patient", *WHY, "--json")
    assert answer.exit_code == NOT_FOUND
    assert [row["number"] is None for row in json.loads(answer.stdout)] == [False, True]
    assert broker("lookup", "MRN-2", "--domain", "patient", *WHY).exit_code == NOT_FOUND


def test_a_number_reveals_whom_it_stands_for(broker: Command, numbers: Sequence[str]) -> None:
    answer = broker("reveal", *numbers, *WHY, "--json")
    assert answer.exit_code == OK
    slide, patient = json.loads(answer.stdout)
    assert slide == {"number": numbers[0], "domain": "slide", "identifier": BARCODE, "original_names": [NAME]}
    assert (patient["domain"], patient["identifier"]) == ("patient", PATIENT)
    assert NAME in broker("reveal", *WHY, lines="\n".join(numbers)).stdout


def test_a_number_of_nobody_has_its_own_exit_code(broker: Command) -> None:
    assert broker("reveal", "123456789012", *WHY).exit_code == NOT_FOUND


def test_every_use_is_in_the_log_with_who_why_and_how_many_and_no_value(broker: Command, numbers: Sequence[str], folder: Path) -> None:
    broker("lookup", BARCODE, "S26-1", "--domain", "slide", *WHY)
    broker("reveal", *numbers, *WHY)
    rows = log_of(broker)
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert [(row["use"], row["asked"], row["by"], row["reason"]) for row in rows] == [
        ("identity.sought", 2, me, REASON),
        ("identity.revealed", 2, me, REASON),
    ]
    shown = broker("log").stdout
    assert REASON in shown
    left = shown.encode() + b"".join(file.read_bytes() for file in (folder / "state").iterdir() if file.is_file())
    assert not any(secret.encode() in left for secret in (BARCODE, "Mustermann", PATIENT, *numbers))


def test_whom_root_acts_for_is_in_the_log(broker: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    monkeypatch.setenv("LOGNAME", "mallory")
    broker("lookup", PATIENT, "--domain", "patient", *WHY)
    assert log_of(broker)[0]["by"] == ("ada as root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)


@pytest.mark.parametrize("reason", ["because", f"call about {PATIENT}"])
def test_a_poor_reason_opens_nothing_and_is_not_journaled(broker: Command, reason: str) -> None:
    answer = broker("lookup", PATIENT, "--domain", "patient", "--reason", reason)
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert PATIENT not in answer.stderr
    assert log_of(broker) == []


def test_without_a_reason_or_a_domain_the_usage_is_wrong(broker: Command) -> None:
    assert broker("lookup", PATIENT, "--domain", "patient").exit_code == USAGE
    assert broker("lookup", PATIENT, *WHY).exit_code == USAGE


def test_nothing_asked_is_refused(broker: Command) -> None:
    assert "nothing-asked" in broker("reveal", *WHY).stderr


def test_no_audit_no_answer(broker: Command, numbers: Sequence[str], folder: Path) -> None:
    with state_lock(folder / "state"):
        answer = broker("reveal", *numbers, *WHY)
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert "already-running" in answer.stderr


def test_a_daemon_that_takes_the_audit_and_never_confirms_it_gets_nothing_revealed(
    broker: Command, numbers: Sequence[str], folder: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "state" / "slidekeeper.sock"))
        door.listen()
        answer, request = hang_up_on(door, lambda: broker("lookup", BARCODE, "--domain", "slide", *WHY))
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert answer.stderr.startswith("daemon-silent")
    assert b"POST /broker/uses" in request
    assert BARCODE.encode() not in request


def hang_up_on(door: socket.socket, command: Callable[[], Result]) -> tuple[Result, bytes]:
    """Take one connection, hear what is asked and end it, while a command runs."""

    async def both() -> tuple[Result, bytes]:
        asked = asyncio.create_task(asyncio.to_thread(command))
        connection, _ = await asyncio.to_thread(door.accept)
        request = b""
        while REASON.encode() not in request:
            request += await asyncio.to_thread(connection.recv, 4096)
        connection.close()
        return await asked, request

    return asyncio.run(both())


def test_members_of_the_brokers_group_pass(broker: Command, folder: Path) -> None:
    set_group(folder, grp.getgrgid(os.getegid()).gr_name)
    assert broker("lookup", PATIENT, "--domain", "patient", *WHY).exit_code == OK


def test_others_do_not_pass_and_leave_no_trace(broker: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_group(folder, "daemon")
    monkeypatch.setattr(bootstrap, "may_pass", lambda *_: False)
    for arguments in (["lookup", PATIENT, "--domain", "patient"], ["reveal", "1"], ["rotate-key", "--new-key", "new.key"]):
        answer = broker(*arguments, *WHY)
        assert (answer.exit_code, answer.stdout) == (FAILED, "")
        assert "not-permitted" in answer.stderr
    assert log_of(broker) == []


def test_a_group_that_does_not_exist_lets_nobody_pass(broker: Command, folder: Path) -> None:
    set_group(folder, "no-such-group-here")
    assert "unknown-group" in broker("lookup", PATIENT, "--domain", "patient", *WHY).stderr


def test_who_may_not_read_the_key_does_not_pass(broker: Command, folder: Path) -> None:
    key(folder).chmod(0o644)
    answer = broker("lookup", PATIENT, "--domain", "patient", *WHY)
    assert "key-exposed" in answer.stderr
    assert log_of(broker) == []


def test_a_rotation_puts_the_new_key_in_place_and_keeps_the_old_one(broker: Command, folder: Path, numbers: Sequence[str]) -> None:
    before = key(folder).read_bytes()
    new = folder / "keys" / "new.key"
    assert broker("rotate-key", "--new-key", str(new), *WHY).exit_code == OK
    assert key(folder).read_bytes() == new.read_bytes() != before
    assert key(folder).with_name("linking.key.v1").read_bytes() == before
    assert json.loads(broker("reveal", *numbers, *WHY, "--json").stdout)[1]["identifier"] == PATIENT
    assert (log_of(broker)[0]["use"], log_of(broker)[0]["version"]) == ("key.rotated", 2)


def test_the_key_in_use_is_no_new_key(broker: Command, folder: Path) -> None:
    assert "key-unchanged" in broker("rotate-key", "--new-key", str(key(folder)), *WHY).stderr
    assert log_of(broker) == []


def test_the_key_is_not_changed_under_a_running_daemon(broker: Command, folder: Path) -> None:
    before = key(folder).read_bytes()
    with state_lock(folder / "state"):
        answer = broker("rotate-key", "--new-key", str(folder / "new.key"), *WHY)
    assert "already-running" in answer.stderr
    assert key(folder).read_bytes() == before
    assert not (folder / "new.key").exists()


@pytest.mark.parametrize("interrupted", ["install_key", "_record"])
def test_an_interrupted_rotation_is_finished_when_repeated(
    broker: Command, folder: Path, numbers: Sequence[str], monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    new = str(folder / "keys" / "new.key")
    with monkeypatch.context() as broken:
        broken.setattr(bootstrap, interrupted, stop)
        assert isinstance(broker("rotate-key", "--new-key", new, *WHY).exception, Interrupted)
    assert log_of(broker) == []
    assert broker("rotate-key", "--new-key", new, *WHY).exit_code == OK
    assert [row["version"] for row in log_of(broker)] == [2]
    assert "key-unchanged" in broker("rotate-key", "--new-key", new, *WHY).stderr
    assert broker("reveal", *numbers, *WHY).exit_code == OK


class Interrupted(Exception):
    """The process ended here."""


def stop(*_: object) -> None:
    raise Interrupted


def test_a_site_that_never_ran_has_nobody_to_reveal(folder: Path) -> None:
    for arguments in (["lookup", "x", "--domain", "case"], ["rotate-key", "--new-key", "new.key"]):
        answer = CliRunner().invoke(app, ["--config", str(folder / "slidekeeper.toml"), "broker", *arguments, *WHY])
        assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert not (folder / "state" / "lock").exists()
