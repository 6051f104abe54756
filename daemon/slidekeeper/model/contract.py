"""The contract of one CSV source: its exact header, what each column may hold, and what becomes of it. Holds no value of anybody.

A contract is refused when it would let an identifier through: what identifies may not be kept, free text may not be kept, and what
the profile forbids may not be done.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
TRUTHS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "y", "1", "ja", "j"), True),
    **dict.fromkeys(("false", "no", "n", "0", "nein"), False),
}
"""How :attr:`ValueType.BOOLEAN` is written, in lower case."""
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


RESERVED = frozenset({"line", "row", *(f"{domain}_number" for domain in Domain)})
"""Names of columns that Slidekeeper adds: ``line`` to what is read, the others to what comes out."""
MARK = r"^[\t!-/:-@\[-`{-~]$"
"""A tab or a visible ASCII character that is neither letter nor digit."""
DATE_FORMATS = frozenset({"Y", "m", "d", "-m", "-d", "b", "B", "F"})
TIME_FORMATS = frozenset({"H", "-H", "I", "-I", "M", "S", "p", "T"})
"""Conversions of strftime(3) that write one value in one way. Two digits of a year name two centuries."""


class Dialect(Value):
    """How rows are written; nothing of it is guessed."""

    delimiter: str = Field(",", pattern=MARK)
    quote: str = Field('"', pattern=MARK)
    escape: str = Field('"', pattern=MARK)
    """The character before a quote within quotes; the quote itself when it is doubled."""
    decimal: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if self.delimiter in {self.quote, self.escape}:
            raise ValueError("the delimiter may be neither quote nor escape")
        return self


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
        problems = [f"column {self.name}: {problem}" for rule in _RULES for problem in rule(self)]
        if problems:
            raise ValueError("\n".join(problems))
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
        problems = [problem for rule in _CONSISTENCY for problem in rule(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _treatment(column: Column) -> Iterator[str]:
    """What identifies is treated as it must be, and nothing is kept that cannot be checked."""
    action = column.action
    if action not in ALLOWED[column.identifies]:
        allowed = ", ".join(sorted(ALLOWED[column.identifies]))
        yield f"what identifies ({column.identifies}) may not be treated by {action}; allowed: {allowed}"
    if action is Action.KEEP and column.type is ValueType.TEXT and not column.vocabulary:
        yield "free strings may not be kept: give a type or a vocabulary, or drop it"
    if action is Action.KEEP and column.type in TIMES:
        yield 'a date identifies: say `identifies = "date"`'
    if action in {Action.YEAR, Action.DAYS_FROM_ANCHOR, Action.SHIFT} and column.type not in TIMES:
        yield f"{action} needs a date"
    if action is Action.GENERALIZE and column.type not in NUMBERS:
        yield "only numbers can be generalized"
    if action in {Action.EXTRACT, Action.SCRUB, Action.ZIP3, Action.PSEUDONYMIZE} and column.type is not ValueType.TEXT:
        yield f"{action} needs text"


def _companions(column: Column) -> Iterator[str]:
    """Keys that go with an action are there exactly when it is."""
    if (column.action is Action.PSEUDONYMIZE) != (column.domain is not None):
        yield "pseudonymize and domain belong together"
    if (column.action is Action.DAYS_FROM_ANCHOR) != bool(column.anchor):
        yield "days_from_anchor and anchor belong together"
    if (column.action is Action.EXTRACT) != bool(column.grammar):
        yield "extract and grammar belong together"
    if column.bins and column.action is not Action.GENERALIZE:
        yield "only generalize has bins"
    if column.action is Action.GENERALIZE and column.identifies is not Identifies.AGE and not column.bins:
        yield "generalize needs bins"
    if list(column.bins) != sorted(set(column.bins)):
        yield "bins must rise"
    if column.identifies is Identifies.AGE and any(edge > OLDEST_AGE for edge in column.bins):
        yield f"no class of ages may begin after {OLDEST_AGE}"


def _limits(column: Column) -> Iterator[str]:
    """What a cell may hold can be told from the column's type."""
    if column.type not in NUMBERS and (column.minimum is not None or column.maximum is not None):
        yield "only numbers have a minimum or maximum"
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        yield "its minimum is above its maximum"
    if len(set(column.vocabulary)) < len(column.vocabulary) or "" in column.vocabulary:
        yield "a word of the vocabulary is empty or there twice"
    try:
        re.compile(column.regex)
    except re.error as error:
        yield f"no regular expression: {error.msg}"


