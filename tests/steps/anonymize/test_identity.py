"""Content decides who a slide is: new, known, or a conflict that a person must see."""

from __future__ import annotations

import pytest

from slidekeeper.model.identity import PackId, SlideNumber
from slidekeeper.ports.linking import KnownContent, NewRevision
from slidekeeper.steps.anonymize.identity import NEVER_STORED, Verdict, judge
from slidekeeper.workflow.states import PackState

MINE, OTHER = SlideNumber("111111111111"), SlideNumber("222222222222")
KEPT = sorted(set(PackState) - NEVER_STORED)


@pytest.mark.parametrize(
    ("revision", "on_rescan", "verdict"),
    [
        (1, "revision", Verdict.STORE),
        (1, "quarantine", Verdict.STORE),
        (2, "revision", Verdict.STORE),
        (2, "quarantine", Verdict.RESCAN),
        (7, "quarantine", Verdict.RESCAN),
    ],
)
def test_other_content_of_a_known_slide_is_stored_or_held_as_the_site_wants(revision: int, on_rescan: str, verdict: Verdict) -> None:
    assert judge(NewRevision(MINE, revision), MINE, None, on_rescan) is verdict


@pytest.mark.parametrize("on_rescan", ["revision", "quarantine"])
@pytest.mark.parametrize("owner", KEPT)
def test_known_content_under_its_own_barcode_is_a_duplicate(owner: PackState, on_rescan: str) -> None:
    assert judge(KnownContent(MINE, 1, PackId("a" * 16)), MINE, owner, on_rescan) is Verdict.DUPLICATE


@pytest.mark.parametrize("on_rescan", ["revision", "quarantine"])
@pytest.mark.parametrize("owner", KEPT)
def test_known_content_under_another_barcode_is_a_conflict(owner: PackState, on_rescan: str) -> None:
    assert judge(KnownContent(OTHER, 1, PackId("a" * 16)), MINE, owner, on_rescan) is Verdict.CONFLICT


@pytest.mark.parametrize("number", [MINE, OTHER])
@pytest.mark.parametrize("owner", [None, *sorted(NEVER_STORED)])
def test_the_claim_of_a_pack_that_never_reached_the_bucket_is_taken_over(owner: PackState | None, number: SlideNumber) -> None:
    assert judge(KnownContent(number, 1, PackId("a" * 16)), MINE, owner, "revision") is Verdict.TAKE_OVER


@pytest.mark.parametrize(
    "state", [PackState.SETTLED, PackState.ANONYMIZED, PackState.STORED, PackState.CATALOGUED, PackState.DONE, PackState.DUPLICATE]
)
def test_no_claim_is_taken_from_a_pack_that_is_or_may_still_be_stored(state: PackState) -> None:
    assert state not in NEVER_STORED
