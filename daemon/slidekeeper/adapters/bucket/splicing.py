"""Executes a splice plan in one pass: every source byte is read once, digested, patched in memory, digested again, shown, written.

For large files the two digests, the inspection and the write of one buffer run at the same time (all of them release the
interpreter lock) while the next buffer is read. Coded bytes are never touched between reading and writing: only literal and
zero pieces are laid over the buffer, and the plan gives every byte exactly one origin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import numpy as np
from blake3 import blake3

from slidekeeper.errors import SourceChanged
from slidekeeper.model.splice import Content, Keep, Literal, Piece, SplicePlan
from slidekeeper.ports.bucket import Inspect, Written

BUFFER_BYTES = 4 * 1024 * 1024
BUFFERS = 3
THREADS = 3
SMALL_BYTES = 2 * BUFFER_BYTES
"""Files up to this size are spliced in one thread: starting others would cost more than they save."""

Span: TypeAlias = tuple[int, int, Content]


def execute(plan: SplicePlan, source: BinaryIO, target: int, inspect: Inspect) -> Written:
    """Write ``plan`` to the file descriptor ``target``.

    Raises:
        SourceChanged: the source ended before the plan did.
    """
    source_digest = blake3()
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(THREADS)) if plan.size > SMALL_BYTES else None
        output_digest = _Passes(plan, source, target, inspect, pool).run(source_digest)
    return Written(plan.size, f"blake3:{output_digest.hexdigest()}", f"blake3:{source_digest.hexdigest()}")


def keeps_layout(plan: SplicePlan) -> bool:
    """Whether every kept byte stays at its offset."""
    return all(not isinstance(piece, Keep) or piece.offset == offset for offset, piece in plan.placed())


@dataclass(slots=True)
class _Chunk:
    """One buffer's worth of output."""

    data: memoryview
    spans: Sequence[Span]


class _Passes:
    """The pass over the source, or the two passes where the plan moves bytes about."""

    def __init__(self, plan: SplicePlan, source: BinaryIO, target: int, inspect: Inspect, pool: ThreadPoolExecutor | None) -> None:
        self._plan = plan
        self._source = source
        self._target = target
        self._inspect = inspect
        self._pool = pool
        self._output_digest = blake3()

    def run(self, source_digest: blake3) -> blake3:
        """Splice and digest; returns the output's digest."""
        if keeps_layout(self._plan):
            self._splice_in_place(source_digest)
        else:
            self._source.seek(0)
            for data in self._rest():
                source_digest.update(data)
            self._splice_moved()
        return self._output_digest

    def _splice_in_place(self, source_digest: blake3) -> None:
        """Read the source from end to end; patch what the plan replaces."""
        self._source.seek(0)
        cursor = _PieceCursor(self._plan)
        buffers = [_buffer(min(BUFFER_BYTES, self._plan.size)) for _ in range(BUFFERS if self._pool else 1)]
        waiting: list[Future[None]] = []
        for index, offset in enumerate(range(0, self._plan.size, BUFFER_BYTES)):
            length = min(BUFFER_BYTES, self._plan.size - offset)
            data = buffers[index % len(buffers)][:length]
            got = _read_fully(self._source, data)
            data[got:] = bytes(length - got)
            self._wait(waiting)
            source_digest.update(data[:got])
            patches, spans = cursor.take(length)
            _require(got >= _last_kept(spans, patches, length))
            for at, literal in patches:
                data[at : at + len(literal)] = literal
            waiting = self._hand_on(_Chunk(data, spans))
        self._wait(waiting)
        for rest in self._rest():
            source_digest.update(rest)

    def _splice_moved(self) -> None:
        """Write piece after piece, seeking in the source."""
        for piece in self._plan.pieces:
            content = piece.content if isinstance(piece, Keep) else Content.STRUCTURE
            for data in self._bytes_of(piece):
                self._wait(self._hand_on(_Chunk(data, [(0, len(data), content)])))

    def _bytes_of(self, piece: Piece) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(BUFFER_BYTES, piece.length)))
        if isinstance(piece, Keep):
            self._source.seek(piece.offset)
        for done in range(0, piece.length, BUFFER_BYTES):
            data = buffer[: min(BUFFER_BYTES, piece.length - done)]
            if isinstance(piece, Keep):
                _require(_read_fully(self._source, data) == len(data))
            elif isinstance(piece, Literal):
                data[:] = piece.data[done : done + len(data)]
            yield data

    def _rest(self) -> Iterator[memoryview]:
        buffer = _buffer(BUFFER_BYTES)
        while got := _read_fully(self._source, buffer):
            yield buffer[:got]

    def _hand_on(self, chunk: _Chunk) -> list[Future[None]]:
        """Digest, inspect and write a finished chunk, at the same time where there is a pool."""
        tasks = (self._write, self._inspect_chunk, self._digest)
        if self._pool:
            return [self._pool.submit(task, chunk) for task in tasks]
        for task in tasks:
            task(chunk)
        return []

    def _wait(self, waiting: Sequence[Future[None]]) -> None:
        for future in waiting:
            future.result()

    def _digest(self, chunk: _Chunk) -> None:
        self._output_digest.update(chunk.data)

    def _inspect_chunk(self, chunk: _Chunk) -> None:
        for start, end, content in chunk.spans:
            self._inspect(chunk.data[start:end], content)

    def _write(self, chunk: _Chunk) -> None:
        data = chunk.data
        while data:
            data = data[os.write(self._target, data) :]


def _buffer(length: int) -> memoryview:
    """Memory that nobody cleared: every byte is written before it is read."""
    return memoryview(np.empty(length, np.uint8).data)


class _PieceCursor:
    """Walks along the plan, a chunk at a time."""

    def __init__(self, plan: SplicePlan) -> None:
        self._pieces = iter(plan.pieces)
        self._piece: Piece | None = None
        self._done = 0

    def take(self, length: int) -> tuple[list[tuple[int, bytes]], list[Span]]:
        """The patches and the spans of the next ``length`` bytes; offsets are relative to their beginning."""
        patches: list[tuple[int, bytes]] = []
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


def _last_kept(spans: Sequence[Span], patches: Sequence[tuple[int, bytes]], length: int) -> int:
    """How many bytes of the chunk the source must have: all up to the last one that is not replaced."""
    end = length
    for at, data in reversed(patches):
        if at + len(data) != end:
            break
        end = at
    return end if spans else 0


def _require(complete: bool) -> None:
    if not complete:
        raise SourceChanged("source-changed", "the file ended before all that its headers refer to was read")


def _read_fully(source: BinaryIO, buffer: memoryview) -> int:
    """Fill ``buffer`` as far as the source goes."""
    done = 0
    while done < len(buffer):
        got = source.readinto(buffer[done:])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done
