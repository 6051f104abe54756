"""Stage groups of UICC and AJCC (8th editions): 0, and I to IV with letters and digits.

Within text a stage is Roman and follows the word; in Arabic digits only as the whole cell, because kidney disease and pressure ulcers
have stages 1 to 4 too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from slidekeeper.steps.records.grammars.grammar import Grammar, Part, Reading, only

ROMAN = {"0": "0", "1": "I", "2": "II", "3": "III", "4": "IV"}
GROUPS = tuple(ROMAN.values())
_SUBS = ("", "A", "A1", "A2", "A3", "B", "B1", "B2", "B3", "C", "C1", "C2", "C3", "D")
STAGES = ("0", "0A", "0IS", *(f"{group}{sub}" for group in GROUPS[1:] for sub in _SUBS))

_SUB = r"(?:[A-Da-d][1-3]?)?"
_STAGE = r"(?:[Ss]tage|STAGE|[Ss]tadium|STADIUM)(?: (?:group|grouping))?\s?[:=]?\s?"
SPLIT = re.compile(r"(0|IV|III|II|I|[1-4])(is|IS|[A-Da-d][1-3]?)?\s?$")


def read(candidates: Sequence[str]) -> Reading:
    """Group and full stage, where all candidates agree."""
    stages = [stage for each in candidates if (stage := _stage(each))]
    full = only(stages)
    if full is None or len(stages) < len(candidates):
        return {}
    group = full.rstrip("ABCDS123") if full[0] != "0" else "0"
    return {"group": "I" if group == "" else group, "full": full}


def _stage(candidate: str) -> str | None:
    """``IIIA`` from ``stage IIIa`` or ``3A``."""
    match = SPLIT.search(candidate)
    return f"{ROMAN.get(match[1], match[1])}{(match[2] or '').upper()}" if match else None


STAGE = Grammar(
    name="stage",
    candidates=rf"\b{_STAGE}(?:0(?:is|a)?|(?:IV|III|II|I){_SUB})\b|^ ?(?:{_STAGE})?(?:0(?:is|a)?|(?:IV|III|II|I|[1-4]){_SUB}) ?$",
    parts=(Part("group", GROUPS), Part("full", STAGES)),
    read=read,
)
