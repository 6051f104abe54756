"""Which files of a records folder belong together, and what they still wait for; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from slidekeeper.model.contract import Contract
from slidekeeper.model.phi import Member, Role, SourceFile
from slidekeeper.ports.drop import Sighting


def delivered(sightings: Iterable[Sighting], contracts: Mapping[str, Contract]) -> Mapping[bytes, Sequence[SourceFile]]:
    """Files that answer a contract, by session; what answers none is left alone."""
    found: dict[bytes, list[SourceFile]] = {}
    for sighting in sightings:
        source = source_of(sighting.path.reveal().rpartition(b"/")[2], contracts)
        if source and not sighting.special:
            member = Member(sighting.path, Role.TABLE, sighting.identity)
            found.setdefault(sighting.path.session, []).append(SourceFile(source, member))
    return {session: sorted(files, key=_by_source) for session, files in found.items()}


def source_of(name: bytes, contracts: Mapping[str, Contract]) -> str:
    """The first source whose contract claims a file of this name, or an empty string."""
    text = name.decode("utf-8", "replace").lower()
    claims = (source for source, contract in contracts.items() if any(fnmatchcase(text, pattern.lower()) for pattern in contract.files))
    return next(claims, "")


def lacking(files: Sequence[SourceFile], contracts: Mapping[str, Contract]) -> str:
    """What a session's files lack, as a code with the source's name: ``file-missing patients``, ``two-files imagery``; else empty."""
    counts = {source: sum(file.source == source for file in files) for source in contracts}
    problems = [f"file-missing {source}" for source, count in counts.items() if count == 0]
    problems += [f"two-files {source}" for source, count in counts.items() if count > 1]
    return ", ".join(problems)


def _by_source(file: SourceFile) -> tuple[str, bytes]:
    return file.source, file.member.path.reveal()
