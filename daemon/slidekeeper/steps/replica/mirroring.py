"""Makes a folder of one bucket equal to another bucket's, every byte verified; what is there already is not copied again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.model.splice import Content, Keep, SplicePlan
from slidekeeper.ports.bucket import Bucket


@dataclass(frozen=True, slots=True)
class Mirror:
    """The way from one bucket to another. Synchronous: called in threads."""

    origin: Bucket
    target: Bucket

    def bring(self, key: str, digests: Mapping[str, str]) -> None:
        """Copy a folder that never changes once it is there; ``digests`` are those that files must have, as far as they are known.

        Raises:
            Permanent: ``original-missing``, ``original-damaged``: nothing is copied then.
            Unavailable: one of the buckets cannot be used.
        """
        if not self.target.has(key):
            self._copy(key, digests)

    def follow(self, key: str) -> None:
        """Make a folder of folders equal to the original's, also where that was changed or went away."""
        names = self.origin.names(key)
        for name in self.target.names(key):
            if name not in names or not self._same(f"{key}/{name}"):
                self.target.remove(f"{key}/{name}")
        for name in names:
            self.bring(f"{key}/{name}", {})

    def _same(self, key: str) -> bool:
        names = self.origin.names(key)
        return names == self.target.names(key) and all(
            self.origin.digest(f"{key}/{name}") == self.target.digest(f"{key}/{name}") for name in names
        )

    def _copy(self, key: str, digests: Mapping[str, str]) -> None:
        names = self.origin.names(key)
        if not names:
            raise Permanent("original-missing", f"the bucket has no {key}", "Check the bucket: `slidekeeper verify --slides`")
        aside = f"mirror-{key.replace('/', '-')}"
        self.target.discard(aside)
        try:
            for name in names:
                self._copy_file(key, name, aside, digests.get(name, ""))
            self.target.publish(aside, key)
        except Permanent:
            self.target.discard(aside)
            raise

    def _copy_file(self, key: str, name: str, aside: str, digest: str) -> None:
        with self.origin.open(f"{key}/{name}") as source:
            size = source.seek(0, 2)
            pieces = (Keep(0, size, Content.CODED, "copied as it is"),) if size else ()
            written = self.target.splice(aside, name, source, SplicePlan(pieces), lambda _span, _content: None)
        if digest and written.digest != digest:
            raise Permanent("original-damaged", f"{key}/{name} is not what it was", "Restore it from a backup, or from this replica's copy")
        if self.target.digest_aside(aside, name) != written.source_digest:
            raise Permanent("copy-damaged", f"the copy of {key}/{name} does not read back as it was written", "Check the replica's disk")
