"""Closed grammars: what pathologists write in a fixed notation becomes typed columns, and the text around it is dropped.

A notation is searched for within the text, but only what a closed list allows comes out. Two different findings in one cell, or a
finding that contradicts itself, are none.
"""

from __future__ import annotations

from slidekeeper.errors import Refused
from slidekeeper.steps.records.grammars.gleason import GLEASON
from slidekeeper.steps.records.grammars.grammar import Grammar, Part, extract
from slidekeeper.steps.records.grammars.margin import MARGIN
from slidekeeper.steps.records.grammars.stage import STAGE
from slidekeeper.steps.records.grammars.tnm import TNM

__all__ = ["Grammar", "Part", "extract", "grammar_of"]


def grammar_of(name: str) -> Grammar:
    """The grammar that a contract names.

    Raises:
        Refused: ``unknown-grammar``.
    """
    for grammar in (GLEASON, TNM, MARGIN, STAGE):
        if grammar.name == name:
            return grammar
    raise Refused("unknown-grammar", f"there is no grammar {name}")
