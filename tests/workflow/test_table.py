"""The workflow table is complete: what it lacks is refused, what it orders is carried out in exactly one state."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from slidekeeper.errors import UndefinedTransition
from slidekeeper.messages import commands as order
from slidekeeper.messages import events as fact
from slidekeeper.workflow.states import UNDER_WAY, BatchState, PackState, RecordsState
from slidekeeper.workflow.table import BATCH_TABLE, PACK_TABLE, RECORDS_TABLE, decide, decide_batch, decide_records
from writers.events import BATCH_EVENTS, PACK_EVENTS, RECORDS, RECORDS_EVENTS, event_of, pack_id, records_facts

PACK_PAIRS = list(product(PackState, PACK_EVENTS))
BATCH_PAIRS = list(product(BatchState, BATCH_EVENTS))
RECORDS_PAIRS = list(product(RecordsState, RECORDS_EVENTS))
COMMANDS = get_args(order.AnyPackCommand)

PATH = (
    (fact.PackArrived, PackState.ARRIVED, order.SettlePack),
    (fact.PackSettled, PackState.SETTLED, order.AnonymizePack),
    (fact.SlideAnonymized, PackState.ANONYMIZED, order.StoreSlide),
    (fact.SlideStored, PackState.STORED, order.CatalogSlide),
    (fact.SlideCatalogued, PackState.CATALOGUED, order.ReleasePack),
)
"""The way of a sound pack."""


def name_of(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


@pytest.mark.parametrize(("state", "kind"), [pair for pair in PACK_PAIRS if pair not in PACK_TABLE], ids=name_of)
def test_a_pair_that_the_pack_table_lacks_is_refused(state: PackState, kind: type[fact.AnyPackEvent]) -> None:
    with pytest.raises(UndefinedTransition, match=kind.model_fields["type"].default):
        decide(state, event_of(kind))


@pytest.mark.parametrize(("state", "kind"), [pair for pair in BATCH_PAIRS if pair not in BATCH_TABLE], ids=name_of)
def test_a_pair_that_the_batch_table_lacks_is_refused(state: BatchState, kind: type[fact.AnyBatchEvent]) -> None:
    with pytest.raises(UndefinedTransition, match=f"is {state} cannot take"):
        decide_batch(state, event_of(kind))


@pytest.mark.parametrize(("state", "kind"), list(PACK_TABLE), ids=name_of)
def test_every_row_leads_to_its_state_and_orders_its_own_command(state: PackState, kind: type[fact.AnyPackEvent]) -> None:
    decision = decide(state, event_of(kind))
    assert decision.state is PACK_TABLE[state, kind].state
    assert type(decision.command) is (PACK_TABLE[state, kind].command or type(None))


def test_a_sound_pack_goes_through_every_step_in_order() -> None:
    state = PackState.NEW
    for kind, after, command in PATH:
        decision = decide(state, event_of(kind))
        assert (decision.state, type(decision.command)) == (after, command)
        state = decision.state
    assert decide(state, event_of(fact.PackReleased)).state is PackState.DONE


@pytest.mark.parametrize(("state", "kind"), list(PACK_TABLE), ids=name_of)
def test_a_command_is_about_the_pack_of_the_event(state: PackState, kind: type[fact.AnyPackEvent]) -> None:
    command = decide(state, event_of(kind, pack_id(7))).command
    assert command is None or command.pack == pack_id(7)


def test_a_slide_is_stored_with_the_facts_it_was_anonymized_with() -> None:
    event = event_of(fact.SlideAnonymized)
    command = decide(PackState.SETTLED, event).command
    assert isinstance(command, order.StoreSlide)
    assert command.facts == event.facts


@pytest.mark.parametrize("kind", [fact.SlideCatalogued, fact.PackDuplicated])
def test_originals_are_released_for_the_revision_that_holds_them(kind: type[fact.SlideCatalogued | fact.PackDuplicated]) -> None:
    state = PackState.STORED if kind is fact.SlideCatalogued else PackState.SETTLED
    command = decide(state, event_of(kind, number="987654321098", revision=3)).command
    assert isinstance(command, order.ReleasePack)
    assert (command.number, command.revision) == ("987654321098", 3)


def test_every_state_can_be_reached() -> None:
    reached = {PackState.NEW}
    for _ in PackState:
        reached |= {row.state for (before, _), row in PACK_TABLE.items() if before in reached}
    assert reached == set(PackState)


def test_every_batch_state_can_be_reached() -> None:
    assert {BatchState.NEW, *BATCH_TABLE.values()} == set(BatchState)


def test_every_event_about_a_pack_is_expected_somewhere() -> None:
    assert {kind for _, kind in PACK_TABLE} == set(PACK_EVENTS)


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_every_command_is_ordered_by_some_row(command: type[order.Command]) -> None:
    assert command in {row.command for row in PACK_TABLE.values()}


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
def test_a_pack_under_way_always_has_one_kind_of_command(state: PackState) -> None:
    entering = [row for row in PACK_TABLE.values() if row.state is state and not row.repeats]
    assert len({row.command for row in entering}) == 1
    assert None not in {row.command for row in entering}


@pytest.mark.parametrize("state", sorted({row.state for row in PACK_TABLE.values() if row.command}))
def test_a_step_may_fail_in_every_state_that_waits_for_one(state: PackState) -> None:
    decision = decide(state, event_of(fact.StepFailed))
    assert (decision.state, decision.command, decision.repeats) == (state, None, True)


def test_a_row_that_repeats_keeps_state_and_command() -> None:
    repeating = {pair: row for pair, row in PACK_TABLE.items() if row.repeats}
    assert all(row.state is state and row.command is None for (state, _), row in repeating.items())
    assert {kind for _, kind in repeating} == {fact.StepFailed, fact.PackStuck}


@pytest.mark.parametrize("state", sorted(UNDER_WAY | {PackState.QUARANTINED}))
def test_a_pack_that_waits_can_always_go_on(state: PackState) -> None:
    assert any(before is state and row.state is not state for (before, _), row in PACK_TABLE.items())


@pytest.mark.parametrize("state", [PackState.DONE, PackState.DISCARDED, PackState.SUPERSEDED, PackState.VANISHED])
def test_a_pack_that_has_ended_takes_no_event(state: PackState) -> None:
    assert not [kind for before, kind in PACK_TABLE if before is state]


def test_a_new_pack_can_only_arrive() -> None:
    assert [kind for before, kind in PACK_TABLE if before is PackState.NEW] == [fact.PackArrived]


@pytest.mark.parametrize("state", [PackState.STORED, PackState.CATALOGUED, PackState.DUPLICATE, PackState.DONE])
def test_a_slide_that_is_visible_is_never_quarantined_or_discarded(state: PackState) -> None:
    for kind in (fact.PackQuarantined, fact.PackDiscarded, fact.PackVanished):
        with pytest.raises(UndefinedTransition):
            decide(state, event_of(kind))


RECORDS_PATH = (
    (fact.RecordsArrived, RecordsState.ARRIVED, None),
    (fact.RecordsSettled, RecordsState.SETTLED, order.LoadRecords),
    (fact.RecordsLoaded, RecordsState.LOADED, order.AlignRecords),
    (fact.RecordsAligned, RecordsState.ALIGNED, None),
)
"""The way of sound records."""


@pytest.mark.parametrize(("state", "kind"), [pair for pair in RECORDS_PAIRS if pair not in RECORDS_TABLE], ids=name_of)
def test_a_pair_that_the_records_table_lacks_is_refused(state: RecordsState, kind: type[fact.AnyRecordsEvent]) -> None:
    with pytest.raises(UndefinedTransition, match=f"records that are {state} cannot take"):
        decide_records(state, event_of(kind))


@pytest.mark.parametrize(("state", "kind"), list(RECORDS_TABLE), ids=name_of)
def test_every_row_of_records_orders_its_own_command_about_the_same_records(state: RecordsState, kind: type[fact.AnyRecordsEvent]) -> None:
    decision = decide_records(state, event_of(kind))
    assert decision.state is RECORDS_TABLE[state, kind].state
    assert type(decision.command) is (RECORDS_TABLE[state, kind].command or type(None))
    assert decision.command is None or decision.command.subject == RECORDS


def test_sound_records_go_through_every_step_in_order() -> None:
    state = RecordsState.NEW
    for kind, after, command in RECORDS_PATH:
        decision = decide_records(state, event_of(kind))
        assert (decision.state, type(decision.command)) == (after, command or type(None))
        state = decision.state


def test_records_are_aligned_again_as_the_revision_and_number_that_the_event_tells() -> None:
    command = decide_records(RecordsState.ALIGNED, event_of(fact.RecordsOutdated, revision=3, alignment=7)).command
    assert isinstance(command, order.AlignRecords)
    assert (command.revision, command.alignment) == (3, 7)
    withdrawn = event_of(fact.RecordsWithdrawn, facts=records_facts(revision=2), alignment=4)
    again = decide_records(RecordsState.ALIGNED, withdrawn).command
    assert isinstance(again, order.AlignRecords)
    assert (again.revision, again.alignment) == (2, 4)
