"""The honest broker's linking table: clinical identifiers to random numbers, sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import PackId, SlideNumber

if TYPE_CHECKING:
    from slidekeeper.model.phi import Barcode


LONGEST_OFFSET = 364
"""Days by which a patient's dates are shifted at most, into the past or the future; never by none."""


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


@dataclass(frozen=True, slots=True)
class Revealed:
    """What a number stands for. ``original_names`` are the file names under which a slide's images came; others have none."""

    domain: Domain
    identifier: Concealed[str]
    original_names: tuple[Concealed[str], ...] = ()


class Linking(Protocol):
    """Random numbers, never derived, never reused; lookups by keyed hash; values sealed with AES-GCM.

    What takes many values is done in one durable transaction, answers in their order, and gives the same answer when asked again.
    """

    async def slide_number(self, barcode: Barcode, original_name: Concealed[str] | None = None) -> SlideNumber:
        """The number of the barcode's slide, drawn when it is first asked for; the image's original file name is sealed beside it.

        Raises:
            Permanent: ``consent-withdrawn``.
        """
        ...

    async def claim(self, number: SlideNumber, content: str, pack: PackId) -> Claim:
        """Bind the content digest of a source image (``blake3:<hex>``) to the next revision of ``number``, or say who has it.

        Raises:
            Permanent: ``consent-withdrawn``, the number was erased in the meantime.
        """
        ...

    async def take_over(self, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
        """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket; the revision is the next of ``number``.

        Asked again for the same pack, the answer is the same.

        Raises:
            Temporary: ``claim-moved``, a third pack took it over in the meantime.
            Permanent: ``consent-withdrawn``, the number was erased in the meantime.
        """
        ...

    async def refer(self, domain: Domain, values: Sequence[Concealed[str]]) -> Sequence[str | None]:
        """Numbers of cases or patients (or of barcodes), drawn for those that have none; None where consent is :meth:`withdrawn`.

        Cases and patients are the same when their :func:`slidekeeper.model.naming.normal_form` is; barcodes only when they are equal.
        The spelling that came first is sealed as it stands.

        Raises:
            Permanent: ``empty-identifier``; nothing is drawn.
        """
        ...

    async def refer_slides(self, names: Sequence[Concealed[str]]) -> Sequence[SlideNumber | None]:
        """The numbers by which rows refer to the slides with these original image file names.

        A name that a slide came under, exactly: its number (of several slides, which equal stems rule out, the smallest). Else the
        number of the barcode that the name tells (:func:`slidekeeper.model.naming.barcode_in`), drawn if need be: the slide gets it
        when it comes. None where consent is :meth:`withdrawn`.

        Raises:
            Permanent: as for :meth:`refer`.
        """
        ...

    async def aliases(self, numbers: Sequence[SlideNumber]) -> Mapping[SlideNumber, Sequence[SlideNumber]]:
        """For each number, in rising order, those of other slides whose barcode or an original name has the same
        :func:`slidekeeper.model.naming.alias_form`. Numbers of rows without a slide are among them."""
        ...

    async def offsets(self, patients: Sequence[str]) -> Sequence[int]:
        """The secret shift of each patient number in days, drawn once, uniformly from [-364, -1] and [1, 364].

        Raises:
            Permanent: ``unknown-patient``, a number is no patient's, or was erased.
        """
        ...

    async def find(self, domain: Domain, values: Sequence[Concealed[str]]) -> Sequence[str | None]:
        """Numbers as :meth:`refer` finds them, None for values that have none; draws nothing.

        A slide is found by its barcode, else by an original file name, exactly.
        """
        ...

    async def reveal(self, numbers: Sequence[str]) -> Mapping[str, Revealed]:
        """What the numbers stand for; numbers that stand for nobody are left out."""
        ...

    async def erase(self, numbers: Sequence[str]) -> int:
        """Forget whom the numbers stand for: values, lookups, names, aliases, offsets and claimed content, from the file's bytes too.

        The numbers stay drawn. A keyed hash of each identifier, and of each original name, is kept for :meth:`withdrawn`.

        Returns:
            How many of the numbers were ever drawn.

        Raises:
            Temporary: ``linking-busy``, another process reads the table and keeps old bytes in its log; ask again.
        """
        ...

    async def withdrawn(self, domain: Domain, values: Sequence[Concealed[str]]) -> Sequence[bool]:
        """Whether :meth:`erase` forgot these before; slides by barcode or file name, compared in their alias form."""
        ...

    async def rotate(self, new_key: Concealed[bytes]) -> int:
        """Seal and hash everything under new data keys, and those under ``new_key``; returns the new key's version.

        Whole or not at all; afterwards the old key opens nothing.
        """
        ...

    async def close(self) -> None:
        """Close the table."""
        ...
