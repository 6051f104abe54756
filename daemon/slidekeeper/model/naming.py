"""How identifiers are compared: the forms under which two spellings are the same; exact for cases and patients, one step wider for slides.

Nothing here is fuzzy, and nothing may change: the linking table keeps hashes of these forms.
"""

from __future__ import annotations

import unicodedata

IMAGE_EXTENSIONS = (
    ".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".mrxs", ".vms", ".vmu", ".czi", ".isyntax", ".i2syntax", ".qptiff", ".dcm"
)  # fmt: skip
"""Extensions of slide images, lower case."""


def normal_form(value: str) -> str:
    """A case or patient id as it is looked up: composed (Unicode NFC), without outer white space."""
    return value.strip() if value.isascii() else unicodedata.normalize("NFC", value).strip()


def barcode_in(name: str) -> str:
    """The barcode that a file name tells: the name without its image extension, otherwise as it stands.

    What follows the dot of a name without such an extension belongs to the barcode: ``S26.1`` and ``S26.2`` are two slides.
    """
    stem, dot, extension = name.rpartition(".")
    return stem if stem and dot + extension.lower() in IMAGE_EXTENSIONS else name


def alias_form(name: str) -> str:
    """A barcode or file name of a slide as it is compared when it is not known as it stands.

    NFC, without outer white space, case folded (Unicode 3.13, full case folding), without image extensions. Idempotent.
    """
    form = _folded(name)
    while (shorter := barcode_in(form)) != form:
        form = _folded(shorter)
    return form


def _folded(name: str) -> str:
    if name.isascii():
        return name.strip().lower()  # the same, and most names are
    return normal_form(normal_form(name).casefold())
