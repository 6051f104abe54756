"""The honest broker's rules: who may pass the door between identifiers and numbers, and with what reason."""

from __future__ import annotations

from collections.abc import Collection

from slidekeeper.errors import Refused

REASON_CHARACTERS = 10
REASON_LIMIT = 500
ROOT = 0


def checked_reason(reason: str, values: Collection[str] = ()) -> str:
    """The reason without outer white space, fit to be journaled.

    Args:
        reason: as the person stated it.
        values: identifiers that it must not repeat, in any case.

    Raises:
        Refused: it is too short or too long, has control characters, or repeats an identifier.
    """
    text = reason.strip()
    if not REASON_CHARACTERS <= len(text) <= REASON_LIMIT or not text.isprintable():
        detail = f"a reason has {REASON_CHARACTERS} to {REASON_LIMIT} printable characters"
        raise Refused("reason-missing", detail, "Say in a few words why this is needed: --reason TEXT")
    folded = text.casefold()
    if any(value.strip() and value.strip().casefold() in folded for value in values):
        raise Refused("reason-identifies", "the reason repeats one of the identifiers", "Reasons are journaled: name nobody in them")
    return text


def may_pass(user: int, groups: Collection[int], broker_group: int | None) -> bool:
    """Whether this user id may pass: root, and members of the broker's group; without such a group the files' permissions decide."""
    return broker_group is None or user == ROOT or broker_group in groups


def named_caller(user: int, name: str, claimed: str) -> str:
    """Who is written into the journal: the user the system knows; behind root also whom ``sudo`` says it acts for."""
    return f"{claimed} as {name}" if user == ROOT and claimed not in {"", name} else name
