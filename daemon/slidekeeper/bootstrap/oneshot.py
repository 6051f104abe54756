"""``anonymize`` without a daemon: the same job in the same workers, its results handed over in a file or folder of the user's.

Nothing is visible before all is done: slides are written into a folder beside the target, which then takes the target's name.
There is no linking table here: numbers are drawn anew, and the report names a slide by its place among the source's packs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidekeeper import __version__
from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.executor.processes import ProcessExecutor
from slidekeeper.adapters.readers.independent import IndependentReader
from slidekeeper.adapters.search.hyperscan_search import HyperscanFactory
from slidekeeper.bootstrap.assemble import PRELOAD
from slidekeeper.errors import Permanent, Refused, SlidekeeperError
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.model.identity import new_slide_number
from slidekeeper.settings.sections import AnonymizeSettings, DropSettings, EngineSettings
from slidekeeper.steps.anonymize.job import WholenessRequest, anonymize_slide, explain_slide
from slidekeeper.steps.anonymize.request import Tools, facts_of, request_of
from slidekeeper.steps.intake.assembly import packs_of
from slidekeeper.steps.intake.settling import Look, fault_of
from slidekeeper.steps.store.step import FACTS

if TYPE_CHECKING:
    from slidekeeper.model.phi import PackFiles

SOURCE = "source"
LIMITS = AnonymizeSettings()


def anonymize_once(source: Path, target: Path) -> Mapping[str, Any]:
    """Anonymize a slide file into a new file, or all packs of a folder into a new folder of numbered folders.

    Returns a report without identifiers; an entry with ``failed`` left no output, and where all failed the target is not made.

    Raises:
        Refused: source or target are not as they must be.
    """
    drop, packs = _found(source)
    _check_target(source, target)
    with _folder_beside(target) as folder:
        slides = asyncio.run(_anonymize_all(drop, packs, PosixBucket(folder)))
        done = [slide for slide in slides if "failed" not in slide]
        if done:
            _hand_over(folder, done, target, as_file=not source.is_dir())
    for slide in done:
        slide["output"] = str(target / slide["output"] if source.is_dir() else target)
    return {"slides": slides, "anonymized": len(done), "failed": len(slides) - len(done)}


def explain_once(source: Path) -> Sequence[Mapping[str, Any]]:
    """The plan of one slide file: every range of the anonymized file, with what happens to it and why.

    Raises:
        Refused: the source is no file.
        Permanent: it is no supported slide, or cannot be proven clean.
    """
    if not source.is_file():
        raise Refused("no-file", "SRC must be a slide file", "Give a file to see its plan")
    drop, [files] = _found(source)
    return [asdict(part) for part in asyncio.run(_explain(drop, files))]


async def _explain(drop: PosixDrop, files: PackFiles) -> Sequence[Any]:
    request = WholenessRequest(drop, _sound(files).members[0], SupportedFormats())
    async with _workers(1) as executor:
        return await executor.run(explain_slide, request, LIMITS.timeout_seconds)


@dataclass(frozen=True, slots=True)
class _OneShot:
    """Anonymizes packs of one folder."""

    drop: PosixDrop
    tools: Tools
    bucket: PosixBucket
    executor: ProcessExecutor

    async def report(self, place: int, files: PackFiles) -> dict[str, Any]:
        """One pack's entry: what came out, or why nothing did."""
        try:
            return {"slide": place, **await self._anonymize(files)}
        except SlidekeeperError as error:
            return {"slide": place, "failed": error.reason, "detail": error.detail}

    async def _anonymize(self, files: PackFiles) -> Mapping[str, Any]:
        number = new_slide_number()
        request = request_of(_sound(files), self.drop, number, self.tools)
        outcome = await self.executor.run(anonymize_slide, request, LIMITS.timeout_seconds)
        facts = facts_of(files, number, 1, outcome, __version__)
        self.bucket.put(files.pack, FACTS, facts.model_dump_json(indent=2).encode())
        self.bucket.publish(files.pack, number)
        return {
            "number": number,
            "format": facts.image.format,
            "output": f"{number}/{facts.file_name}",
            "size": facts.size,
            "digest": facts.digest,
            "seconds": facts.seconds,
            "removed": list(facts.image.removed),
        }


async def _anonymize_all(drop: PosixDrop, packs: Sequence[PackFiles], bucket: PosixBucket) -> list[dict[str, Any]]:
    tools = Tools(bucket, SupportedFormats(), HyperscanFactory(), IndependentReader(), LIMITS.thumbnail_pixels)
    async with _workers(len(packs)) as executor:
        shot = _OneShot(drop, tools, bucket, executor)
        return await asyncio.gather(*(shot.report(place, files) for place, files in enumerate(packs, 1)))


@asynccontextmanager
async def _workers(jobs: int) -> AsyncIterator[ProcessExecutor]:
    """No more workers than jobs: one that still starts when all is done would complain of its pool being gone."""
    executor = ProcessExecutor(min(jobs, EngineSettings().workers), LIMITS.memory_megabytes, PRELOAD)
    try:
        yield executor
    finally:
        await executor.close()


def _found(source: Path) -> tuple[PosixDrop, Sequence[PackFiles]]:
    """The packs of a folder, or the one of a slide file, whatever its extension."""
    as_folder = source.is_dir()
    drop = PosixDrop(SOURCE, (source if as_folder else source.absolute().parent).resolve())
    settings = DropSettings(path=drop.root)
    if as_folder:
        sightings = list(drop.walk(settings.ignore))
    else:
        settings = settings.model_copy(update={"image_extensions": (source.suffix.lower(),)})
        sightings = drop.named(source.name)
    packs = packs_of(sightings, SOURCE, settings)
    if not packs:
        raise Refused("no-source", "SRC is not there, or has no files", "Give a slide file, a pack's folder, or a folder of packs")
    return drop, packs


def _sound(files: PackFiles) -> PackFiles:
    fault = fault_of([Look(member.role, member.identity) for member in files.members], barcode_is_valid=True)
    if fault:
        raise Permanent(fault, "the pack must be one slide image of regular files")
    return files


def _check_target(source: Path, target: Path) -> None:
    """Refuse to overwrite, and to write into what is read."""
    if target.exists() or target.is_symlink():
        raise Refused("target-exists", "DST is there already", "Give a new name: nothing is ever overwritten")
    if not target.absolute().parent.is_dir():
        raise Refused("no-target-folder", "the folder of DST is not there", "Create it first")
    if source.is_dir() and target.absolute().parent.resolve().is_relative_to(source.resolve()):
        raise Refused("target-in-source", "DST lies inside SRC", "Keep identified and anonymized data apart")


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A temporary folder on the target's file system; gone afterwards, whatever happens."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".slidekeeper-", dir=target.absolute().parent))
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        raise Refused("cannot-write", f"the folder of DST cannot be written ({name})", "Choose a folder you may write") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(folder: Path, done: Sequence[Mapping[str, Any]], target: Path, as_file: bool) -> None:
    """Give the finished file or folder the target's name."""
    if as_file:
        (folder / done[0]["output"]).rename(target)
    else:
        shutil.rmtree(folder / ".aside", ignore_errors=True)
        folder.chmod(0o750)
        folder.rename(target)
    parent = os.open(target.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
