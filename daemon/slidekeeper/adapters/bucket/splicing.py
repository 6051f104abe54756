"""Executes a splice plan: every source byte is digested, every output byte is written, digested and shown to the search.

Small files, and plans that move bytes about, go through memory here; a large file whose bytes stay at their offsets goes the
kernel's way, see :mod:`slidekeeper.adapters.bucket.large`. Coded bytes are never touched: literal and zero pieces are laid over
them, and the plan gives every byte exactly one origin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from blake3 import blake3

from slidekeeper.adapters.bucket.large import splice_large
from slidekeeper.adapters.bucket.pieces import PieceCursor, Span, keeps_layout, last_kept, unreadable
from slidekeeper.errors import SourceChanged
from slidekeeper.model.splice import Content, Keep, Literal, Piece, SplicePlan
from slidekeeper.ports.bucket import Inspect, Written

BUFFER_BYTES = 4 * 1024 * 1024
SMALL_BYTES = 2 * BUFFER_BYTES
"""Files up to this size are spliced in one thread: starting others would cost more than they save."""


def execute(plan: SplicePlan, source: BinaryIO, target: int, inspect: Inspect) -> Written:
    """Write ``plan`` to the file descriptor ``target``, open for reading and writing.

    Raises:
        SourceChanged: the source ended before the plan did.
        SourceUnreadable: the source cannot be read.
    """
    if plan.size > SMALL_BYTES and keeps_layout(plan):
        return splice_large(plan, source.fileno(), target, inspect)
    return _Splice(plan, source, target, inspect).run()


class _Splice:
    """The pass over the source, or the two passes where the plan moves bytes about."""

    def __init__(self, plan: SplicePlan, source: BinaryIO, target: int, inspect: Inspect) -> None:
        self._plan = plan
        self._source = source
        self._target = target
        self._inspect = inspect
        self._output_digest = blake3()
        self._source_digest = blake3()

    def run(self) -> Written:
        """Splice and digest."""
        _seek(self._source, 0)
        if keeps_layout(self._plan):
            self._splice_in_place()
            self._digest_rest()
        else:
            self._digest_rest()
            self._splice_moved()
        return Written(self._plan.size, f"blake3:{self._output_digest.hexdigest()}", f"blake3:{self._source_digest.hexdigest()}")

    def _splice_in_place(self) -> None:
        """Read the source from its beginning; patch what the plan replaces."""
        cursor = PieceCursor(self._plan)
        buffer = _buffer(min(BUFFER_BYTES, self._plan.size))
        for offset in range(0, self._plan.size, BUFFER_BYTES):
            data = buffer[: min(BUFFER_BYTES, self._plan.size - offset)]
            got = _read_fully(self._source, data)
            data[got:] = bytes(len(data) - got)
            self._source_digest.update(data[:got])
            patches, spans = cursor.take(len(data))
            _require(got >= last_kept(spans, patches, len(data)))
            for at, literal in patches:
                data[at : at + len(literal)] = literal
            self._hand_on(data, spans)

    def _splice_moved(self) -> None:
        """Write piece after piece, seeking in the source."""
        for piece in self._plan.pieces:
            content = piece.content if isinstance(piece, Keep) else Content.STRUCTURE
            for data in self._bytes_of(piece):
                self._hand_on(data, [(0, len(data), content)])

    def _bytes_of(self, piece: Piece) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(BUFFER_BYTES, piece.length)))
        if isinstance(piece, Keep):
            _seek(self._source, piece.offset)
        for done in range(0, piece.length, BUFFER_BYTES):
            data = buffer[: min(BUFFER_BYTES, piece.length - done)]
            if isinstance(piece, Keep):
                _require(_read_fully(self._source, data) == len(data))
            elif isinstance(piece, Literal):
                data[:] = piece.data[done : done + len(data)]
            yield data

    def _digest_rest(self) -> None:
        """The source from where it stands to its end."""
        buffer = _buffer(BUFFER_BYTES)
        while got := _read_fully(self._source, buffer):
            self._source_digest.update(buffer[:got])

    def _hand_on(self, data: memoryview, spans: Sequence[Span]) -> None:
        """Show, digest and write finished bytes."""
        for start, end, content in spans:
            self._inspect(data[start:end], content)
        self._output_digest.update(data)
        while data:
            data = data[os.write(self._target, data) :]


def _buffer(length: int) -> memoryview:
    """Memory that nobody cleared: every byte is written before it is read."""
    return memoryview(np.empty(length, np.uint8).data)


def _require(complete: bool) -> None:
    if not complete:
        raise SourceChanged("source-changed", "the file ended before all that its headers refer to was read")


def _read_fully(source: BinaryIO, buffer: memoryview) -> int:
    """Fill ``buffer`` as far as the source goes."""
    done = 0
    while done < len(buffer):
        got = _read_some(source, buffer[done:])
        if not got:
            break
        done += got
    return done


def _read_some(source: BinaryIO, buffer: memoryview) -> int:
    try:
        return source.readinto(buffer) or 0  # type: ignore[attr-defined]
    except OSError as trouble:
        raise unreadable(trouble) from None


def _seek(source: BinaryIO, offset: int) -> None:
    try:
        source.seek(offset)
    except OSError as trouble:
        raise unreadable(trouble) from None
