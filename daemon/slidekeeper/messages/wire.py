"""The wire form of events: CloudEvents 1.0 as JSON, and the MQTT topic an event belongs to.

Source: CloudEvents 1.0.2, "Context Attributes"; JSON Event Format for CloudEvents 1.0.2, section 3.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from slidekeeper.messages.events import Event

TYPE_PREFIX = "slidekeeper."


def cloud_event(event_id: str, time: datetime, event: Event, site: str) -> bytes:
    """The structured-mode JSON of one event, UTF-8.

    Args:
        event_id: the journal's id of the event; the same for every delivery, so that receivers can drop duplicates.
        time: when it was recorded; aware.
        event: the event; its fields except ``type`` become ``data``.
        site: the site's name; becomes the source ``/slidekeeper/<site>``.
    """
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/slidekeeper/{site}",
        "type": TYPE_PREFIX + event.type,
        "subject": event.subject,
        "time": time,
        "datacontenttype": "application/json",
    }
    return JSONFormat().write(CloudEvent(attributes, event.model_dump(mode="json", exclude={"type"})))


def cloud_event_mapping(event_id: str, time: datetime, event: Event, site: str) -> dict[str, Any]:
    """The same document as a mapping, for answers that hold several events."""
    document: dict[str, Any] = json.loads(cloud_event(event_id, time, event, site))
    return document


def event_topic(prefix: str, site: str, event_type: str) -> str:
    """The MQTT topic of an event type: ``<prefix>/<site>/events/<type>``, the type without the wire's prefix."""
    return f"{prefix}/{site}/events/{event_type}"
