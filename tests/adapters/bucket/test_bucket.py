"""Every bucket keeps the port's promises: what is written aside is unseen until one step publishes it, and that step can be repeated."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from blake3 import blake3

from adapters.bucket.memory_bucket import MemoryBucket
from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.errors import Permanent, SourceChanged
from slidekeeper.model.splice import Content, Keep, Literal, SplicePlan, Zeros
from slidekeeper.ports.bucket import Bucket, Written

KEY = "slides/123/123456789012/r1"
SOURCE = b"header:PATIENT:pixels-pixels:tail"
PLAN = SplicePlan(
    (
        Keep(0, 7, Content.STRUCTURE, "header"),
        Zeros(7, "name"),
        Keep(14, 14, Content.CODED, "pixels"),
        Literal(b"!", "end of the description"),
        Keep(29, 4, Content.STRUCTURE, "tail"),
    )
)
OUTPUT = b"header:" + bytes(7) + b":pixels-pixels!tail"


@pytest.fixture(params=["posix", "memory"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """An empty bucket of each kind."""
    return PosixBucket(tmp_path) if request.param == "posix" else MemoryBucket()


def spliced(bucket: Bucket, aside: str = "pack", name: str = "slide.svs", plan: SplicePlan = PLAN) -> Written:
    """Splice the source aside, without looking at it."""
    return bucket.splice(aside, name, io.BytesIO(SOURCE), plan, lambda span, content: None)


def test_a_spliced_object_can_be_read_once_published(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.publish("pack", KEY)
    assert bucket.read(f"{KEY}/slide.svs") == OUTPUT


def test_a_published_object_can_be_opened_and_sought_in(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.publish("pack", KEY)
    with bucket.open(f"{KEY}/slide.svs") as stream:
        stream.seek(7)
        assert stream.read() == OUTPUT[7:]
    with pytest.raises(FileNotFoundError), bucket.open(f"{KEY}/nothing"):
        pass


def test_a_splice_tells_size_and_digests_of_output_and_source(bucket: Bucket) -> None:
    output, source = blake3(OUTPUT).hexdigest(), blake3(SOURCE).hexdigest()
    assert spliced(bucket) == Written(len(OUTPUT), f"blake3:{output}", f"blake3:{source}")


def test_a_splice_shows_every_finished_byte_with_its_content(bucket: Bucket) -> None:
    shown: list[tuple[bytes, Content]] = []
    bucket.splice("pack", "slide.svs", io.BytesIO(SOURCE), PLAN, lambda span, content: shown.append((bytes(span), content)))
    assert b"".join(data for data, _ in shown) == OUTPUT
    assert b"".join(data for data, content in shown if content is Content.CODED) == b":pixels-pixels"


def test_a_splice_replaces_an_earlier_and_longer_attempt(bucket: Bucket) -> None:
    spliced(bucket)
    spliced(bucket, plan=SplicePlan((Keep(0, 6, Content.CODED, "all"),)))
    bucket.publish("pack", KEY)
    assert bucket.read(f"{KEY}/slide.svs") == b"header"


def test_a_source_shorter_than_the_plan_has_changed(bucket: Bucket) -> None:
    with pytest.raises(SourceChanged):
        bucket.splice("pack", "slide.svs", io.BytesIO(SOURCE[:-1]), PLAN, lambda span, content: None)


def test_all_that_lies_aside_is_published_together(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.put("pack", "thumbnail.jpg", b"small")
    bucket.publish("pack", KEY)
    assert bucket.read(f"{KEY}/thumbnail.jpg") == b"small"
    assert bucket.has(f"{KEY}/slide.svs")


def test_put_replaces_what_was_put_before(bucket: Bucket) -> None:
    bucket.put("pack", "slide.json", b"a longer first attempt")
    bucket.put("pack", "slide.json", b"second")
    bucket.publish("pack", KEY)
    assert bucket.read(f"{KEY}/slide.json") == b"second"


def test_what_lies_aside_is_not_visible_under_its_key(bucket: Bucket) -> None:
    spliced(bucket)
    assert not bucket.has(KEY)


def test_a_published_folder_is_there_and_no_longer_aside(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.publish("pack", KEY)
    assert bucket.has(KEY)
    assert not bucket.has_aside("pack")


def test_publishing_again_changes_nothing(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.publish("pack", KEY)
    bucket.publish("pack", KEY)
    assert bucket.read(f"{KEY}/slide.svs") == OUTPUT


def test_a_taken_key_is_refused_and_both_objects_stay(bucket: Bucket) -> None:
    bucket.put("first", "slide.json", b"first")
    bucket.publish("first", KEY)
    bucket.put("second", "slide.json", b"second")
    with pytest.raises(Permanent) as refused:
        bucket.publish("second", KEY)
    assert refused.value.reason == "key-taken"
    assert bucket.read(f"{KEY}/slide.json") == b"first"
    assert bucket.has_aside("second")


def test_the_next_revision_lies_beside_the_first(bucket: Bucket) -> None:
    for revision in ("r1", "r2"):
        bucket.put(revision, "slide.json", revision.encode())
        bucket.publish(revision, f"slides/123/123456789012/{revision}")
    assert [bucket.read(f"slides/123/123456789012/{revision}/slide.json") for revision in ("r1", "r2")] == [b"r1", b"r2"]


def test_discarding_removes_what_lies_aside(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.discard("pack")
    assert not bucket.has_aside("pack")


def test_discarding_nothing_is_no_error(bucket: Bucket) -> None:
    bucket.discard("never-written")
    assert not bucket.has_aside("never-written")


def test_discarding_one_leaves_the_others(bucket: Bucket) -> None:
    bucket.put("one", "a", b"")
    bucket.put("two", "a", b"")
    bucket.discard("one")
    assert bucket.asides() == {"two"}


def test_an_empty_bucket_has_no_asides(bucket: Bucket) -> None:
    assert bucket.asides() == set()


def test_asides_are_listed_by_name_and_published_ones_are_not(bucket: Bucket) -> None:
    for aside in ("one", "two", "three"):
        bucket.put(aside, "slide.json", b"{}")
    bucket.publish("three", KEY)
    assert bucket.asides() == {"one", "two"}


def test_an_object_that_was_never_published_is_not_found(bucket: Bucket) -> None:
    assert not bucket.has(f"{KEY}/slide.svs")
    with pytest.raises(FileNotFoundError):
        bucket.read(f"{KEY}/slide.svs")


def test_a_probe_leaves_nothing_aside(bucket: Bucket) -> None:
    bucket.probe()
    assert bucket.asides() == set()


def test_a_folder_tells_the_names_below_it(bucket: Bucket) -> None:
    spliced(bucket)
    bucket.put("pack", "slide.json", b"{}")
    bucket.publish("pack", KEY)
    assert list(bucket.names(KEY)) == ["slide.json", "slide.svs"]
    assert list(bucket.names("slides/123/123456789012")) == ["r1"]
    assert list(bucket.names("slides/999")) == []


def test_a_rewritten_object_holds_the_new_bytes_and_nothing_else_appears(bucket: Bucket) -> None:
    bucket.put("rows", "patients.parquet", b"all rows")
    bucket.publish("rows", "records/b/r1")
    bucket.rewrite("records/b/r1/patients.parquet", b"some rows")
    assert bucket.read("records/b/r1/patients.parquet") == b"some rows"
    assert list(bucket.names("records/b/r1")) == ["patients.parquet"]


def test_what_was_never_published_cannot_be_rewritten(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.rewrite("records/b/r1/patients.parquet", b"rows")
    assert not bucket.has("records/b")


def test_a_removed_folder_is_gone_with_all_in_it_and_nothing_beside_it(bucket: Bucket) -> None:
    for pack, key in (("one", KEY), ("two", "slides/123/123456789999/r1")):
        spliced(bucket, pack)
        bucket.publish(pack, key)
    assert bucket.remove("slides/123/123456789012") is True
    assert bucket.remove("slides/123/123456789012") is False
    assert not bucket.has(f"{KEY}/slide.svs")
    assert bucket.has("slides/123/123456789999/r1/slide.svs")
