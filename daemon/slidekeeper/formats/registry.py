"""The formats a site supports. A new format is one module and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.formats.aperio import Aperio
from slidekeeper.formats.dicom import dicom_kind
from slidekeeper.formats.generic_tiff import GenericTiff
from slidekeeper.formats.tiff.pyramid import missing_part
from slidekeeper.formats.tiff.reading import is_tiff
from slidekeeper.ports.formats import Format, Source


@dataclass(frozen=True, slots=True)
class SupportedFormats:
    """Implements :class:`slidekeeper.ports.formats.Registry`; vendors' formats are asked before the generic one."""

    supported: tuple[Format, ...] = (Aperio(), GenericTiff())

    def recognize(self, source: Source) -> Format:
        """The format of a file, by its bytes."""
        if source.size == 0:
            raise Permanent("empty-file", "the image has no bytes")
        for candidate in self.supported:
            if candidate.recognizes(source):
                return candidate
        if is_tiff(source) and missing_part(source):
            raise Permanent("truncated", "the file's headers refer to bytes that are not there")
        kind = dicom_kind(source)
        names = ", ".join(candidate.name for candidate in self.supported)
        raise Permanent("unsupported-format", f"{f'DICOM, {kind}; ' if kind else ''}the image is none of: {names}")

    def formats(self) -> Sequence[Format]:
        """All formats."""
        return self.supported