def _date_format(column: Column) -> Iterator[str]:
    """A format names exactly one day, or one minute of it, and nothing in it is ambiguous."""
    if column.type not in TIMES:
        if column.format:
            yield "only dates have a format"
        return
    if not column.format:
        yield "a date needs its format"
        return
    *conversions, rest = re.split(r"%(-?.)", column.format)
    found = set(conversions[1::2])
    if found - DATE_FORMATS - TIME_FORMATS or "%" in rest:
        yield f"its format knows only {', '.join(f'%{each}' for each in sorted(DATE_FORMATS | TIME_FORMATS))}"
    elif not (_names_day(found) and (_names_minute(found) if column.type is ValueType.DATETIME else not found & TIME_FORMATS)):
        yield "its format must name year, month and day" + (", hour and minute" if column.type is ValueType.DATETIME else ", and no time")


def _names_day(conversions: set[str]) -> bool:
    return "F" in conversions or ("Y" in conversions and bool(conversions & {"d", "-d"}) and bool(conversions & {"m", "-m", "b", "B"}))


def _names_minute(conversions: set[str]) -> bool:
    hour = conversions & {"H", "-H"} or ("p" in conversions and conversions & {"I", "-I"})
    return "T" in conversions or ("M" in conversions and bool(hour))


def _output(column: Column) -> Iterator[str]:
    """What comes out has a name of its own."""
    if column.name == "line":
        yield "a column of this name would hide the number of the row's line: rename it in the file"
    if column.domain is None and column.action is not Action.DROP:
        if not re.fullmatch(OUTPUT_NAME, column.output_name) or column.output_name.endswith("_"):
            yield "its name does not make a name for what comes out: give it an output"
        if column.output_name in RESERVED:
            yield f"what comes out may not be called {column.output_name}: give it another output"


def _names(contract: Contract) -> Iterator[str]:
    """Each name, and each domain, is there once; one column names the slide."""
    columns = contract.columns
    for name, count in Counter(column.name for column in columns).items():
        if count > 1:
            yield f"column {name} is there {count} times"
    for name, count in Counter(column.output_name for column in columns if column.action is not Action.DROP).items():
        if count > 1:
            yield f"{count} columns would be called {name}: give them an output"
    if contract.of_domain(Domain.SLIDE) is None:
        yield 'no column names the slide: one needs action = "pseudonymize", domain = "slide"'


def _offsets(contract: Contract) -> Iterator[str]:
    """Shifted dates reveal nothing: neither their offset nor, under Safe Harbor, that they are dates at all."""
    shifted = [column.name for column in contract.columns if column.action is Action.SHIFT]
    years = [column.name for column in contract.columns if column.action is Action.YEAR]
    if shifted and contract.profile is Profile.SAFE_HARBOR:
        yield f"column {shifted[0]}: shifted dates are not Safe Harbor: use year or days_from_anchor, or another profile"
    if shifted and contract.of_domain(Domain.PATIENT) is None:
        yield f"column {shifted[0]}: dates are shifted by patient, and no column names the patient"
    if shifted and years:
        yield f"column {years[0]}: a kept year beside shifted dates would reveal the offset"


def _anchors(contract: Contract) -> Iterator[str]:
    """Days are counted from another date of the row, and never from birth: that would be an exact age, also of the oldest."""
    dates = {column.name: column for column in contract.columns if column.type in TIMES}
    for column in contract.columns:
        if not column.anchor:
            continue
        if column.anchor not in dates or column.anchor == column.name:
            yield f"column {column.name}: its anchor is no other date column of this contract"
        elif Identifies.BIRTH_DATE in {column.identifies, dates[column.anchor].identifies}:
            yield f"column {column.name}: days from birth are an exact age"


_RULES: tuple[Callable[[Column], Iterator[str]], ...] = (_treatment, _companions, _limits, _date_format, _output)
_CONSISTENCY: tuple[Callable[[Contract], Iterator[str]], ...] = (_names, _offsets, _anchors)
