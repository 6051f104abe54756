"""The document of the workflow says what the table says."""

from __future__ import annotations

from pathlib import Path

from slidekeeper.workflow.diagram import render_workflow
from slidekeeper.workflow.states import PackState
from slidekeeper.workflow.table import PACK_TABLE

DOCUMENT = Path(__file__).parents[2] / "docs" / "workflow.md"


def test_the_committed_document_is_the_rendered_one() -> None:
    assert DOCUMENT.read_text() == render_workflow()


def test_every_row_of_the_table_is_an_arrow() -> None:
    arrows = [line for line in render_workflow().split("## A batch")[0].splitlines() if "-->" in line and ": " in line]
    assert len(arrows) == len(PACK_TABLE)


def test_every_state_that_nothing_leaves_is_an_end() -> None:
    ends = {state for state in PackState if f"    {state.value} --> [*]" in render_workflow()}
    assert ends == {PackState.DONE, PackState.DUPLICATE, PackState.DISCARDED, PackState.SUPERSEDED, PackState.VANISHED}
