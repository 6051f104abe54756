"""A plan says of every output byte where it comes from, and executing it writes exactly that."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.bucket.splicing import execute
from slidekeeper.errors import SourceChanged
from slidekeeper.model.splice import Content, Keep, Literal, Piece, Secret, SplicePlan, Zeros

SOURCE = random.Random(1).randbytes(400)


def expected(plan: SplicePlan, source: bytes) -> bytes:
    """The output, piece by piece."""
    found = b""
    for piece in plan.pieces:
        match piece:
            case Keep():
                found += source[piece.offset : piece.offset + piece.length]
            case Literal():
                found += piece.data
            case Zeros():
                found += bytes(piece.length)
    return found


def run(plan: SplicePlan, source: bytes) -> tuple[bytes, bytes, bytes, int, str, str]:
    """What was written, what was shown as structure and as pixels, and what was told."""
    shown = {Content.CODED: bytearray(), Content.STRUCTURE: bytearray()}
    target = os.memfd_create("output")
    try:
        with os.fdopen(os.memfd_create("source"), "wb+", buffering=0) as stream:
            stream.write(source)
            written = execute(plan, stream, target, lambda span, content: shown[content].extend(span))
        output = os.pread(target, plan.size + 1, 0)
    finally:
        os.close(target)
    return output, bytes(shown[Content.STRUCTURE]), bytes(shown[Content.CODED]), written.size, written.digest, written.source_digest


def keep(pair: tuple[int, int]) -> Piece:
    """A piece of the source."""
    return Keep(pair[0], pair[1], Content.CODED, "pixels")


PIECES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 90)).map(keep)
    | st.binary(max_size=40).map(lambda data: Literal(data, "text"))
    | st.integers(0, 40).map(lambda length: Zeros(length, "gone")),
    max_size=6,
)


def test_pieces_follow_each_other_without_gap() -> None:
    pieces = (Literal(b"abc", "text"), Zeros(4, "gone"), Keep(7, 2, Content.CODED, "pixels"))
    plan = SplicePlan(pieces)
    assert plan.size == 9
    assert list(plan.placed()) == [(0, pieces[0]), (3, pieces[1]), (7, pieces[2])]


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(b"Featherstone")
    assert f"{secret} {secret!r} {[secret]}" == "<Secret> <Secret> [<Secret>]"
    assert secret.reveal() == b"Featherstone"


@settings(max_examples=100, deadline=None)
@given(PIECES)
def test_executing_a_plan_writes_digests_and_shows_exactly_its_pieces(pieces: list[Piece]) -> None:
    plan = SplicePlan(tuple(pieces))
    output, structure, coded, size, digest, source_digest = run(plan, SOURCE)
    assert output == expected(plan, SOURCE)
    assert coded == b"".join(SOURCE[piece.offset : piece.offset + piece.length] for piece in pieces if isinstance(piece, Keep))
    assert structure == expected(SplicePlan(tuple(piece for piece in pieces if not isinstance(piece, Keep))), SOURCE)
    assert size == len(output)
    assert digest == f"blake3:{blake3(output).hexdigest()}"
    assert source_digest == f"blake3:{blake3(SOURCE).hexdigest()}"


@pytest.mark.parametrize("moved", [0, 1])
def test_a_large_slide_is_spliced_across_buffers_as_a_small_one(moved: int) -> None:
    mebibyte = 1 << 20
    source = random.Random(2).randbytes(9 * mebibyte)
    text = Literal(b"x" * (2 * mebibyte), "text")
    first = Keep(moved, 3 * mebibyte, Content.CODED, "pixels")
    last = Keep(6 * mebibyte + moved, 3 * mebibyte - moved, Content.CODED, "pixels")
    plan = SplicePlan((first, text, Zeros(mebibyte, "gone"), last))
    output, structure, coded, size, digest, _ = run(plan, source)
    assert output == expected(plan, source)
    assert (len(structure), len(coded), size) == (3 * mebibyte, 6 * mebibyte - moved, len(output))
    assert digest == f"blake3:{blake3(output).hexdigest()}"


@pytest.mark.parametrize("offset", [0, 1])
def test_a_source_that_ends_before_what_is_kept_has_changed(offset: int, tmp_path: Path) -> None:
    plan = SplicePlan((Keep(offset, 10, Content.CODED, "pixels"),))
    with (tmp_path / "output").open("wb") as target, pytest.raises(SourceChanged):
        execute(plan, io.BytesIO(b"only nine"), target.fileno(), lambda _span, _content: None)


def test_bytes_that_are_replaced_anyway_need_not_be_in_the_source() -> None:
    plan = SplicePlan((Keep(0, 4, Content.CODED, "pixels"), Zeros(4, "gone"), Literal(b"text", "text")))
    assert run(plan, b"abcdef")[0] == b"abcd\0\0\0\0text"
