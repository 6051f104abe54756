"""A value that must not be seen by accident: it hides itself from repr, str, format, logs and tracebacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Concealed(Generic[T]):
    """Wraps a value that identifies somebody, or may; :meth:`reveal` is the only way to it, and easy to search for."""

    _value: T

    def reveal(self) -> T:
        """Return the bare value; the caller answers for where it goes."""
        return self._value

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)
