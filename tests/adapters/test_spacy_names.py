"""A spaCy pipeline as names model; skipped where the extra ``text`` is not installed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from slidekeeper.errors import Permanent

spacy = pytest.importorskip("spacy", reason="the optional extra `text` (spaCy) is not installed")


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    """A pipeline of rules stored as a site's would be: the adapter is tested, not a model."""
    made = spacy.blank("en")
    made.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Quux Baz"}, {"label": "ORG", "pattern": "Acme"}])
    made.to_disk(tmp_path / "names")
    return str(tmp_path / "names")


def test_only_persons_are_found_and_the_adapter_travels(pipeline: str) -> None:
    from slidekeeper.adapters.names.spacy_names import SpacyNames  # noqa: PLC0415 - needs the extra

    model = pickle.loads(pickle.dumps(SpacyNames(pipeline)))
    assert model.names(["by Quux Baz of Acme", "none"]) == [[(3, 11)], []]


def test_a_pipeline_that_is_not_there_is_a_permanent_error() -> None:
    from slidekeeper.adapters.names.spacy_names import SpacyNames  # noqa: PLC0415 - needs the extra

    with pytest.raises(Permanent) as error:
        SpacyNames("xx_no_such_pipeline").names(["x"])
    assert error.value.reason == "names-model-missing"
