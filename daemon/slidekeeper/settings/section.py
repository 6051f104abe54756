"""The base of all settings sections, and the kinds of names they use."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

NAME = r"^[a-z0-9][a-z0-9-]*$"
"""What a site, a drop folder or a tier may be called: it becomes part of topics, places and environment variables."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error.msg}") from None
    return pattern


Name: TypeAlias = Annotated[str, StringConstraints(pattern=NAME)]
Extension: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\.[a-z0-9]+$")]
FileName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^/]*$")]
Expression: TypeAlias = Annotated[str, AfterValidator(_compiles)]


class Section(BaseModel):
    """A frozen section that refuses unknown keys by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
