"""The restricted index of records: which files were delivered in which folder, and which image batches belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from slidekeeper.model.identity import BatchId
from slidekeeper.model.records import RecordsId

if TYPE_CHECKING:
    from slidekeeper.model.phi import RecordsFiles


class KnownRecords(Protocol):
    """Survives restarts."""

    async def find(self, records: RecordsId) -> RecordsFiles | None:
        """The files of one batch's records, or None."""
        ...

    async def in_folder(self, folder: bytes) -> RecordsFiles | None:
        """The records that were delivered in this session's folder, or None."""
        ...

    async def remember(self, files: RecordsFiles) -> None:
        """Insert or replace."""
        ...

    async def batches(self, folder: bytes) -> Sequence[BatchId]:
        """All image batches of this session's folder, in any drop folder."""
        ...

    async def of_batches(self, batches: Sequence[BatchId]) -> Sequence[RecordsId]:
        """Records that were delivered for the sessions of these image batches."""
        ...

    async def watched_to(self) -> int:
        """The journal's ``seq`` up to which late slides were looked for."""
        ...

    async def watch_from(self, seq: int) -> None:
        """Note that late slides were looked for up to ``seq``."""
        ...

    async def close(self) -> None:
        """Close the index."""
        ...
