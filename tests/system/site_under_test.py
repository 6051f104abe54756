"""A real site for system tests: folders, settings, a daemon process, and the checks that must hold after anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import httpx
from blake3 import blake3

from slidekeeper.bootstrap.initialize import initialize_site

SETTLE_SECONDS = 0.3
AT_REST = {"done", "duplicate", "quarantined", "vanished", "discarded", "superseded"}


@dataclass
class Site:
    """One installation in a temporary folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None
    runner: Sequence[str] = ()
    """What the daemon is started with."""

    @classmethod
    def create(cls, folder: Path, **settings: Any) -> Site:
        """A new site that is quick; ``settings`` are dotted keys with ``__`` for the dot."""
        site = cls(folder)
        initialize_site(folder)
        defaults = {
            "drop__scanner__settle_seconds": SETTLE_SECONDS,
            "drop__scanner__scan_seconds": 1.0,
            "drop__scanner__incomplete_seconds": 2.0,
            "bucket__reserve_bytes": 0,
            "engine__retry_seconds": 0.2,
            "engine__probe_seconds": 0.3,
            "catalog__publish_seconds": 0.5,
            "log__format": "json",
            "protection__immutable": False,  # or not even root could remove the folder afterwards
        }
        for key, value in {**defaults, **settings}.items():
            site.environment[f"SLIDEKEEPER_{key.upper()}"] = value if isinstance(value, str) else json.dumps(value)
        return site

    @property
    def drop(self) -> Path:
        """The drop folder."""
        return self.folder / "drop"

    @property
    def bucket(self) -> Path:
        """The bucket's root."""
        return self.folder / "bucket"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The daemon that runs."""
        assert self.daemon is not None, "no daemon was started"
        return self.daemon

    @property
    def log(self) -> Path:
        """What the daemon wrote to standard error, all starts together."""
        return self.folder / "daemon.log"

    def command(self, *arguments: str) -> list[str]:
        """The command line of one slidekeeper call."""
        return [sys.executable, "-m", "slidekeeper", "--config", str(self.folder / "slidekeeper.toml"), *arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with ``--json`` and return what it printed."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def start(self, wait: bool = True, **environment: str) -> None:
        """Start the daemon in a process group of its own and wait until it answers."""
        command = [*self.runner, *self.command("run")]
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                command, env={**os.environ, **self.environment, **environment}, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            self.wait_until(lambda: self.status() is not None, 20, "the daemon answers")

    def stop(self, timeout: float = 30) -> int:
        """Ask the daemon to stop and return its exit code."""
        assert self.daemon is not None
        self.daemon.terminate()
        code = self.daemon.wait(timeout)
        self.daemon = None
        return code

    def kill(self) -> None:
        """Kill the daemon's whole process group with SIGKILL, if it is still there."""
        if self.daemon is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.daemon.pid, signal.SIGKILL)
            self.daemon.wait(10)
            self.daemon = None

    def wait_for_death(self, timeout: float) -> bool:
        """Whether the daemon died by itself in time."""
        assert self.daemon is not None
        try:
            self.daemon.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        self.kill()
        return True

    def ask(self, path: str, **parameters: Any) -> Any:
        """What the running daemon's API answers: what a command would print, without the second that a command takes to start."""
        transport = httpx.HTTPTransport(
            uds=str(self.state / "slidekeeper.sock"), verify=False
        )  # to load authorities takes longer than to ask
        with httpx.Client(transport=transport, base_url="http://slidekeeper", timeout=10) as client:
            return client.get(path, params=parameters).raise_for_status().json()

    def events(self, *types: str) -> Sequence[Mapping[str, Any]]:
        """The running daemon's newest events, of some types, oldest first."""
        events: Sequence[Mapping[str, Any]] = self.ask("/events", limit=1000, type=types)
        return events

    def status(self) -> Mapping[str, Any] | None:
        """The running daemon's status, or None when it does not answer."""
        try:
            answer: Mapping[str, Any] = self.ask("/status")
            return answer
        except (httpx.TransportError, OSError):
            return None

    def packs(self) -> Mapping[str, int]:
        """Packs per state, as the running daemon tells."""
        status = self.status()
        return status["packs"] if status else {}

    def wait_until(self, condition: Callable[[], bool], timeout: float, what: str, every: float = 0.05) -> None:
        """Poll ``condition`` every so many seconds; fail with the end of the daemon's log."""
        deadline = time.monotonic() + timeout
        while not condition():
            dead = self.daemon is not None and self.daemon.poll() is not None
            if dead or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
                raise AssertionError(f"{'daemon died before' if dead else 'timed out waiting until'} {what}; status {self.packs()}\n{tail}")
            time.sleep(every)

    def wait_at_rest(self, packs: int, timeout: float = 60) -> None:
        """Wait until ``packs`` packs came to rest and none is under way."""

        def at_rest() -> bool:
            counts = self.packs()
            return sum(counts.values()) == packs and sum(counts.get(state, 0) for state in AT_REST) == packs

        self.wait_until(at_rest, timeout, f"{packs} packs are at rest")

    def revisions(self) -> Sequence[Path]:
        """Folders of all published revisions."""
        return sorted(path.parent for path in (self.bucket / "slides").rglob("slide.json"))

    def check_bucket(self) -> Counter[str]:
        """Every revision whole, every digest right, no leftovers; returns how many revisions each slide number has."""
        numbers: Counter[str] = Counter()
        for revision in self.revisions():
            facts = json.loads((revision / "slide.json").read_text())
            image = revision / f"{facts['number']}{facts['image']['extension']}"
            assert revision.name == f"r{facts['revision']}"
            assert facts["digest"] == f"blake3:{blake3(image.read_bytes()).hexdigest()}"
            assert facts["size"] == image.stat().st_size
            assert sorted(path.name for path in revision.iterdir()) == sorted([image.name, "slide.json", "thumbnail.jpg"])
            numbers[facts["number"]] += 1
        strays = [path for path in self.bucket.rglob("*") if path.suffix == ".part" or (path.is_file() and "slides" not in path.parts)]
        assert not strays, strays
        return numbers

    def check_no_strays(self) -> None:
        """Nothing temporary is left anywhere: nothing aside, not even an empty folder, no probe, no half publication."""
        aside = self.bucket / ".aside"
        strays = [*aside.iterdir()] if aside.exists() else []
        for place in (self.bucket, self.state):
            strays += [path for path in place.rglob("*") if path.name.startswith(".probe-") or path.suffix in (".part", ".tmp")]
        published = self.state / "published"
        strays += [path for path in published.iterdir() if path.suffix != ".parquet"] if published.exists() else []
        assert not strays, strays

    def check_nothing_leaked(self, identifiers: Iterable[str]) -> None:
        """No byte of bucket, state, catalog, published files or log holds an identifier, in any usual encoding."""
        patterns = {encoded for identifier in identifiers for encoded in encodings(identifier)}
        for path in self.readable_outputs():
            content = path.read_bytes() + decoded(path)
            found = [pattern for pattern in patterns if pattern in content]
            assert not found, f"{path.relative_to(self.folder)} holds {found[:3]}"

    def readable_outputs(self) -> Iterable[Path]:
        """Every file that is not behind the fence."""
        fenced = (self.drop, self.state / "identified", self.folder / "records", self.folder / "reports", self.folder / "keys")
        for path in self.folder.rglob("*"):
            if path.is_file() and not any(path.is_relative_to(fence) for fence in fenced):
                yield path


