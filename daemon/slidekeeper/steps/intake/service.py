"""Intake: what is seen in drop folders becomes packs and batches, and what happens to them is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from slidekeeper.errors import Refused, SlidekeeperError, Unavailable, UndefinedTransition
from slidekeeper.messages.commands import SettlePack
from slidekeeper.messages.events import BatchClosed, BatchOpened, Event, PackArrived, PackQuarantined, PackSuperseded
from slidekeeper.model.identity import BatchId, PackId, new_batch_id, new_pack_id
from slidekeeper.model.phi import FileIdentity, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.drop import KnownFiles, Portion, Sighting
from slidekeeper.ports.journal import Journal
from slidekeeper.steps.intake.assembly import PackKey, barcode_of, grouped, merged
from slidekeeper.steps.intake.tracker import Tracker
from slidekeeper.steps.intake.watcher import WatchedDrop, Watcher
from slidekeeper.workflow.states import BatchState, PackState

log = structlog.get_logger(__name__)

ORDERS_AT_ONCE = 500
ANNOUNCED_AT_ONCE = 32
"""Arrivals in one commit: enough to share its fsync, few enough that nothing else waits for the loop meanwhile."""
PAUSE_SECONDS = 2.0
UNDER_WAY = frozenset({PackState.SETTLED, PackState.ANONYMIZED, PackState.STORED, PackState.CATALOGUED})

AT_REST = frozenset({PackState.DONE, PackState.DUPLICATE, PackState.DISCARDED, PackState.SUPERSEDED, PackState.VANISHED})
"""States in which nobody will ask for a pack's files any more."""


