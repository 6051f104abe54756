"""What is known of a patient or a batch before its text is read. The only type here that holds an identifier, and it hides it."""

from __future__ import annotations

from dataclasses import dataclass

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Identifies


@dataclass(frozen=True, slots=True)
class KnownIdentifier:
    """One cell of an identifying column; picklable; its value is in no repr."""

    kind: Identifies
    value: Concealed[str]
    """As the cell has it. Dates as ISO 8601 where the caller can: of other spellings every reading counts."""

    @classmethod
    def of(cls, kind: Identifies, value: str) -> KnownIdentifier:
        """Conceal a bare value."""
        return cls(kind, Concealed(value))
