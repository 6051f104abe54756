"""Orders to a step. A command holds all the step needs to know beside its ports; it is journaled with the state it belongs to."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from slidekeeper.model.identity import PackId, SlideNumber
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.value import Value


class SettlePack(Value):
    """Watch the pack's files until they are complete and quiet."""

    type: Literal["settle"] = "settle"
    pack: PackId


class AnonymizePack(Value):
    """Write an anonymized, proven copy aside in the bucket."""

    type: Literal["anonymize"] = "anonymize"
    pack: PackId


class StoreSlide(Value):
    """Make the copy that lies aside visible under its final key."""

    type: Literal["store"] = "store"
    pack: PackId
    facts: SlideFacts


class CatalogSlide(Value):
    """Bring the catalog up to this slide."""

    type: Literal["catalog"] = "catalog"
    pack: PackId
    number: SlideNumber
    revision: int


class ReleasePack(Value):
    """Let go of the originals: the slide is stored and verified."""

    type: Literal["release"] = "release"
    pack: PackId
    number: SlideNumber
    revision: int


Command: TypeAlias = SettlePack | AnonymizePack | StoreSlide | CatalogSlide | ReleasePack

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def command_to_json(command: Command) -> bytes:
    """The command's journal form."""
    return command.model_dump_json().encode()


def command_from_json(data: bytes | str) -> Command:
    """The command that :func:`command_to_json` wrote."""
    return _COMMANDS.validate_json(data)
