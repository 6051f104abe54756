"""A daemon watches real training roots, takes orders about runs, and cleans what is protected, also after it was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.messages import events as fact
from slidekeeper.model.run import DoneMarker, RunPlace, new_run_id
from system.site_under_test import Site
from writers.plain_versions import write_version
from writers.runs import write_marker, write_run

pytestmark = pytest.mark.system

FAILED, NOT_FOUND = 1, 4


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site.create(tmp_path, training__settle_seconds=0.2, training__scan_seconds=0.5)
    yield site
    site.kill()


def runs(site: Site) -> Any:
    """All runs, asked for without the cost of a process."""
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(site.state / "slidekeeper.sock")), base_url="http://site", timeout=30
    ) as client:
        return client.get("/runs").json()


def states(site: Site) -> dict[str, str]:
    return {row["name"]: row["state"] for row in runs(site)}


def run_named(site: Site, name: str) -> Any:
    [row] = [row for row in runs(site) if row["name"] == name]
    return row


def suspended(site: Site) -> Any:
    return (site.status() or {}).get("suspended", {})


async def seed(site: Site, folder: Path) -> None:
    """A run that was protected before the daemon starts."""
    run = new_run_id()
    place = RunPlace(project="gleason", name=folder.name, folder=str(folder), root=str(site.folder / "runs"))
    journal = SqliteJournal.open(site.state / "journal.sqlite", SystemClock(), outbox=False)
    await journal.commit(fact.RunFinished(run=run, place=place, marker=DoneMarker(), by="marker"))
    await journal.commit(fact.RunProtected(run=run, facts=write_version(site.bucket, run, folder)))
    await journal.close()


def start_with_a_protected_run(site: Site) -> Path:
    """Start a daemon that finds a protected run; it ran once before: a journal without a linking table would be refused."""
    site.start()
    site.stop()
    folder = write_run(site.folder / "runs")
    asyncio.run(seed(site, folder))
    site.start()
    return folder


def test_runs_go_from_their_folder_to_their_marker(site: Site) -> None:
    root = site.folder / "runs"
    site.start()
    done, bad = write_run(root, name="done"), write_run(root, name="bad")
    (root / "no project").mkdir()
    site.wait_until(lambda: states(site) == {"done": "running", "bad": "running"}, 10, "both runs are seen")
    write_marker(done, {"status": "failed", "message": "out of memory"})
    write_marker(bad, b"done!")
    site.wait_until(lambda: states(site) == {"done": "protected", "bad": "quarantined"}, 10, "both markers are taken up")
    assert run_named(site, "done")["marker"]["status"] == "failed"
    refused = site.run("runs", "retry", run_named(site, "bad")["run"], check=False)
    assert (refused.returncode, "marker-unchanged" in refused.stderr) == (FAILED, True)
    shown = site.run("status").stdout
    assert "marker-not-json" in shown and "1 project-name" in shown
    write_marker(bad, {"message": "mended"})
    site.wait_until(lambda: states(site)["bad"] == "protected", 10, "the mended marker is taken up")
    assert [version["status"] for version in site.json("versions", "list", "gleason")] == ["failed", "succeeded"]


def test_a_root_that_goes_is_waited_for_and_nothing_happens_to_its_runs(site: Site) -> None:
    root = site.folder / "runs"
    write_run(root)
    site.start()
    site.wait_until(lambda: states(site) == {"run-1": "running"}, 10, "the run is seen")
    root.rename(site.folder / "gone")
    site.wait_until(lambda: f"training:{root}" in suspended(site), 10, "the root is suspended")
    (site.folder / "gone").rename(root)
    site.wait_until(lambda: not suspended(site), 10, "the root is used again")
    assert states(site) == {"run-1": "running"}


def test_a_folder_is_protected_by_hand_but_never_cleaned_outside_the_roots(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_run(tmp_path_factory.mktemp("home"))
    site.start()
    assert "is finished" in site.run("protect", str(folder), "--project", "stain", "--message", "by hand").stdout
    site.wait_until(lambda: states(site) == {"run-1": "protected"}, 10, "the run is protected")
    row = run_named(site, "run-1")
    assert (row["project"], row["marker"]["message"]) == ("stain", "by hand")
    assert "not-on-tier" in site.run("cleanup", "--run", row["run"], check=False).stderr
    refused = site.run("protect", str(site.state), "--project", "stain", check=False)
    assert (refused.returncode, "closed-folder" in refused.stderr) == (FAILED, True)
    assert site.run("runs", "show", "0" * 12, check=False).returncode == NOT_FOUND


def test_a_protected_run_is_cleaned_by_order_and_the_tier_is_proven_clean(site: Site) -> None:
    folder = start_with_a_protected_run(site)
    run = run_named(site, "run-1")["run"]
    assert "is released" in site.run("cleanup", "--run", run).stdout
    site.wait_until(lambda: states(site) == {"run-1": "cleaned"}, 10, "the run is cleaned")
    assert not folder.exists()
    assert site.run("tier", "audit").returncode == 0


def test_the_policy_cleans_by_itself_and_a_failing_script_is_an_alarm(site: Site) -> None:
    script = site.folder / "script"
    script.write_text("#!/bin/sh\necho no quota; exit 9\n")
    script.chmod(0o755)
    site.environment |= {"SLIDEKEEPER_CLEANUP__RUNS": "at-once", "SLIDEKEEPER_CLEANUP__SCRIPTS": f'["{script}"]'}
    start_with_a_protected_run(site)
    site.wait_until(lambda: states(site) == {"run-1": "blocked"}, 10, "the script has failed")
    row = run_named(site, "run-1")
    assert row["reason"] == "script-failed"
    [told] = site.json("events", "--type", "script.finished")
    assert told["data"]["output"] == "no quota\n"
    site.kill()
    script.write_text("#!/bin/sh\nexit 0\n")
    site.start()
    site.run("runs", "retry", row["run"])
    site.wait_until(lambda: states(site) == {"run-1": "cleaned"}, 10, "the cleanup went on")
