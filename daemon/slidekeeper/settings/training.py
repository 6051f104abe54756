"""Settings of the training half of the workflow: tiers, training roots, protection, retention and cleanup."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from slidekeeper.settings.section import FileName, Name, Section


class TierSettings(Section):
    """A place training reads from."""

    path: Path = Field(description="Root folder of the tier.", examples=["flash"])
    mount: bool = Field(False, description="The folder must be a mount point; where nothing is mounted work pauses.")
    reserve_bytes: int = Field(1_000_000_000, ge=0, description="No staging is begun that would leave less than this free.")
    copies: PositiveInt = Field(4, le=64, description="Files that are copied at once, at most; fewer where more do not help.")
    megabytes_per_second: NonNegativeInt = Field(0, description="Copying is held to this rate; 0 for as fast as it goes.")


class StagingPolicySettings(Section):
    """A cohort that is staged by itself whenever records were aligned and it has changed."""

    where: str = Field(
        description="Condition on the published catalog, as for `slidekeeper stage --where`.",
        examples=["imagery_stain = 'HE'"],
    )
    tier: Name = Field("flash", description="The tier to copy to.")


class TrainingSettings(Section):
    """Where training runs write, and how they say that they are done."""

    roots: tuple[Path, ...] = Field((Path("runs"),), description="Folders of the form <root>/<project>/<run>/.")
    marker: FileName = Field("DONE", min_length=1, description="Name of the done-marker in a run's folder; empty, or JSON.")
    code: tuple[Path, ...] = Field((), description="Folders that may hold source code, besides the run's own; markers may name no others.")
    exclude: tuple[str, ...] = Field(
        ("__pycache__/", "*.pyc", ".git/", ".venv/", "node_modules/", ".ipynb_checkpoints/"),
        description="What is left out of versions: shell patterns; a slash at the end means folders.",
    )
    mount: bool = Field(False, description="The roots must be mount points; where nothing is mounted watching and cleaning pause.")
    settle_seconds: PositiveFloat = Field(2.0, description="Quiet time of the done-marker before the run counts as finished.")
    scan_seconds: PositiveFloat = Field(30.0, description="Interval of the reconciling scan of the roots.")


class RetentionSettings(Section):
    """Which versions of a project are kept; a version is kept if any rule keeps it. All rules 0: every version is kept for ever."""

    last: NonNegativeInt = Field(0, description="The newest so many.")
    daily: NonNegativeInt = Field(0, description="The newest of each of the last so many days that have one.")
    weekly: NonNegativeInt = Field(0, description="The newest of each of the last so many weeks that have one.")
    monthly: NonNegativeInt = Field(0, description="The newest of each of the last so many months that have one.")
    yearly: NonNegativeInt = Field(0, description="The newest of each of the last so many years that have one.")
    grace_days: PositiveFloat = Field(30.0, description="Days between the decision to remove a version and its removal.")


class ProtectionSettings(Section):
    """The version store."""

    copies: PositiveInt = Field(4, le=64, description="Files that are read at once.")
    alarm_bytes: NonNegativeInt = Field(0, description="A run larger than this is protected, and told as an alarm; 0 for never.")
    scrub_days: NonNegativeInt = Field(30, description="Every stored object is read and verified once in so many days; 0 for never.")
    scrub_megabytes_per_second: PositiveInt = Field(50, description="Rate of that reading.")
    immutable: bool = Field(True, description="Set the immutable attribute on what is stored, where file system and capability allow.")
    replicas: tuple[Path, ...] = Field((), description="Roots of further buckets that everything stored is copied to, beside other work.")


class CleanupSettings(Section):
    """What happens to a run's data on the tier once its version is verified."""

    runs: Literal["keep", "at-once", "after-days", "low-space"] = Field(
        "keep", description="Keep a protected run's folder, remove it at once, after some days, or when space gets low, oldest first."
    )
    after_days: PositiveFloat = Field(7.0, description="Days, for `after-days`.")
    low_space_bytes: NonNegativeInt = Field(0, description="Free space below which `low-space` begins to remove.")
    strangers: Literal["leave", "move"] = Field(
        "leave", description="Files that belong to neither run nor staging: left where they are, or moved to the restricted leftovers."
    )
    stagings: Literal["keep", "release"] = Field(
        "keep", description="Keep the staging that a cleaned run trained on, or release it once no run needs it any more."
    )
    scripts: tuple[Path, ...] = Field((), description="Programs that run after each cleanup, with the run's facts as JSON on their input.")
    script_seconds: PositiveFloat = Field(300.0, description="A script that takes longer is killed, and the cleanup held.")
