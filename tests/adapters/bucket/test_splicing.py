"""Whatever the plan, the output is what the plan says, both digests are true, and every finished byte is shown once, in order."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.bucket import large, splicing
from slidekeeper.adapters.bucket.pieces import keeps_layout
from slidekeeper.adapters.bucket.splicing import execute
from slidekeeper.errors import SourceChanged
from slidekeeper.model.splice import Content, Keep, Literal, Piece, SplicePlan, Zeros
from slidekeeper.ports.bucket import Written

MIB = 1024 * 1024
BIG = bytes(memoryview(bytes(range(251)) * (13 * MIB // 251 + 1))[: 13 * MIB])
"""A source of several buffers; its period of 251 bytes shows every shift."""

lengths = st.integers(0, 40)
contents = st.sampled_from(Content)


@dataclass
class Executed:
    """What one execution wrote, told and showed."""

    output: bytes
    written: Written
    shown: bytes
    coded: bytes
    """1 for every shown byte that is coded pixels, else 0."""


def executed(plan: SplicePlan, source: bytes, folder: Path) -> Executed:
    """Execute a plan with real files and watch what is shown."""
    shown, kinds = bytearray(), bytearray()

    def inspect(span: memoryview, content: Content) -> None:
        shown.extend(span)
        kinds.extend(bytes([content is Content.CODED]) * len(span))

    target = folder / "output"
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    (folder / "source").write_bytes(source)
    try:
        with (folder / "source").open("rb", buffering=0) as stream:
            written = execute(plan, stream, descriptor, inspect)
    finally:
        os.close(descriptor)
    return Executed(target.read_bytes(), written, bytes(shown), bytes(kinds))


def reference(plan: SplicePlan, source: bytes) -> tuple[bytes, bytes]:
    """Output and content of every byte (1: coded), the naive way."""
    output, kinds = b"", b""
    for piece in plan.pieces:
        match piece:
            case Keep():
                output += source[piece.offset : piece.offset + piece.length]
            case Literal():
                output += piece.data
            case Zeros():
                output += bytes(piece.length)
        kinds += bytes([isinstance(piece, Keep) and piece.content is Content.CODED]) * piece.length
    return output, kinds


def check(plan: SplicePlan, source: bytes, folder: Path) -> None:
    """Compare an execution with the naive one in every respect."""
    result, (output, kinds) = executed(plan, source, folder), reference(plan, source)
    assert result.output == output
    assert result.written.size == len(output)
    assert result.written.digest == f"blake3:{blake3(output).hexdigest()}"
    assert result.written.source_digest == f"blake3:{blake3(source).hexdigest()}"
    assert result.shown == output
    assert result.coded == kinds


@st.composite
def plans_in_place(draw: st.DrawFn) -> tuple[SplicePlan, bytes]:
    """A plan that keeps every kept byte at its offset, and its source, which may be longer or end in what is replaced."""
    pieces: list[Piece] = []
    at = needed = 0
    for kind in draw(st.lists(st.sampled_from(["keep", "literal", "zeros"]), max_size=8)):
        length = draw(lengths)
        if kind == "keep":
            pieces.append(Keep(at, length, draw(contents), "kept"))
            needed = at + length if length else needed
        elif kind == "literal":
            pieces.append(Literal(draw(st.binary(min_size=length, max_size=length)), "patched"))
        else:
            pieces.append(Zeros(length, "destroyed"))
        at += length
    size = draw(st.integers(needed, at + 20))
    return SplicePlan(tuple(pieces)), draw(st.binary(min_size=size, max_size=size))


@st.composite
def plans_moved(draw: st.DrawFn) -> tuple[SplicePlan, bytes]:
    """A plan that takes pieces from anywhere in the source, more than once too."""
    source = draw(st.binary(max_size=100))
    pieces: list[Piece] = []
    for kind in draw(st.lists(st.sampled_from(["keep", "literal", "zeros"]), max_size=8)):
        if kind == "keep":
            offset = draw(st.integers(0, len(source)))
            pieces.append(Keep(offset, draw(st.integers(0, len(source) - offset)), draw(contents), "kept"))
        elif kind == "literal":
            pieces.append(Literal(draw(st.binary(max_size=40)), "patched"))
        else:
            pieces.append(Zeros(draw(lengths), "destroyed"))
    return SplicePlan(tuple(pieces)), source


@pytest.fixture(params=["in-memory", "kernel"])
def tiny_buffers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Buffers of 16 bytes, so that small plans have many borders; through memory or the kernel."""
    monkeypatch.setattr(splicing, "BUFFER_BYTES", 16)
    monkeypatch.setattr(large, "WINDOW_BYTES", 16)
    monkeypatch.setattr(splicing, "SMALL_BYTES", 32 if request.param == "kernel" else 10**9)
    return tmp_path


