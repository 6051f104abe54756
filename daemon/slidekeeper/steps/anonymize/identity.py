"""Who a slide is, decided from who claimed its content: a new revision, a duplicate, or a conflict for a person to look at."""

from __future__ import annotations

import enum

from slidekeeper.model.identity import SlideNumber
from slidekeeper.ports.linking import Claim, KnownContent, NewRevision
from slidekeeper.workflow.states import PackState

NEVER_STORED = frozenset({PackState.QUARANTINED, PackState.DISCARDED, PackState.SUPERSEDED, PackState.VANISHED})


class Verdict(enum.Enum):
    """What to do with an anonymized copy."""

    STORE = "store"
    RESCAN = "rescan"
    """Other content of a known slide, where the site wants a person to look."""
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """The same content was seen under another barcode."""
    TAKE_OVER = "take over"
    """The pack that claimed the content first never reached the bucket."""


def judge(claim: Claim, number: SlideNumber, owner: PackState | None, on_rescan: str) -> Verdict:
    """Decide.

    Args:
        claim: what the linking table answered for this content.
        number: the number of this pack's barcode.
        owner: the state of the pack that claimed the content before; None when it is unknown.
        on_rescan: ``revision`` or ``quarantine``.
    """
    match claim:
        case NewRevision(revision=revision):
            return Verdict.RESCAN if revision > 1 and on_rescan == "quarantine" else Verdict.STORE
        case KnownContent() if owner is None or owner in NEVER_STORED:
            return Verdict.TAKE_OVER
        case KnownContent(number=known):
            return Verdict.DUPLICATE if known == number else Verdict.CONFLICT
