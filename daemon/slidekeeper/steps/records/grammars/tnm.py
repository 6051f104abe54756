"""TNM categories with their prefixes.

After Brierley, Gospodarowicz, Wittekind (eds.), UICC TNM Classification of Malignant Tumours, 8th edition, 2017, and the AJCC Cancer
Staging Manual, 8th edition: c clinical, p pathological, y after treatment, r recurrence, a at autopsy. MX is no category any more
(7th edition) but is still written, so it is kept. Site-specific rules are not applied: only whether a category exists for some site.

Prefixes are small letters and T, N, M capitals; anything else is too easily something different. A T without a prefix counts only when
an N follows or the cell holds nothing else, because T1 and T2 are also magnetic resonance images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from slidekeeper.steps.records.grammars.grammar import Grammar, Part, Reading, only

BASES = ("c", "p", "a", "y", "r", "yc", "yp", "rc", "rp", "ryc", "ryp")
_TAILS = {
    "T": "X 0 is a 1 1mi 1a 1a1 1a2 1b 1b1 1b2 1b3 1c 1c1 1c2 1c3 1d 2 2a 2a1 2a2 2b 2c 2d 3 3a 3b 3c 3d 3e 4 4a 4b 4c 4d 4e",
    "N": "X 0 0(i-) 0(i+) 0(mol-) 0(mol+) 1 1mi 1a 1b 1c 2 2a 2b 2c 2mi 3 3a 3b 3c",
    "M": "X 0 0(i+) 1 1a 1b 1c 1c1 1c2 1d",
}
CATEGORIES = {axis: tuple(f"{axis}{tail}" for tail in tails.split()) for axis, tails in _TAILS.items()}

_BASE = f"(?:{'|'.join(sorted(BASES, key=len, reverse=True))})"
_SIZE = r"(?:\([1-9m]\)|\((?:DCIS|LCIS|Paget|LAMN)\))?"
_T = rf"T(?:[Xx0]|is|a|[1-4](?:mi|[a-e][1-3]?)?){_SIZE}"
_N = r"N(?:0\((?:i|mol)[+-]\)|[Xx0]|[123](?:mi|[abc])?)(?:\(sn\))?"
_M = r"M(?:0\(i\+\)|[Xx0]|1(?:[abcd][12]?)?)"
_BREAK = r"[ ,;/]{0,2}"
_GROUP = rf"(?:{_BASE})?{_T}{_BREAK}(?:{_BASE})?{_N}(?:{_BREAK}(?:{_BASE})?{_M})?"

_NM = rf"{_N}(?:{_BREAK}(?:{_BASE})?{_M})?"

CATEGORY = re.compile(rf"({_BASE})?({_T}|{_N}|{_M})")
STRAY = re.compile(r"\((?:sn|[1-9m]|DCIS|LCIS|Paget|LAMN)\)$")


def read(candidates: Sequence[str]) -> Reading:
    """Prefix and category of each axis, where all candidates agree."""
    found: dict[str, list[tuple[str, str]]] = {"T": [], "N": [], "M": []}
    for candidate in candidates:
        base = ""
        for match in CATEGORY.finditer(candidate):
            category = STRAY.sub("", match[2]).replace("x", "X")
            # In pT2N0 the prefix is meant for both; M is clinical unless it says otherwise.
            base = match[1] or (base if category[0] == "N" else "")
            found[category[0]].append((base, category))
    reading: dict[str, str] = {}
    for axis, pairs in found.items():
        if only([base + category for base, category in pairs]):
            base, category = pairs[0]
            reading |= {axis.lower(): category} | ({f"{axis.lower()}_basis": base} if base else {})
    return reading


def _parts(axis: str) -> tuple[Part, Part]:
    """The two columns of an axis."""
    return Part(f"{axis.lower()}_basis", BASES), Part(axis.lower(), CATEGORIES[axis])


TNM = Grammar(
    name="tnm",
    candidates=rf"(?:\b{_GROUP}|\b{_BASE}(?:{_T}|{_NM}|{_M})|^ ?(?:{_T}|{_NM}|{_M}) ?$)\b{{end-half}}",
    parts=(*_parts("T"), *_parts("N"), *_parts("M")),
    read=read,
)
