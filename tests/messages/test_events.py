"""What was journaled once can be read for ever: every event keeps its name and comes back from JSON as it was."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from slidekeeper.messages import events as fact
from slidekeeper.messages.events import event_from_json, event_to_json
from writers.events import EVENTS, event_of, pack_id

NAMES = {kind: kind.model_fields["type"].default for kind in EVENTS}
IRREGULAR_PARTICIPLES = {"stuck", "mislaid", "sought", "withdrawn", "held"}

every_event = pytest.mark.parametrize("kind", EVENTS, ids=NAMES.get)


@every_event
def test_an_event_comes_back_from_json_as_it_was(kind: type[fact.Event]) -> None:
    event = event_of(kind)
    restored = event_from_json(event_to_json(event))
    assert restored == event
    assert type(restored) is kind


@every_event
def test_an_event_names_its_type_as_noun_and_participle(kind: type[fact.Event]) -> None:
    noun, participle = re.fullmatch(r"([a-z]+)\.([a-z]+)", NAMES[kind]).groups()  # type: ignore[union-attr]
    assert participle.endswith("ed") or participle in IRREGULAR_PARTICIPLES
    assert kind.__name__ == noun.capitalize() + participle.capitalize()


def test_no_two_events_share_a_name() -> None:
    assert len(set(NAMES.values())) == len(EVENTS)


@every_event
def test_the_journal_form_carries_the_type(kind: type[fact.Event]) -> None:
    assert json.loads(event_to_json(event_of(kind)))["type"] == NAMES[kind]


@every_event
def test_an_event_cannot_be_altered(kind: type[fact.Event]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        event_of(kind).type = "pack.arrived"


@every_event
def test_a_field_that_is_not_known_is_refused(kind: type[fact.Event]) -> None:
    altered = json.dumps({**json.loads(event_to_json(event_of(kind))), "patient": "Doe"})
    with pytest.raises(ValidationError, match="patient"):
        event_from_json(altered)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"type": "pack.dissolved"}', '{"type": "pack.settled", "pack": "p"}'])
def test_text_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        event_from_json(text)


@pytest.mark.parametrize("kind", [kind for kind in EVENTS if "pack" in kind.model_fields], ids=NAMES.get)
def test_an_event_about_a_pack_has_the_pack_as_its_subject(kind: type[fact.Event]) -> None:
    assert event_of(kind, pack_id(9)).subject == pack_id(9)


@pytest.mark.parametrize("kind", [fact.BatchOpened, fact.BatchClosed, fact.BatchCompleted], ids=NAMES.get)
def test_an_event_about_a_batch_has_the_batch_as_its_subject(kind: type[fact.Event]) -> None:
    assert event_of(kind, batch="b00000000009").subject == "b00000000009"


@pytest.mark.parametrize("kind", [fact.PlaceSuspended, fact.PlaceResumed, fact.WatchDegraded, fact.WatchRestored], ids=NAMES.get)
def test_an_event_about_a_place_has_the_place_as_its_subject(kind: type[fact.Event]) -> None:
    assert event_of(kind, place="drop:a").subject == "drop:a"


@pytest.mark.parametrize("kind", [fact.DaemonStarted, fact.DaemonStopped], ids=NAMES.get)
def test_an_event_about_the_daemon_has_the_daemon_as_its_subject(kind: type[fact.Event]) -> None:
    assert event_of(kind).subject == "daemon"


@given(st.text(), st.text(), st.integers(0, 2**63), st.floats(0, 1e9))
@settings(max_examples=100, deadline=None)
def test_any_text_and_number_survives_the_journal(reason: str, detail: str, size: int, seconds: float) -> None:
    failed = event_of(fact.StepFailed, reason=reason, detail=detail)
    settled = event_of(fact.PackSettled, size=size, waited_seconds=seconds)
    assert [event_from_json(event_to_json(event)) for event in (failed, settled)] == [failed, settled]
