"""Gleason patterns and the ISUP grade group.

Grade groups after Epstein et al., The 2014 ISUP Consensus Conference on Gleason Grading of Prostatic Carcinoma, Am J Surg Pathol
2016;40:244-252, unchanged in 2019 (van Leenders et al., Am J Surg Pathol 2020;44:e87-e99): up to 6 is 1, 3+4 is 2, 4+3 is 3, 8 is 4,
9 and 10 are 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from slidekeeper.steps.records.grammars.grammar import Grammar, Part, Reading, only

_SHARE = r"(?:\s?\(\s?[<>]?\s?\d{1,3}\s?%\s?\))?"
_GLEASON = r"\bgleason(?:[- ]?(?:score|grade|sum|pattern)s?)?\s?(?:of\s|is\s|[:=]\s?)?"
_SUM = rf"(?:{_GLEASON})?\b[1-5]{_SHARE}\s?\+\s?[1-5]\b{_SHARE}(?:\s?=\s?\d{{1,2}}\b)?"
_SCORE = rf"{_GLEASON}(?:10|[2-9])\b"
_GROUP = (
    r"(?:\bisup(?:[- ]grad(?:e|ing))?(?:[- ]?(?:group|gruppe|grade))?|\b(?:who[- ])?grade[- ]group|\bGG)"
    r"\s?[:=]?\s?[1-5]\b"
)
_TERTIARY = r"\bterti(?:ary|är)e?[sn]?(?: gleason)?(?: pattern| grade| muster)?\s?(?:of\s|[:=]\s?)?[3-5]\b"

SUM = re.compile(r"([1-5])[^+=]*\+\s?([1-5])(?:[^=]*=\s?(\d{1,2}))?")
GROUPS = {(3, 4): 2, (4, 3): 3}


def read(candidates: Sequence[str]) -> Reading:
    """Patterns, score and grade group, where all candidates agree with one another."""
    sums = [match for each in candidates if (match := SUM.search(each))]
    patterns = only([f"{match[1]}{match[2]}" for match in sums])
    if sums and patterns is None:
        return {}
    scores = {int(match[3]) for match in sums if match[3]} | set(_last_numbers(candidates, _SCORE))
    groups = set(_last_numbers(candidates, _GROUP))
    tertiary = set(_last_numbers(candidates, _TERTIARY))
    if patterns is None:
        return _without_patterns(scores, groups)
    first, second = int(patterns[0]), int(patterns[1])
    group = grade_group(first, second)
    if scores - {first + second} or groups - {group} or len(tertiary) > 1:
        return {}
    known: dict[str, str | int] = {"primary": first, "secondary": second, "score": first + second, "grade_group": group}
    return known | ({"tertiary": tertiary.pop()} if tertiary else {})


def grade_group(primary: int, secondary: int) -> int:
    """ISUP grade group of two Gleason patterns."""
    score = primary + secondary
    return GROUPS.get((primary, secondary)) or group_of_score(score) or 3


def group_of_score(score: int) -> int | None:
    """Grade group where the score alone decides; 7 is 2 or 3."""
    if score <= 6:  # noqa: PLR2004 - the number is the definition
        return 1
    return {8: 4, 9: 5, 10: 5}.get(score)


def _without_patterns(scores: set[int], groups: set[int]) -> Reading:
    """A score or a group alone, or both if they can belong together."""
    if len(scores) > 1 or len(groups) > 1:
        return {}
    score, group = next(iter(scores), None), next(iter(groups), None)
    implied = group_of_score(score) if score is not None else None
    possible = {implied} if implied else {2, 3}
    if score is not None and group is not None and group not in possible:
        return {}
    known: dict[str, int | None] = {"score": score, "grade_group": group or implied}
    return {name: value for name, value in known.items() if value is not None}


def _last_numbers(candidates: Sequence[str], pattern: str) -> Iterator[int]:
    """The number at the end of each candidate of a kind."""
    for each in candidates:
        if re.fullmatch(pattern, each, re.IGNORECASE) and (number := re.search(r"(\d+)$", each)):
            yield int(number[1])


GLEASON = Grammar(
    name="gleason",
    candidates=rf"(?i){_TERTIARY}|{_SUM}|{_GROUP}|{_SCORE}",
    parts=(
        Part("primary", (1, 2, 3, 4, 5)),
        Part("secondary", (1, 2, 3, 4, 5)),
        Part("tertiary", (3, 4, 5)),
        Part("score", (2, 3, 4, 5, 6, 7, 8, 9, 10)),
        Part("grade_group", (1, 2, 3, 4, 5)),
    ),
    read=read,
)