class Intake:
    """Observes all drop folders of the site."""

    def __init__(
        self,
        drops: Mapping[str, WatchedDrop],
        known: KnownFiles,
        journal: Journal,
        report: Callable[[Event], Awaitable[object]],
        wholeness: Callable[[PackFiles], Awaitable[str]],
        suspend: Callable[[Unavailable], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """
        Args:
            drops: by name.
            known: the restricted index.
            journal: for the states of packs and batches that are known.
            report: takes every event; returns when it is committed.
            wholeness: asks a worker why an image is not whole; an empty string means that it is.
            suspend: is told that a drop folder is unavailable.
            clock: for quiet times.
        """
        self._drops = drops
        self._known = known
        self._journal = journal
        self._report = report
        self._tracker = Tracker(
            {name: watched.drop for name, watched in drops.items()},
            {name: watched.settings for name, watched in drops.items()},
            known,
            report,
            wholeness,
            suspend,
            clock,
            lambda drop: self._watchers[drop].looking_since,
        )
        self._watchers = {
            name: Watcher(watched, known, self._ingest, self._forget, partial(self._close_marked, name), report, suspend, clock)
            for name, watched in drops.items()
        }
        self._sessions: dict[bytes, BatchId] = {}
        """Open batches by session, for as long as one portion of one drop folder is taken in."""
        self._joined: list[PackFiles] = []
        """Unsettled packs that members of this portion joined, as they were before."""
        self._ingesting = asyncio.Lock()

    async def run(self) -> None:
        """Observe until cancelled."""
        await self._recover()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tracker.run())
            group.create_task(self._take_up_left_out())
            for watcher in self._watchers.values():
                group.create_task(watcher.run())

    async def settle(self, command: SettlePack) -> None:
        """Follow a pack until it settles; the outcome is reported later. Does nothing for a pack that is followed already."""
        if command.pack in self._tracker:
            return
        row = await self._journal.pack(command.pack)
        if row is None or row.state is not PackState.ARRIVED:
            return  # it settled meanwhile
        files = await self._known.find(command.pack)
        if files is None or files.drop not in self._drops or not files.members:
            reason = "the restricted index or the settings no longer know this pack's files"
            await self._report(PackQuarantined(pack=command.pack, step="intake", reason="unknown-files", detail=reason))
            return
        gated = await self._is_gated(files)
        if command.pack not in self._tracker:
            self._tracker.track(files, gated, remembered=True)

    async def close_batch(self, folder: Path, by: str) -> BatchId:
        """Take the notice that a folder's scans are complete.

        Raises:
            Refused: it is no drop folder, or has no open batch.
        """
        name, session = await asyncio.to_thread(self._place_of, folder)
        async with self._watchers[name].looked([RelativePath(session)] if session else []):
            batch = await self._known.open_batch(name, session)
            closed = batch is not None and await self._close(batch, name, by)
        if batch is None or not closed:
            raise Refused(
                "no-open-batch", "no pack arrived in this folder since its last notice", "Give the notice for the folder the scans are in"
            )
        return batch

    def status(self) -> Sequence[Mapping[str, Any]]:
        """One row per drop folder, for people."""
        rows = []
        for name, watcher in self._watchers.items():
            waiting, stuck = self._tracker.count(name)
            rows.append(
                {
                    "drop": name,
                    "available": watcher.away or "yes",
                    "hints": watcher.degraded or "complete",
                    "unsettled": waiting,
                    "stuck": stuck,
                    "directories": self._drops[name].scan.directories,
                    "watches": watcher.watches,
                    "watch_limit": self._drops[name].hints.limit,
                    "unreadable": self._drops[name].scan.unreadable,
                    "scan_seconds": round(watcher.scan_seconds, 3),
                }
            )
        return rows

    async def _recover(self) -> None:
        """Tell the journal what a crash kept from it."""
        for batch, drop in await self._known.open_batches():
            await self._agree(batch, drop)
        lost = [files for files in await self._known.unannounced() if await self._journal.pack(files.pack) is None]
        await self._announce(lost)

    async def _agree(self, batch: BatchId, drop: str) -> None:
        """Make index and journal say the same of a batch that is open in the index."""
        row = await self._journal.batch(batch)
        if row is None:
            await self._report(BatchOpened(batch=batch, drop=drop))
        elif row.state is not BatchState.OPEN:
            self._tracker.open_gate(batch)
            await self._known.end_batch(batch)

    async def _take_up_left_out(self) -> None:
        """Follow packs that found no room, whenever others have left; the journal has their orders, oldest first."""
        while True:
            drops = await self._tracker.room()
            try:
                await self._take_up(drops)
            except SlidekeeperError as trouble:
                log.warning("packs wait to be followed", trouble=str(trouble))
                await asyncio.sleep(PAUSE_SECONDS)
                self._tracker.call_again(drops)

    async def _take_up(self, drops: Collection[str]) -> None:
        """Follow packs from the journal's orders until these drop folders have no room; the rest is called later."""
        after = 0
        while page := await self._journal.pending("settle", after, ORDERS_AT_ONCE):
            if all(map(self._tracker.is_full, drops)):
                self._tracker.call_again(drops)
                return
            for pending in page:
                await self.settle(SettlePack(pack=PackId(pending.subject)))
            after = page[-1].seq

    async def _ingest(self, watched: WatchedDrop, sightings: Sequence[Sighting]) -> None:
        """Turn what a scan found into new packs, or into members of packs that are known."""
        async with self._ingesting:
            self._sessions.clear()
            fresh = await self._remembered(watched, sightings)
            if fresh:
                for files in fresh:
                    self._tracker.track(files, gated=watched.settings.ready != "settle", remembered=True)
                await self._announce(fresh)

    async def _forget(self, watched: WatchedDrop, portion: Portion) -> None:
        """Keep no identifier of what is gone for good: its pack is at rest, and the drop folder is there to say so."""
        await asyncio.to_thread(watched.drop.check_available)
        drop, resting = watched.drop.name, []
        for file, pack in (await self._known.owners(drop, portion.gone)).items():
            row = await self._journal.pack(pack)
            if row is not None and row.state in AT_REST:
                resting.append(file)
        if resting:
            await self._known.forget_files(drop, resting)
        if portion.gone_directory is not None:
            await self._known.forget_directory(drop, portion.gone_directory)

    async def _remembered(self, watched: WatchedDrop, sightings: Sequence[Sighting]) -> Sequence[PackFiles]:
        """The new packs among what was seen; they and those that members joined are written into the index together."""
        self._joined = []
        try:
            placed = [await self._placed(watched, key, members) for key, members in grouped(sightings, watched.settings).items()]
            fresh = [files for files in placed if files is not None]
            joined = [files for before in self._joined if (files := self._tracker.files(before.pack)) is not None]
            if fresh or joined:
                await self._known.remember([*fresh, *joined])
        except SlidekeeperError:
            for before in self._joined:
                self._tracker.update(before)
            raise
        return fresh

    async def _placed(self, watched: WatchedDrop, key: PackKey, members: list[Member]) -> PackFiles | None:
        """A new pack for these members, or None when they belong to one that is known."""
        name = watched.drop.name
        unsettled = self._tracker.named(name, key.directory, key.stem)
        if unsettled is not None:
            self._join(unsettled, members, key)
            return None
        known = await self._known.find_named(name, key.directory, key.stem)
        row = await self._journal.pack(known.pack) if known else None
        if known is None or row is None:
            return await self._new(watched, key, members)
        brings_image = any(member.role in (Role.IMAGE, Role.SPECIAL) for member in members)
        if row.state in UNDER_WAY and brings_image:
            for member in members:
                self._watchers[name].look_later(member.path)
            return None
        if row.state is PackState.QUARANTINED:
            return await self._supersede(watched, key, known, members)
        if brings_image and row.state is not PackState.ARRIVED:
            return await self._new(watched, key, merged(await self._still_there(watched, known), members))
        await self._known.remember([_together(known, members, key)])
        return None

    def _join(self, unsettled: PackFiles, members: Sequence[Member], key: PackKey) -> None:
        """Members of a pack that has not settled: added, or seen again with another identity."""
        files = _together(unsettled, members, key)
        self._tracker.update(files)
        if {member.path for member in files.members} != {member.path for member in unsettled.members}:
            self._joined.append(unsettled)

    async def _supersede(self, watched: WatchedDrop, key: PackKey, held: PackFiles, members: Sequence[Member]) -> PackFiles | None:
        """Other files took the place of a held pack's: they are a pack of their own."""
        try:
            await self._report(PackSuperseded(pack=held.pack))
        except UndefinedTransition as late:
            log.warning("event came too late", pack=held.pack, detail=late.detail)
        return await self._new(watched, key, merged(await self._still_there(watched, held), members))

    async def _still_there(self, watched: WatchedDrop, files: PackFiles) -> Sequence[Member]:
        there = [await asyncio.to_thread(watched.drop.identify, member.path) for member in files.members]
        return [replace(member, identity=identity) for member, identity in zip(files.members, there, strict=True) if identity]

    async def _new(self, watched: WatchedDrop, key: PackKey, members: Sequence[Member]) -> PackFiles:
        batch = await self._batch_of(watched.drop.name, members[0].path.session)
        return PackFiles(new_pack_id(), watched.drop.name, batch, RelativePath(key.stem), barcode_of(key, members), tuple(members))

    async def _batch_of(self, drop: str, session: bytes) -> BatchId:
        """The open batch of a session's folder; the first pack opens one."""
        batch = self._sessions.get(session) or await self._known.open_batch(drop, session)
        if batch is None:
            batch = new_batch_id()
            await self._known.begin_batch(batch, drop, session)
            await self._report(BatchOpened(batch=batch, drop=drop))
        self._sessions[session] = batch
        return batch

    async def _announce(self, packs: Sequence[PackFiles]) -> None:
        """Tell the journal of new packs, many in one commit."""
        for start in range(0, len(packs), ANNOUNCED_AT_ONCE):
            arrivals = [
                PackArrived(pack=files.pack, drop=files.drop, batch=files.batch) for files in packs[start : start + ANNOUNCED_AT_ONCE]
            ]
            await asyncio.gather(*(self._report(arrival) for arrival in arrivals))
        await self._known.announced([files.pack for files in packs])

    async def _close_marked(self, drop: str, markers: Mapping[RelativePath, FileIdentity]) -> None:
        """Close the batches of new READY markers; scans of this drop folder wait."""
        for path, identity in markers.items():
            batch = await self._known.open_batch(drop, path.session)
            if await self._known.is_new_marker(drop, path, identity) and batch is not None:
                await self._close(batch, drop, "marker")
            await self._known.note_marker(drop, path, identity)

    async def _close(self, batch: BatchId, drop: str, by: str) -> bool:
        """Close a batch while no scan of its drop folder runs; False when the journal says that it is not open."""
        try:
            await self._report(BatchClosed(batch=batch, by=by))
        except UndefinedTransition as late:
            log.warning("notice came too late", batch=batch, detail=late.detail)
            await self._agree(batch, drop)
            return False
        self._tracker.open_gate(batch)
        await self._known.end_batch(batch)
        return True

    async def _is_gated(self, files: PackFiles) -> bool:
        """Whether the pack waits for its batch's notice."""
        if self._drops[files.drop].settings.ready == "settle":
            return False
        row = await self._journal.batch(files.batch)
        return row is not None and row.state is BatchState.OPEN

    def _place_of(self, folder: Path) -> tuple[str, bytes]:
        """The drop folder's name and the session's folder in it."""
        resolved = folder.resolve()
        for name, watched in self._drops.items():
            root = watched.settings.path.resolve()
            if resolved == root or root in resolved.parents:
                return name, bytes(resolved)[len(bytes(root)) + 1 :].partition(b"/")[0]
        raise Refused("no-drop-folder", "this folder is no drop folder, and in none", "See [drop.<name>] path in the settings")


def _together(known: PackFiles, members: Sequence[Member], key: PackKey) -> PackFiles:
    """A pack with members added or brought up to date; its image, if it came only now, names it."""
    together = merged(known.members, members)
    return replace(known, members=together, barcode=barcode_of(key, together))
