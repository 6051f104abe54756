"""The base of all values that have a wire form: frozen, closed, and strict about unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value with a JSON form."""

    model_config = ConfigDict(frozen=True, extra="forbid")
