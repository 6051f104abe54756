"""Holds on to the published files while a question is answered: DuckDB opens each more than once, and the daemon may replace it between."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from slidekeeper.errors import Refused

PREFIX = ".query-"
"""Of snapshot folders beside the published files; the catalog removes those that a killed question left."""

VIEW_NAME = re.compile(r"[a-z][a-z0-9_]*")


@contextmanager
def snapshot(published: Path) -> Iterator[Mapping[str, Path]]:
    """Every published file under another name that only this question knows, by the name of its view.

    Hard links where the folder may be written, copies in the system's folder for temporary files where not.

    Raises:
        Refused: nothing is published, or it may not be read.
    """
    files = sorted(file for file in published.glob("*.parquet") if VIEW_NAME.fullmatch(file.stem))
    if not files:
        remedy = "Start the daemon: it publishes when something is catalogued, at most every [catalog] publish_seconds"
        raise Refused("nothing-published", "the catalog was not published yet", remedy)
    with _private_folder(published) as folder:
        for file in files:
            with suppress(FileNotFoundError):  # its records were taken out of the catalog this very moment
                _take(file, folder / file.name)
        yield {file.stem: file for file in sorted(folder.iterdir())}


@contextmanager
def _private_folder(published: Path) -> Iterator[Path]:
    try:
        name = tempfile.mkdtemp(prefix=PREFIX, dir=published)
    except OSError:
        name = tempfile.mkdtemp(prefix="slidekeeper-query-")
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def _take(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or files of another user
        _copy(file, target)


def _copy(file: Path, target: Path) -> None:
    try:
        shutil.copyfile(file, target)
    except PermissionError:
        raise Refused("no-permission", "the published catalog may not be read", "Ask for membership in the group `slidekeeper`") from None
