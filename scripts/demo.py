"""The main job on a temporary site: a batch of packs is dropped, noticed, anonymized, stored and catalogued; then the proof.

Called by ``scripts/demo``. Everything is real: the daemon is a process, the packs are slide files, the commands are what users type.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from system.site_under_test import Site, encodings  # noqa: E402
from writers import write_aperio, write_generic_tiff, write_pack  # noqa: E402

REAL_SLIDES = ("CMU-1-Small-Region.svs", "TCGA-CR-7395-01A-01-TS1.svs")
SESSION = "session-1"
PATIENCE_SECONDS = 90


def main(own_slides: Sequence[Path]) -> int:
    """Run the demo; the exit code says whether everything came out as it should."""
    console = Console(highlight=False)
    site = Site.create(Path(tempfile.mkdtemp(prefix="slidekeeper-demo-")), drop__scanner__incomplete_seconds=4.0)
    console.print(f"[bold]1.[/] a new site in {site.folder}  (slidekeeper init)")
    site.start()
    console.print("[bold]2.[/] the daemon runs  (slidekeeper run)")
    try:
        identifiers = drop_batch(site, [*real_slides(), *own_slides])
        console.print(
            f"[bold]3.[/] a scanner dropped {len(list(batch_folder(site).glob('*')))} files; notice given  (slidekeeper batch ready)"
        )
        time.sleep(0.5)
        site.run("batch", "ready", str(batch_folder(site)))
        completed = wait_for_completion(site)
        console.print(f"[bold]4.[/] the batch is complete: {summary(completed)}\n")
        show_slides(console, site)
        show_quarantine(console, site)
    finally:
        site.stop()
    return prove(console, site, identifiers)


def real_slides() -> Iterable[Path]:
    """Real slides beside the project, where they are."""
    folder = ROOT.parent / "shared" / "slides" / "svs"
    return [folder / name for name in REAL_SLIDES if (folder / name).is_file()]


def batch_folder(site: Site) -> Path:
    """The scanner session's folder."""
    return site.drop / SESSION


def drop_batch(site: Site, slides: Iterable[Path]) -> set[str]:
    """Drop generated packs and ``slides``; return every identifier that must not come out."""
    folder = batch_folder(site)
    folder.mkdir()
    planted = [write_pack(folder, seed=seed) for seed in range(4)]
    planted.append(write_aperio(folder / "S26-11902;A;1.svs", seed=11, barcode="S26-11902;A;1", described=False))
    planted.append(write_aperio(folder / "S26-11903;B;2.svs", seed=12, barcode="S26-11903;B;2", big=True))
    planted.append(write_generic_tiff(folder / "S26-20417;A;1.tif", seed=13, barcode="S26-20417;A;1"))
    identifiers = {identifier for pack in planted for identifier in pack.identifiers}
    for slide in slides:
        shutil.copyfile(slide, folder / slide.name)
        identifiers.add(slide.stem)
    (folder / "S26-30001;A;1.svs").write_text("Jane Roe, not a slide at all")
    return identifiers | {"Jane Roe", "S26-30001", SESSION}


def wait_for_completion(site: Site) -> Mapping[str, Any]:
    """The batch's completion, as the journal tells it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        completed = site.json("events", "--type", "batch.completed")
        if completed:
            facts: Mapping[str, Any] = completed[-1]["data"]
            return facts
        time.sleep(0.3)
    raise SystemExit(f"the batch is not complete after {PATIENCE_SECONDS} seconds; see {site.log}")


def summary(completed: Mapping[str, Any]) -> str:
    """The counts of a completed batch, in words."""
    return ", ".join(f"{completed[key]} {key}" for key in ("packs", "catalogued", "duplicates", "quarantined") if completed[key])


def show_slides(console: Console, site: Site) -> None:
    """What is in the bucket now."""
    table = Table(title="In the bucket", title_justify="left", box=None, header_style="bold")
    for heading in ("number", "format", "size", "seconds", "where", "removed"):
        table.add_column(heading, overflow="fold", justify="right" if heading in {"size", "seconds"} else "left")
    for revision in site.revisions():
        facts = json.loads((revision / "slide.json").read_text())
        where = str(revision.relative_to(site.bucket))
        removed = facts["image"]["removed"]
        table.add_row(facts["number"], facts["image"]["format"], f"{facts['size']:,}", f"{facts['seconds']:.2f}", where, shorten(removed))
    console.print(table)


def shorten(removed: Sequence[str]) -> str:
    """Removed images first, then how many tags and keys."""
    images = [name.removeprefix("image:") for name in removed if name.startswith("image:")]
    tags = sum(name.startswith("tag:") for name in removed)
    keys = sum(name.startswith("key:") for name in removed)
    return ", ".join([*images, *([f"{tags} tags"] if tags else []), *([f"{keys} keys"] if keys else [])]) or "-"


def show_quarantine(console: Console, site: Site) -> None:
    """What is held for a person, and why."""
    for held in site.json("quarantine", "list"):
        console.print(f"\n[yellow]held for a person[/] pack {held['pack']}: {held['reason']} {held['detail']}")


def prove(console: Console, site: Site, identifiers: Iterable[str]) -> int:
    """Search every identifier in every byte outside the fence."""
    patterns = {encoded for identifier in identifiers for encoded in encodings(identifier)}
    files = list(site.readable_outputs())
    leaks = [path for path in files if any(pattern in content for content in [path.read_bytes()] for pattern in patterns)]
    total = sum(path.stat().st_size for path in files)
    if leaks:
        console.print(f"\n[bold red]{len(leaks)} files hold an identifier[/]: {[str(path) for path in leaks[:5]]}")
        return 1
    console.print(
        f"\n[bold green]Proof:[/] none of {len(patterns)} spellings of planted identifiers in {len(files)} files ({total:,} bytes)"
    )
    console.print(f"Look around: {site.bucket}  and  slidekeeper --config {site.folder}/slidekeeper.toml slides list")
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
