"""Promise 1: nothing identified leaves. Every byte outside the fence is searched after a full run, answers and messages included."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import httpx
import pytest

from shared_data import shared
from system.site_under_test import Site, decoded, encodings
from writers import write_aperio, write_generic_tiff, write_pack

FAULTY_FIELDS = (
    ("Comment = ZYLINDRA|AppMag = 40", ("ZYLINDRA",)),
    (" = value of WIBRANDA", ("WIBRANDA",)),
    ("Comment = ZYLINDRA|QUAXTON", ("ZYLINDRA", "QUAXTON")),
    ("THORVALDA no equals sign", ("THORVALDA",)),
    ("OSWINTRUDE KEYNAME = yes", ("OSWINTRUDE",)),
    ("Key of HOLDEGUND =", ("HOLDEGUND",)),
)
"""What a description may hold besides keys with values, and the names that then must not come out."""


def test_no_byte_outside_the_fence_holds_an_identifier(tmp_path: Path) -> None:
    site = Site.create(tmp_path, log__level="debug")
    planted = [write_pack(site.drop, seed=seed) for seed in range(2)]
    planted.append(write_aperio(site.drop / "S26-555;A.svs", seed=3, barcode="S26-555;A", byte_order=">"))
    planted.append(write_generic_tiff(site.drop / "S26-556;B.tif", seed=4, barcode="S26-556;B"))
    planted.append(write_aperio(site.drop / "S26-557;C.svs", seed=5, barcode="S26-557;C", fields=[field for field, _ in FAULTY_FIELDS]))
    named = ["MIRABELLA-ZZYZX", "mirabella zzyzx letter"]
    (site.drop / f"{named[0]}.svs").write_text("not a slide")
    (site.drop / f"{named[1]}.svs").write_bytes(planted[0].path.read_bytes()[:4000])
    (site.drop / "MIRABELLA-ZZYZX-link.svs").symlink_to("/nowhere")
    identifiers = {identifier for pack in planted for identifier in pack.identifiers} | set(named)
    identifiers |= {name for _, names in FAULTY_FIELDS for name in names}
    site.start()
    try:
        site.wait_at_rest(len(planted) + 3)
        site.run("batch", "ready", str(site.drop))
        answers = every_answer(site)
    finally:
        site.stop()
    site.check_nothing_leaked(identifiers)
    patterns = {pattern for identifier in identifiers for pattern in encodings(identifier)}
    assert not [pattern for pattern in patterns if pattern in answers]


def every_answer(site: Site) -> bytes:
    """Everything the API and the commands say about this site."""
    transport = httpx.HTTPTransport(uds=str(site.state / "slidekeeper.sock"))
    with httpx.Client(transport=transport, base_url="http://slidekeeper") as client:
        paths = ["/status", "/slides", "/quarantine", "/records", "/withdrawals", "/events?after=0&limit=1000", "/openapi.json"]
        answers = [client.get(path).content for path in paths]
    commands = [("status",), ("slides", "list"), ("quarantine", "list"), ("events", "--limit", "1000"), ("check",)]
    said = [site.run(*command, check=False) for command in commands]
    return b"".join(answers) + "".join(done.stdout + done.stderr for done in said).encode()


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "TCGA-CR-7395-01A-01-TS1.svs"])
def test_a_real_slide_comes_out_clean_and_readable(tmp_path: Path, name: str) -> None:
    openslide = pytest.importorskip("openslide")
    original = shared("slides", "svs", name)
    site = Site.create(tmp_path)
    shutil.copyfile(original, site.drop / name)
    site.start()
    try:
        site.wait_at_rest(1)
        assert site.packs() == {"done": 1}
    finally:
        site.stop()
    assert site.check_bucket().total() == 1
    site.check_nothing_leaked([name.removesuffix(".svs"), "b414003d-95c6-48b0-9369-8010ed517ba7", "CPAPERIOCS", "12/29/09"])
    [revision] = site.revisions()
    [image] = revision.glob("*.svs")
    with openslide.OpenSlide(str(original)) as before, openslide.OpenSlide(str(image)) as after:
        assert after.properties["openslide.vendor"] == "aperio"
        assert after.level_dimensions == before.level_dimensions
        assert not {"label", "macro"} & set(after.associated_images)
        region = ((0, 0), after.level_count - 1, (512, 512))
        assert after.read_region(*region).tobytes() == before.read_region(*region).tobytes()


@pytest.mark.parametrize("kind", ["parquet", "duckdb", "sqlite"])
def test_the_search_sees_through_compression_and_pages(tmp_path: Path, kind: str) -> None:
    """Without that, the tests above would prove nothing: the names in question are in no file as they are."""
    name = "MIRABELLA-ZZYZX"
    values = [f"{number} of {name} " * 400 for number in range(300)]
    file = tmp_path / f"hiding.{kind}"
    if kind == "sqlite":
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("CREATE TABLE notes (text TEXT)")
            connection.executemany("INSERT INTO notes VALUES (?)", [(value,) for value in values])
    else:
        with duckdb.connect(str(file) if kind == "duckdb" else ":memory:") as catalog:
            catalog.execute("CREATE TABLE notes AS SELECT unnest(?::VARCHAR[]) AS text", [values])
            if kind == "parquet":
                catalog.execute(f"COPY notes TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
    assert decoded(file).count(name.encode()) == 300 * 400
