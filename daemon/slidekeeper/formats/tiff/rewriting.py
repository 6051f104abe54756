"""Writes the kept directories anew, in place: allowed entries move together, everything else becomes zero."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.allowed import ALLOWED, ICC_PROFILE, Context
from slidekeeper.formats.tiff.icc import scrubbed_icc
from slidekeeper.formats.tiff.image import JPEG_TABLES, Image
from slidekeeper.formats.tiff.ledger import Ledger
from slidekeeper.formats.tiff.reading import ASCII, SUB_DIRECTORIES, Dialect, Directory, Entry, Tiff
from slidekeeper.formats.tiff.removed import Removed
from slidekeeper.formats.tiff.tiles import TileInspection, check_samples, check_tables
from slidekeeper.formats.tiff.windows import sample_windows
from slidekeeper.model.slide import ImageFacts
from slidekeeper.model.splice import Anonymization, Secret
from slidekeeper.model.texts import is_secret

IMAGE_DESCRIPTION = 270


@dataclass(frozen=True, slots=True)
class Selection:
    """What a format module decided about a file's images."""

    kept: Sequence[Image]
    """In the order of their directories; sub-directories included."""
    destroyed: Mapping[str, Sequence[Image]]
    """By name for the report: ``label``, ``macro``, ``other``."""
    describe: Callable[[Image, bytes], bytes] = field(default=lambda _image, _text: b"")
    """The new image description of a kept image, made from the old one; empty removes it."""


