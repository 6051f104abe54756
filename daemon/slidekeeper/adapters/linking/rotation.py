"""Sealing the whole table anew under another key, in one transaction: a crash leaves the table of the old key or that of the new one."""

from __future__ import annotations

from slidekeeper.adapters.linking.schema import save_ring
from slidekeeper.adapters.linking.sealing import Seal
from slidekeeper.adapters.linking.store import Store
from slidekeeper.errors import Refused
from slidekeeper.model.concealed import Concealed

UPDATES = (
    "UPDATE links SET lookup = rehash(lookup), sealed = reseal(domain, sealed), key_version = :version",
    "UPDATE original_names SET lookup = rehash(lookup), sealed = reseal('name', sealed), key_version = :version",
    "UPDATE aliases SET lookup = rehash(lookup)",
    "UPDATE offsets SET sealed = reseal('offset ' || number, sealed), key_version = :version",
    "UPDATE claims SET content = rehash(content) WHERE content IS NOT NULL",
    "UPDATE withdrawn SET lookup = rehash(lookup)",
)


def rotate(store: Store, new_key: Concealed[bytes]) -> int:
    """Draw new data keys, seal and hash everything under them, and seal them with ``new_key``; returns the ring's version.

    Raises:
        sqlite3.IntegrityError: a value is damaged; the table stays as it was.
        Temporary: another process still reads an older state; the table is rotated all the same.
    """
    old, new = store.seal, Seal(store.seal.ring.renewed())

    def reseal(domain: str, sealed: bytes) -> bytes | None:
        """None breaks the column's constraint, and so the transaction: what raises within SQLite loses its name."""
        try:
            return new.seal(domain, old.open(domain, sealed))
        except Refused:
            return None

    store.connection.create_function("rehash", 1, new.rehash, deterministic=True)
    store.connection.create_function("reseal", 2, reseal)
    with store.transaction():
        for update in UPDATES:
            store.connection.execute(update, {"version": new.ring.version})
        save_ring(store.connection, new.ring, new_key)
    store.seal = new
    store.scrub()
    return new.ring.version
