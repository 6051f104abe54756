"""What systemd says of the service is understood, whatever its units of time."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.bootstrap.unit import SECONDS, seconds_of, stop_timeout


@given(st.dictionaries(st.sampled_from(sorted(SECONDS)), st.integers(0, 10**6), min_size=1))
def test_every_span_is_the_sum_of_its_parts(parts: dict[str, int]) -> None:
    span = " ".join(f"{number}{unit}" for unit, number in parts.items())
    assert seconds_of(span) == pytest.approx(sum(number * SECONDS[unit] for unit, number in parts.items()))


@pytest.mark.parametrize(
    ("span", "seconds"), [("30s", 30.0), ("1min 30s", 90.0), ("infinity", math.inf), ("0", 0.0), ("", None), ("soon", None)]
)
def test_spans_as_systemd_shows_them(span: str, seconds: float | None) -> None:
    assert seconds_of(span) == seconds


@pytest.mark.parametrize(("load_state", "seconds"), [("loaded", 90.0), ("not-found", None)])
def test_only_a_unit_that_systemd_knows_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_state: str, seconds: float | None
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho LoadState={load_state}\necho TimeoutStopUSec=1min 30s\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert stop_timeout() == seconds


def test_without_systemd_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert stop_timeout() is None
