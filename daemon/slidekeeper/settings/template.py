"""Writes settings files: the commented example with every key, and the short file of a new site.

The example is made from the section models, so that a key cannot exist without its explanation.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from slidekeeper.settings.loader import Settings
from slidekeeper.settings.section import Section

WIDTH = 110
BOUNDS = {"gt": "more than", "ge": "at least", "le": "at most"}

EXAMPLE_HEADING = """\
# Every setting of Slidekeeper. Lines of the form `#key = value` show the default: remove the `#` to change it.
# Relative paths are taken from the folder of this file. What wins over what, strongest first: the command line,
# environment variables (SLIDEKEEPER_ENGINE__WORKERS=4 is `workers` in [engine]), `.env` beside this file, this file.
# Unknown keys are errors."""

INITIAL_HEADING = """\
# Settings of this site: only what has no default, or another value than the default.
# Every key is explained in config/slidekeeper.example.toml. Relative paths are taken from the folder of this file."""


def render_example() -> str:
    """The text of ``config/slidekeeper.example.toml``."""
    sections = (_section(name, field) for name, field in Settings.model_fields.items())
    return "\n\n".join([EXAMPLE_HEADING, *sections]) + "\n"


def render_initial(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """A settings file with ``tables`` (dotted name to keys and values) and nothing else."""
    rendered = ("\n".join([f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in keys.items())]) for name, keys in tables.items())
    return "\n\n".join([INITIAL_HEADING, *rendered]) + "\n"


def toml_value(value: Any) -> str:
    """A setting as TOML: string, boolean, number, path or a tuple of these (TOML 1.0.0)."""
    match value:
        case tuple() | list():
            return f"[{', '.join(toml_value(each) for each in value)}]"
        case str() if "\\" in value and "'" not in value and value.isprintable():
            return f"'{value}'"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case _:
            return json.dumps(value)


def _section(name: str, field: FieldInfo) -> str:
    """One section: its meaning, then each key."""
    *_, model = get_args(field.annotation) or (field.annotation,)
    heading = f"[{name}.{field.examples[0]}]" if field.examples else f"[{name}]"
    meaning = _comment(inspect.getdoc(model) or "")
    named = [f"# The name behind the dot is yours to choose; as many [{name}.<name>] as needed."] if field.examples else []
    return "\n".join([heading, *meaning, *named, *_keys(model)])


def _keys(model: type[Section]) -> Iterator[str]:
    for key, field in model.model_fields.items():
        yield ""
        yield from _comment(" ".join(filter(None, [field.description, _allowed(field)])))
        if field.is_required():
            yield f"{key} = {toml_value((field.examples or [''])[0])}"
        else:
            yield f"#{key} = {toml_value(field.default)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def _allowed(field: FieldInfo) -> str:
    """The values a field takes, in words, where its type limits them."""
    if get_origin(field.annotation) is Literal:
        return f"One of: {', '.join(get_args(field.annotation))}."
    bounds = {name: getattr(limit, name) for limit in field.metadata for name in BOUNDS if hasattr(limit, name)}
    if "ge" in bounds:
        bounds.pop("gt", None)
    limits = [f"{BOUNDS[name]} {bound}" for name, bound in bounds.items()]
    return f"{', '.join(limits).capitalize()}." if limits else ""
