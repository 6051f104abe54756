"""Byte accounting: what is not entered here is zero in the output, and nothing can be entered twice.

Every byte of an anonymized file is reached by a structure that was allowed, or is zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.image import Ranges
from slidekeeper.model.splice import Content, Keep, Literal, Piece, SplicePlan, Zeros


class Ledger:
    """Collects what is kept and what is written anew; the layout of the source stays."""

    def __init__(self) -> None:
        self._coded: list[Ranges] = []
        self._destroyed: list[Ranges] = []
        self._pieces: dict[tuple[int, int], Keep | Literal] = {}

    def keep_coded(self, ranges: Ranges) -> None:
        """Keep coded pixels; shape (n, 2), beginnings and ends."""
        self._coded.append(ranges)

    def destroy(self, ranges: Ranges) -> None:
        """Note ranges that must not survive, so that nothing that is kept can share bytes with them."""
        self._destroyed.append(ranges)

    def keep(self, offset: int, length: int, why: str) -> None:
        """Keep structure bytes as they are."""
        if length:
            self._enter(offset, Keep(offset, length, Content.STRUCTURE, why))

    def write(self, offset: int, data: bytes, why: str) -> None:
        """Write ``data`` at ``offset``."""
        if data:
            self._enter(offset, Literal(data, why))

    def plan(self) -> SplicePlan:
        """The plan, trailing zeros left out.

        Raises:
            Permanent: ``overlapping-ranges``: kept bytes are claimed by two structures, or belong to a destroyed image.
        """
        pieces = SplicePlan(tuple(self._placed(_merged(_sorted_unique(self._coded)))))
        kept = [(offset, offset + piece.length) for offset, piece in pieces.placed() if isinstance(piece, Keep)]
        _refuse_shared(np.array(kept, np.int64).reshape(-1, 2), _sorted_unique(self._destroyed))
        return pieces

    def _placed(self, coded: Ranges) -> Iterator[Piece]:
        pixels = [(int(start), int(end), Keep(int(start), int(end - start), Content.CODED, "coded pixels")) for start, end in coded]
        others = [(start, end, piece) for (start, end), piece in self._pieces.items()]
        reached = 0
        for start, end, piece in sorted(pixels + others, key=lambda placed: placed[:2]):
            if start < reached:
                raise Permanent("overlapping-ranges", "two structures claim the same bytes")
            if start > reached:
                yield Zeros(start - reached, "not reached by any allowed structure")
            yield piece
            reached = end

    def _enter(self, offset: int, piece: Keep | Literal) -> None:
        known = self._pieces.setdefault((offset, offset + piece.length), piece)
        differ = type(known) is not type(piece) or (isinstance(known, Literal) and isinstance(piece, Literal) and known.data != piece.data)
        if differ:
            raise Permanent("overlapping-ranges", "two structures claim the same bytes")


def _sorted_unique(parts: list[Ranges]) -> Ranges:
    """All ranges by beginning, identical ones (tiles that share their bytes) once."""
    everything = np.concatenate(parts) if parts else np.empty((0, 2), np.int64)
    return np.unique(everything, axis=0)


def _merged(ranges: Ranges) -> Ranges:
    """Adjoining ranges joined; refuses ranges that share bytes."""
    if len(ranges) == 0:
        return ranges
    if bool((ranges[1:, 0] < ranges[:-1, 1]).any()):
        raise Permanent("overlapping-ranges", "tiles share some of their bytes")
    breaks = np.flatnonzero(ranges[1:, 0] != ranges[:-1, 1])
    starts = ranges[np.concatenate([[0], breaks + 1]), 0]
    ends = ranges[np.concatenate([breaks, [len(ranges) - 1]]), 1]
    return np.stack([starts, ends], axis=1)


def _refuse_shared(kept: Ranges, destroyed: Ranges) -> None:
    """Refuse kept pixels and values that lie in a destroyed image's bytes. ``kept`` is sorted and free of overlaps."""
    if len(kept) == 0 or len(destroyed) == 0:
        return
    behind = np.searchsorted(kept[:, 1], destroyed[:, 0], side="right")
    candidates = behind < len(kept)
    if bool((kept[np.minimum(behind, len(kept) - 1), 0] < destroyed[:, 1])[candidates].any()):
        raise Permanent("overlapping-ranges", "kept pixels or values share bytes with an image that must be destroyed")
