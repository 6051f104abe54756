"""Which packs are followed: of each drop folder as many as memory allows. The journal has the orders to settle all others.

A pack that waits for its batch's notice makes room for one that need not wait: thus no forgotten notice holds up what others scan.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import PackFiles
from slidekeeper.steps.intake.settling import Watch

FOLLOWED_AT_MOST = 20_000
"""Packs of one drop folder: 1.2 kB each."""

REFILL_SHARE = 0.75
"""Packs that found no room are called when no more than this share of it is taken."""


@dataclass(slots=True, eq=False)
class Tracked:
    """One unsettled pack."""

    files: PackFiles
    watch: Watch
    gated: bool
    """It waits for its batch's notice."""
    busy: bool = False
    """It is being examined."""
    remembered: PackFiles | None = None
    """What the index holds of it."""


class Roll:
    """All packs that are followed, by id and by name."""

    def __init__(self, drops: Collection[str]) -> None:
        self._by_pack: dict[PackId, Tracked] = {}
        self._by_name: dict[tuple[str, bytes, bytes], Tracked] = {}
        self._of_drop: dict[str, dict[PackId, Tracked]] = {drop: {} for drop in drops}
        self._gated: dict[str, dict[PackId, Tracked]] = {drop: {} for drop in drops}
        self._left_out: set[tuple[str, bool]] = set()
        """Drop folders of which a pack found no room, and whether it was one that waits."""

    def get(self, pack: object) -> Tracked | None:
        """A followed pack, or None."""
        return self._by_pack.get(pack)  # type: ignore[call-overload, no-any-return]

    def named(self, drop: str, directory: bytes, stem: bytes) -> Tracked | None:
        """The followed pack of this name, or None."""
        return self._by_name.get((drop, directory, stem))

    def of(self, drop: str) -> Collection[Tracked]:
        """All followed packs of a drop folder."""
        return self._of_drop[drop].values()

    def add(self, tracked: Tracked) -> bool:
        """Follow a pack; False when there is no room for it."""
        files = tracked.files
        if self.is_full(files.drop, tracked.gated):
            self._left_out.add((files.drop, tracked.gated))
            return False
        if self._taken(files.drop, gated=True) >= FOLLOWED_AT_MOST:
            self.remove(next(reversed(self._gated[files.drop].values())).files)
            self._left_out.add((files.drop, True))
        self._by_pack[files.pack] = self._by_name[name_of(files)] = self._of_drop[files.drop][files.pack] = tracked
        if tracked.gated:
            self._gated[files.drop][files.pack] = tracked
        return True

    def remove(self, files: PackFiles) -> None:
        """Follow a pack no longer."""
        self._by_pack.pop(files.pack, None)
        self._by_name.pop(name_of(files), None)
        self._of_drop[files.drop].pop(files.pack, None)
        self._gated[files.drop].pop(files.pack, None)

    def open_gate(self, batch: BatchId) -> Sequence[Tracked]:
        """Let the packs of a batch go on; returns them."""
        opened = [tracked for gated in self._gated.values() for tracked in gated.values() if tracked.files.batch == batch]
        for tracked in opened:
            tracked.gated = False
            del self._gated[tracked.files.drop][tracked.files.pack]
        return opened

    def is_full(self, drop: str, gated: bool = False) -> bool:
        """Whether there is no room for one more pack: one that need not wait takes the place of one that does."""
        return self._taken(drop, gated) >= FOLLOWED_AT_MOST

    def has_room_again(self) -> bool:
        """Whether it is worth while to call packs that found no room."""
        return any(self._taken(drop, gated) <= REFILL_SHARE * FOLLOWED_AT_MOST for drop, gated in self._left_out)

    def leave_out(self, drops: Collection[str]) -> None:
        """Note that packs of these drop folders are to be called."""
        self._left_out |= {(drop, False) for drop in drops}

    def take_left_out(self) -> set[str]:
        """The drop folders of which packs found no room; they are forgotten, and those that find none again are noted again."""
        left_out, self._left_out = self._left_out, set()
        return {drop for drop, _ in left_out}

    def _taken(self, drop: str, gated: bool) -> int:
        """Places that a pack cannot have."""
        return len(self._of_drop[drop]) - (0 if gated else len(self._gated[drop]))


class SettledLately:
    """Packs that settled a short while ago: one that changes behind its settling comes back, and may do so for ever."""

    def __init__(self) -> None:
        self._watches: dict[PackId, tuple[Watch, float]] = {}

    def add(self, pack: PackId, watch: Watch, now: float) -> None:
        """Remember the watch of a pack that settles now; the oldest is forgotten where there are many."""
        self._watches.pop(pack, None)
        self._watches[pack] = watch, now
        if len(self._watches) > FOLLOWED_AT_MOST:
            del self._watches[next(iter(self._watches))]

    def watch_of(self, pack: PackId, now: float, stuck_seconds: float) -> Watch:
        """A watch for a pack that is followed from now on: it counts from before, if that was a short while ago."""
        watch, settled = self._watches.pop(pack, (None, 0.0))
        return watch.again(now) if watch and now - settled < stuck_seconds else Watch(now, now)


def name_of(files: PackFiles) -> tuple[str, bytes, bytes]:
    """Drop folder, directory and stem: what tells unsettled packs apart."""
    directory = files.members[0].path.reveal().rpartition(b"/")[0]
    return files.drop, directory, files.stem.reveal()
