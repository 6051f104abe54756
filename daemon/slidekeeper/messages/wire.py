"""The wire form of events: CloudEvents 1.0 as JSON, and the MQTT topic an event belongs to.

Source: CloudEvents 1.0.2, sections "Context attributes" and "JSON format".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from slidekeeper.messages.events import Event

PREFIX = "slidekeeper."


def cloud_event(event_id: str, time: datetime, event: Event, site: str) -> bytes:
    """The structured-mode JSON of one event.

    Args:
        event_id: the journal's id of the event; the same for every delivery, so that receivers can drop duplicates.
        time: when it was recorded, aware.
        event: the event; its fields become ``data``.
        site: the site's name; becomes the source ``/slidekeeper/<site>``.
    """
    attributes = _attributes(event_id, time, event, site)
    return JSONFormat().write(CloudEvent(attributes=attributes, data=_data(event)))


def cloud_event_mapping(event_id: str, time: datetime, event: Event, site: str) -> dict[str, Any]:
    """The same document as a mapping, for answers that hold several events."""
    attributes = _attributes(event_id, time, event, site)
    CloudEvent(attributes=attributes)  # validates
    return attributes | {"time": time.isoformat(), "data": _data(event)}


def event_topic(prefix: str, site: str, event_type: str) -> str:
    """The MQTT topic of an event type: ``<prefix>/<site>/events/<type>``."""
    return f"{prefix}/{site}/events/{event_type}"


def _attributes(event_id: str, time: datetime, event: Event, site: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/slidekeeper/{site}",
        "type": PREFIX + event.type,
        "subject": event.subject,
        "time": time,
        "datacontenttype": "application/json",
    }


def _data(event: Event) -> dict[str, Any]:
    return event.model_dump(mode="json", exclude={"type"})
