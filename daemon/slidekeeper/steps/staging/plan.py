"""Decides what a staging is and whether it may be; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import zip_longest

from blake3 import blake3

from slidekeeper.errors import Refused
from slidekeeper.model.manifest import StagedImage
from slidekeeper.model.staging import Cohort
from slidekeeper.ports.journal import StagingRow
from slidekeeper.ports.tier import Holding
from slidekeeper.workflow.states import ON_TIER

SMALL_BYTES = 4 << 20
BATCH_FILES = 128
BATCH_BYTES = 64 << 20
NAMED = 5
"""So many slides are named in a refusal; the rest are counted."""


def cohort_of(images: Sequence[StagedImage], sql: str, catalog: int) -> Cohort:
    """What the journal remembers of a choice; ``catalog`` is the catalog's position when it was made."""
    lines = "".join(f"{image.number} r{image.revision} {image.digest}\n" for image in sorted(images, key=lambda each: each.number))
    digest = f"blake3:{blake3(lines.encode()).hexdigest()}"
    return Cohort(sql=sql, slides=len(images), size=sum(image.size for image in images), digest=digest, catalog=catalog)


def largest_first(images: Sequence[StagedImage]) -> tuple[StagedImage, ...]:
    """The order of the plan: what takes longest is begun first, so that it does not end last."""
    return tuple(sorted(images, key=lambda image: (-image.size, image.number)))


def portions(images: Sequence[StagedImage], verified: Mapping[str, int]) -> list[tuple[StagedImage, ...]]:
    """What is still to be copied: large images alone and batches of small ones by turns, for the first wait for disks, not the others."""
    missing = [image for image in images if verified.get(image.name) != image.size]
    large = [(image,) for image in missing if image.size > SMALL_BYTES]
    small = _batches([image for image in missing if image.size <= SMALL_BYTES])
    return [portion for pair in zip_longest(large, small) for portion in pair if portion is not None]


def _batches(images: Sequence[StagedImage]) -> Iterator[tuple[StagedImage, ...]]:
    batch: list[StagedImage] = []
    size = 0
    for image in images:
        if batch and (len(batch) == BATCH_FILES or size + image.size > BATCH_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(image)
        size += image.size
    if batch:
        yield tuple(batch)


@dataclass(frozen=True, slots=True)
class Situation:
    """What stands against an order, or has been done of it already."""

    name: str
    cohort: Cohort
    same_name: StagingRow | None
    """The newest staging of this name."""
    holding: Holding
    free: int
    """Bytes, without the reserve; negative when that is touched."""
    missing: Sequence[StagedImage] = ()
    """Slides whose object the bucket lacks."""
    unknown: Set[str] = frozenset()
    """Slides that were named, but are not in the catalog."""


def standing(situation: Situation) -> StagingRow | None:
    """The staging of this name that is on the tier, or on its way there."""
    row = situation.same_name
    return row if row is not None and row.state in ON_TIER else None


def is_repeated(situation: Situation) -> bool:
    """Whether this was ordered before, and nothing new is to be done."""
    row = standing(situation)
    return row is not None and row.cohort.digest == situation.cohort.digest and row.state != "released"


def refusal(situation: Situation) -> Refused | None:
    """Why the order cannot be taken, if so."""
    return _wrong_choice(situation) or (None if is_repeated(situation) else _wrong_place(situation))


def _wrong_choice(situation: Situation) -> Refused | None:
    if situation.unknown:
        detail = f"{len(situation.unknown)} of the slides are not in the catalog: {_some(situation.unknown)}"
        return Refused("slides-not-available", detail, "See `slidekeeper slides list`")
    if situation.cohort.slides == 0:
        return Refused("empty-cohort", "no slide meets the condition", "Try it: `slidekeeper query 'SELECT … FROM slides'`")
    return None


def _wrong_place(situation: Situation) -> Refused | None:
    if standing(situation) is not None:
        remedy = "Choose another name, or release the old one: `slidekeeper staging release`"
        return Refused("name-taken", "there is a staging of this name with another cohort, or one that is being removed", remedy)
    if situation.holding.entries or situation.holding.owner:
        return Refused("target-not-empty", "something lies under this name on the tier", "Remove it, or choose another name")
    if situation.missing:
        detail = f"the bucket lacks {len(situation.missing)} of the slides: {_some({image.number for image in situation.missing})}"
        return Refused("slides-not-available", detail, "Mend the bucket: `slidekeeper verify --slides`")
    if situation.cohort.size > situation.free:
        short = situation.cohort.size - situation.free
        return Refused("not-enough-space", f"{short} bytes are missing on the tier, its reserve included", "Release stagings or free space")
    return None


def _some(numbers: Set[str]) -> str:
    listed = sorted(number[:12] for number in numbers)
    return ", ".join(listed[:NAMED]) + (", …" if len(listed) > NAMED else "")
