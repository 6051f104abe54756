"""The main job on a temporary site: packs become anonymized slides, three CSV files become aligned rows, a cohort is staged and trained on,
the run becomes a version, the tier is cleaned, the model comes back; then the proof.

Called by ``scripts/demo``. Everything is real: the daemon is a process, the packs are slide files, the commands are what users type.
"""

from __future__ import annotations

import json
import shutil
import subprocess
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

from system.site_under_test import Site, decoded, encodings  # noqa: E402
from writers import write_aperio, write_generic_tiff, write_pack  # noqa: E402
from writers.records import write_records  # noqa: E402

REAL_SLIDES = ("CMU-1-Small-Region.svs", "TCGA-CR-7395-01A-01-TS1.svs")
SESSION = "session-1"
PATIENCE_SECONDS = 90
STAGING, PROJECT = "stained", "stain-from-colour"
COHORT = "imagery_stain IS NOT NULL"
QUESTION = "SELECT stain, count(*) AS slides FROM slides JOIN records_imagery ON number = slide_number GROUP BY stain ORDER BY stain"


def main(own_slides: Sequence[Path]) -> int:
    """Run the demo; the exit code says whether everything came out as it should."""
    console = Console(highlight=False)
    quick = {"drop__scanner__incomplete_seconds": 4.0, "records__settle_seconds": 0.5, "records__scan_seconds": 0.5}
    quick |= {"training__settle_seconds": 0.3, "training__scan_seconds": 1.0, "tier__flash__reserve_bytes": 0, "training__code": ["code"]}
    site = Site.create(Path(tempfile.mkdtemp(prefix="slidekeeper-demo-")), **quick)
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
        completed = wait_for(site, "batch.completed")
        console.print(f"[bold]4.[/] the batch is complete: {summary(completed)}\n")
        show_slides(console, site)
        show_quarantine(console, site)
        identifiers |= deliver_records(site)
        console.print("\n[bold]5.[/] the hospital delivered three CSV files for these slides, some rows wrong on purpose")
        aligned = wait_for(site, "records.aligned")["facts"]
        console.print(f"[bold]6.[/] the records are aligned: {alignment(aligned)}\n")
        show_records(console, site)
        train_and_protect(console, site)
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


def deliver_records(site: Site) -> set[str]:
    """Write the batch's CSV files; return every identifier in them."""
    images = sorted(path.name for path in batch_folder(site).iterdir() if path.suffix in {".svs", ".tif"})
    return write_records(site.folder / "records" / SESSION, images, mistakes=True).identifiers


def wait_for(site: Site, event: str) -> Mapping[str, Any]:
    """The facts of the newest event of a type, as the journal tells it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        happened = site.json("events", "--type", event)
        if happened:
            facts: Mapping[str, Any] = happened[-1]["data"]
            return facts
        time.sleep(0.3)
    raise SystemExit(f"no {event} after {PATIENCE_SECONDS} seconds; see {site.log}")


def alignment(facts: Mapping[str, Any]) -> str:
    """The counts of an alignment, in words."""
    return ", ".join(f"{count} {finding}" for finding, count in facts["counts"].items() if count)


def show_records(console: Console, site: Site) -> None:
    """Rows by source, rejected ones by code, what the hospital is told, and what a researcher may ask."""
    [listed] = site.json("records", "list")
    table = Table(title="Records", title_justify="left", box=None, header_style="bold")
    for heading in ("source", "rows", "rejected, by code"):
        table.add_column(heading)
    for source in site.json("records", "show", listed["records"])["history"][-1]["sources"]:
        rejected = ", ".join(f"{code} {count}" for code, count in source["rejected"].items()) or "-"
        table.add_row(source["source"], str(source["rows"]), rejected)
    console.print(table)
    reports = site.folder / "reports" / SESSION
    console.print(f"\nThe hospital's report (restricted), {reports / 'rejected-r1.csv'}:")
    console.print((reports / "rejected-r1.csv").read_text().strip(), style="dim", markup=False)
    site.wait_until((site.state / "published" / "alignment.parquet").exists, PATIENCE_SECONDS, "the alignment is published")
    console.print(f"\nA researcher asks: {QUESTION}  (slidekeeper query)")
    console.print(site.run("query", QUESTION).stdout.rstrip(), markup=False)


def train_and_protect(console: Console, site: Site) -> None:
    """Stage, train, protect, export, clean, audit, restore: with the commands that people type, and the proofs that they rely on."""
    site.run("stage", "--where", COHORT, "--name", STAGING)
    staged = site.json("staging", "show", STAGING)
    console.print(
        f'\n[bold]7.[/] a cohort is staged: {staged["slides"]} slides, {staged["size"]:,} bytes  (slidekeeper stage --where "{COHORT}")'
    )
    site.run("staging", "verify", STAGING, "--exact")
    run = train(site)
    model = (run / "model.npz").read_bytes()
    console.print(f"[bold]8.[/] a run trained on exactly these files: {json.loads((run / 'metrics.json').read_text())}")
    protected = wait_for(site, "run.protected")["facts"]
    console.print(f"[bold]9.[/] it is {PROJECT}@v{protected['version']} for ever: {protected['files']} files, {protected['size']:,} bytes")
    console.print(site.run("versions", "list").stdout.rstrip(), markup=False)
    export = site.folder / "export"
    site.run("versions", "export", PROJECT, "--ocfl", str(export))
    console.print(f"[bold]10.[/] its export is a valid OCFL object: {validated(export)}")
    clean(console, site)
    site.run("restore", PROJECT, "--to", str(site.folder / "restored"), "--part", "artifacts")
    same = (site.folder / "restored" / "model.npz").read_bytes() == model
    console.print(
        f"[bold]12.[/] one command restores the model, {'byte for byte' if same else '[red]but not as it was[/]'}  (slidekeeper restore)"
    )
    if not same:
        raise SystemExit("the restored model is another one")


def train(site: Site) -> Path:
    """Run the training script on the staging; returns the run's folder, which its done-marker closed."""
    code = site.folder / "code" / PROJECT
    shutil.copytree(ROOT / "scripts" / "training", code)
    run = site.folder / "runs" / PROJECT / "run-1"
    subprocess.run([sys.executable, code / "train.py", site.folder / "flash" / STAGING, run], check=True)
    return run


def validated(folder: Path) -> str:
    """What an independent validator says of an export; it is installed for developers."""
    try:
        import ocfl  # noqa: PLC0415
    except ImportError:
        return "not checked, ocfl-py is not installed"
    passed, _ = ocfl.Object().validate(str(folder), log_warnings=False)
    if not passed:
        raise SystemExit("the export is no valid OCFL object")
    return "ocfl-py agrees"


def clean(console: Console, site: Site) -> None:
    """Remove run and staging from the tier, and prove that nothing is left of them."""
    [run] = site.json("runs", "list")
    site.run("cleanup", "--run", run["run"])
    cleaned = wait_for(site, "run.cleaned")["facts"]
    site.run("staging", "release", STAGING)
    wait_for(site, "staging.removed")
    site.run("tier", "audit")
    console.print(f"[bold]11.[/] the tier is clean: {cleaned['files']} files of the run and the staging are gone, nothing else lies there")


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
    leaks = [path for path in files if any(pattern in content for content in [path.read_bytes() + decoded(path)] for pattern in patterns)]
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
