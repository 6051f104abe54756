"""The one door from the command line to the restricted index; the file's permissions decide who passes."""

from __future__ import annotations

import asyncio
import os

from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.bootstrap.places import Layout
from slidekeeper.errors import Refused
from slidekeeper.model.identity import PackId
from slidekeeper.settings.loader import Settings


def reveal_files(settings: Settings, pack: str) -> list[str]:
    """Full paths of a pack's files: they identify the patient.

    Raises:
        Refused: the caller may not read the index, or there is none.
    """
    index = Layout(settings).index
    if not os.access(index, os.R_OK | os.W_OK):
        raise Refused("not-permitted", "you may not read the restricted index", "Ask the pathology transfer team's operator")
    return asyncio.run(_paths(settings, SqliteKnownFiles(index), PackId(pack)))


async def _paths(settings: Settings, known: SqliteKnownFiles, pack: PackId) -> list[str]:
    try:
        files = await known.find(pack)
    finally:
        await known.close()
    if files is None or files.drop not in settings.drop:
        return []
    root = settings.drop[files.drop].path
    return [str(root / os.fsdecode(member.path.reveal())) for member in files.members]
