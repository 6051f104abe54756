"""A proven copy becomes visible in one step, which may be done twice; a copy that is gone is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.messages.commands import StoreSlide
from slidekeeper.messages.events import SlideMislaid, SlideStored
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.steps.store.step import StoreStep

PACK = "a" * 16
FACTS = SlideFacts.model_validate(
    {
        "number": "123456789012",
        "revision": 1,
        "pack": PACK,
        "batch": "b" * 12,
        "drop": "scanner",
        "image": {
            "format": "aperio",
            "extension": ".svs",
            "levels": [{"width": 9, "height": 8, "tile_width": 4, "tile_height": 4}],
            "compression": "jpeg",
        },
        "size": 6,
        "digest": "blake3:" + "0" * 64,
        "seconds": 0.5,
        "anonymizer": "1",
    }
)
ORDER = StoreSlide(pack=PACK, facts=FACTS)


@pytest.fixture
def bucket(tmp_path: Path) -> PosixBucket:
    """A bucket in which an anonymized copy lies aside."""
    bucket = PosixBucket(tmp_path)
    bucket.put(PACK, FACTS.file_name, b"pixels")
    return bucket


async def test_a_copy_becomes_visible_with_its_facts_beside_it(bucket: PosixBucket) -> None:
    assert await StoreStep(bucket, Withdrawn()).run(ORDER) == SlideStored(pack=PACK, facts=FACTS)
    assert bucket.read(f"{FACTS.key}/{FACTS.file_name}") == b"pixels"
    assert SlideFacts.model_validate_json(bucket.read(f"{FACTS.key}/slide.json")) == FACTS
    assert not bucket.asides()


async def test_storing_twice_is_storing_once(bucket: PosixBucket) -> None:
    step = StoreStep(bucket, Withdrawn())
    assert await step.run(ORDER) == await step.run(ORDER)
    assert bucket.read(f"{FACTS.key}/{FACTS.file_name}") == b"pixels"


async def test_a_step_that_ended_before_its_last_rename_is_finished(bucket: PosixBucket) -> None:
    bucket.put(PACK, "slide.json", b"half writt")
    await StoreStep(bucket, Withdrawn()).run(ORDER)
    assert SlideFacts.model_validate_json(bucket.read(f"{FACTS.key}/slide.json")) == FACTS


async def test_a_copy_that_is_neither_aside_nor_stored_is_mislaid(bucket: PosixBucket) -> None:
    bucket.discard(PACK)
    assert await StoreStep(bucket, Withdrawn()).run(ORDER) == SlideMislaid(pack=PACK)
    assert not bucket.has(FACTS.key)


async def test_a_key_that_holds_something_else_is_left_alone(bucket: PosixBucket) -> None:
    (bucket.root / FACTS.key).mkdir(parents=True)
    (bucket.root / FACTS.key / "slide.json").write_text("another's")
    with pytest.raises(Permanent, match="key-taken"):
        await StoreStep(bucket, Withdrawn()).run(ORDER)
    assert bucket.read(f"{FACTS.key}/slide.json") == b"another's"


@pytest.mark.parametrize("method", ["has_aside", "put", "publish"])
async def test_a_bucket_that_cannot_be_used_now_is_told_as_such(bucket: PosixBucket, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("bucket", "disk-full")

    with monkeypatch.context() as patched, pytest.raises(Unavailable, match="disk-full"):
        patched.setattr(PosixBucket, method, fail)
        await StoreStep(bucket, Withdrawn()).run(ORDER)
    assert isinstance(await StoreStep(bucket, Withdrawn()).run(ORDER), SlideStored)


async def test_a_bucket_that_is_away_mislays_nothing(bucket: PosixBucket) -> None:
    away = bucket.root.with_name("unmounted")
    bucket.root.rename(away)
    with pytest.raises(Unavailable):
        await StoreStep(bucket, Withdrawn()).run(ORDER)
    away.rename(bucket.root)
    assert isinstance(await StoreStep(bucket, Withdrawn()).run(ORDER), SlideStored)
