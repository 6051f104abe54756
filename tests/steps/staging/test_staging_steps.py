"""A staging is ordered, copied, released and removed; each order means one thing however often it is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import polars as pl
import pytest

from slidekeeper.adapters.tier.posix import PosixTier
from slidekeeper.errors import Permanent, Refused, Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.messages.events import RecordsAligned
from slidekeeper.model.manifest import StagedImage
from slidekeeper.settings.training import StagingPolicySettings
from slidekeeper.steps.staging.automatic import AutoStaging
from slidekeeper.steps.staging.withdrawal import StagedWithdrawals
from steps.staging.desk import StagingDesk, staging_desk
from writers.events import RECORDS, alignment_facts, event_of, records_facts

MEGABYTE = 1_000_000


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[StagingDesk]:
    async with staging_desk(tmp_path, reserve_bytes=0) as desk:
        yield desk


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[StagingDesk]:
    """Copies two of the images a second."""
    async with staging_desk(tmp_path, reserve_bytes=0, megabytes_per_second=2) as desk:
        yield desk


def slides(desk: StagingDesk, count: int = 5, size: int = MEGABYTE) -> list[StagedImage]:
    images = [desk.site.put(index, size) for index in range(count)]
    desk.publish(images)
    return images


def plans(desk: StagingDesk) -> list[str]:
    return sorted(path.suffix for path in (desk.site.root / "stagings").iterdir())


async def reason(order: object) -> str:
    with pytest.raises((Refused, Permanent, Unavailable)) as told:
        await order  # type: ignore[misc]
    return told.value.reason


async def test_a_cohort_is_staged_and_removed(desk: StagingDesk) -> None:
    images = slides(desk)
    row = await desk.order(where="size > 1")
    assert plans(desk) == [".json", ".parquet"]
    done = await desk.carry_out(row)
    assert done is not None
    assert (done.facts.files, done.facts.copied) == (5, 5 * MEGABYTE)
    assert not desk.site.tier.verify("cohort", True)
    manifest = json.loads(desk.site.path("manifest.json").read_text())
    assert manifest["cohort"]["sql"] == "size > 1"
    assert [entry["target"] for entry in manifest["files"][-2:]] == ["labels.parquet", "labels.csv"]
    assert set(pl.read_csv(desk.site.path("labels.csv"))["number"].cast(pl.String)) == {image.number for image in images}
    await desk.stagings.release("cohort", "me", "done with it")
    removed = await desk.remove(row)
    assert removed is not None
    assert (removed.files, removed.left) == (8, 0)
    assert not plans(desk)
    assert (await desk.order()).staging != row.staging


async def test_a_preview_changes_nothing(desk: StagingDesk) -> None:
    slides(desk)
    preview = await desk.stagings.preview("cohort", "flash", "true", ())
    assert (preview["slides"], preview["size"], preview["refused"]) == (5, 5 * MEGABYTE, None)
    assert not plans(desk)
    assert not list((desk.site.root / "flash").iterdir())
    await desk.order()
    assert (await desk.stagings.preview("cohort", "flash", "true", ()))["there"] == "ordered"
    refused = (await desk.stagings.preview("cohort", "flash", "size > 5e6", ()))["refused"]
    assert refused["reason"] == "empty-cohort"


async def test_the_same_order_again_is_the_same_staging(desk: StagingDesk) -> None:
    images = slides(desk)
    row = await desk.order()
    assert (await desk.order(numbers=[image.number for image in images])).staging == row.staging
    assert len(plans(desk)) == 2
    assert await reason(desk.order(numbers=[images[0].number])) == "name-taken"


async def test_wrong_orders_are_refused_and_leave_nothing(desk: StagingDesk) -> None:
    images = slides(desk)
    assert await reason(desk.order(name="../up")) == "wrong-name"
    assert await reason(desk.order(where=" ")) == "no-choice"
    assert await reason(desk.order(numbers=["12345"])) == "no-number"
    assert await reason(desk.order(numbers=["999999999999", images[0].number])) == "slides-not-available"
    assert await reason(desk.stagings.order("x", "tape", "true", (), "me")) == "unknown-tier"
    assert await reason(desk.stagings.release("x", "me", "")) == "unknown-staging"
    (desk.site.root / "bucket" / images[0].source).unlink()
    assert await reason(desk.order()) == "slides-not-available"
    assert not plans(desk)


async def test_a_released_copy_stops_and_its_parts_are_removed(slow: StagingDesk) -> None:
    slides(slow)
    row = await slow.order()
    copying = asyncio.create_task(slow.carry_out(row))
    await slow.until_copying(row)
    await slow.stagings.release("cohort", "me", "")
    assert await copying is None
    assert await slow.remove(row) is not None
    assert not list((slow.site.root / "flash").iterdir())
    assert await reason(slow.stagings.release("cohort", "me", "")) == "released-already"


async def test_a_daemon_that_stops_leaves_the_order_for_the_next(slow: StagingDesk) -> None:
    slides(slow)
    row = await slow.order()
    copying = asyncio.create_task(slow.carry_out(row))
    await slow.until_copying(row)
    slow.ports.running.close()
    assert await copying is None
    slow.ports.running.closing = False
    done = await slow.carry_out(row)
    assert done is not None
    assert not slow.site.tier.verify("cohort", True)


async def test_a_held_staging_is_tried_again(desk: StagingDesk) -> None:
    images = slides(desk)
    row = await desk.order()
    path = desk.site.root / "bucket" / images[0].source
    content = path.read_bytes()
    path.unlink()
    assert await reason(desk.carry_out(row)) == "slide-missing"
    await desk.hold(row)
    path.write_bytes(content)
    await desk.stagings.retry("cohort", "me")
    done = await desk.carry_out(row)
    assert done is not None
    assert await reason(desk.stagings.retry("cohort", "me")) == "not-in-quarantine"


async def test_a_full_tier_and_a_lost_plan_are_told(desk: StagingDesk) -> None:
    slides(desk)
    row = await desk.order()
    full = PosixTier("flash", desk.site.root / "flash", desk.site.root / "bucket", reserve_bytes=1 << 60)
    desk.ports.tiers["flash"] = full  # type: ignore[index]
    assert await reason(desk.carry_out(row)) == "disk-full"
    assert await reason(desk.order(name="another")) == "not-enough-space"
    desk.ports.plans.forget(row.staging)
    assert await reason(desk.carry_out(row)) == "plan-missing"
    (desk.site.root / "stagings" / f"{row.staging}.json").write_text("{")
    assert await reason(desk.carry_out(row)) == "plan-damaged"


@pytest.mark.parametrize("when", ["before", "while", "after"])
def test_a_withdrawn_slide_is_in_no_staging_whenever_it_is_withdrawn(tmp_path: Path, when: str) -> None:
    async def story() -> None:
        async with staging_desk(tmp_path, reserve_bytes=0, megabytes_per_second=4) as desk:
            images = slides(desk)
            row = await desk.order()
            copying = asyncio.create_task(desk.carry_out(row)) if when != "before" else None
            if when == "while":
                await desk.until_copying(row)
            elif copying:
                await copying
            withdrawals = StagedWithdrawals(desk.ports)
            assert await withdrawals.remove([images[0].number]) == 1
            assert await withdrawals.remove([images[0].number]) == 0
            await (copying or desk.carry_out(row))
            assert not desk.site.tier.verify("cohort", True)
            assert len(list(desk.site.path("images").iterdir())) == 4
            assert json.loads(desk.site.path("manifest.json").read_text())["withdrawn"] == 1
            for file in desk.site.path().rglob("*"):
                assert not file.is_file() or file.name != "labels.csv" or images[0].number not in file.read_text()

    asyncio.run(story())


async def test_a_policy_stages_what_changed_when_records_are_aligned(desk: StagingDesk) -> None:
    images = slides(desk)
    policies = {"all": StagingPolicySettings(where="true", tier="flash"), "none": StagingPolicySettings(where="false", tier="flash")}
    service = AutoStaging(desk.journal, desk.stagings, policies, 60)
    await service.look()
    assert not await desk.journal.stagings()
    await desk.journal.commit_all([event_of(fact.RecordsArrived), event_of(fact.RecordsSettled)])
    await desk.journal.commit(fact.RecordsLoaded(records=RECORDS, facts=records_facts()))
    await desk.journal.commit(RecordsAligned(records=RECORDS, facts=alignment_facts()))
    for _ in range(2):
        await service.look()
    [row] = await desk.journal.stagings()
    assert (row.name, row.by, row.cohort.slides) == ("all-1", "policy all", 5)
    again = AutoStaging(desk.journal, desk.stagings, policies, 60)
    await again.look()
    assert len(await desk.journal.stagings()) == 1
    desk.publish(images[1:])
    await AutoStaging(desk.journal, desk.stagings, policies, 60).look()
    assert {row.name for row in await desk.journal.stagings()} == {"all-1", "all-2"}


async def test_what_is_promised_to_others_is_not_free(desk: StagingDesk) -> None:
    images = slides(desk)
    row = await desk.order(name="cohort", numbers=[images[0].number])
    assert await desk.stagings._promised("flash") == MEGABYTE
    await desk.carry_out(row)
    assert await desk.stagings._promised("flash") == 0


async def test_plans_without_an_order_are_swept(desk: StagingDesk) -> None:
    slides(desk)
    row = await desk.order()
    (desk.site.root / "stagings" / "ffffffffffff.json").write_text("{}")
    assert await desk.stagings.sweep() == 1
    assert desk.ports.plans.kept() == [row.staging]
