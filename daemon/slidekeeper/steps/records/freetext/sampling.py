"""Which scrubbed texts a person reads before they are released."""

from __future__ import annotations

import math
import random


def sample_for_review(rows: int, share: float, seed: int) -> list[int]:
    """Indices of a random share of rows, rising; at least one where there are rows and the share is above 0. One seed, one sample."""
    wanted = min(rows, math.ceil(rows * share))
    return sorted(random.Random(seed).sample(range(rows), wanted))  # noqa: S311 - a sample, no secret
