"""Finding names in text by a statistical model, where a site has installed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class NamesModel(Protocol):
    """Stateless and picklable; runs in a worker."""

    def names(self, texts: Sequence[str]) -> Sequence[Sequence[tuple[int, int]]]:
        """For every text the half-open ranges of characters that name a person, in order.

        Raises:
            Permanent: the model cannot be used: ``names-model-missing``.
        """
        ...
