"""What a worker does with one slide: a pure function of one picklable argument, so that it runs on any machine.

Nothing survives a failure: whatever went wrong, what lay aside is removed before the error leaves.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import BinaryIO

from slidekeeper.errors import Permanent, SlidekeeperError, SourceChanged, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.phi import Barcode, Member, Role
from slidekeeper.model.slide import ImageFacts
from slidekeeper.model.splice import Anonymization, Content, Secret
from slidekeeper.model.texts import readable_in, remains
from slidekeeper.ports.bucket import Bucket, Written
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.formats import USUAL, Choices, Format, Registry, Source
from slidekeeper.ports.proof import Reader, SearchFactory

THUMBNAIL = "thumbnail.jpg"
BARCODE_BYTES = 1 << 16
"""Bytes of a barcode's file that are read."""

NOT_WHOLE = frozenset({"empty-file", "truncated"})


@dataclass(frozen=True, slots=True)
class AnonymizeRequest:
    """All that a worker needs; holds no key."""

    drop: Drop
    image: Member
    barcode: Barcode
    stem: str
    """The anonymized file's name without extension: the slide number."""
    bucket: Bucket
    aside: str
    formats: Registry
    search: SearchFactory
    reader: Reader
    thumbnail_pixels: int
    choices: Choices = USUAL
    companions: tuple[Member, ...] = ()
    """Members beside the image that may name the patient: they are read for what to search, and never copied."""


@dataclass(frozen=True, slots=True)
class AnonymizeOutcome:
    """What came out; the copy lies aside, proven."""

    facts: ImageFacts
    written: Written
    seconds: float


@dataclass(frozen=True, slots=True)
class WholenessRequest:
    """Asks whether a slide is complete."""

    drop: Drop
    image: Member
    formats: Registry


@dataclass(frozen=True, slots=True)
class PlannedRange:
    """One range of the anonymized file, in bytes."""

    offset: int
    length: int
    action: str
    """``keep``, ``literal`` or ``zeros``."""
    why: str


def anonymize_slide(request: AnonymizeRequest) -> AnonymizeOutcome:
    """Write an anonymized, proven copy aside.

    Raises:
        Permanent: it cannot be proven clean, or is no supported slide.
        SourceChanged: it changed while it was read.
        Unavailable: the bucket cannot take it now, or the drop folder cannot give it.
    """
    started = time.perf_counter()
    try:
        with request.drop.open(request.image) as stream:
            plan, written = _splice(request, stream)
        request.bucket.put(request.aside, THUMBNAIL, _proven(request, plan.facts, written))
    except BaseException:
        _clean_up(request)
        raise
    return AnonymizeOutcome(plan.facts, written, round(time.perf_counter() - started, 3))


def probe_wholeness(request: WholenessRequest) -> str:
    """Why the slide is not whole yet, or an empty string; a format nobody knows is as whole as it will ever be."""
    with request.drop.open(request.image) as stream:
        source = Source(stream, request.image.identity.size)
        try:
            return request.formats.recognize(source).missing(source)
        except Permanent as unknown:
            return unknown.reason if unknown.reason in NOT_WHOLE else ""


def explain_slide(request: WholenessRequest) -> list[PlannedRange]:
    """The plan of a slide, range by range; writes nothing.

    Raises:
        Permanent: it is no supported slide, or cannot be proven clean.
    """
    with request.drop.open(request.image) as stream:
        source = Source(stream, request.image.identity.size)
        plan = _recognized(request.formats, source).plan(source).plan
    return [PlannedRange(offset, piece.length, type(piece).__name__.lower(), piece.why) for offset, piece in plan.placed()]


def _recognized(formats: Registry, source: Source) -> Format:
    """The format of a slide that is whole."""
    format_ = formats.recognize(source)
    missing = format_.missing(source)
    if missing:
        raise Permanent(missing, "the headers refer to bytes that are not there")
    return format_


