"""Slides whose consent is withdrawn: nothing of them may be stored any more."""

from __future__ import annotations

from collections.abc import Iterable

from slidekeeper.model.identity import SlideNumber


class Withdrawn:
    """Grows only."""

    def __init__(self) -> None:
        self._slides: set[SlideNumber] = set()

    def add(self, slides: Iterable[SlideNumber]) -> None:
        """These are withdrawn from now on."""
        self._slides.update(slides)

    def __contains__(self, number: object) -> bool:
        return number in self._slides
