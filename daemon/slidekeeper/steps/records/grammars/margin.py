"""Residual tumour: the R classification, and what is said of margins in words.

R classification after Wittekind et al., TNM residual tumor classification revisited, Cancer 2002;94:2511-2516: RX cannot be assessed,
R0 none, R1 microscopic, R2 macroscopic. Words (in English) say whether a margin is involved, not which R that is: they give the status
alone. A word with a negation before it is read only where that is common usage ("not involved"); otherwise nothing comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from slidekeeper.steps.records.grammars.grammar import Grammar, Part, Reading, only

_WORD = r"(?:uninvolved|involved|involvement|negative|positive|free|clear)"
_MARGIN = r"(?:margins?|resection lines?|edges?)"
_NOT = r"(?:not|no|never|without|cannot|neither|nor|non)"
_GAP = r"[^.,;|]{0,60}?"

CLASSES = ("RX", "R0", "R1", "R2")
STATUS_OF_CLASS = {"R0": "negative", "R1": "positive", "R2": "positive"}
POSITIVE = frozenset({"involved", "positive"})
NEGATIVE = frozenset({"uninvolved", "negative", "free", "clear"})


def read(candidates: Sequence[str]) -> Reading:
    """Class and status, where all that is said agrees."""
    classes = [each for each in candidates if each in CLASSES]
    words = list(_statuses(candidates))
    if None in words or (classes and only(classes) is None):
        return {}
    said = [STATUS_OF_CLASS[each] for each in classes if each in STATUS_OF_CLASS] + [word for word in words if word]
    if not said:
        return {"r": classes[0]} if classes else {}
    status = only(said)
    if status is None or (words and "RX" in classes):
        return {}
    return {"status": status} | ({"r": classes[0]} if classes else {})


def _statuses(candidates: Sequence[str]) -> Iterator[str | None]:
    """What each candidate in words says; None where it is not clear."""
    for each in candidates:
        text = each.lower()
        if each in CLASSES:
            continue
        words = {match for match in re.findall(rf"\b{_WORD}\b", text) if match != "involvement"}
        negated = re.findall(rf"\b{_NOT}\b", text)
        if negated:
            yield "negative" if re.search(r"\bnot involved\b", text) and words == {"involved"} and len(negated) == 1 else None
        elif words and words <= POSITIVE:
            yield "positive"
        else:
            yield "negative" if words and words <= NEGATIVE else None


MARGIN = Grammar(
    name="margin",
    candidates=(
        r"\bR[012X]\b"
        rf"|(?i:(?:\b{_NOT}\b )?\b{_MARGIN}\b{_GAP}\b{_WORD}\b)"
        rf"|(?i:(?:\b{_NOT}\b (?:[a-z]+ ){{0,2}})?\b{_WORD}\b (?:[a-z]+ ){{0,4}}{_MARGIN}\b(?:{_GAP}\b{_WORD}\b)?)"
        rf"|(?i:^ ?(?:not )?{_WORD} ?$)"
    ),
    parts=(Part("r", CLASSES), Part("status", ("negative", "positive"))),
    read=read,
)
