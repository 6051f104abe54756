"""What the service manager will do to the service: read from systemd itself, drop-ins included."""

from __future__ import annotations

import math
import re
import subprocess

UNIT = "slidekeeper.service"
ANSWER_SECONDS = 5.0

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 2_629_800, "y": 31_557_600}
"""Units of a time span as systemd writes them, systemd.time(7)."""
SPAN = re.compile(r"(?:\d+(?:us|ms|s|min|h|d|w|month|y) ?)+")


def stop_timeout(unit: str = UNIT) -> float | None:
    """Seconds after which systemd kills a unit that does not stop, or None where it does not know the unit or does not run."""
    command = ["systemctl", "show", unit, "--property=LoadState,TimeoutStopUSec"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    properties = dict(line.partition("=")[::2] for line in shown.splitlines())
    return seconds_of(properties.get("TimeoutStopUSec", "")) if properties.get("LoadState") == "loaded" else None


def seconds_of(span: str) -> float | None:
    """The seconds of a time span as systemd shows it (``1min 30s``, ``infinity``), or None for what is no time span."""
    if span in ("infinity", "0"):
        return math.inf if span == "infinity" else 0.0
    if not SPAN.fullmatch(span):
        return None
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([a-z]+)", span))
