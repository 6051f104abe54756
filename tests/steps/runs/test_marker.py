"""A done-marker is understood, or refused with a reason that repeats nothing of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.errors import Permanent
from slidekeeper.model.run import DoneMarker
from slidekeeper.steps.runs.marker import parse_marker

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t"])
def test_an_empty_marker_says_that_the_run_succeeded(data: bytes) -> None:
    assert parse_marker(data) == DoneMarker(status="succeeded")


def test_every_key_is_taken_up() -> None:
    said = {"status": "failed", "message": "NaN in epoch 3", "code": ["src", "/srv/code"], "staging": "high", "parameters": {"lr": 0.1}}
    marker = parse_marker(json.dumps(said).encode())
    assert marker.model_dump(mode="json") == said


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"done", "marker-not-json", "neither empty nor JSON"),
        (b'{"status": "succ', "marker-not-json", "neither empty nor JSON"),
        (b"\xff\xfe{\x00}\x00", "marker-not-json", "neither empty nor JSON"),
        (b"[1]", "marker-wrong", "no JSON object"),
        (b'"succeeded"', "marker-wrong", "no JSON object"),
        (b'{"status": "finished"}', "marker-wrong", "status: Input should be 'succeeded' or 'failed'"),
        (b'{"Jane Doe": 1, "John Doe": 2}', "marker-wrong", "a key is unknown; known are code, message, parameters, staging, status"),
        (b'{"message": 3, "code": "src"}', "marker-wrong", "message: "),
        (b'{"code": ["' + b'","' * 100 + b'"]}', "marker-wrong", "code: "),
    ],
)
def test_a_marker_that_cannot_be_understood_is_refused_with_a_precise_reason(data: bytes, reason: str, detail: str) -> None:
    with pytest.raises(Permanent) as refused:
        parse_marker(data)
    assert refused.value.reason == reason
    assert detail in refused.value.detail
    assert "Doe" not in str(refused.value)


@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from([*DoneMarker.model_fields, "x"]), JSON).map(lambda value: json.dumps(value).encode())
)
def test_whatever_a_marker_holds_it_is_understood_or_refused(data: bytes) -> None:
    try:
        marker = parse_marker(data)
    except Permanent as refused:
        assert refused.reason in {"marker-not-json", "marker-wrong"}
    else:
        assert DoneMarker.model_validate_json(marker.model_dump_json()).status == marker.status
