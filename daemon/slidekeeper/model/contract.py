"""The contract of one CSV source: its exact header, what each column may hold, and what becomes of it. Holds no value of anybody.

A contract is refused when it would let an identifier through: what identifies may not be kept, free text may not be kept, and what
the profile forbids may not be done.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from slidekeeper.model.value import Value

OUTPUT_NAME = r"^[a-z][a-z0-9_]{0,62}$"
"""A column as researchers see it; also safe in SQL without quotes."""

OLDEST_AGE = 90
"""Ages from here on are one class, and reveal no birth year (45 CFR 164.514(b)(2)(i)(C))."""


class Action(enum.StrEnum):
    """What becomes of a column's values."""

    KEEP = "keep"
    DROP = "drop"
    PSEUDONYMIZE = "pseudonymize"
    YEAR = "year"
    DAYS_FROM_ANCHOR = "days_from_anchor"
    SHIFT = "shift"
    GENERALIZE = "generalize"
    ZIP3 = "zip3"
    EXTRACT = "extract"
    SCRUB = "scrub"


class Domain(enum.StrEnum):
    """Whose number replaces an identifier."""

    SLIDE = "slide"
    CASE = "case"
    PATIENT = "patient"


class ValueType(enum.StrEnum):
    """How a cell's text is read."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"


class Identifies(enum.StrEnum):
    """In which way a column identifies somebody."""

    NOT = "no"
    NAME = "name"
    FILE_NAME = "file-name"
    ID = "id"
    DATE = "date"
    BIRTH_DATE = "birth-date"
    AGE = "age"
    ADDRESS = "address"
    ZIP = "zip"
    PHONE = "phone"
    EMAIL = "email"
    FREE_TEXT = "free-text"
    OTHER = "other"


class Profile(enum.StrEnum):
    """Under which rule the records leave the hospital: 45 CFR 164.514(b)(2), or (b)(1)."""

    SAFE_HARBOR = "safe-harbor"
    EXPERT_DETERMINATION = "expert-determination"


TIMES = frozenset({ValueType.DATE, ValueType.DATETIME})
NUMBERS = frozenset({ValueType.INTEGER, ValueType.DECIMAL})
ALLOWED: dict[Identifies, frozenset[Action]] = {
    Identifies.NAME: frozenset({Action.DROP}),
    Identifies.FILE_NAME: frozenset({Action.DROP, Action.PSEUDONYMIZE}),
    Identifies.ID: frozenset({Action.DROP, Action.PSEUDONYMIZE}),
    Identifies.DATE: frozenset({Action.DROP, Action.YEAR, Action.DAYS_FROM_ANCHOR, Action.SHIFT}),
    Identifies.BIRTH_DATE: frozenset({Action.DROP, Action.YEAR, Action.SHIFT}),
    Identifies.AGE: frozenset({Action.DROP, Action.GENERALIZE}),
    Identifies.ADDRESS: frozenset({Action.DROP}),
    Identifies.ZIP: frozenset({Action.DROP, Action.ZIP3}),
    Identifies.PHONE: frozenset({Action.DROP}),
    Identifies.EMAIL: frozenset({Action.DROP}),
    Identifies.FREE_TEXT: frozenset({Action.DROP, Action.EXTRACT, Action.SCRUB}),
    Identifies.OTHER: frozenset({Action.DROP}),
    Identifies.NOT: frozenset({Action.KEEP, Action.DROP, Action.GENERALIZE, Action.EXTRACT}),
}
"""What may be done with a column, by the way in which it identifies."""


class Dialect(Value):
    """How rows are written; nothing of it is guessed."""

    delimiter: str = Field(",", min_length=1, max_length=1)
    quote: str = Field('"', min_length=1, max_length=1)
    escape: str = Field('"', min_length=1, max_length=1)
    """The character before a quote within quotes; the quote itself when it is doubled."""
    decimal: Literal[".", ","] = "."


class Column(Value):
    """One column: what it may hold, whom it identifies, what becomes of it."""

    name: str = Field(min_length=1, max_length=200)
    """Exactly as the header has it."""
    type: ValueType = ValueType.TEXT
    format: str = ""
    """Of dates and times, as strftime(3) has it: ``%d.%m.%Y``."""
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    regex: str = ""
    """Must match the whole cell."""
    vocabulary: tuple[str, ...] = ()
    identifies: Identifies = Identifies.NOT
    action: Action = Action.DROP
    domain: Domain | None = None
    anchor: str = ""
    """Name of the date column from which :attr:`Action.DAYS_FROM_ANCHOR` counts, in the same row."""
    bins: tuple[float, ...] = ()
    """Rising edges of classes for :attr:`Action.GENERALIZE`; ages need none."""
    grammar: Literal["", "gleason", "tnm", "margin", "stage"] = ""
    output: str = Field("", pattern=rf"({OUTPUT_NAME})|^$")
    """Name of the resulting column; made from :attr:`name` when empty."""

    @property
    def output_name(self) -> str:
        """Name of the resulting column: numbers by their domain, others by :attr:`output` or the header's name."""
        if self.domain is not None:
            return f"{self.domain}_number"
        plain = re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")
        return self.output or (plain if plain[:1].isalpha() else f"column_{plain}")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        for problem in _problems(self):
            raise ValueError(f"column {self.name}: {problem}")
        return self