def decoded(path: Path) -> bytes:
    """What a database or a Parquet file says: its bytes are compressed, or torn over pages, and hide it from a search."""
    if path.suffix == ".parquet":
        return _said(duckdb.connect().execute("FROM read_parquet(?)", [str(path)]).fetchall())
    if path.suffix not in (".duckdb", ".sqlite"):
        return b""
    with TemporaryDirectory() as folder:
        for file in path.parent.glob(f"{path.name}*"):  # with its log; a daemon may have the original open
            shutil.copyfile(file, Path(folder) / file.name)
        return _dumped(Path(folder) / path.name)


def _dumped(database: Path) -> bytes:
    """Every table of a database, as text."""
    if database.suffix == ".sqlite":
        with closing(sqlite3.connect(database)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return b"".join(_said(connection.execute(f'SELECT * FROM "{table}"').fetchall()) for table in tables)
    with duckdb.connect(str(database)) as catalog:
        names = [name for (name,) in catalog.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return b"".join(_said(catalog.execute(f'FROM "{name}"').fetchall()) for name in names)


def _said(rows: Iterable[Sequence[Any]]) -> bytes:
    return "\n".join(str(value) for row in rows for value in row).encode()


def encodings(identifier: str) -> set[bytes]:
    """The identifier as bytes in every usual encoding; Base64 at its three alignments, without the unstable ends."""
    plain = identifier.encode()
    found = {plain, identifier.encode("utf-16-le"), identifier.encode("utf-16-be"), identifier.encode("latin-1", "replace")}
    for shift in range(3):
        coded = b64encode(b"\0" * shift + plain)
        inner = coded[4 if shift else 0 : len(coded) - 4]
        if len(inner) >= 8:
            found.add(inner)
    return {pattern for pattern in found if len(pattern) >= 5}
