"""What leaves the daemon is CloudEvents 1.0, readable by anybody's library."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from slidekeeper.messages import events as fact
from slidekeeper.messages.wire import cloud_event, cloud_event_mapping, event_topic
from writers.events import EVENTS, event_of, pack_id

TIME = datetime(2026, 3, 14, 15, 9, 26, 535897, UTC)

every_event = pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.model_fields["type"].default)


def received(kind: type[fact.Event], time: datetime = TIME) -> CloudEvent:
    """The event as a receiver sees it who knows CloudEvents and nothing of Slidekeeper."""
    return JSONFormat().read(CloudEvent, cloud_event("id-1", time, event_of(kind), "north"))  # type: ignore[return-value]


@every_event
def test_a_receiver_reads_every_attribute(kind: type[fact.Event]) -> None:
    event = received(kind)
    assert event.get_specversion() == "1.0"
    assert event.get_id() == "id-1"
    assert event.get_source() == "/slidekeeper/north"
    assert event.get_type() == f"slidekeeper.{kind.model_fields['type'].default}"
    assert event.get_subject() == event_of(kind).subject
    assert event.get_time() == TIME
    assert event.get_datacontenttype() == "application/json"


@every_event
def test_the_data_are_the_fields_without_the_type(kind: type[fact.Event]) -> None:
    data = received(kind).get_data()
    assert isinstance(data, dict)
    assert "type" not in data
    assert kind(**data) == event_of(kind)


def test_a_time_with_another_offset_stays_the_same_instant() -> None:
    assert received(fact.DaemonStopped, TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))).get_time() == TIME


@every_event
def test_the_mapping_is_the_same_document(kind: type[fact.Event]) -> None:
    event = event_of(kind)
    assert cloud_event_mapping("id-1", TIME, event, "north") == json.loads(cloud_event("id-1", TIME, event, "north"))


def test_the_document_is_utf_8_and_holds_nothing_else() -> None:
    document = json.loads(cloud_event("id-1", TIME, event_of(fact.PackRetried, pack_id(1), by="Zoë"), "north").decode("utf-8"))
    assert document == {
        "specversion": "1.0",
        "id": "id-1",
        "source": "/slidekeeper/north",
        "type": "slidekeeper.pack.retried",
        "subject": pack_id(1),
        "time": document["time"],
        "datacontenttype": "application/json",
        "data": {"pack": pack_id(1), "by": "Zoë"},
    }


@every_event
def test_every_type_has_a_topic_of_its_own_below_the_site(kind: type[fact.Event]) -> None:
    name = kind.model_fields["type"].default
    topic = event_topic("slidekeeper", "north", name)
    assert topic == f"slidekeeper/north/events/{name}"
    assert not set(topic) & set("+#\0")
