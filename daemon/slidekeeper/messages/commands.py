"""Orders to a step. A command holds all the step needs to know beside its ports; it is journaled with the state it belongs to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from slidekeeper.model.identity import BatchId, PackId, SlideNumber
from slidekeeper.model.records import RecordsId
from slidekeeper.model.run import RunId
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.staging import StagingId
from slidekeeper.model.value import Value


class PackCommand(Value):
    """An order about one pack."""

    noun: ClassVar[str] = "pack"
    pack: PackId

    @property
    def subject(self) -> str:
        """The id of the thing this order is about."""
        return self.pack


class RecordsCommand(Value):
    """An order about the records of one batch."""

    noun: ClassVar[str] = "records"
    records: RecordsId
    revision: int

    @property
    def subject(self) -> str:
        """The id of the thing this order is about."""
        return self.records


class StagingCommand(Value):
    """An order about one staging; the journal's row holds what it is."""

    noun: ClassVar[str] = "staging"
    staging: StagingId

    @property
    def subject(self) -> str:
        """The id of the thing this order is about."""
        return self.staging


class RunCommand(Value):
    """An order about one training run; the journal's row holds what it is."""

    noun: ClassVar[str] = "run"
    run: RunId

    @property
    def subject(self) -> str:
        """The id of the thing this order is about."""
        return self.run


class SettlePack(PackCommand):
    """Watch the pack's files until they are complete and quiet."""

    type: Literal["settle"] = "settle"


class AnonymizePack(PackCommand):
    """Write an anonymized, proven copy aside in the bucket."""

    type: Literal["anonymize"] = "anonymize"


class StoreSlide(PackCommand):
    """Make the copy that lies aside visible under its final key."""

    type: Literal["store"] = "store"
    facts: SlideFacts


class CatalogSlide(PackCommand):
    """Bring the catalog up to this slide."""

    type: Literal["catalog"] = "catalog"
    number: SlideNumber
    revision: int


class ReleasePack(PackCommand):
    """Let go of the originals: the slide is stored and verified."""

    type: Literal["release"] = "release"
    number: SlideNumber
    revision: int


class LoadRecords(RecordsCommand):
    """Read the files by contract, strip them of identifiers, search what came out, and store it."""

    type: Literal["load"] = "load"
    batch: BatchId


class AlignRecords(RecordsCommand):
    """Tie the rows of this revision to slides; ``alignment`` numbers the attempt at this revision."""

    type: Literal["align"] = "align"
    batch: BatchId
    alignment: int


class StageCohort(StagingCommand):
    """Copy the cohort to its tier, verified."""

    type: Literal["stage"] = "stage"


class RemoveStaging(StagingCommand):
    """Remove from the tier what the manifest lists."""

    type: Literal["unstage"] = "unstage"


class ProtectRun(RunCommand):
    """Make artifacts and source code one immutable version."""

    type: Literal["protect"] = "protect"


class CleanRun(RunCommand):
    """Verify the run's version afresh, then remove its data from the tier."""

    type: Literal["clean"] = "clean"


AnyPackCommand: TypeAlias = SettlePack | AnonymizePack | StoreSlide | CatalogSlide | ReleasePack
AnyRecordsCommand: TypeAlias = LoadRecords | AlignRecords
AnyTrainingCommand: TypeAlias = StageCohort | RemoveStaging | ProtectRun | CleanRun
Command: TypeAlias = AnyPackCommand | AnyRecordsCommand | AnyTrainingCommand

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def command_to_json(command: Command) -> bytes:
    """The command's journal form."""
    return command.model_dump_json().encode()


def command_from_json(data: bytes | str) -> Command:
    """The command that :func:`command_to_json` wrote."""
    return _COMMANDS.validate_json(data)
