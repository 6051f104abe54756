"""The one table: (state, event) to (state, command). A pair it lacks is an error, not a shrug."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from slidekeeper.errors import UndefinedTransition
from slidekeeper.messages import commands as order
from slidekeeper.messages import events as fact
from slidekeeper.workflow.states import BatchState, PackState, RecordsState, RunState, StagingState

Builder: TypeAlias = Callable[[Any], order.Command]


State = TypeVar("State", PackState, RecordsState, StagingState, RunState)


@dataclass(frozen=True, slots=True)
class Transition(Generic[State]):
    """One row's right side: the next state, and how the next command is made from the event."""

    state: State
    command: type[order.Command] | None = None
    build: Builder | None = None
    repeats: bool = False
    """The pending command stays as it is (a failed step is tried again)."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[State]):
    """What a table says: the next state and what to order, if anything."""

    state: State
    command: order.Command | None
    repeats: bool = False


def _to_settle(event: fact.PackEvent) -> order.Command:
    return order.SettlePack(pack=event.pack)


def _to_anonymize(event: fact.PackEvent) -> order.Command:
    return order.AnonymizePack(pack=event.pack)


def _to_store(event: fact.SlideAnonymized) -> order.Command:
    return order.StoreSlide(pack=event.pack, facts=event.facts)


def _to_catalog(event: fact.SlideStored) -> order.Command:
    return order.CatalogSlide(pack=event.pack, number=event.facts.number, revision=event.facts.revision)


def _to_release(event: fact.SlideCatalogued | fact.PackDuplicated) -> order.Command:
    return order.ReleasePack(pack=event.pack, number=event.number, revision=event.revision)


def _to_load(event: fact.RecordsSettled) -> order.Command:
    return order.LoadRecords(records=event.records, revision=event.revision, batch=event.batch)


def _to_align(event: fact.RecordsLoaded) -> order.Command:
    return order.AlignRecords(records=event.records, revision=event.facts.revision, batch=event.facts.batch, alignment=1)


def _to_align_again(event: fact.RecordsOutdated) -> order.Command:
    return order.AlignRecords(records=event.records, revision=event.revision, batch=event.batch, alignment=event.alignment)


def _to_align_the_rest(event: fact.RecordsWithdrawn) -> order.Command:
    return order.AlignRecords(records=event.records, revision=event.facts.revision, batch=event.facts.batch, alignment=event.alignment)


def _to_stage(event: fact.StagingEvent) -> order.Command:
    return order.StageCohort(staging=event.staging)


def _to_unstage(event: fact.StagingEvent) -> order.Command:
    return order.RemoveStaging(staging=event.staging)


def _to_protect(event: fact.RunEvent) -> order.Command:
    return order.ProtectRun(run=event.run)


def _to_clean(event: fact.RunEvent) -> order.Command:
    return order.CleanRun(run=event.run)


S = PackState
R = RecordsState
G = StagingState
T = RunState
SETTLE = Transition(S.ARRIVED, order.SettlePack, _to_settle)
ANONYMIZE = Transition(S.SETTLED, order.AnonymizePack, _to_anonymize)
QUARANTINE = Transition(S.QUARANTINED)

PACK_TABLE: Mapping[tuple[PackState, type[fact.AnyPackEvent]], Transition[PackState]] = {
    (S.NEW, fact.PackArrived): SETTLE,
    (S.ARRIVED, fact.StepFailed): Transition(S.ARRIVED, repeats=True),
    (S.ARRIVED, fact.PackStuck): Transition(S.ARRIVED, repeats=True),
    (S.ARRIVED, fact.PackSettled): ANONYMIZE,
    (S.ARRIVED, fact.PackVanished): Transition(S.VANISHED),
    (S.ARRIVED, fact.PackQuarantined): QUARANTINE,
    (S.SETTLED, fact.StepFailed): Transition(S.SETTLED, repeats=True),
    (S.SETTLED, fact.PackChanged): SETTLE,
    (S.SETTLED, fact.PackVanished): Transition(S.VANISHED),
    (S.SETTLED, fact.PackDuplicated): Transition(S.DUPLICATE, order.ReleasePack, _to_release),
    (S.SETTLED, fact.PackQuarantined): QUARANTINE,
    (S.SETTLED, fact.SlideAnonymized): Transition(S.ANONYMIZED, order.StoreSlide, _to_store),
    (S.ANONYMIZED, fact.StepFailed): Transition(S.ANONYMIZED, repeats=True),
    (S.ANONYMIZED, fact.SlideMislaid): ANONYMIZE,
    (S.ANONYMIZED, fact.PackQuarantined): QUARANTINE,
    (S.ANONYMIZED, fact.SlideStored): Transition(S.STORED, order.CatalogSlide, _to_catalog),
    (S.STORED, fact.StepFailed): Transition(S.STORED, repeats=True),
    (S.STORED, fact.SlideCatalogued): Transition(S.CATALOGUED, order.ReleasePack, _to_release),
    (S.CATALOGUED, fact.StepFailed): Transition(S.CATALOGUED, repeats=True),
    (S.CATALOGUED, fact.PackReleased): Transition(S.DONE),
    (S.DUPLICATE, fact.StepFailed): Transition(S.DUPLICATE, repeats=True),
    (S.DUPLICATE, fact.PackReleased): Transition(S.DUPLICATE),
    (S.QUARANTINED, fact.PackRetried): SETTLE,
    (S.QUARANTINED, fact.PackDiscarded): Transition(S.DISCARDED),
    (S.QUARANTINED, fact.PackSuperseded): Transition(S.SUPERSEDED),
    (S.QUARANTINED, fact.PackVanished): Transition(S.VANISHED),
}

BATCH_TABLE: Mapping[tuple[BatchState, type[fact.AnyBatchEvent]], BatchState] = {
    (BatchState.NEW, fact.BatchOpened): BatchState.OPEN,
    (BatchState.OPEN, fact.BatchClosed): BatchState.CLOSED,
    (BatchState.CLOSED, fact.BatchCompleted): BatchState.COMPLETED,
}

RECORDS_TABLE: Mapping[tuple[RecordsState, type[fact.AnyRecordsEvent]], Transition[RecordsState]] = {
    (R.NEW, fact.RecordsArrived): Transition(R.ARRIVED),
    (R.ARRIVED, fact.RecordsSettled): Transition(R.SETTLED, order.LoadRecords, _to_load),
    (R.ARRIVED, fact.RecordsQuarantined): Transition(R.QUARANTINED),
    (R.SETTLED, fact.RecordsFailed): Transition(R.SETTLED, repeats=True),
    (R.SETTLED, fact.RecordsArrived): Transition(R.ARRIVED),
    (R.SETTLED, fact.RecordsQuarantined): Transition(R.QUARANTINED),
    (R.SETTLED, fact.RecordsLoaded): Transition(R.LOADED, order.AlignRecords, _to_align),
    (R.LOADED, fact.RecordsFailed): Transition(R.LOADED, repeats=True),
    (R.LOADED, fact.RecordsWithdrawn): Transition(R.LOADED, order.AlignRecords, _to_align_the_rest),
    (R.LOADED, fact.RecordsAligned): Transition(R.ALIGNED),
    (R.ALIGNED, fact.RecordsOutdated): Transition(R.LOADED, order.AlignRecords, _to_align_again),
    (R.ALIGNED, fact.RecordsWithdrawn): Transition(R.LOADED, order.AlignRecords, _to_align_the_rest),
    (R.ALIGNED, fact.RecordsArrived): Transition(R.ARRIVED),
    (R.QUARANTINED, fact.RecordsRetried): Transition(R.ARRIVED),
    (R.QUARANTINED, fact.RecordsArrived): Transition(R.ARRIVED),
}

STAGE = Transition(G.ORDERED, order.StageCohort, _to_stage)
UNSTAGE = Transition(G.RELEASED, order.RemoveStaging, _to_unstage)

STAGING_TABLE: Mapping[tuple[StagingState, type[fact.AnyStagingEvent]], Transition[StagingState]] = {
    (G.NEW, fact.StagingOrdered): STAGE,
    (G.ORDERED, fact.StagingFailed): Transition(G.ORDERED, repeats=True),
    (G.ORDERED, fact.StagingCompleted): Transition(G.READY),
    (G.ORDERED, fact.StagingQuarantined): Transition(G.QUARANTINED),
    (G.ORDERED, fact.StagingReleased): UNSTAGE,
    (G.READY, fact.StagingReleased): UNSTAGE,
    (G.QUARANTINED, fact.StagingRetried): STAGE,
    (G.QUARANTINED, fact.StagingReleased): UNSTAGE,
    (G.RELEASED, fact.StagingFailed): Transition(G.RELEASED, repeats=True),
    (G.RELEASED, fact.StagingRemoved): Transition(G.REMOVED),
}

PROTECT = Transition(T.FINISHED, order.ProtectRun, _to_protect)
CLEAN = Transition(T.RELEASED, order.CleanRun, _to_clean)
HOLD = Transition(T.QUARANTINED)
"""A run that cannot be protected, or a done-marker that cannot be understood."""

RUN_TABLE: Mapping[tuple[RunState, type[fact.AnyRunEvent]], Transition[RunState]] = {
    (T.NEW, fact.RunAppeared): Transition(T.RUNNING),
    (T.NEW, fact.RunFinished): PROTECT,
    (T.RUNNING, fact.RunFinished): PROTECT,
    (T.RUNNING, fact.RunQuarantined): HOLD,
    (T.FINISHED, fact.RunFailed): Transition(T.FINISHED, repeats=True),
    (T.FINISHED, fact.RunQuarantined): HOLD,
    (T.FINISHED, fact.RunProtected): Transition(T.PROTECTED),
    (T.QUARANTINED, fact.RunRetried): PROTECT,
    (T.QUARANTINED, fact.RunFinished): PROTECT,
    (T.QUARANTINED, fact.RunQuarantined): HOLD,
    (T.PROTECTED, fact.RunFinished): PROTECT,
    (T.PROTECTED, fact.RunQuarantined): HOLD,
    (T.PROTECTED, fact.RunReleased): CLEAN,
    (T.RELEASED, fact.RunFailed): Transition(T.RELEASED, repeats=True),
    (T.RELEASED, fact.RunQuarantined): Transition(T.BLOCKED),
    (T.RELEASED, fact.RunCleaned): Transition(T.CLEANED),
    (T.BLOCKED, fact.RunRetried): CLEAN,
    (T.BLOCKED, fact.RunFinished): PROTECT,
    (T.BLOCKED, fact.RunQuarantined): HOLD,
    (T.CLEANED, fact.RunFinished): PROTECT,
    (T.CLEANED, fact.RunQuarantined): HOLD,
}


def decide(state: PackState, event: fact.AnyPackEvent) -> Decision[PackState]:
    """What follows when ``event`` happens to a pack in ``state``.

    Raises:
        UndefinedTransition: the table has no such row.
    """
    return _decision(PACK_TABLE.get((state, type(event))), "a pack", state, event)


def decide_records(state: RecordsState, event: fact.AnyRecordsEvent) -> Decision[RecordsState]:
    """What follows when ``event`` happens to a batch's records in ``state``.

    Raises:
        UndefinedTransition: the table has no such row.
    """
    return _decision(RECORDS_TABLE.get((state, type(event))), "records", state, event)


def decide_staging(state: StagingState, event: fact.AnyStagingEvent) -> Decision[StagingState]:
    """What follows when ``event`` happens to a staging in ``state``.

    Raises:
        UndefinedTransition: the table has no such row.
    """
    return _decision(STAGING_TABLE.get((state, type(event))), "a staging", state, event)


def decide_run(state: RunState, event: fact.AnyRunEvent) -> Decision[RunState]:
    """What follows when ``event`` happens to a training run in ``state``.

    Raises:
        UndefinedTransition: the table has no such row.
    """
    return _decision(RUN_TABLE.get((state, type(event))), "a run", state, event)


def _decision(row: Transition[State] | None, what: str, state: State, event: fact.AnyStepEvent) -> Decision[State]:
    if row is None:
        verb = "are" if what == "records" else "is"
        raise UndefinedTransition("undefined-transition", f"{what} that {verb} {state} cannot take {event.type}")
    return Decision(row.state, row.build(event) if row.build else None, row.repeats)


def decide_batch(state: BatchState, event: fact.AnyBatchEvent) -> BatchState:
    """The state a batch is in after ``event``.

    Raises:
        UndefinedTransition: the table has no such row.
    """
    after = BATCH_TABLE.get((state, type(event)))
    if after is None:
        raise UndefinedTransition("undefined-transition", f"a batch that is {state} cannot take {event.type}")
    return after
