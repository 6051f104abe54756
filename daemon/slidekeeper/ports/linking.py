"""The honest broker's linking table: clinical identifiers to random numbers, sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import PackId, SlideNumber

if TYPE_CHECKING:
    from slidekeeper.model.phi import Barcode


@dataclass(frozen=True, slots=True)
class NewRevision:
    """The content is new: it becomes this revision of the barcode's slide. Asked again for the same pack, the answer is the same."""

    number: SlideNumber
    revision: int


@dataclass(frozen=True, slots=True)
class KnownContent:
    """The content was claimed before, by another pack, as this revision of this slide."""

    number: SlideNumber
    revision: int
    owner: PackId


Claim: TypeAlias = NewRevision | KnownContent


class Linking(Protocol):
    """Random numbers, never derived, never reused; lookups by keyed hash; values sealed with AES-GCM."""

    async def slide_number(self, barcode: Barcode, original_name: Concealed[str] | None = None) -> SlideNumber:
        """The number of the barcode's slide, drawn when it is first asked for; the image's original file name is sealed beside it."""
        ...

    async def claim(self, number: SlideNumber, content: str, pack: PackId) -> Claim:
        """Bind the content digest of a source image (``blake3:<hex>``) to the next revision of ``number``, or say who has it."""
        ...

    async def take_over(self, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
        """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket; the revision is the next of ``number``.

        Asked again for the same pack, the answer is the same.

        Raises:
            Temporary: ``claim-moved``, a third pack took it over in the meantime.
        """
        ...

    async def close(self) -> None:
        """Close the table."""
        ...