@given(plans_in_place())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_plan_in_place_equals_its_naive_execution(tiny_buffers: Path, case: tuple[SplicePlan, bytes]) -> None:
    assert keeps_layout(case[0])
    check(*case, tiny_buffers)


@given(plans_moved())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_plan_that_moves_bytes_equals_its_naive_execution(tiny_buffers: Path, case: tuple[SplicePlan, bytes]) -> None:
    check(*case, tiny_buffers)


@given(plans_in_place(), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_source_that_lacks_a_kept_byte_has_always_changed(
    tiny_buffers: Path, case: tuple[SplicePlan, bytes], data: st.DataObject
) -> None:
    plan, source = case
    kept = [piece.offset + piece.length for piece in plan.pieces if isinstance(piece, Keep) and piece.length]
    if not kept:
        return
    with pytest.raises(SourceChanged):
        executed(plan, source[: data.draw(st.integers(0, max(kept) - 1))], tiny_buffers)


@pytest.mark.parametrize("size", [4 * MIB - 1, 4 * MIB, 8 * MIB, 8 * MIB + 1, 13 * MIB])
def test_files_of_any_number_of_buffers_are_spliced_in_place(tmp_path: Path, size: int) -> None:
    plan = SplicePlan(
        (
            Keep(0, 1000, Content.STRUCTURE, "header"),
            Keep(1000, 3 * MIB, Content.CODED, "pixels"),
            Zeros(300_000, "label"),
            Literal(b"literal" * 60_000, "across the first buffer's end"),
            Keep(3 * MIB + 721_000, size - 3 * MIB - 721_000, Content.CODED, "pixels"),
        )
    )
    assert keeps_layout(plan)
    check(plan, BIG[:size], tmp_path)


@pytest.mark.parametrize("size", [5 * MIB, 13 * MIB])
def test_large_files_are_spliced_with_their_pieces_moved(tmp_path: Path, size: int) -> None:
    plan = SplicePlan(
        (
            Keep(size // 2, size - size // 2, Content.CODED, "second half"),
            Literal(b"between", "a directory"),
            Keep(0, size // 2, Content.STRUCTURE, "first half"),
            Zeros(5 * MIB, "more than a buffer"),
        )
    )
    assert not keeps_layout(plan)
    check(plan, BIG[:size], tmp_path)


def test_what_lies_behind_the_plan_is_digested_but_not_written(tmp_path: Path) -> None:
    plan = SplicePlan((Keep(0, 9 * MIB, Content.CODED, "all but the tail"),))
    check(plan, BIG, tmp_path)


def test_an_error_of_the_inspection_ends_the_splice(tmp_path: Path) -> None:
    def refuse(span: memoryview, content: Content) -> None:
        raise ZeroDivisionError

    plan = SplicePlan((Keep(0, len(BIG), Content.CODED, "all"),))
    (tmp_path / "source").write_bytes(BIG)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "output").open("wb+") as target, pytest.raises(ZeroDivisionError):
        execute(plan, source, target.fileno(), refuse)


def test_an_empty_plan_writes_nothing_and_still_digests_the_source(tmp_path: Path) -> None:
    check(SplicePlan(()), b"source", tmp_path)


def test_a_source_that_gives_a_few_bytes_at_a_time_is_read_to_its_end(tmp_path: Path) -> None:
    class Dripping(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            return super().readinto(memoryview(buffer)[:7])  # type: ignore[call-overload]

    plan = SplicePlan((Keep(0, 500, Content.CODED, "all"),))
    target = tmp_path / "output"
    with target.open("wb") as stream:
        execute(plan, Dripping(BIG[:500]), stream.fileno(), lambda span, content: None)
    assert target.read_bytes() == BIG[:500]