def _splice(request: AnonymizeRequest, stream: BinaryIO) -> tuple[Anonymization, Written]:
    """Plan and write; the search sees every finished byte on its way."""
    source = Source(stream, request.image.identity.size)
    try:
        plan = _recognized(request.formats, source).plan(source, request.choices)
    except EOFError:
        raise SourceChanged("source-changed", "the file became shorter while it was read") from None
    except Permanent as damage:
        if damage.reason in NOT_WHOLE:
            _check_unchanged(request, stream)
        raise
    written = _written(request, plan, stream)
    _check_unchanged(request, stream)
    return plan, written


def _written(request: AnonymizeRequest, plan: Anonymization, stream: BinaryIO) -> Written:
    """Execute the plan; nothing that had to go may be among the finished bytes, and nothing but pixels in the tiles."""
    search = request.search(_texts(request, plan), plan.windows)
    inspection = plan.inspection() if plan.inspection else None
    feeds = [looking.feed for looking in (search, inspection) if looking]

    def look(span: memoryview, content: Content) -> None:
        for feed in feeds:
            feed(span, content)

    written = request.bucket.splice(request.aside, _name(request, plan.facts), stream, plan.plan, look)
    if search.hits():
        raise Permanent("identifier-found", f"{search.hits()} of the values that had to go were still in the result")
    if inspection and inspection.fault():
        raise Permanent("metadata-in-tiles", f"coded pixels carry more than pixels ({inspection.fault()})")
    return written


def _name(request: AnonymizeRequest, facts: ImageFacts) -> str:
    return f"{request.stem}{facts.extension}"


def _texts(request: AnonymizeRequest, plan: Anonymization) -> list[Concealed[bytes]]:
    """What the format removed, and what names the patient outside the image, but for what the plan itself writes.

    A slide may lie in a folder named like its scanner's maker, or be named by a number that is also its width.
    """
    remaining = plan.plan.literals()
    outside = dict.fromkeys([*_names(request), *_companions_texts(request)])
    return [*plan.texts, *(Secret(text) for text in outside if not remains(text, remaining))]


def _names(request: AnonymizeRequest) -> list[bytes]:
    """The identifiers that the path itself carries: barcode, file name, names of folders."""
    return [request.barcode.reveal().encode("utf-8", "surrogateescape"), *request.image.path.reveal().split(b"/")]


def _companions_texts(request: AnonymizeRequest) -> list[bytes]:
    """What the barcode's file says, and what a thumbnail carries beside its pixels."""
    texts: list[bytes] = []
    for member in request.companions:
        with request.drop.open(member) as stream:
            values = [stream.read(BARCODE_BYTES)] if member.role is Role.BARCODE else request.reader.embedded_texts(stream)
        texts += [text for value in values for text in readable_in(value)]
    return texts


def _check_unchanged(request: AnonymizeRequest, stream: BinaryIO) -> None:
    """The open file and the file of that name must both still be the one that settled."""
    status = os.fstat(stream.fileno())
    settled = request.image.identity
    same = (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (settled.size, settled.mtime_ns, settled.ctime_ns)
    if not same or request.drop.identify(request.image.path) != settled:
        raise SourceChanged("source-changed", "the file was changed or replaced while it was read")


def _proven(request: AnonymizeRequest, facts: ImageFacts, written: Written) -> bytes:
    """The thumbnail of a copy that another reader finds to be what was planned.

    A reader's first refusal does not tell a bad copy from a disk that could not be read: it counts when it is repeated behind
    a reading of the whole copy that gave back what was written.
    """
    try:
        return _read_by_another(request, facts)
    except Permanent:
        if request.bucket.digest_aside(request.aside, _name(request, facts)) != written.digest:
            raise Temporary("bucket-error", "the bucket gives back other bytes than were written") from None
        return _read_by_another(request, facts)


def _read_by_another(request: AnonymizeRequest, facts: ImageFacts) -> bytes:
    copy = request.bucket.aside_path(request.aside, _name(request, facts))
    request.reader.verify(copy, facts)
    return request.reader.thumbnail(copy, request.thumbnail_pixels)


def _clean_up(request: AnonymizeRequest) -> None:
    """Remove what lies aside; if that fails too, the next start sweeps it, and the first error matters more."""
    try:
        request.bucket.discard(request.aside)
    except SlidekeeperError:
        return
