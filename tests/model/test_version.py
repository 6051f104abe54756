"""People name a version by project, number or run."""

from __future__ import annotations

import pytest

from slidekeeper.errors import Refused
from slidekeeper.model.version import VersionReference, parse_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("gleason", VersionReference(project="gleason")),
        ("gleason@v3", VersionReference(project="gleason", number=3)),
        ("gleason@2026-11-24-a", VersionReference(project="gleason", run="2026-11-24-a")),
        ("gleason@v3-wide", VersionReference(project="gleason", run="v3-wide")),
        ("gleason@v0", VersionReference(project="gleason", run="v0")),
    ],
)
def test_a_version_is_named_in_three_ways(text: str, reference: VersionReference) -> None:
    assert parse_reference(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize("text", ["", "@v3", "../gleason", "gleason@", "gleason@a/b", ".hidden", "a b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="wrong-reference"):
        parse_reference(text)
