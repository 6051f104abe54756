"""The sections of the settings file. Each field's description is what ``config/slidekeeper.example.toml`` prints beside it.

Relative paths are taken from the folder of the settings file; the loader makes them absolute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from slidekeeper.model.naming import IMAGE_EXTENSIONS
from slidekeeper.settings.section import Expression, Extension, FileName, Name, Section

UNFINISHED = ("*.part", "*~", "*.tmp", "*.filepart", "*.crdownload", ".*", "Thumbs.db")
"""Names of what is still being transferred, or was never meant for us, in drop and records folders (shell patterns)."""


class SiteSettings(Section):
    """Who this installation is, and where it keeps its own state."""

    name: Name = Field("site", description="Short name of the site; part of MQTT topics and event sources.")
    state: Path = Field(Path("state"), description="Journal, catalog and the restricted `identified/` folder; local disk, never a share.")
    key: Path = Field(
        Path("keys/linking.key"), description="Key of the linking table (0600), unless systemd passes it as the credential `linking.key`."
    )


class DropSettings(Section):
    """One folder into which a scanner writes. Everything in it identifies patients."""

    path: Path = Field(description="The folder.", examples=["drop"])
    ready: Literal["settle", "marker", "notice"] = Field(
        "settle",
        description="When packs go on: as soon as they are quiet (settle), or only after a READY marker file (marker) "
        "or `batch ready` (notice) for their folder.",
    )
    settle_seconds: PositiveFloat = Field(
        10.0, description="Quiet time: size, mtime and ctime of all files of a pack unchanged for this long."
    )
    pack: Literal["stem", "directory"] = Field(
        "stem", description="What makes a pack: files with the same name stem, or all files of one directory."
    )
    watch: Literal["auto", "inotify", "poll"] = Field(
        "auto", description="Hints from the file system (auto: only where it is local); scans find everything in any case."
    )
    scan_seconds: PositiveFloat = Field(
        60.0, description="Interval of the reconciling scan; the delay with which files are found when hints fail."
    )
    incomplete_seconds: PositiveFloat = Field(
        1800.0, description="A quiet pack that is not whole (no image, truncated) is quarantined after this time."
    )
    stuck_seconds: PositiveFloat = Field(
        21600.0, description="A pack that keeps changing for this long is reported as stuck; it is never dropped."
    )
    after_ingest: Literal["keep", "delete"] = Field(
        "keep",
        description="What happens to originals once the anonymized copy is stored and verified; sidecars, which are not copied, stay.",
    )
    on_rescan: Literal["revision", "quarantine"] = Field(
        "revision", description="Same barcode, other content: a new revision of the slide, or quarantine."
    )
    mount: bool = Field(
        False, description="The folder must be a mount point; where nothing is mounted it counts as unavailable, not as empty."
    )
    sentinel: FileName = Field("", description="A file that must exist in the folder, else it counts as unavailable; empty for none.")
    image_extensions: tuple[Extension, ...] = Field(
        IMAGE_EXTENSIONS,
        description="Extensions of slide images, lower case.",
    )
    thumbnail_extensions: tuple[Extension, ...] = Field(
        (".jpg", ".jpeg", ".png"),
        description="Extensions of thumbnails; they are never copied, a new one is made from the anonymized slide.",
    )
    ignore: tuple[FileName, ...] = Field(
        UNFINISHED,
        description="Names that are still being transferred or never meant for us (shell patterns).",
    )
    barcode_pattern: Expression = Field(
        r"[^\x00-\x1f\x7f]{1,200}", description="Regular expression that a whole barcode must match; else the pack is quarantined."
    )


class RecordsSettings(Section):
    """Where the three CSV files of a batch arrive."""

    path: Path = Field(Path("records"), description="The watched records folder; restricted like a drop folder.")
    contracts: Path = Field(Path("contracts"), description="Folder of the contracts, one `*.toml` for each source; see docs/records.md.")
    reports: Path = Field(
        Path("reports"),
        description="Where the hospital's own reports are written; they name slides, so only the service may read here.",
    )
    settle_seconds: PositiveFloat = Field(10.0, description="Quiet time: size, mtime and ctime of a file unchanged for this long.")
    scan_seconds: PositiveFloat = Field(
        60.0, description="Interval of the reconciling scan; the delay with which files are found when hints fail."
    )
    timeout_seconds: PositiveFloat = Field(
        1800.0, description="A worker that takes longer over a batch's files is killed; the records are quarantined."
    )
    memory_megabytes: PositiveInt = Field(4096, ge=1024, description="Address space that one worker may use.")
    review_share: float = Field(
        0.02, ge=0, le=1, description="Share of scrubbed texts that a person reads before a batch is released; 0 releases it unread."
    )
    names_model: str = Field(
        "", description="An installed spaCy pipeline that also looks for names in free text; needs the extra `text`, empty for none."
    )


class BrokerSettings(Section):
    """The honest broker: who may pass the door between identifiers and numbers."""

    group: str = Field(
        "",
        max_length=64,
        description="Unix group whose members, besides root, may pass; empty: whoever may read the linking table and its key.",
    )


class BucketSettings(Section):
    """The capacity tier that holds anonymized objects."""

    path: Path = Field(Path("bucket"), description="Root folder of the bucket.")
    mount: bool = Field(False, description="The folder must be a mount point; where nothing is mounted work pauses.")
    reserve_bytes: int = Field(1_000_000_000, ge=0, description="Work pauses while less than this is free.")


class CatalogSettings(Section):
    """The catalog that people query."""

    publish_seconds: PositiveFloat = Field(60.0, description="Shortest time between two publications of the catalog as Parquet.")
    memory_megabytes: PositiveInt = Field(96, ge=64, description="Memory that DuckDB may use.")
    threads: PositiveInt = Field(1, description="Threads that DuckDB may use.")
    query_memory_megabytes: PositiveInt = Field(1024, ge=64, description="Memory that one `slidekeeper query` may use, beside the daemon.")
    query_seconds: PositiveFloat = Field(300.0, description="Time after which a `slidekeeper query` is broken off.")


class AnonymizeSettings(Section):
    """Limits of one anonymization."""

    timeout_seconds: PositiveFloat = Field(1800.0, description="A worker that takes longer is killed; the pack is quarantined.")
    memory_megabytes: PositiveInt = Field(2048, ge=512, description="Address space that one worker may use.")
    thumbnail_pixels: PositiveInt = Field(512, le=4096, description="Longest side of the regenerated thumbnail.")
    keep_thumbnail: bool = Field(
        True,
        description="Whether the scanner's thumbnail stays inside the slide, where it can be told from label and macro; "
        "turn off where scanned areas reach labels or handwriting.",
    )


class EngineSettings(Section):
    """How much is done at once."""

    workers: PositiveInt = Field(
        4, description="Worker processes that parse and anonymize slides; twice the cores, for each also waits for the disk."
    )
    attempts: PositiveInt = Field(5, description="Attempts before a temporary failure counts as permanent.")
    retry_seconds: PositiveFloat = Field(2.0, description="Delay before the second attempt; grows fourfold each time, to five minutes.")
    probe_seconds: PositiveFloat = Field(5.0, description="Interval at which a suspended place (full, unmounted) is probed.")
    stop_seconds: PositiveFloat = Field(20.0, description="Time that work under way gets to finish when the daemon stops.")


class MqttSettings(Section):
    """Publishing of events to an MQTT broker; off while `host` is empty."""

    host: str = Field("", description="Broker's host name; empty switches publishing off.")
    port: int = Field(1883, ge=1, le=65535, description="Broker's port.")
    prefix: str = Field("slidekeeper", pattern=r"^[^+#]+$", description="First part of every topic.")
    reconnect_seconds: PositiveFloat = Field(5.0, description="Pause before connecting again.")


class ApiSettings(Section):
    """The daemon's own door: HTTP over a Unix socket."""

    socket: Path = Field(Path("state/slidekeeper.sock"), description="The socket; who may open it may command the daemon.")
    socket_mode: str = Field("0660", pattern=r"^0[0-7]{3}$", description="File mode of the socket, octal.")


class LogSettings(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level that is written.")
    format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="JSON for machines, pretty for terminals; auto decides by where it runs."
    )
