"""Draws the workflow table as Mermaid state diagrams and as a list, so that the document cannot say anything else than the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slidekeeper.model.value import Value
from slidekeeper.workflow.states import UNDER_WAY, PackState, RecordsState, RunState, StagingState
from slidekeeper.workflow.table import BATCH_TABLE, PACK_TABLE, RECORDS_TABLE, RUN_TABLE, STAGING_TABLE, State, Transition

INTRODUCTION = """# The workflow

Generated from `slidekeeper.workflow.table` by `scripts/diagram`; do not edit. What the table lacks is an error.

## A pack

An arrow's label is the event that moves the pack; the order that follows from it stands behind the slash.
"""


def render_workflow() -> str:
    """The whole document, Markdown."""
    packs = [*_fenced(_machine_lines(PACK_TABLE, PackState)), "", *_pack_rows()]
    records = [*_fenced(_machine_lines(RECORDS_TABLE, RecordsState)), "", *_rows(RECORDS_TABLE)]
    batches = ["## A batch", "", *_fenced(_batch_lines())]
    stagings = ["## A staging", "", *_fenced(_machine_lines(STAGING_TABLE, StagingState)), "", *_rows(STAGING_TABLE)]
    runs = ["## A training run", "", *_fenced(_machine_lines(RUN_TABLE, RunState)), "", *_rows(RUN_TABLE)]
    return "\n".join([INTRODUCTION, *packs, "", *batches, "", "## A batch's records", "", *records, "", *stagings, "", *runs, ""])


def _machine_lines(table: Mapping[tuple[State, Any], Transition[State]], states: type[State]) -> Iterable[str]:
    for (state, event), row in table.items():
        origin = "[*]" if state.value == "new" else state.value
        yield f"    {origin} --> {row.state.value}: {_label(event, row)}"
    for state in states:
        if _is_final(state, table):
            yield f"    {state.value} --> [*]"


def _batch_lines() -> Iterable[str]:
    for (state, event), after in BATCH_TABLE.items():
        origin = "[*]" if state.value == "new" else state.value
        yield f"    {origin} --> {after.value}: {_type(event)}"
    yield "    completed --> [*]"


def _pack_rows() -> Iterable[str]:
    yield "| state | a batch waits for it | event | next state | order |"
    yield "|---|---|---|---|---|"
    for (state, event), row in PACK_TABLE.items():
        waits = "yes" if state in UNDER_WAY else ""
        yield f"| {state.value} | {waits} | `{_type(event)}` | {row.state.value} | {_order(row)} |"


def _rows(table: Mapping[tuple[State, Any], Transition[State]]) -> Iterable[str]:
    yield "| state | event | next state | order |"
    yield "|---|---|---|---|"
    for (state, event), row in table.items():
        yield f"| {state.value} | `{_type(event)}` | {row.state.value} | {_order(row)} |"


def _fenced(lines: Iterable[str]) -> Iterable[str]:
    return ["```mermaid", "stateDiagram-v2", *lines, "```"]


def _label(event: type[Value], row: Transition[State]) -> str:
    return f"{_type(event)} / {_order(row)}" if _order(row) else _type(event)


def _order(row: Transition[State]) -> str:
    if row.repeats:
        return "the same again"
    return _type(row.command) if row.command else ""


def _type(message: type[Value]) -> str:
    return str(message.model_fields["type"].default)


def _is_final(state: State, table: Mapping[tuple[State, Any], Transition[State]]) -> bool:
    """Whether no row leads away from a state."""
    return not any(origin is state and row.state is not state for (origin, _), row in table.items())