class Contract(Value):
    """One source's contract."""

    source: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    """Short name: names the Parquet file and the table."""
    version: int = Field(ge=1)
    description: str = ""
    files: tuple[str, ...] = Field(min_length=1)
    """Shell patterns of file names, compared without case."""
    encoding: Literal["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"] = "utf-8"
    profile: Profile = Profile.SAFE_HARBOR
    dialect: Dialect = Field(default_factory=Dialect)
    columns: tuple[Column, ...] = Field(min_length=1)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of everything the contract says; kept with every row."""
        return f"sha256:{hashlib.sha256(self.model_dump_json().encode()).hexdigest()}"

    def column(self, name: str) -> Column:
        """The column of this name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def of_domain(self, domain: Domain) -> Column | None:
        """The column whose values are replaced by this domain's numbers, or None."""
        return next((column for column in self.columns if column.domain is domain), None)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self


def _problems(column: Column) -> Iterator[str]:
    """Why a column's rule is refused."""
    action = column.action
    if action not in ALLOWED[column.identifies]:
        allowed = ", ".join(sorted(ALLOWED[column.identifies]))
        yield f"what identifies ({column.identifies}) may not be treated by {action}; allowed: {allowed}"
    if action is Action.KEEP and column.type is ValueType.TEXT and not column.vocabulary:
        yield "free strings may not be kept: give a type or a vocabulary, or drop it"
    if action is Action.KEEP and column.type in TIMES:
        yield 'a date identifies: say `identifies = "date"`'
    if (action is Action.PSEUDONYMIZE) != (column.domain is not None):
        yield "pseudonymize and domain belong together"
    if column.type in TIMES and not column.format:
        yield "a date needs its format"
    if action in {Action.YEAR, Action.DAYS_FROM_ANCHOR, Action.SHIFT} and column.type not in TIMES:
        yield f"{action} needs a date"
    if (action is Action.DAYS_FROM_ANCHOR) != bool(column.anchor):
        yield "days_from_anchor and anchor belong together"
    if (action is Action.EXTRACT) != bool(column.grammar):
        yield "extract and grammar belong together"
    if action is Action.GENERALIZE and column.type not in NUMBERS:
        yield "only numbers can be generalized"
    if action is Action.GENERALIZE and column.identifies is not Identifies.AGE and not column.bins:
        yield "generalize needs bins"
    if list(column.bins) != sorted(set(column.bins)):
        yield "bins must rise"
    try:
        re.compile(column.regex)
    except re.error as error:
        yield f"no regular expression: {error.msg}"


def _contradictions(contract: Contract) -> Iterator[str]:
    """Why the columns do not go together."""
    columns = contract.columns
    for name, count in Counter(column.name for column in columns).items():
        if count > 1:
            yield f"column {name} is there {count} times"
    for name, count in Counter(column.output_name for column in columns if column.action is not Action.DROP).items():
        if count > 1:
            yield f"{count} columns would be called {name}: give them an output"
    if contract.of_domain(Domain.SLIDE) is None:
        yield 'no column names the slide: one needs action = "pseudonymize", domain = "slide"'
    shifted = [column.name for column in columns if column.action is Action.SHIFT]
    if shifted and contract.profile is Profile.SAFE_HARBOR:
        yield f"column {shifted[0]}: shifted dates are not Safe Harbor: use year or days_from_anchor, or another profile"
    if shifted and contract.of_domain(Domain.PATIENT) is None:
        yield f"column {shifted[0]}: dates are shifted by patient, and no column names the patient"
    years = [column.name for column in columns if column.action is Action.YEAR]
    if shifted and years:
        yield f"column {years[0]}: a kept year beside shifted dates would reveal the offset"
    names = {column.name for column in columns}
    for column in columns:
        if column.anchor and (column.anchor not in names or contract.column(column.anchor).type not in TIMES):
            yield f"column {column.name}: its anchor is no date column of this contract"
