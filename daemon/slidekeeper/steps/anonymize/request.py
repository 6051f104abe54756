"""Makes a worker's request of a pack, and the slide's facts of what came back; for the daemon's step and for one shot alike."""

from __future__ import annotations

from dataclasses import dataclass

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.phi import PackFiles, Role
from slidekeeper.model.slide import SlideFacts
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.formats import USUAL, Choices, Registry
from slidekeeper.ports.proof import Reader, SearchFactory
from slidekeeper.steps.anonymize.job import AnonymizeOutcome, AnonymizeRequest

READ_COMPANIONS = frozenset({Role.BARCODE, Role.THUMBNAIL})


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker is given beside the pack."""

    bucket: Bucket
    formats: Registry
    search: SearchFactory
    reader: Reader
    thumbnail_pixels: int
    choices: Choices = USUAL


def original_name(files: PackFiles) -> Concealed[str]:
    """The file name under which the records will refer to this slide."""
    [image] = files.images
    return Concealed(image.path.reveal().rpartition(b"/")[2].decode("utf-8", "surrogateescape"))


def request_of(files: PackFiles, drop: Drop, number: SlideNumber, tools: Tools) -> AnonymizeRequest:
    """The request for a pack's one image; the copy will lie aside under the pack's id."""
    [image] = files.images
    return AnonymizeRequest(
        drop=drop,
        image=image,
        barcode=files.barcode,
        stem=number,
        bucket=tools.bucket,
        aside=files.pack,
        formats=tools.formats,
        search=tools.search,
        reader=tools.reader,
        thumbnail_pixels=tools.thumbnail_pixels,
        choices=tools.choices,
        companions=tuple(member for member in files.members if member.role in READ_COMPANIONS),
    )


def facts_of(files: PackFiles, number: SlideNumber, revision: int, outcome: AnonymizeOutcome, version: str) -> SlideFacts:
    """What is known of the slide; ``version`` is the anonymizer's."""
    return SlideFacts(
        number=number,
        revision=revision,
        pack=files.pack,
        batch=files.batch,
        drop=files.drop,
        image=outcome.facts,
        size=outcome.written.size,
        digest=outcome.written.digest,
        seconds=outcome.seconds,
        anonymizer=version,
    )
