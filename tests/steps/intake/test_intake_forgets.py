"""Names of what is gone are forgotten with it; those of a share that is only away are not."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from slidekeeper.errors import Unavailable
from slidekeeper.messages.events import PackDiscarded, PackQuarantined
from slidekeeper.workflow.states import PackState
from steps.intake.drop_site import DropSite, drop_site, eventually


def remembered(folder: Path) -> bytes:
    """Everything that the index holds, as one would search it for identifiers."""
    with sqlite3.connect(folder / "intake.sqlite") as connection:
        return b"".join(repr(row).encode() for table in TABLES for row in connection.execute(f"SELECT * FROM {table}"))


TABLES = ("files", "packs", "directories", "batches", "markers")


async def test_of_a_folder_that_is_gone_the_index_keeps_no_name(tmp_path: Path) -> None:
    async with drop_site(tmp_path, ready="marker") as site:
        for name in ("Abernathy/deep/S26-1.svs", "Abernathy/S26-2.svs", "Abernathy/READY", "tuesday/S26-3.svs"):
            site.drop(name)
        async with site.running():
            for settled in await site.wait_for("pack.settled", 2):
                await site.journal.commit(PackQuarantined(pack=settled.pack, step="anonymize", reason="truncated"))
                await site.journal.commit(PackDiscarded(pack=settled.pack, by="path-lab"))
            assert b"Abernathy" in remembered(tmp_path)
            shutil.rmtree(site.root / "Abernathy")

            async def forgotten() -> bool:
                return not any(name in remembered(tmp_path) for name in (b"Abernathy", b"S26-1", b"S26-2"))

            await eventually(forgotten)
        assert b"S26-3" in remembered(tmp_path)
        assert (await site.journal.counts())[PackState.DISCARDED] == 2


async def test_a_file_that_is_gone_is_remembered_until_its_pack_is_at_rest(site: DropSite, tmp_path: Path) -> None:
    site.drop("monday/deep/a.svs")
    async with site.running():
        (settled,) = await site.wait_for("pack.settled")
    shutil.rmtree(site.root / "monday")
    await site.intake._watchers["scanner"].look([])
    assert await site.known.find(settled.pack) is not None
    await site.journal.commit(PackQuarantined(pack=settled.pack, step="anonymize", reason="truncated"))
    await site.journal.commit(PackDiscarded(pack=settled.pack, by="path-lab"))
    await site.intake._watchers["scanner"].look([])
    assert await site.known.find(settled.pack) is None
    assert b"deep" not in remembered(tmp_path)


async def test_files_that_go_away_with_their_share_are_remembered(tmp_path: Path) -> None:
    async with drop_site(tmp_path, sentinel="this-is-the-share") as site:
        site.drop("this-is-the-share")
        site.drop("a.svs")
        async with site.running():
            (settled,) = await site.wait_for("pack.settled")
        await site.journal.commit(PackQuarantined(pack=settled.pack, step="anonymize", reason="truncated"))
        await site.journal.commit(PackDiscarded(pack=settled.pack, by="path-lab"))
        site.root.rename(tmp_path / "unmounted")
        site.root.mkdir()
        with pytest.raises(Unavailable):
            await site.intake._watchers["scanner"].look([])
        assert await site.known.find(settled.pack) is not None
