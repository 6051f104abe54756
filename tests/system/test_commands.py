"""The commands against a running daemon, and the same answers after it has stopped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from system.site_under_test import Site
from writers import write_pack

pytestmark = pytest.mark.system

NOT_FOUND = 4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running site with two slides and one pack in quarantine."""
    site = Site.create(tmp_path_factory.mktemp("site"))
    for seed in (1, 2):
        write_pack(site.drop, seed=seed)
    (site.drop / "S26-3.svs").write_text("no slide")
    site.start()
    site.wait_at_rest(3)
    yield site
    site.kill()


def held(site: Site) -> Any:
    """The packs in quarantine."""
    return site.json("quarantine", "list")


def test_status_shows_counts_folders_and_troubles(site: Site) -> None:
    shown = site.run("status").stdout
    assert "running" in shown
    assert "done" in shown and "quarantined" in shown
    assert "scanner" in shown
    assert "unsupported-format" in shown


def test_slides_are_listed_and_shown_by_number(site: Site) -> None:
    slides = site.json("slides", "list")
    assert len(slides) == 2
    number = slides[0]["number"]
    assert number in site.run("slides", "list").stdout
    assert [revision["revision"] for revision in site.json("slides", "show", number)] == [1]
    assert site.run("slides", "show", "100000000000", check=False).returncode == NOT_FOUND


def test_events_are_followed_as_they_happen(site: Site) -> None:
    follow = site.command("events", "--follow", "--json", "--limit", "1", "--type", "slide.catalogued")
    with subprocess.Popen(follow, stdout=subprocess.PIPE, env={**os.environ, **site.environment}, text=True) as following:
        assert following.stdout is not None
        past = json.loads(following.stdout.readline())
        write_pack(site.drop, seed=4)
        news = json.loads(following.stdout.readline())
        following.terminate()
    assert past["type"] == news["type"] == "slidekeeper.slide.catalogued"
    assert int(news["sequence"]) > int(past["sequence"])


def test_a_held_pack_is_shown_without_its_name_and_retried(site: Site) -> None:
    [pack] = held(site)
    shown = site.run("quarantine", "show", pack["pack"]).stdout
    assert "unsupported-format" in shown
    assert "S26-3" not in shown
    site.run("quarantine", "retry", pack["pack"])
    types = [event["type"] for event in site.json("events", "--limit", "50")]
    assert "slidekeeper.pack.retried" in types
    site.wait_until(lambda: bool(held(site)), 20, "the pack is held again, for nothing has changed")


def test_the_notice_closes_the_batch_and_its_completion_follows(site: Site) -> None:
    site.wait_at_rest(4)
    batch = site.run("batch", "ready", str(site.drop)).stdout.split()[1]
    completed = site.json("events", "--type", "batch.completed", "--limit", "1")
    assert completed[0]["subject"] == batch
    assert completed[0]["data"]["packs"] == 4
    assert site.run("batch", "ready", str(site.drop), check=False).returncode == 1
    assert site.run("batch", "ready", "/tmp", check=False).returncode == 1


def test_a_discarded_pack_is_held_no_longer(site: Site) -> None:
    [pack] = held(site)
    site.run("quarantine", "discard", "--yes", pack["pack"])
    assert held(site) == []
    assert site.run("quarantine", "discard", "--yes", pack["pack"], check=False).returncode == 1
    assert (site.drop / "S26-3.svs").exists()


def test_the_brokers_door_opens_beside_the_daemon_which_journals_it_first(site: Site) -> None:
    [number] = {slide["number"] for slide in site.json("slides", "list", "--limit", "1")}
    why = ("--reason", "recall of a staining lot")
    [revealed] = site.json("broker", "reveal", number, *why)
    assert revealed["original_names"] == [f"{revealed['identifier']}.svs"]
    [found] = site.json("broker", "lookup", revealed["identifier"], "--domain", "slide", *why)
    assert found["number"] == number
    assert [use["use"] for use in site.json("broker", "log")] == ["identity.revealed", "identity.sought"]
    site.check_nothing_leaked([revealed["identifier"]])


def test_a_setting_from_the_command_line_is_checked_like_any_other(site: Site) -> None:
    refused = site.run("--set", "engine.wrokers=4", "status", check=False)
    assert refused.returncode == 1
    assert "engine.wrokers" in refused.stderr


def test_questions_are_answered_alike_when_the_daemon_has_stopped_and_the_catalog_was_lost(site: Site) -> None:
    site.wait_at_rest(4)
    slides = site.json("slides", "list")
    assert site.stop() == 0
    assert site.json("slides", "list") == slides
    assert site.json("status")["packs"] == {"done": 3, "discarded": 1}
    assert site.run("quarantine", "retry", "0" * 16, check=False).returncode == 3
    for path in site.state.glob("catalog.duckdb*"):
        path.unlink()
    site.start()
    site.wait_until(lambda: site.json("slides", "list") == slides, 20, "the catalog is as it was")
    damaged = site.state / "catalog.duckdb"
    site.stop()
    damaged.write_bytes(os.urandom(50_000))
    site.start()
    site.wait_until(lambda: site.json("slides", "list") == slides, 20, "the catalog is as it was")


def test_researchers_read_the_published_catalog(site: Site) -> None:
    duckdb = pytest.importorskip("duckdb")
    published = site.state / "published" / "slides.parquet"
    site.wait_until(published.exists, 10, "the catalog is published")
    numbers = {row[0] for row in duckdb.sql(f"SELECT number FROM '{published}'").fetchall()}
    assert numbers == {slide["number"] for slide in site.json("slides", "list")}
