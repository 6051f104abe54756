"""``records check``: lines, columns and codes for people and programs, never a cell; exit codes that scripts can rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from slidekeeper.cli.app import app

OK, FAILED = 0, 1
CONTRACT = """\
source = "rows"
version = 1
files = ["*.csv"]
[[column]]
name = "Image File"
identifies = "file-name"
action = "pseudonymize"
domain = "slide"
[[column]]
name = "MRN"
identifies = "id"
regex = '[0-9]{3}'
"""


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    Path("rows.toml").write_text(CONTRACT)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def check(text: str, *options: str, contract: str = "rows.toml") -> Result:
    """Check a file of this text."""
    Path("Jane Doe.csv").write_text(text)
    return call("records", "check", "Jane Doe.csv", "--contract", contract, *options)


def test_a_sound_file_needs_no_site_and_ends_well() -> None:
    result = check("Image File,MRN\na.svs,007\n")
    assert (result.exit_code, result.stdout.splitlines()) == (OK, ["Nothing is wrong.", "1 rows, 0 rejected"])


def test_faults_are_listed_by_line_column_and_code() -> None:
    result = check("Image File,MRN\na.svs,Doe\nb.svs\n")
    assert result.exit_code == FAILED
    assert [line.split() for line in result.stdout.splitlines()[:3]] == [
        ["line", "column", "code"],
        ["2", "MRN", "not-matching"],
        ["3", "wrong-field-count"],
    ]
    assert "Doe" not in result.output


def test_a_long_list_is_cut_and_says_so() -> None:
    result = check("Image File,MRN\n" + "a.svs,x\n" * 5, "--limit", "2")
    assert "7 more faults" in result.stdout
    assert "duplicate-row: 4, not-matching: 5" in result.stdout


def test_a_refused_file_says_why() -> None:
    result = check("Image File,Doe\n")
    assert result.exit_code == FAILED
    assert "unknown-column column 2 is not in the contract; not there: MRN" in result.stdout
    assert "Doe" not in result.output


def test_json_has_everything_but_cells() -> None:
    result = check("Image File,MRN\na.svs,Doe\n", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["clean"], answer["refusal"], answer["rows"], answer["rejected"]) == (FAILED, False, None, 1, 1)
    assert answer["rejects"] == [{"line": 2, "column": "MRN", "code": "not-matching"}]


def test_a_source_is_found_in_the_sites_contracts() -> None:
    assert call("init", "site").exit_code == OK
    result = CliRunner().invoke(app, ["--config", "site/slidekeeper.toml", "records", "check", "none.csv", "--contract", "imagery"])
    assert (result.exit_code, "unreadable-file" in result.stderr) == (FAILED, True)
    result = CliRunner().invoke(app, ["--config", "site/slidekeeper.toml", "records", "check", "none.csv", "--contract", "other"])
    assert "Known here: diagnoses, imagery, patients" in result.stderr


def test_a_wrong_contract_is_told_before_the_file_is_read() -> None:
    Path("rows.toml").write_text("version = 1")
    result = check("")
    assert (result.exit_code, "source: is missing" in result.stderr) == (FAILED, True)
