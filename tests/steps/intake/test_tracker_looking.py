"""A look at a pack may be slow or fail; that ends no tracking and holds no other pack back."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.errors import Permanent, Temporary, Unavailable
from slidekeeper.model.phi import RelativePath
from slidekeeper.ports.drop import Sighting
from steps.intake.tracker_bench import Bench


class SlowDrop:
    """A drop folder whose first look takes until it is told to go on, as shares do."""

    def __init__(self, drop: PosixDrop) -> None:
        self._drop = drop
        self.looking, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)

    def see(self, path: RelativePath) -> Sighting | None:
        self.looking.set()
        self.go_on.wait(30)
        return self._drop.see(path)


async def test_a_member_that_joins_during_a_slow_look_does_not_end_the_tracking(bench: Bench) -> None:
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    slow = SlowDrop(PosixDrop("scanner", bench.root))
    bench.tracker._drops = {"scanner": slow}  # type: ignore[dict-item]
    async with bench.running():
        assert await asyncio.to_thread(slow.looking.wait, 5)
        bench.write("a.txt")
        bench.tracker.update(bench.pack("a.svs", "a.txt"))
        slow.go_on.set()
        assert (await bench.first("pack.settled")).files == 2


class PartlyUnreadableDrop:
    """A drop folder in which one file cannot be looked at, as in a folder without permission."""

    def __init__(self, drop: PosixDrop, unreadable: bytes, trouble: Exception) -> None:
        self._drop = drop
        self.unreadable = unreadable
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)

    def see(self, path: RelativePath) -> Sighting | None:
        if path.reveal() == self.unreadable:
            raise self._trouble
        return self._drop.see(path)


@pytest.mark.parametrize("trouble", [Permanent("unreadable"), Temporary("drop-error"), Unavailable("drop:scanner", "io-error")], ids=str)
async def test_a_pack_that_cannot_be_looked_at_is_reported_and_holds_no_other_back(bench: Bench, trouble: Exception) -> None:
    bench.write("a.svs")
    bench.write("b.svs")
    drop = PartlyUnreadableDrop(PosixDrop("scanner", bench.root), b"b.svs", trouble)
    bench.tracker._drops = {"scanner": drop}  # type: ignore[dict-item]
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    bench.tracker.track(replace(bench.pack("b.svs", pack="c"), stem=RelativePath(b"b")), gated=False)
    async with bench.running():
        assert (await bench.first("pack.settled")).pack == "a" * 16
        stuck = await bench.first("pack.stuck")
        assert (stuck.pack, stuck.reason) == ("c" * 16, "unreadable")
        drop.unreadable = b""
        bench.told.clear()
        assert (await bench.first("pack.settled")).pack == "c" * 16
