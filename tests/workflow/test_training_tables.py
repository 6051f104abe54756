"""Stagings and training runs: nothing leaves the tier before it is protected, and what was given up can always go on."""

from __future__ import annotations

from itertools import product

import pytest

from slidekeeper.errors import UndefinedTransition
from slidekeeper.messages import commands as order
from slidekeeper.messages import events as fact
from slidekeeper.workflow.states import RunState, StagingState
from slidekeeper.workflow.table import RUN_TABLE, STAGING_TABLE, decide_run, decide_staging
from writers.events import RUN, RUN_EVENTS, STAGING, STAGING_EVENTS, event_of


def name_of(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


@pytest.mark.parametrize(("state", "kind"), [pair for pair in product(RunState, RUN_EVENTS) if pair not in RUN_TABLE], ids=name_of)
def test_a_pair_that_the_run_table_lacks_is_refused(state: RunState, kind: type[fact.AnyRunEvent]) -> None:
    with pytest.raises(UndefinedTransition, match=f"a run that is {state} cannot take"):
        decide_run(state, event_of(kind))


@pytest.mark.parametrize(
    ("state", "kind"), [pair for pair in product(StagingState, STAGING_EVENTS) if pair not in STAGING_TABLE], ids=name_of
)
def test_a_pair_that_the_staging_table_lacks_is_refused(state: StagingState, kind: type[fact.AnyStagingEvent]) -> None:
    with pytest.raises(UndefinedTransition, match=f"a staging that is {state} cannot take"):
        decide_staging(state, event_of(kind))


@pytest.mark.parametrize(("state", "kind"), list(RUN_TABLE), ids=name_of)
def test_every_row_of_runs_orders_its_own_command_about_the_same_run(state: RunState, kind: type[fact.AnyRunEvent]) -> None:
    decision = decide_run(state, event_of(kind))
    assert type(decision.command) is (RUN_TABLE[state, kind].command or type(None))
    assert decision.command is None or decision.command.subject == RUN


@pytest.mark.parametrize(("state", "kind"), list(STAGING_TABLE), ids=name_of)
def test_every_row_of_stagings_orders_its_own_command_about_the_same_staging(state: StagingState, kind: type[fact.AnyStagingEvent]) -> None:
    decision = decide_staging(state, event_of(kind))
    assert type(decision.command) is (STAGING_TABLE[state, kind].command or type(None))
    assert decision.command is None or decision.command.subject == STAGING


def test_every_state_can_be_reached() -> None:
    runs = {RunState.NEW} | {row.state for row in RUN_TABLE.values()}
    stagings = {StagingState.NEW} | {row.state for row in STAGING_TABLE.values()}
    assert (runs, stagings) == (set(RunState), set(StagingState))


def test_every_event_is_expected_somewhere() -> None:
    assert {kind for _, kind in RUN_TABLE} == set(RUN_EVENTS)
    assert {kind for _, kind in STAGING_TABLE} == set(STAGING_EVENTS)


def test_a_run_is_cleaned_only_after_it_was_protected() -> None:
    before = {state for (state, _), row in RUN_TABLE.items() if row.command is order.CleanRun}
    assert before == {RunState.PROTECTED, RunState.BLOCKED}
    assert {state for (state, kind) in RUN_TABLE if kind is fact.RunCleaned} == {RunState.RELEASED}
    assert {row.state for (_, kind), row in RUN_TABLE.items() if kind is fact.RunProtected} == {RunState.PROTECTED}


@pytest.mark.parametrize("state", [RunState.QUARANTINED, RunState.BLOCKED])
def test_a_run_that_was_given_up_can_be_tried_again(state: RunState) -> None:
    assert decide_run(state, event_of(fact.RunRetried)).command is not None


@pytest.mark.parametrize("state", [RunState.PROTECTED, RunState.CLEANED, RunState.QUARANTINED, RunState.BLOCKED])
def test_a_run_that_finishes_again_is_protected_again(state: RunState) -> None:
    assert isinstance(decide_run(state, event_of(fact.RunFinished)).command, order.ProtectRun)


@pytest.mark.parametrize("state", [StagingState.ORDERED, StagingState.READY, StagingState.QUARANTINED])
def test_a_staging_can_be_released_whatever_became_of_it(state: StagingState) -> None:
    assert isinstance(decide_staging(state, event_of(fact.StagingReleased)).command, order.RemoveStaging)
