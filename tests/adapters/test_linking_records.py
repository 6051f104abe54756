"""Records refer to slides, cases and patients by numbers that never change, and whoever is withdrawn is forgotten to the last byte."""

from __future__ import annotations

import asyncio
import re
import secrets
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.linking import references
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.errors import Permanent, Refused, Unavailable
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.naming import normal_form
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import KnownContent, NewRevision
from writers.events import pack_id

KEY = Concealed(bytes(range(32)))
CONTENT = "blake3:" + "ab" * 32
FIRST, SECOND = pack_id(1), pack_id(2)


def concealed(*values: str) -> list[Concealed[str]]:
    return [Concealed(value) for value in values]


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


def stored(path: Path) -> bytes:
    """Every byte of every file in the restricted folder."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_patients_and_cases_get_random_numbers_in_the_order_asked(linking: SqliteLinking) -> None:
    patients = await linking.refer(Domain.PATIENT, concealed("MRN1", "MRN2", "MRN1"))
    cases = await linking.refer(Domain.CASE, concealed("MRN1"))
    assert patients[0] == patients[2]
    assert len({*patients, *cases}) == 3
    assert all(re.fullmatch("[1-9][0-9]{11}", number) for number in (*patients, *cases))


async def test_asked_again_the_numbers_are_the_same_after_a_restart_too(path: Path) -> None:
    answers = []
    for _ in range(2):
        linking = SqliteLinking.open(path, KEY)
        answers += [await linking.refer(Domain.PATIENT, concealed("MRN1", "MRN2")) for _ in range(2)]
        await linking.close()
    assert answers == [answers[0]] * 4


async def test_one_patient_in_two_spellings_of_one_normal_form_has_one_number(linking: SqliteLinking) -> None:
    first, *others = await linking.refer(Domain.PATIENT, concealed(" Gr\u00fcn-1", "Gru\u0308n-1\t", "Gr\u00fcn-1"))
    assert others == [first] * 2
    assert (await linking.reveal([first]))[first].identifier.reveal() == " Gr\u00fcn-1"
    assert await linking.refer(Domain.PATIENT, concealed("gr\u00fcn-1")) != [first]


async def test_more_values_than_one_portion_are_answered_alike(linking: SqliteLinking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "PORTION", 3)
    values = concealed(*(f"MRN{index % 8}" for index in range(20)))
    numbers = await linking.refer(Domain.PATIENT, values)
    assert len(set(numbers)) == 8
    assert numbers == await linking.refer(Domain.PATIENT, values) == await linking.find(Domain.PATIENT, values)
    assert len(await linking.offsets(numbers)) == 20
    assert (await linking.reveal(numbers)).keys() == set(numbers)


async def test_many_draws_that_collide_still_end_with_a_number_for_each(linking: SqliteLinking, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = "slidekeeper.adapters.linking.store.new_slide_numbers"
    monkeypatch.setattr(drawn, lambda count: [str(10**11 + secrets.randbelow(60)) for _ in range(count)])
    numbers = await linking.refer(Domain.PATIENT, concealed(*(f"MRN{index}" for index in range(50))))
    assert len(set(numbers)) == 50


@pytest.mark.parametrize("empty", ["", " ", "\u2003\n"])
async def test_an_empty_cell_is_nobody(linking: SqliteLinking, empty: str) -> None:
    with pytest.raises(Permanent, match="empty-identifier"):
        await linking.refer(Domain.PATIENT, concealed("MRN1", empty))
    with pytest.raises(Permanent, match="empty-identifier"):
        await linking.refer_slides(concealed(empty))
    assert await linking.find(Domain.PATIENT, concealed("MRN1")) == [None]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip()), max_size=20))
@settings(max_examples=15, deadline=None)
def test_numbers_agree_exactly_where_normal_forms_do(values: list[str]) -> None:
    numbers = asyncio.run(referred(values))
    assert [numbers.index(number) for number in numbers] == [list(map(normal_form, values)).index(normal_form(value)) for value in values]


async def referred(values: Sequence[str]) -> Sequence[str]:
    with tempfile.TemporaryDirectory() as folder:
        linking = SqliteLinking.open(Path(folder, "linking.sqlite"), KEY)
        try:
            return await linking.refer(Domain.PATIENT, concealed(*values))
        finally:
            await linking.close()


async def test_a_row_refers_to_its_slide_by_the_original_name(linking: SqliteLinking) -> None:
    number = await linking.slide_number(Barcode("S26-1"), Concealed("S26-1.svs"))
    assert await linking.refer_slides(concealed("S26-1.svs", "S26-1.SVS", "S26-1")) == [number] * 3


async def test_a_row_that_is_there_before_its_slide_gets_the_number_the_slide_will_have(linking: SqliteLinking) -> None:
    (number,) = await linking.refer_slides(concealed("S26-1.svs"))
    assert await linking.slide_number(Barcode("S26-1"), Concealed("S26-1.svs")) == number


async def test_what_follows_the_dot_of_a_barcode_is_no_extension(linking: SqliteLinking) -> None:
    numbers = await linking.refer_slides(concealed("S26.1", "S26.2", "S26.1.svs"))
    assert numbers[0] == numbers[2] != numbers[1]


async def test_a_name_of_several_slides_means_the_smallest_number(linking: SqliteLinking) -> None:
    numbers = [await linking.slide_number(Barcode(barcode), Concealed("same.svs")) for barcode in ("one", "two", "three")]
    assert await linking.refer_slides(concealed("same.svs")) == [min(numbers)]


async def test_slides_that_are_the_same_after_normalization_are_aliases(linking: SqliteLinking) -> None:
    slide = await linking.slide_number(Barcode("Gr\u00fcn-1"), Concealed("Gr\u00fcn-1.svs"))
    rows = await linking.refer_slides(concealed("gru\u0308n-1.TIF", " GR\u00dcN-1 ", "other.svs"))
    assert await linking.aliases([slide, *rows]) == {
        slide: tuple(sorted(rows[:2])),
        rows[0]: tuple(sorted([slide, rows[1]])),
        rows[1]: tuple(sorted([slide, rows[0]])),
        rows[2]: (),
    }


async def test_a_number_that_was_never_drawn_has_no_alias(linking: SqliteLinking) -> None:
    assert await linking.aliases(["123456789012"]) == {"123456789012": ()}


async def test_a_patient_has_one_shift_for_ever_and_never_none(path: Path) -> None:
    answers = []
    for _ in range(2):
        linking = SqliteLinking.open(path, KEY)
        patients = await linking.refer(Domain.PATIENT, concealed(*(f"MRN{index}" for index in range(500))))
        answers.append(await linking.offsets([*patients, patients[0]]))
        await linking.close()
    assert answers[0] == answers[1]
    assert answers[0][0] == answers[0][-1]
    assert all(1 <= abs(days) <= 364 for days in answers[0])
    assert len(set(answers[0])) > 250


def test_shifts_are_drawn_from_all_days_but_none_alike() -> None:
    drawn = Counter(references._draw_offset() for _ in range(60_000))
    assert set(drawn) == {*range(-364, 0), *range(1, 365)}
    assert 0.45 < sum(count for days, count in drawn.items() if days < 0) / 60_000 < 0.55


async def test_only_patients_have_shifts(linking: SqliteLinking) -> None:
    cases = await linking.refer(Domain.CASE, concealed("C1"))
    for numbers in (cases, ["123456789012"]):
        with pytest.raises(Permanent, match="unknown-patient"):
            await linking.offsets(numbers)


async def test_what_is_sought_is_found_and_nothing_is_drawn(linking: SqliteLinking) -> None:
    number = await linking.slide_number(Barcode("S26-1"), Concealed("S26-1 b.svs"))
    assert await linking.find(Domain.SLIDE, concealed("S26-1", "S26-1 b.svs", "S26-2", "")) == [number, number, None, None]
    assert await linking.find(Domain.CASE, concealed("S26-1")) == [None]


async def test_numbers_reveal_what_they_stand_for_and_hide_it_when_printed(linking: SqliteLinking) -> None:
    slide = await linking.slide_number(Barcode("S26-1"), Concealed("S26-1.svs"))
    (case,) = await linking.refer(Domain.CASE, concealed("C1"))
    revealed = await linking.reveal([slide, case, "123456789012"])
    assert revealed.keys() == {slide, case}
    assert (revealed[slide].domain, revealed[slide].identifier.reveal()) == (Domain.SLIDE, "S26-1")
    assert [name.reveal() for name in revealed[slide].original_names] == ["S26-1.svs"]
    assert (revealed[case].domain, revealed[case].original_names) == (Domain.CASE, ())
    assert "S26" not in repr(revealed)


async def test_no_value_is_readable_in_any_file(linking: SqliteLinking, path: Path) -> None:
    patients = await linking.refer(Domain.PATIENT, concealed("Mustermann-77"))
    await linking.offsets(patients)
    await linking.refer_slides(concealed("S26-4711.svs"))
    assert not any(secret in stored(path) for secret in (b"Mustermann", b"mustermann", b"S26-4711", b"s26-4711"))


async def test_an_erased_slide_leaves_no_byte_but_its_number(linking: SqliteLinking, path: Path) -> None:
    slide = await linking.slide_number(Barcode("S26-1"), Concealed("S26-1.svs"))
    await linking.slide_number(Barcode("S26-2"), Concealed("S26-2.svs"))
    (patient,) = await linking.refer(Domain.PATIENT, concealed("MRN1"))
    await linking.offsets([patient])
    await linking.claim(slide, CONTENT, FIRST)
    traces = traces_of(path, slide, patient)
    assert all(trace in stored(path) for trace in traces)
    assert await linking.erase([slide, patient, "123456789012"]) == 2
    assert not any(trace in stored(path) for trace in traces)
    assert slide.encode() in stored(path)
    assert await linking.reveal([slide, patient]) == {}
    assert await linking.find(Domain.SLIDE, concealed("S26-1", "S26-1.svs")) == [None, None]
    assert await linking.find(Domain.SLIDE, concealed("S26-2.svs")) != [None]
    assert await linking.erase([slide, patient, "123456789012"]) == 2


def traces_of(path: Path, *numbers: str) -> list[bytes]:
    """Everything that the table holds about some numbers, beside the numbers and the pack."""
    connection = sqlite3.connect(path)
    questions = (
        "SELECT lookup, sealed FROM links WHERE number = ?",
        "SELECT lookup, sealed FROM original_names WHERE number = ?",
        "SELECT lookup FROM aliases WHERE number = ?",
        "SELECT sealed FROM offsets WHERE number = ?",
        "SELECT content FROM claims WHERE number = ?",
    )
    traces = [
        bytes(value) for question in questions for number in numbers for row in connection.execute(question, (number,)) for value in row
    ]
    connection.close()
    assert len(traces) >= 8
    return traces


async def test_many_that_are_erased_leave_no_byte_among_many_that_stay(linking: SqliteLinking, path: Path) -> None:
    patients = await linking.refer(Domain.PATIENT, concealed(*(f"MRN{index}" for index in range(3000))))
    traces = traces_of(path, *patients[::7])
    await linking.erase(patients[::7])
    left = stored(path)
    assert not any(trace in left for trace in traces)
    assert len(await linking.reveal(patients)) == 3000 - len(patients[::7])


async def test_who_was_withdrawn_is_known_again_and_gets_no_number(linking: SqliteLinking) -> None:
    slide = await linking.slide_number(Barcode("S26-1"), Concealed("S26-1.svs"))
    (patient,) = await linking.refer(Domain.PATIENT, concealed("MRN1"))
    assert await linking.withdrawn(Domain.SLIDE, [Barcode("S26-1")]) == [False]
    await linking.erase([slide, patient])
    assert await linking.withdrawn(Domain.SLIDE, concealed("S26-1", "s26-1.TIF", "S26-2")) == [True, True, False]
    assert await linking.withdrawn(Domain.PATIENT, concealed(" MRN1", "mrn1", "MRN2")) == [True, False, False]
    with pytest.raises(Permanent, match="consent-withdrawn"):
        await linking.slide_number(Barcode("S26-1"))
    other, *withdrawn = await linking.refer_slides(concealed("S26-2.svs", "S26-1.svs", "s26-1"))
    assert (other is not None, withdrawn) == (True, [None, None])
    assert await linking.refer(Domain.PATIENT, concealed("MRN1", " MRN1")) == [None, None]
    assert await linking.find(Domain.PATIENT, concealed("MRN1")) == [None]


async def test_a_slide_that_is_erased_while_it_is_under_way_goes_no_further(linking: SqliteLinking) -> None:
    slide = await linking.slide_number(Barcode("S26-1"))
    await linking.erase([slide])
    for attempt in (linking.claim(slide, CONTENT, FIRST), linking.take_over(CONTENT, SECOND, FIRST, slide)):
        with pytest.raises(Permanent, match="consent-withdrawn"):
            await attempt


async def test_content_of_an_erased_slide_is_known_no_more(linking: SqliteLinking) -> None:
    erased, other = await linking.slide_number(Barcode("S26-1")), await linking.slide_number(Barcode("S26-2"))
    await linking.claim(erased, CONTENT, FIRST)
    assert await linking.claim(other, CONTENT, SECOND) == KnownContent(erased, 1, FIRST)
    await linking.erase([erased])
    assert await linking.claim(other, CONTENT, SECOND) == NewRevision(other, 1)


async def test_a_second_process_reads_what_the_first_writes_and_cannot_write(linking: SqliteLinking, path: Path) -> None:
    reading = SqliteLinking.open_read_only(path, KEY)
    (patient,) = await linking.refer(Domain.PATIENT, concealed("MRN1"))
    assert await reading.find(Domain.PATIENT, concealed("MRN1")) == [patient]
    assert (await reading.reveal([patient]))[patient].identifier.reveal() == "MRN1"
    with pytest.raises(Unavailable, match="READONLY"):
        await reading.refer(Domain.PATIENT, concealed("MRN2"))
    await reading.close()


async def test_a_table_at_rest_is_read_and_stays_as_it_is(path: Path) -> None:
    linking = SqliteLinking.open(path, KEY)
    (patient,) = await linking.refer(Domain.PATIENT, concealed("MRN1"))
    await linking.close()
    before = path.read_bytes()
    reading = SqliteLinking.open_read_only(path, KEY)
    assert await reading.find(Domain.PATIENT, concealed("MRN1")) == [patient]
    await reading.close()
    assert path.read_bytes() == before


def test_a_table_that_is_not_there_is_not_made_for_reading(path: Path) -> None:
    with pytest.raises(Refused, match="identified-missing"):
        SqliteLinking.open_read_only(path, KEY)
    assert not path.exists()
