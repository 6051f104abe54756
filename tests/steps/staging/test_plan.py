"""What is staged, in which order, and what is refused, follows from values alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.manifest import StagedImage
from slidekeeper.model.staging import Cohort, StagingId
from slidekeeper.ports.journal import StagingRow
from slidekeeper.ports.tier import Holding
from slidekeeper.steps.staging.plan import (
    BATCH_BYTES,
    BATCH_FILES,
    SMALL_BYTES,
    Situation,
    cohort_of,
    is_repeated,
    largest_first,
    portions,
    refusal,
)
from slidekeeper.workflow.states import StagingState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def image(index: int, size: int = 1000, revision: int = 1) -> StagedImage:
    return StagedImage(
        number=SlideNumber(str(100_000_000_000 + index)), revision=revision, extension=".svs", size=size, digest=f"blake3:{index:064x}"
    )


IMAGES = [image(index) for index in range(3)]
COHORT = cohort_of(IMAGES, "isup >= 4", 7)


def row(state: StagingState, cohort: Cohort = COHORT) -> StagingRow:
    return StagingRow(StagingId("c" * 12), state, "name", "flash", "me", cohort, None, 0, "", "", NOW, NOW)


def situation(**changes: Any) -> Situation:
    usual: dict[str, Any] = {"name": "name", "cohort": COHORT, "same_name": None, "holding": Holding(0, ""), "free": 10_000}
    return Situation(**usual | changes)


images = st.lists(st.builds(image, st.integers(0, 10_000), st.integers(0, 3 * SMALL_BYTES)), unique_by=lambda each: each.number)


@given(images)
def test_every_image_is_in_exactly_one_portion_and_batches_are_bounded(chosen: list[StagedImage]) -> None:
    verified = {each.name: each.size for each in chosen[::3]}
    found = portions(largest_first(chosen), verified)
    assert sorted(each.number for portion in found for each in portion) == sorted(
        each.number for each in chosen if each.name not in verified
    )
    for portion in found:
        assert len(portion) <= BATCH_FILES
        assert len(portion) == 1 or sum(each.size for each in portion) <= BATCH_BYTES
    large = [portion[0].size for portion in found if portion[0].size > SMALL_BYTES]
    assert large == sorted(large, reverse=True)


@given(images, st.randoms())
def test_equal_cohorts_have_equal_digests_in_any_order(chosen: list[StagedImage], random: Any) -> None:
    shuffled = list(chosen)
    random.shuffle(shuffled)
    assert cohort_of(chosen, "", 1).digest == cohort_of(shuffled, "other", 2).digest


def test_another_revision_is_another_cohort() -> None:
    assert cohort_of([image(1)], "", 1).digest != cohort_of([image(1, revision=2)], "", 1).digest


def test_what_fits_and_meets_nothing_is_taken() -> None:
    assert refusal(situation()) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cohort": cohort_of([], "false", 1)}, "empty-cohort"),
        ({"unknown": {"999999999999"}}, "slides-not-available"),
        ({"missing": IMAGES[:1]}, "slides-not-available"),
        ({"free": 2999}, "not-enough-space"),
        ({"free": -1}, "not-enough-space"),
        ({"holding": Holding(1, "")}, "target-not-empty"),
        ({"holding": Holding(0, "d" * 12)}, "target-not-empty"),
        ({"same_name": row(StagingState.READY, cohort_of(IMAGES[:2], "", 1))}, "name-taken"),
        ({"same_name": row(StagingState.RELEASED)}, "name-taken"),
    ],
)
def test_what_stands_against_it_is_told(changes: dict[str, Any], reason: str) -> None:
    refused = refusal(situation(**changes))
    assert refused is not None
    assert refused.reason == reason
    assert refused.remedy


@pytest.mark.parametrize("state", [StagingState.ORDERED, StagingState.READY, StagingState.QUARANTINED])
def test_the_same_cohort_again_changes_nothing(state: StagingState) -> None:
    again = situation(same_name=row(state), holding=Holding(4, "c" * 12), free=0)
    assert is_repeated(again)
    assert refusal(again) is None


def test_a_name_may_be_used_again_once_its_staging_is_gone() -> None:
    assert refusal(situation(same_name=row(StagingState.REMOVED, cohort_of(IMAGES[:1], "", 1)))) is None
    assert not is_repeated(situation(same_name=row(StagingState.REMOVED)))
