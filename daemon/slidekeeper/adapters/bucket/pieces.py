"""Walks along a splice plan, a stretch of the output at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from slidekeeper.errors import SourceUnreadable
from slidekeeper.model.splice import Content, Keep, Literal, Piece, SplicePlan

Span: TypeAlias = tuple[int, int, Content]
"""Beginning and end within a stretch, and what lies there."""

Patch: TypeAlias = tuple[int, bytes]
"""Offset within a stretch, and the bytes that replace the source's there."""


def keeps_layout(plan: SplicePlan) -> bool:
    """Whether every kept byte stays at its offset."""
    return all(not isinstance(piece, Keep) or piece.offset == offset for offset, piece in plan.placed())


class PieceCursor:
    """Walks along the plan, a chunk at a time."""

    def __init__(self, plan: SplicePlan) -> None:
        self._pieces = iter(plan.pieces)
        self._piece: Piece | None = None
        self._done = 0

    def take(self, length: int) -> tuple[list[Patch], list[Span]]:
        """The patches and the spans of the next ``length`` bytes; offsets are relative to their beginning."""
        patches: list[Patch] = []
        spans: list[Span] = []
        at = 0
        while at < length:
            if self._piece is None or self._done == self._piece.length:
                self._piece, self._done = next(self._pieces), 0
                continue
            share = min(length - at, self._piece.length - self._done)
            content = Content.STRUCTURE
            match self._piece:
                case Keep():
                    content = self._piece.content
                case Literal():
                    patches.append((at, self._piece.data[self._done : self._done + share]))
                case _:
                    patches.append((at, bytes(share)))
            _append_span(spans, at, at + share, content)
            at += share
            self._done += share
        return patches, spans


def _append_span(spans: list[Span], start: int, end: int, content: Content) -> None:
    """Add a span, joined with its neighbour of the same content."""
    if spans and spans[-1][2] is content:
        spans[-1] = (spans[-1][0], end, content)
    else:
        spans.append((start, end, content))


def last_kept(spans: Sequence[Span], patches: Sequence[Patch], length: int) -> int:
    """How many bytes of the chunk the source must have: all up to the last one that is not replaced."""
    end = length
    for at, data in reversed(patches):
        if at + len(data) != end:
            break
        end = at
    return end if spans else 0


def unreadable(trouble: OSError) -> SourceUnreadable:
    """The source's own trouble, told apart from the target's; its text names the file and stays here."""
    return SourceUnreadable(trouble.errno or 0)
