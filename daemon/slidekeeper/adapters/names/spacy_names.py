"""Names by a spaCy pipeline. Needs the extra ``text`` and a pipeline that the site has installed; imported only where both are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import spacy

from slidekeeper.errors import Permanent

PERSON = frozenset({"PERSON", "PER"})
"""Labels of persons in the English and in the multilingual pipelines."""
UNUSED = ["tagger", "parser", "attribute_ruler", "lemmatizer", "morphologizer"]


class SpacyNames:
    """A :class:`~slidekeeper.ports.names.NamesModel`. Pickled by its pipeline's name and loaded where it is first used."""

    def __init__(self, pipeline: str) -> None:
        """Name an installed pipeline such as ``en_core_web_md``; nothing is loaded yet."""
        self.pipeline = pipeline
        self._loaded: Any = None

    def __reduce__(self) -> tuple[type[SpacyNames], tuple[str]]:
        return type(self), (self.pipeline,)

    def names(self, texts: Sequence[str]) -> Sequence[Sequence[tuple[int, int]]]:
        """For every text the ranges of characters that name a person.

        Raises:
            Permanent: ``names-model-missing``, the pipeline is not installed.
        """
        return [
            [(entity.start_char, entity.end_char) for entity in text.ents if entity.label_ in PERSON] for text in self._model().pipe(texts)
        ]

    def _model(self) -> Any:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        try:
            return spacy.load(self.pipeline, exclude=UNUSED)
        except OSError as error:
            detail = f"the spaCy pipeline {self.pipeline} is not installed"
            raise Permanent("names-model-missing", detail, "install it beside slidekeeper, or leave the names model out") from error