class Rewriter:
    """Makes the plan for one file."""

    def __init__(self, tiff: Tiff, selection: Selection) -> None:
        self._tiff = tiff
        self._selection = selection
        self._ledger = Ledger()
        self._removed = Removed(tiff)
        self._kept = {image.directory.offset: image for image in selection.kept}

    def anonymize(self, facts: ImageFacts, more_texts: Sequence[bytes], more_removed: Sequence[str]) -> Anonymization:
        """The whole plan.

        Args:
            facts: of the slide, without ``removed``.
            more_texts: removed values that the format module found, UTF-8.
            more_removed: names of what it removed.

        Raises:
            Permanent: the slide cannot be proven clean; the reason says why.
        """
        main = [directory for directory in self._tiff.directories if directory.offset in self._kept]
        if not main:
            raise Permanent("malformed-tiff", "the file has no image to keep")
        self._ledger.write(0, self._tiff.dialect.header(main[0].offset), "file header")
        self._chain(main)
        for name, images in self._selection.destroyed.items():
            self._destroy(name, images)
        self._note_foreign_directories()
        plan = self._ledger.plan()
        check_samples(self._tiff, self._selection.kept)
        remaining = plan.literals()
        windows = [
            window
            for images in self._selection.destroyed.values()
            for image in images
            for window in sample_windows(image, self._tiff.source)
        ]
        self._removed.add(*more_texts)
        texts = tuple(Secret(line) for line in self._removed.texts if is_secret(line, remaining))
        removed = tuple(sorted({*self._removed.names, *more_removed}))
        return Anonymization(
            plan, facts.model_copy(update={"removed": removed}), texts, tuple(windows), partial(TileInspection, self._selection.kept)
        )

    def _chain(self, directories: Sequence[Directory]) -> None:
        """Write directories one behind the other, and the kept sub-directories of each."""
        for directory, following in zip(directories, [*directories[1:], None], strict=True):
            self._rewrite(directory, following.offset if following else 0)
            for sub in self._kept_subs(directory):
                self._rewrite(sub, 0)

    def _kept_subs(self, directory: Directory) -> list[Directory]:
        return [sub for sub in directory.subs if sub.offset in self._kept]

    def _rewrite(self, directory: Directory, following: int) -> None:
        image = self._kept[directory.offset]
        self._ledger.keep_coded(image.ranges)
        dialect = self._tiff.dialect
        _refuse_unreadable(image)
        context = Context.of(self._tiff, image)
        written = [entry for old in directory.entries if (entry := self._entry(context, old)) is not None]
        for stranger in directory.unknown:
            self._removed.tag(stranger)
        data = struct.pack(dialect.count_code, len(written)) + b"".join(written) + struct.pack(dialect.offset_code, following)
        self._ledger.write(directory.offset, data, "image file directory")

    def _entry(self, context: Context, entry: Entry) -> bytes | None:
        """The entry's new bytes, its value entered into the ledger; None where it is removed."""
        image = context.image
        if entry.tag == IMAGE_DESCRIPTION and entry.type == ASCII:
            return self._description(image, entry)
        if entry.tag == SUB_DIRECTORIES:
            return self._sub_directories(image.directory, entry)
        rule = ALLOWED.get(entry.tag)
        if rule is None or not rule.allows(self._tiff, entry, context):
            self._removed.tag(entry)
            return None
        if entry.tag == JPEG_TABLES:
            check_tables(self._tiff.value(entry))
        if entry.tag == ICC_PROFILE:
            self._icc(entry)
        elif not entry.inline:
            if entry.offset + entry.length > self._tiff.source.size:
                raise Permanent("truncated", "a value lies past the end of the file")
            self._ledger.keep(entry.offset, entry.length, f"value of tag {entry.tag}")
        value = self._tiff.value(entry) if entry.inline else self._pointer(entry.offset)
        return _packed(self._tiff.dialect, entry.tag, entry.type, entry.count, value)

    def _description(self, image: Image, entry: Entry) -> bytes | None:
        old = self._tiff.value(entry)
        new = self._selection.describe(image, old.rstrip(b"\0"))
        if not new:
            self._removed.tag(entry)
            return None
        new += b"\0"
        if not self._tiff.dialect.inline_bytes < len(new) <= entry.length:
            if image is self._selection.kept[0]:
                raise Permanent("description-too-long", "the rewritten image description does not fit in the place of the old one")
            self._removed.tag(entry)
            return None
        self._ledger.write(entry.offset, new, "rewritten image description")
        return _packed(self._tiff.dialect, entry.tag, ASCII, len(new), self._pointer(entry.offset))

    def _sub_directories(self, directory: Directory, entry: Entry) -> bytes | None:
        subs = self._kept_subs(directory)
        if not subs:
            self._removed.tag(entry)
            return None
        code = "Q" if self._tiff.dialect.big else "I"
        value = struct.pack(f"{self._tiff.dialect.order}{len(subs)}{code}", *(sub.offset for sub in subs))
        kind = 16 if self._tiff.dialect.big else 4
        if len(value) <= self._tiff.dialect.inline_bytes:
            return _packed(self._tiff.dialect, entry.tag, kind, len(subs), value)
        if entry.inline or len(value) > entry.length:
            raise Permanent("malformed-tiff", "the list of sub-directories does not fit in its place")
        self._ledger.write(entry.offset, value, "offsets of sub-directories")
        return _packed(self._tiff.dialect, entry.tag, kind, len(subs), self._pointer(entry.offset))

    def _icc(self, entry: Entry) -> None:
        profile, texts = scrubbed_icc(self._tiff.value(entry))
        self._ledger.write(entry.offset, profile, "colour profile without dates and texts")
        self._removed.add(*texts)

    def _pointer(self, offset: int) -> bytes:
        return struct.pack(self._tiff.dialect.offset_code, offset)

    def _destroy(self, name: str, images: Sequence[Image]) -> None:
        for image in images:
            self._removed.image(name)
            self._ledger.destroy(image.ranges)
            context = Context.of(self._tiff, image)
            for entry in (*image.directory.entries, *image.directory.unknown):
                rule = ALLOWED.get(entry.tag)
                if rule is None or not rule.allows(self._tiff, entry, context):
                    self._removed.tag(entry)
                elif entry.tag == ICC_PROFILE:
                    self._removed.read(entry)

    def _note_foreign_directories(self) -> None:
        """Every directory of the file must have been decided about."""
        decided = {*self._kept, *(image.directory.offset for images in self._selection.destroyed.values() for image in images)}
        if any(directory.offset not in decided for directory in self._tiff.everyone()):
            raise Permanent("malformed-tiff", "a directory was neither kept nor destroyed")


def _refuse_unreadable(image: Image) -> None:
    """Refuse a kept image of which it cannot be said what it holds."""
    tags = [entry.tag for entry in image.directory.entries]
    if len(set(tags)) < len(tags):
        raise Permanent("malformed-tiff", "a directory has the same tag twice")
    if image.compression == "unknown":
        raise Permanent("unsupported-compression", "the image is coded in a way whose tiles cannot be examined")


def _packed(dialect: Dialect, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(dialect.entry_code, tag, kind, count, value.ljust(dialect.inline_bytes, b"\0"))
