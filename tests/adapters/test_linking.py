"""One barcode has one number for ever, one content one revision, and nobody reads either from the table's file."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.linking.keys import Key
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.errors import Refused, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import KnownContent, NewRevision
from writers.events import pack_id

KEY = Key(bytes(range(32)))
OTHER_KEY = Key(bytes(range(1, 33)))
BARCODE = Barcode("S26-10042;A;1")
NAME = Concealed("S26-10042;A;1 Mustermann.svs")
CONTENT = "blake3:" + "ab" * 32
OTHER_CONTENT = "blake3:" + "cd" * 32
FIRST, SECOND, THIRD = pack_id(1), pack_id(2), pack_id(3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "identified"
    folder.mkdir(mode=0o700)
    return folder / "linking.sqlite"


@pytest.fixture
async def linking(path: Path) -> AsyncIterator[SqliteLinking]:
    linking = SqliteLinking.open(path, KEY)
    yield linking
    await linking.close()


async def test_a_barcode_keeps_its_number(linking: SqliteLinking) -> None:
    assert await linking.slide_number(BARCODE) == await linking.slide_number(BARCODE)


async def test_a_barcode_keeps_its_number_after_a_restart(path: Path) -> None:
    numbers = []
    for _ in range(2):
        linking = SqliteLinking.open(path, KEY)
        numbers.append(await linking.slide_number(BARCODE))
        await linking.close()
    assert numbers[0] == numbers[1]


async def test_every_barcode_has_a_12_digit_number_of_its_own(linking: SqliteLinking) -> None:
    numbers = [await linking.slide_number(Barcode(f"S26-{number}")) for number in range(200)]
    assert all(re.fullmatch("[1-9][0-9]{11}", number) for number in numbers)
    assert len(set(numbers)) == 200


async def test_a_number_that_was_drawn_before_is_not_drawn_again(linking: SqliteLinking, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter(["100000000001", "100000000001", "100000000001", "100000000002"])
    monkeypatch.setattr("slidekeeper.adapters.linking.store.new_slide_numbers", lambda count: [next(draws) for _ in range(count)])
    assert await linking.slide_number(Barcode("one")) == "100000000001"
    assert await linking.slide_number(Barcode("two")) == "100000000002"


async def test_numbers_say_nothing_about_the_barcode(tmp_path: Path) -> None:
    numbers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir(mode=0o700)
        linking = SqliteLinking.open(tmp_path / name / "linking.sqlite", KEY)
        numbers.append(await linking.slide_number(BARCODE))
        await linking.close()
    assert numbers[0] != numbers[1]


async def test_many_tasks_that_ask_at_once_get_one_number(linking: SqliteLinking) -> None:
    numbers = await asyncio.gather(*(linking.slide_number(Barcode(f"S26-{task % 10}"), NAME) for task in range(200)))
    assert len(set(numbers)) == 10
    assert all(numbers[task] == numbers[task % 10] for task in range(200))


async def test_many_packs_that_claim_at_once_get_one_winner(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    claims = await asyncio.gather(*(linking.claim(number, CONTENT, pack_id(task)) for task in range(100)))
    winners = [task for task, claim in enumerate(claims) if isinstance(claim, NewRevision)]
    assert len(winners) == 1
    owner = pack_id(winners[0])
    assert all(claim == KnownContent(number, 1, owner) for task, claim in enumerate(claims) if task != winners[0])


async def test_many_contents_claimed_at_once_get_revisions_without_gaps(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    claims = await asyncio.gather(*(linking.claim(number, f"blake3:{task:064x}", pack_id(task)) for task in range(100)))
    assert sorted(claim.revision for claim in claims) == list(range(1, 101))


async def test_new_content_is_the_next_revision(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    assert await linking.claim(number, CONTENT, FIRST) == NewRevision(number, 1)
    assert await linking.claim(number, OTHER_CONTENT, SECOND) == NewRevision(number, 2)


async def test_a_pack_that_claims_again_gets_the_same_answer(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    assert await linking.claim(number, CONTENT, FIRST) == await linking.claim(number, CONTENT, FIRST) == NewRevision(number, 1)


async def test_content_of_another_pack_is_known(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    await linking.claim(number, CONTENT, FIRST)
    assert await linking.claim(number, CONTENT, SECOND) == KnownContent(number, 1, FIRST)


async def test_content_under_another_barcode_is_known_under_the_first(linking: SqliteLinking) -> None:
    number, other = await linking.slide_number(BARCODE), await linking.slide_number(Barcode("S26-2"))
    await linking.claim(number, CONTENT, FIRST)
    assert await linking.claim(other, CONTENT, SECOND) == KnownContent(number, 1, FIRST)


async def test_a_claim_that_is_taken_over_is_a_new_revision(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    await linking.claim(number, CONTENT, FIRST)
    assert await linking.take_over(CONTENT, FIRST, SECOND, number) == NewRevision(number, 2)
    assert await linking.claim(number, CONTENT, FIRST) == KnownContent(number, 2, SECOND)


async def test_a_claim_can_be_taken_over_to_another_number(linking: SqliteLinking) -> None:
    number, other = await linking.slide_number(BARCODE), await linking.slide_number(Barcode("S26-2"))
    await linking.claim(number, CONTENT, FIRST)
    assert await linking.take_over(CONTENT, FIRST, SECOND, other) == NewRevision(other, 1)


async def test_a_pack_that_takes_over_again_gets_the_same_answer(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    await linking.claim(number, CONTENT, FIRST)
    answers = [await linking.take_over(CONTENT, FIRST, SECOND, number) for _ in range(2)]
    assert answers == [NewRevision(number, 2)] * 2


async def test_a_claim_that_a_third_pack_took_over_has_moved(linking: SqliteLinking) -> None:
    number = await linking.slide_number(BARCODE)
    await linking.claim(number, CONTENT, FIRST)
    await linking.take_over(CONTENT, FIRST, SECOND, number)
    with pytest.raises(Temporary, match="claim-moved"):
        await linking.take_over(CONTENT, FIRST, THIRD, number)
    assert await linking.claim(number, CONTENT, THIRD) == KnownContent(number, 2, SECOND)


async def test_a_revision_that_was_lost_to_a_take_over_is_not_given_again(linking: SqliteLinking) -> None:
    number, other = await linking.slide_number(BARCODE), await linking.slide_number(Barcode("S26-2"))
    await linking.claim(number, CONTENT, FIRST)
    await linking.take_over(CONTENT, FIRST, SECOND, other)
    assert await linking.claim(number, OTHER_CONTENT, THIRD) == NewRevision(number, 2)


async def test_no_value_is_readable_in_any_file_of_the_folder(path: Path) -> None:
    linking = SqliteLinking.open(path, KEY)
    number = await linking.slide_number(BARCODE, NAME)
    await linking.claim(number, CONTENT, FIRST)
    opened = b"".join(file.read_bytes() for file in path.parent.iterdir())
    await linking.close()
    for stored in (opened, path.read_bytes()):
        assert number.encode() in stored
        for secret in (BARCODE.reveal(), "Mustermann", CONTENT, "ab" * 32):
            assert not any(secret.encode(encoding) in stored for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
        assert bytes.fromhex("ab" * 32) not in stored
        assert KEY.reveal() not in stored


async def test_original_names_are_sealed_once_each(linking: SqliteLinking, path: Path) -> None:
    for name in (NAME, NAME, Concealed("other.svs"), Concealed("caf\udce9.svs")):
        await linking.slide_number(BARCODE, name)
    number = await linking.slide_number(BARCODE)
    names = (await linking.reveal([number]))[number].original_names
    assert sorted(name.reveal() for name in names) == ["S26-10042;A;1 Mustermann.svs", "caf\udce9.svs", "other.svs"]
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"caf\xe9" not in stored


async def test_every_file_is_closed_to_others(linking: SqliteLinking, path: Path) -> None:
    await linking.slide_number(BARCODE)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


async def test_another_key_is_refused_with_a_remedy(path: Path) -> None:
    await SqliteLinking.open(path, KEY).close()
    with pytest.raises(Refused, match="key-wrong") as refusal:
        SqliteLinking.open(path, OTHER_KEY)
    assert "Restore the key" in refusal.value.remedy


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701])
def test_a_folder_that_others_may_enter_is_refused(path: Path, mode: int) -> None:
    path.parent.chmod(mode)
    with pytest.raises(Refused, match=f"identified-exposed.*chmod 700 {path.parent}"):
        SqliteLinking.open(path, KEY)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
async def test_a_file_that_others_may_open_is_refused(path: Path, mode: int) -> None:
    await SqliteLinking.open(path, KEY).close()
    path.chmod(mode)
    with pytest.raises(Refused, match=f"identified-exposed.*chmod 600 {path}"):
        SqliteLinking.open(path, KEY)


def test_a_folder_that_is_missing_is_refused(path: Path) -> None:
    path.parent.rmdir()
    with pytest.raises(Refused, match="identified-missing"):
        SqliteLinking.open(path, KEY)


def test_a_damaged_file_is_refused_and_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"no database at all " * 300)
    path.chmod(0o600)
    with pytest.raises(Refused, match=r"linking-damaged.*backup"):
        SqliteLinking.open(path, KEY)
    assert path.read_bytes() == b"no database at all " * 300


async def test_a_table_of_a_newer_version_is_refused(path: Path) -> None:
    await SqliteLinking.open(path, KEY).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Refused, match=r"linking-too-new.*schema 99"):
        SqliteLinking.open(path, KEY)


@pytest.mark.parametrize("version", [0, 1])
def test_another_programs_database_is_refused(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(f"CREATE TABLE bookmarks (address TEXT); PRAGMA user_version = {version}")
    connection.close()
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(Refused, match="not-a-linking-table"):
        asyncio.run(SqliteLinking.open(path, KEY).close())
    assert path.read_bytes() == before


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 4)), max_size=30))
@settings(max_examples=15, deadline=None)
def test_no_revision_is_given_twice_and_every_content_has_one_owner(claims: list[tuple[str, str, int]]) -> None:
    asyncio.run(check_claims(claims))


async def check_claims(claims: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        linking = SqliteLinking.open(Path(folder, "linking.sqlite"), KEY)
        owners: dict[str, tuple[str, int, str]] = {}
        for barcode, content, pack in claims:
            number = await linking.slide_number(Barcode(barcode))
            claim = await linking.claim(number, content, pack_id(pack))
            owner = owners.setdefault(content, (number, claim.revision, pack_id(pack)))
            assert (claim.number, claim.revision) == owner[:2]
            assert isinstance(claim, NewRevision) is (owner[2] == pack_id(pack) and owner[0] == number)
        assert len({owner[:2] for owner in owners.values()}) == len(owners)
        await linking.close()
