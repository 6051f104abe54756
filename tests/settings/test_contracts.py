"""Contracts: what is refused, and how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from slidekeeper.errors import SettingsError
from slidekeeper.model.contract import Action, Domain, Profile
from slidekeeper.settings.contracts import contract_templates, load_contract, load_contracts

PROJECT = Path(__file__).parents[2]
TEMPLATES = PROJECT / "config" / "records"
SLIDE = '[[column]]\nname = "Image File"\nidentifies = "file-name"\naction = "pseudonymize"\ndomain = "slide"\n'
PATIENT = '[[column]]\nname = "MRN"\nidentifies = "id"\naction = "pseudonymize"\ndomain = "patient"\n'


def head(source: str = "rows", files: str = "*.csv", profile: str = "safe-harbor") -> str:
    """The keys before the columns."""
    return f'source = "{source}"\nversion = 1\nfiles = ["{files}"]\nprofile = "{profile}"\n'


def date(action: str, name: str = "Day") -> str:
    """A date column."""
    return f'[[column]]\nname = "{name}"\ntype = "date"\nformat = "%F"\nidentifies = "date"\naction = "{action}"\n'


def problems(folder: Path, **texts: str) -> list[str]:
    """What loading a folder of these contracts tells."""
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_contracts(folder)
    assert refused.value.reason in {"wrong-contract", "wrong-contracts"}
    return refused.value.detail.splitlines()


@pytest.mark.parametrize("profile", Profile)
def test_the_templates_load_together_and_name_slide_case_and_patient(profile: Profile) -> None:
    contracts = load_contracts(TEMPLATES if profile is Profile.SAFE_HARBOR else TEMPLATES / profile)
    assert set(contracts) == {"imagery", "patients", "diagnoses"}
    for contract in contracts.values():
        assert contract.profile is profile
        assert all(contract.of_domain(domain) for domain in Domain)
        assert any(column.action is Action.SHIFT for column in contract.columns) == (profile is Profile.EXPERT_DETERMINATION)


@pytest.mark.parametrize("name", ["imagery.toml", "patients.toml", "diagnoses.toml"])
def test_both_profiles_read_the_same_files(name: str) -> None:
    harbor, expert = load_contract(TEMPLATES / name), load_contract(TEMPLATES / "expert-determination" / name)
    assert [(column.name, column.type, column.format, column.regex) for column in harbor.columns] == [
        (column.name, column.type, column.format, column.regex) for column in expert.columns
    ]


def test_the_templates_in_the_repository_are_those_that_are_installed() -> None:
    packaged = PROJECT / "daemon" / "slidekeeper" / "settings" / "records"
    files = {path.relative_to(packaged): path.read_text() for path in packaged.rglob("*.toml")}
    assert files == {path.relative_to(TEMPLATES): path.read_text() for path in TEMPLATES.rglob("*.toml")}, "run scripts/example-settings"
    assert set(contract_templates()) == {"imagery.toml", "patients.toml", "diagnoses.toml"}
    assert set(contract_templates(Profile.EXPERT_DETERMINATION)) == set(contract_templates())


def test_every_problem_is_told_with_file_and_key(tmp_path: Path) -> None:
    columns = "[[column]]\nname = 'A'\ntype = 'word'\nsex = 1\n[[column]]\ntype = 'text'\n"
    text = f"source = 'Rows'\nfiles = []\nsize = 1\n[dialect]\ntab = ';'\n{columns}"
    found = problems(tmp_path, one=text)
    assert all(line.startswith(f"{tmp_path / 'one.toml'}: ") for line in found)
    told = "\n".join(found)
    assert "dialect.tab: unknown key; known here: decimal, delimiter, escape, quote" in told
    assert "size: unknown key; known here: column, description" in told
    assert "column A: sex: unknown key; known here: action, anchor" in told
    assert "column A: type: Input should be 'text', 'integer'" in told
    assert "column 2: name: is missing" in told
    assert "version: is missing" in told
    assert "source: String should match" in told


def test_all_rules_a_column_breaks_are_told(tmp_path: Path) -> None:
    found = problems(tmp_path, one=head() + SLIDE + '[[column]]\nname = "A"\nidentifies = "name"\naction = "keep"\nformat = "%F"\n')
    assert [line.split(": ", 1)[1] for line in found] == [
        "column A: what identifies (name) may not be treated by keep; allowed: drop",
        "column A: free strings may not be kept: give a type or a vocabulary, or drop it",
        "column A: only dates have a format",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source = ", "no TOML"),
        (head() + "columns = []\n", "columns: unknown key; columns are tables [[column]]"),
        (head(), "[[column]]: is missing"),
        (head() + "column = 3\n", "[[column]]: Input should be a valid tuple"),
        (head() + PATIENT, "no column names the slide"),
        (head() + SLIDE.replace("identifies", "regex = '(?=a)'\nidentifies"), "column Image File: regex: look-around, back-references"),
        (head() + SLIDE + date("shift"), "shifted dates are not Safe Harbor"),
        (head(profile="expert-determination") + SLIDE + date("shift"), "dates are shifted by patient, and no column names the patient"),
    ],
)
def test_a_wrong_contract_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in problems(tmp_path, one=text)[0]


def test_two_contracts_of_one_source_or_one_file_pattern_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, one=head() + SLIDE, two=head(files="*.CSV") + SLIDE) == [
        f"{tmp_path}: one.toml and two.toml have one source, rows",
        f"{tmp_path}: one.toml and two.toml have one file pattern, *.csv",
    ]


def test_a_year_kept_beside_dates_shifted_elsewhere_is_refused(tmp_path: Path) -> None:
    expert = head("one", "1.csv", "expert-determination") + SLIDE + PATIENT + date("shift", "Taken")
    [told] = problems(tmp_path, one=expert, two=head("two", "2.csv") + SLIDE + date("year", "Scanned"))
    assert "one.toml shifts Taken while two.toml keeps the year of Scanned" in told


def test_a_folder_without_contracts_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}: holds no contract (*.toml)"]
    assert problems(tmp_path / "none") == [f"{tmp_path / 'none'}: cannot be read (ENOENT)"]
