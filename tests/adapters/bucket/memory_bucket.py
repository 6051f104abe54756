"""A bucket in memory: the port's promises without a disk, for tests of what stands above it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from slidekeeper.errors import Permanent, SourceChanged, Unavailable
from slidekeeper.model.splice import Content, Keep, Literal, SplicePlan
from slidekeeper.ports.bucket import Inspect, Written


@dataclass
class MemoryBucket:
    """Keeps every object in dictionaries; ``trouble`` makes every method raise ``Unavailable`` with that reason."""

    trouble: str = ""
    _aside: dict[str, dict[str, bytes]] = field(default_factory=dict)
    _published: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def splice(self, aside: str, name: str, source: BinaryIO, plan: SplicePlan, inspect: Inspect) -> Written:
        self.probe()
        source.seek(0)
        original = source.read()
        output = bytearray()
        for piece in plan.pieces:
            if isinstance(piece, Keep):
                data = original[piece.offset : piece.offset + piece.length]
            else:
                data = piece.data if isinstance(piece, Literal) else bytes(piece.length)
            if len(data) != piece.length:
                raise SourceChanged("source-changed", "the file ended before all that its headers refer to was read")
            inspect(memoryview(data), piece.content if isinstance(piece, Keep) else Content.STRUCTURE)
            output += data
        self._aside.setdefault(aside, {})[name] = bytes(output)
        return Written(len(output), f"blake3:{blake3(output).hexdigest()}", f"blake3:{blake3(original).hexdigest()}")

    def put(self, aside: str, name: str, data: bytes) -> None:
        self.probe()
        self._aside.setdefault(aside, {})[name] = data

    def aside_path(self, aside: str, name: str) -> Path:
        raise NotImplementedError("nothing in memory has a path")

    def digest_aside(self, aside: str, name: str) -> str:
        self.probe()
        return f"blake3:{blake3(self._aside[aside][name]).hexdigest()}"

    def has_aside(self, aside: str) -> bool:
        self.probe()
        return aside in self._aside

    def publish(self, aside: str, key: str) -> None:
        self.probe()
        if aside not in self._aside and key in self._published:
            return
        if self.has(key):
            raise Permanent("key-taken", "the bucket holds another object under this slide's key")
        self._published[key] = self._aside.pop(aside)

    def discard(self, aside: str) -> None:
        self.probe()
        self._aside.pop(aside, None)

    def asides(self) -> Set[str]:
        self.probe()
        return set(self._aside)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.read(key))

    def read(self, key: str) -> bytes:
        self.probe()
        folder, _, name = key.rpartition("/")
        try:
            return self._published[folder][name]
        except KeyError:
            raise FileNotFoundError(key) from None

    def has(self, key: str) -> bool:
        self.probe()
        objects = self._objects()
        return key in objects or any(known.startswith(f"{key}/") for known in objects) or key in self._published

    def names(self, key: str) -> Sequence[str]:
        self.probe()
        below = [known[len(key) + 1 :] for known in self._objects() if known.startswith(f"{key}/")]
        return sorted({name.partition("/")[0] for name in below})

    def rewrite(self, key: str, data: bytes) -> None:
        self.read(key)
        folder, _, name = key.rpartition("/")
        self._published[folder][name] = data

    def remove(self, key: str) -> bool:
        there = self.has(key)
        folder, _, name = key.rpartition("/")
        self._published.get(folder, {}).pop(name, None)
        for known in [known for known in self._published if known == key or known.startswith(f"{key}/")]:
            del self._published[known]
        return there

    def _objects(self) -> set[str]:
        return {f"{folder}/{name}" for folder, names in self._published.items() for name in names}

    def probe(self) -> None:
        if self.trouble:
            raise Unavailable("bucket", self.trouble)
