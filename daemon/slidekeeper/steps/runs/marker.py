"""What a done-marker says: nothing at all, which means success, or one JSON object."""

from __future__ import annotations

from pydantic import ValidationError

from slidekeeper.errors import Permanent
from slidekeeper.model.run import DoneMarker

KNOWN = ", ".join(sorted(DoneMarker.model_fields))
REMEDY = "Write it anew; it is taken up by itself once it has changed"


def parse_marker(data: bytes) -> DoneMarker:
    """The marker with this content.

    Raises:
        Permanent: ``marker-not-json``; ``marker-wrong``: it is no object, or a key is unknown or has a wrong value. The detail names
            only keys that markers have.
    """
    if not data.strip():
        return DoneMarker()
    try:
        return DoneMarker.model_validate_json(data)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        raise Permanent("marker-not-json", "the done-marker is neither empty nor JSON", REMEDY)
    raise Permanent("marker-wrong", "; ".join(dict.fromkeys(_told(error["loc"], error["type"], error["msg"]) for error in errors)), REMEDY)


def _told(location: tuple[int | str, ...], kind: str, message: str) -> str:
    """One fault in words that repeat nothing of the marker."""
    if not location:
        return "it is no JSON object"
    if kind == "extra_forbidden":
        return f"a key is unknown; known are {KNOWN}"
    return f"{location[0]}: {message}"
