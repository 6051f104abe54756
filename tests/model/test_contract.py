"""A contract that would let an identifier through, or that says nothing, cannot be made."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from slidekeeper.model.contract import ALLOWED, Identifies
from writers.contracts import column, contract

DAY: dict[str, Any] = {"type": "date", "format": "%F"}
NUMBER: dict[str, Any] = {"type": "integer", "action": "generalize"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"action": "keep"}, "free strings may not be kept"),
        ({"action": "keep", **DAY}, 'say `identifies = "date"`'),
        ({"identifies": "id", "action": "keep", "type": "integer"}, "may not be treated by keep"),
        ({"identifies": "id", "action": "pseudonymize"}, "pseudonymize and domain belong together"),
        ({"identifies": "date", "action": "year"}, "year needs a date"),
        ({"identifies": "zip", "action": "zip3", "type": "integer"}, "zip3 needs text"),
        ({"action": "generalize"}, "only numbers can be generalized"),
        (NUMBER, "generalize needs bins"),
        ({**NUMBER, "bins": [3, 1]}, "bins must rise"),
        ({**NUMBER, "identifies": "age", "bins": [50, 95]}, "no class of ages may begin after 90"),
        ({"bins": [1]}, "only generalize has bins"),
        ({"action": "extract"}, "extract and grammar belong together"),
        ({"minimum": 1}, "only numbers have a minimum"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "its minimum is above its maximum"),
        ({"vocabulary": ["a", "a"]}, "empty or there twice"),
        ({"vocabulary": [""]}, "empty or there twice"),
        ({"regex": "("}, "no regular expression"),
        ({"format": "%F"}, "only dates have a format"),
        ({"type": "date"}, "a date needs its format"),
        ({"type": "date", "format": "%d.%m.%y"}, "its format knows only"),
        ({"type": "date", "format": "%F%"}, "its format knows only"),
        ({"type": "date", "format": "%m.%Y"}, "must name year, month and day, and no time"),
        ({"type": "date", "format": "%F %H:%M"}, "must name year, month and day, and no time"),
        ({"type": "datetime", "format": "%F"}, "must name year, month and day, hour and minute"),
        ({"type": "datetime", "format": "%F %I:%M"}, "must name year, month and day, hour and minute"),
        ({"name": "line"}, "would hide the number of the row's line"),
        ({"name": "Row", "type": "integer", "action": "keep"}, "may not be called row"),
        ({"output": "case_number", "type": "integer", "action": "keep"}, "may not be called case_number"),
        ({"name": "Ж", "type": "integer", "action": "keep"}, "give it an output"),
    ],
)
def test_a_column_that_cannot_be_right_is_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        column(**keys)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "dialect",
    [{"delimiter": '"'}, {"delimiter": "\\", "escape": "\\"}, {"delimiter": "\n"}, {"delimiter": "1"}, {"quote": "«"}, {"delimiter": " "}],
)
def test_an_ambiguous_dialect_is_refused(dialect: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        contract(dialect=dialect)


def test_days_are_never_counted_from_birth_nor_from_the_column_itself() -> None:
    born = {"name": "Born", **DAY, "identifies": "birth-date"}
    for anchor, told in (("Born", "days from birth are an exact age"), ("X", "no other date column"), ("Y", "no other date column")):
        counted = {"name": "X", **DAY, "identifies": "date", "action": "days_from_anchor", "anchor": anchor}
        with pytest.raises(ValidationError, match=told):
            contract(born, counted)


def test_every_way_to_identify_can_be_dropped_and_none_kept() -> None:
    assert set(ALLOWED) == set(Identifies)
    assert all("drop" in actions for actions in ALLOWED.values())
    assert all("keep" not in actions for way, actions in ALLOWED.items() if way is not Identifies.NOT)


def test_the_digest_changes_with_whatever_the_contract_says() -> None:
    assert contract({"name": "A"}).digest == contract({"name": "A"}).digest
    assert contract({"name": "A"}).digest != contract({"name": "A", "required": True}).digest
