"""Which content is which revision of which slide: get-or-create of slide numbers and claims, one slide at a time."""

from __future__ import annotations

from slidekeeper.adapters.linking.sealing import as_bytes
from slidekeeper.adapters.linking.store import Store
from slidekeeper.adapters.linking.withdrawal import refuse_withdrawn
from slidekeeper.errors import Permanent, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import PackId, SlideNumber
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import Claim, KnownContent, NewRevision


def slide_number(store: Store, barcode: Barcode, original_name: Concealed[str] | None) -> SlideNumber:
    """The barcode's number, drawn when it is first asked for; keeps the original file name, sealed, with it.

    Raises:
        Permanent: consent to this slide was withdrawn.
    """
    lookup = store.lookup(Domain.SLIDE, barcode.reveal())
    with store.transaction():
        refuse_withdrawn(store, Domain.SLIDE, [barcode.reveal()])
        known = store.known(Domain.SLIDE, [lookup]) or store.link(Domain.SLIDE, {lookup: barcode.reveal()})
        if original_name is not None:
            _keep_name(store, known[lookup], original_name.reveal())
        return SlideNumber(known[lookup])


def claim(store: Store, number: SlideNumber, content: str, pack: PackId) -> Claim:
    """Bind content to the next revision of ``number``, or say who has it.

    Raises:
        Permanent: the number stands for nobody any more.
    """
    lookup = _content(store, content)
    with store.transaction():
        _check_linked(store, number)
        claimed = _claimed(store, lookup)
        if claimed is None:
            return _add_claim(store, number, lookup, pack)
        is_own = claimed.owner == pack and claimed.number == number
        return NewRevision(number, claimed.revision) if is_own else claimed


def take_over(store: Store, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
    """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket; the same pack may ask again.

    Raises:
        Temporary: somebody else took the claim over in the meantime.
        Permanent: the number stands for nobody any more.
    """
    lookup = _content(store, content)
    with store.transaction():
        _check_linked(store, number)
        claimed = _claimed(store, lookup)
        if claimed and claimed.owner == pack and claimed.number == number:
            return NewRevision(number, claimed.revision)
        if claimed and claimed.owner not in {owner, pack}:
            raise Temporary("claim-moved", "another pack with the same content was quicker")
        store.connection.execute("UPDATE claims SET content = NULL WHERE content = ?", (lookup,))
        return _add_claim(store, number, lookup, pack)


def _keep_name(store: Store, number: str, name: str) -> None:
    """Several files may have borne the barcode; each name is kept once."""
    lookup = store.seal.keyed_hash("name", as_bytes(name))
    row = (lookup, number, store.seal.seal("name", as_bytes(name)), store.seal.ring.version)
    store.connection.execute("INSERT OR IGNORE INTO original_names VALUES (?, ?, ?, ?)", row)
    store.keep_aliases([(name, number)])


def _check_linked(store: Store, number: SlideNumber) -> None:
    """A slide that was withdrawn while it was being anonymized goes no further."""
    if store.connection.execute("SELECT 1 FROM links WHERE number = ?", (number,)).fetchone() is None:
        raise Permanent("consent-withdrawn", "consent to this slide was withdrawn while it was under way")


def _content(store: Store, digest: str) -> bytes:
    return store.seal.keyed_hash("content", digest.encode())


def _claimed(store: Store, content: bytes) -> KnownContent | None:
    row = store.connection.execute("SELECT number, revision, pack FROM claims WHERE content = ?", (content,)).fetchone()
    return KnownContent(SlideNumber(row[0]), row[1], PackId(row[2])) if row else None


def _add_claim(store: Store, number: SlideNumber, content: bytes, pack: PackId) -> NewRevision:
    newest = store.connection.execute("SELECT coalesce(max(revision), 0) FROM claims WHERE number = ?", (number,)).fetchone()[0]
    store.connection.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (number, newest + 1, content, pack))
    return NewRevision(number, newest + 1)
