"""Originals are deleted only where the site wants it, behind a stored copy, and only as they were settled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from blake3 import blake3

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.messages.commands import ReleasePack
from slidekeeper.messages.events import PackReleased
from slidekeeper.model.identity import BatchId, PackId, SlideNumber, revision_key
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.release import ReleaseStep
from writers.events import slide_facts

PACK, NUMBER = PackId("a" * 16), SlideNumber("123456789012")
ORDER = ReleasePack(pack=PACK, number=NUMBER, revision=2)


class LockedDrop(PosixDrop):
    """A share that lets nobody delete."""

    def delete(self, member: Member) -> None:
        raise Permanent("permission", "EACCES")


@dataclass
class Originals:
    """A pack in a drop folder, known and stored."""

    folder: Path
    known: SqliteKnownFiles
    drop: PosixDrop = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "drop" / "monday").mkdir(parents=True)
        self.bucket = PosixBucket(self.folder / "bucket")
        self.bucket.root.mkdir()
        self.drop = PosixDrop("scanner", self.folder / "drop")

    @property
    def names(self) -> set[str]:
        return {path.name for path in (self.folder / "drop" / "monday").iterdir()}

    async def put(self, second: Role = Role.BARCODE) -> None:
        """Three files, of which two are the pack's: its image, and one of another role; a stored copy."""
        for name in ("a.svs", "a.txt", "b.svs"):
            (self.folder / "drop" / "monday" / name).write_bytes(b"pixels")
        paths = [RelativePath(b"monday/a.svs"), RelativePath(b"monday/a.txt")]
        seen = [(path, role, self.drop.identify(path)) for path, role in zip(paths, (Role.IMAGE, second), strict=True)]
        members = tuple(Member(path, role, identity) for path, role, identity in seen if identity)
        await self.known.remember([PackFiles(PACK, "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), members)])
        facts = slide_facts(PACK, number=NUMBER, revision=2).model_copy(update={"digest": f"blake3:{blake3(b'slide').hexdigest()}"})
        self.bucket.put(PACK, "slide.json", facts.model_dump_json().encode())
        self.bucket.put(PACK, facts.file_name, b"slide")
        self.bucket.publish(PACK, revision_key(NUMBER, 2))

    async def release(self, after_ingest: Literal["keep", "delete"], drop: PosixDrop | None = None) -> PackReleased:
        settings = DropSettings(path=self.folder / "drop", after_ingest=after_ingest)
        return await ReleaseStep({"scanner": drop or self.drop}, {"scanner": settings}, self.known, self.bucket).run(ORDER)


@pytest.fixture
async def originals(tmp_path: Path) -> AsyncIterator[Originals]:
    known = SqliteKnownFiles(tmp_path / "intake.sqlite")
    pack = Originals(tmp_path, known)
    await pack.put()
    yield pack
    await known.close()


async def test_originals_are_kept_where_the_site_keeps_them(originals: Originals) -> None:
    released = await originals.release("keep")
    assert (released.originals, released.detail, originals.names) == ("kept", "", {"a.svs", "a.txt", "b.svs"})
    assert await originals.known.find(PACK) is not None


async def test_the_packs_own_files_are_deleted_and_forgotten_and_no_others(originals: Originals) -> None:
    released = await originals.release("delete")
    assert (released.originals, originals.names) == ("deleted", {"b.svs"})
    assert await originals.known.find(PACK) is None


async def test_nothing_is_deleted_without_the_stored_copy(originals: Originals) -> None:
    (originals.bucket.root / revision_key(NUMBER, 2)).rename(originals.bucket.root / "elsewhere")
    released = await originals.release("delete")
    assert (released.originals, originals.names) == ("kept", {"a.svs", "a.txt", "b.svs"})
    assert "not in the bucket" in released.detail


async def test_the_copy_of_another_revision_is_not_enough(originals: Originals) -> None:
    folder = originals.bucket.root / revision_key(NUMBER, 2)
    folder.rename(folder.with_name("r1"))
    assert (await originals.release("delete")).originals == "kept"


async def test_a_file_that_was_changed_since_it_settled_is_left_alone(originals: Originals) -> None:
    (originals.folder / "drop" / "monday" / "a.svs").write_bytes(b"another slide")
    await originals.release("delete")
    assert originals.names == {"a.svs", "b.svs"}


async def test_a_file_that_somebody_took_away_does_not_matter(originals: Originals) -> None:
    (originals.folder / "drop" / "monday" / "a.txt").unlink()
    assert (await originals.release("delete")).originals == "deleted"
    assert originals.names == {"b.svs"}


async def test_deleting_twice_is_deleting_once(originals: Originals) -> None:
    await originals.release("delete")
    assert (await originals.release("delete")).originals == "kept"
    assert originals.names == {"b.svs"}


async def test_a_folder_that_lets_nobody_delete_keeps_its_originals_and_says_why(originals: Originals) -> None:
    released = await originals.release("delete", LockedDrop("scanner", originals.drop.root))
    assert (released.originals, released.detail) == ("kept", "permission")
    assert await originals.known.find(PACK) is not None


async def test_a_folder_that_is_away_is_waited_for(originals: Originals) -> None:
    originals.drop.root.rename(originals.folder / "unmounted")
    with pytest.raises(Unavailable, match="unreachable"):
        await originals.release("delete")


async def test_a_drop_folder_that_the_settings_no_longer_name_keeps_its_originals(originals: Originals) -> None:
    released = await ReleaseStep({}, {}, originals.known, originals.bucket).run(ORDER)
    assert (released.originals, originals.names) == ("kept", {"a.svs", "a.txt", "b.svs"})


@pytest.mark.parametrize("damage", [b"slid", b"slidE", b""])
async def test_originals_stay_where_the_stored_bytes_are_not_those_that_were_proven(originals: Originals, damage: bytes) -> None:
    stored = originals.folder / "bucket" / revision_key(NUMBER, 2) / slide_facts(PACK, number=NUMBER).file_name
    stored.write_bytes(damage)
    assert (await originals.release("delete")).originals == "kept"
    assert originals.names == {"a.svs", "a.txt", "b.svs"}


async def test_a_sidecar_of_which_there_is_no_copy_stays_and_stays_known(tmp_path: Path) -> None:
    known = SqliteKnownFiles(tmp_path / "intake.sqlite")
    originals = Originals(tmp_path, known)
    await originals.put(second=Role.SIDECAR)
    for _ in range(2):
        released = await originals.release("delete")
        assert (released.originals, originals.names) == ("deleted", {"a.txt", "b.svs"})
        assert released.detail == "sidecars kept, for the bucket has no copy of them: 1"
        files = await known.find(PACK)
        assert files is not None
        assert [member.role for member in files.members] == [Role.SIDECAR]
    await known.close()
