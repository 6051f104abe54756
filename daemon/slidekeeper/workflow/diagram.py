"""Draws the workflow table as Mermaid state diagrams and as a list, so that the document cannot say anything else than the code."""

from __future__ import annotations

from collections.abc import Iterable

from slidekeeper.model.value import Value
from slidekeeper.workflow.states import UNDER_WAY, PackState
from slidekeeper.workflow.table import BATCH_TABLE, PACK_TABLE, Transition

INTRODUCTION = """# The workflow

Generated from `slidekeeper.workflow.table` by `scripts/diagram`; do not edit. What the table lacks is an error.

## A pack

An arrow's label is the event that moves the pack; the order that follows from it stands behind the slash.
"""


def render_workflow() -> str:
    """The whole document, Markdown."""
    return "\n".join([INTRODUCTION, *_fenced(_pack_lines()), "", *_rows(), "", "## A batch", "", *_fenced(_batch_lines()), ""])


def _pack_lines() -> Iterable[str]:
    for (state, event), row in PACK_TABLE.items():
        origin = "[*]" if state is PackState.NEW else state.value
        yield f"    {origin} --> {row.state.value}: {_label(event, row)}"
    for state in PackState:
        if _is_final(state):
            yield f"    {state.value} --> [*]"


def _batch_lines() -> Iterable[str]:
    for (state, event), after in BATCH_TABLE.items():
        origin = "[*]" if state.value == "new" else state.value
        yield f"    {origin} --> {after.value}: {_type(event)}"
    yield "    completed --> [*]"


def _rows() -> Iterable[str]:
    yield "| state | a batch waits for it | event | next state | order |"
    yield "|---|---|---|---|---|"
    for (state, event), row in PACK_TABLE.items():
        waits = "yes" if state in UNDER_WAY else ""
        yield f"| {state.value} | {waits} | `{_type(event)}` | {row.state.value} | {_order(row)} |"


def _fenced(lines: Iterable[str]) -> Iterable[str]:
    return ["```mermaid", "stateDiagram-v2", *lines, "```"]


def _label(event: type[Value], row: Transition) -> str:
    return f"{_type(event)} / {_order(row)}" if _order(row) else _type(event)


def _order(row: Transition) -> str:
    if row.repeats:
        return "the same again"
    return _type(row.command) if row.command else ""


def _type(message: type[Value]) -> str:
    return str(message.model_fields["type"].default)


def _is_final(state: PackState) -> bool:
    """Whether no row leads away from a state."""
    return not any(origin is state and row.state is not state for (origin, _), row in PACK_TABLE.items())
