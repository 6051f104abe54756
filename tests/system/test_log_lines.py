"""One id leads through a pack's life: every line about a pack carries it, whichever part of the daemon wrote the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system.site_under_test import Site
from writers import write_aperio


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that logs all it can, as JSON."""
    site = Site.create(tmp_path, log__level="debug")
    site.start()
    yield site
    site.kill()


def lines_of(site: Site, pack: str) -> list[dict[str, Any]]:
    """What was logged of a pack."""
    lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    return [line for line in lines if line.get("pack") == pack]


def test_packs_that_intake_holds_or_a_step_refuses_can_be_followed_by_their_id(site: Site) -> None:
    slide = write_aperio(site.drop / "mine.svs", seed=1, barcode="mine").path
    (site.drop / "lonely.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    site.wait_at_rest(2)
    (site.drop / "yours.svs").write_bytes(slide.read_bytes())
    site.wait_at_rest(3)
    held = {entry["reason"]: entry["pack"] for entry in site.json("quarantine", "list")}
    assert set(held) == {"incomplete-pack", "barcode-conflict"}
    for reason, step in (("incomplete-pack", "intake"), ("barcode-conflict", "anonymize")):
        lines = lines_of(site, held[reason])
        assert lines[0]["type"] == "pack.arrived"
        assert [(line["step"], line["reason"]) for line in lines if line["event"] == "pack quarantined"] == [(step, reason)]
