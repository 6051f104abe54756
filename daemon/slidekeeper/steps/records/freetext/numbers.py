"""Numbers as people copy them: separators changed, zeros lost, the year shortened, the prefix left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slidekeeper.steps.records.freetext.spelling import ascii_digits

GROUP = re.compile(r"[a-z]+|[0-9]+")
SHORTEST = 4
"""Characters of an identifier that is recognized without a label; shorter ones are everywhere."""
SHORTEST_BARE = 6
"""Digits that must be left where the letters before a number are left out."""
LONG_YEAR, NATIONAL = 4, 10


def compact(text: str) -> str:
    """Letters and digits only, in lower case."""
    return "".join(GROUP.findall(ascii_digits(text)))


def number_forms(value: str) -> frozenset[str]:
    """Compact forms under which a number (an accession, a record number) may stand in a text."""
    groups = GROUP.findall(ascii_digits(value))
    written = [groups, *_other_years(groups)]
    stripped = [[group.lstrip("0") or "0" if group.isdigit() else group for group in each] for each in written]
    bare = [each[1:] for each in [*written, *stripped] if each and each[0].isalpha()]
    full = {"".join(each) for each in [*written, *stripped]}
    short = {form for form in map("".join, bare) if len(form) >= SHORTEST_BARE}
    forms = full | short
    return frozenset(form for each in forms for form in (each, each.lstrip("0")) if len(form) >= SHORTEST and any(map(str.isdigit, form)))


def _other_years(groups: list[str]) -> Iterator[list[str]]:
    """``S2016-55632`` for ``S16-55632``, and the other way round."""
    for at, group in enumerate(groups[:-1]):
        if at <= 1 and len(group) == LONG_YEAR and group.startswith(("19", "20")):
            yield [*groups[:at], group[2:], *groups[at + 1 :]]
        if at == 1 and len(group) == LONG_YEAR // 2 and group.isdigit():
            yield from ([*groups[:at], century + group, *groups[at + 1 :]] for century in ("19", "20"))


def phone_forms(value: str) -> frozenset[str]:
    """Digits of a telephone number: whole, without the country, without the area."""
    digits = "".join(sign for sign in ascii_digits(value) if "0" <= sign <= "9")
    forms = {digits, digits.lstrip("0"), digits[-NATIONAL:]}
    if len(digits) >= NATIONAL:
        forms.add(digits[-7:])
    return frozenset(form for form in forms if len(form) >= SHORTEST_BARE)
