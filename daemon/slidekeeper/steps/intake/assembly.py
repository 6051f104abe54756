"""Which files belong together, what each of them is, and which barcode names them; pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slidekeeper.model.identity import new_batch_id, new_pack_id
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.drop import Sighting
from slidekeeper.settings.sections import DropSettings

READY_MARKER = b"READY"
THUMBNAIL_SUFFIX = re.compile(r"[ ._-]?(thumb|thumbnail|preview)$", re.IGNORECASE)
NO_STEM = b"/"
"""Behind the name of what is no regular file: no stem of a regular file ends so."""
BARCODE_EXTENSIONS = frozenset({".txt", ".barcode"})


@dataclass(frozen=True, slots=True)
class PackKey:
    """What tells packs of one drop folder apart."""

    directory: bytes
    stem: bytes


def member_of(sighting: Sighting, settings: DropSettings) -> Member:
    """What a file is within its pack."""
    extension = _extension(_name(sighting.path))
    if sighting.special:
        role = Role.SPECIAL
    elif extension in settings.image_extensions:
        role = Role.IMAGE
    elif extension in settings.thumbnail_extensions:
        role = Role.THUMBNAIL
    elif extension in BARCODE_EXTENSIONS:
        role = Role.BARCODE
    else:
        role = Role.SIDECAR
    return Member(sighting.path, role, sighting.identity)


def key_of(member: Member, settings: DropSettings) -> PackKey:
    """Which pack a member belongs to: by its stem, or by its directory. What is no regular file is a pack of its own."""
    directory, _, name = member.path.reveal().rpartition(b"/")
    if member.role is Role.SPECIAL:
        return PackKey(directory, name + NO_STEM)
    if settings.pack == "directory" and directory:
        return PackKey(directory, b"")
    stem = os.path.splitext(name)[0]
    if member.role is Role.THUMBNAIL:
        stem = os.fsencode(THUMBNAIL_SUFFIX.sub("", os.fsdecode(stem)))
    return PackKey(directory, stem)


def grouped(sightings: Sequence[Sighting], settings: DropSettings) -> Mapping[PackKey, list[Member]]:
    """Members by pack, READY markers left out."""
    packs: dict[PackKey, list[Member]] = {}
    for sighting in sightings:
        if not is_marker(sighting):
            member = member_of(sighting, settings)
            packs.setdefault(key_of(member, settings), []).append(member)
    return packs


def packs_of(sightings: Sequence[Sighting], drop: str, settings: DropSettings) -> list[PackFiles]:
    """All packs among files that are complete and quiet, each under a new id, all of one new batch."""
    batch = new_batch_id()
    return [
        PackFiles(new_pack_id(), drop, batch, RelativePath(key.stem), barcode_of(key, members), tuple(members))
        for key, members in grouped(sightings, settings).items()
    ]


def barcode_of(key: PackKey, members: Sequence[Member]) -> Barcode:
    """The stem of the image's file name, or of whatever is there until the image comes."""
    image = next((member for member in members if member.role is Role.IMAGE), None)
    stem = os.path.splitext(_name(image.path))[0] if image else key.stem.removesuffix(NO_STEM) or os.path.basename(key.directory)
    return Barcode(stem.decode("utf-8", "surrogateescape"))


def is_valid_barcode(barcode: Barcode, pattern: str) -> bool:
    """Whether a barcode is valid UTF-8 and what the site expects."""
    text = barcode.reveal()
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return re.fullmatch(pattern, text) is not None


def is_marker(sighting: Sighting) -> bool:
    """Whether a file is the notice that its folder is complete; what only bears the name is as special as anything else."""
    return _name(sighting.path) == READY_MARKER and not sighting.special


def merged(known: Sequence[Member], seen: Sequence[Member]) -> tuple[Member, ...]:
    """``known`` with the members of ``seen`` added or brought up to date."""
    members = {member.path: member for member in known}
    members.update({member.path: member for member in seen})
    return tuple(members.values())


def _name(path: RelativePath) -> bytes:
    return path.reveal().rpartition(b"/")[2]


def _extension(name: bytes) -> str:
    return os.fsdecode(os.path.splitext(name)[1]).lower()
