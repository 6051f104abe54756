"""Loads the settings: the TOML file, then ``.env`` beside it, then the environment, then the command line; the last word wins.

Whatever is wrong is told at once, one line for each problem: where it was written, which key, and what would be right.
"""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import Field, PrivateAttr, StringConstraints, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, InitSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableSource

from slidekeeper.errors import SettingsError
from slidekeeper.settings.places import conflicts
from slidekeeper.settings.section import NAME, Section
from slidekeeper.settings.sections import (
    AnonymizeSettings,
    ApiSettings,
    BrokerSettings,
    BucketSettings,
    CatalogSettings,
    DropSettings,
    EngineSettings,
    LogSettings,
    MqttSettings,
    RecordsSettings,
    SiteSettings,
)
from slidekeeper.settings.training import (
    CleanupSettings,
    ProtectionSettings,
    RetentionSettings,
    StagingPolicySettings,
    TierSettings,
    TrainingSettings,
)

PREFIX = "SLIDEKEEPER_"
DELIMITER = "__"

PlaceName: TypeAlias = Annotated[str, StringConstraints(pattern=NAME)]
Location: TypeAlias = tuple[str | int, ...]


class Settings(BaseSettings):
    """All settings of a site; frozen, every path absolute. Made by :func:`load_settings` only."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter=DELIMITER)

    site: SiteSettings = Field(default_factory=SiteSettings)
    drop: dict[PlaceName, DropSettings] = Field({}, examples=["scanner"])
    records: RecordsSettings = Field(default_factory=RecordsSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    bucket: BucketSettings = Field(default_factory=BucketSettings)
    tier: dict[PlaceName, TierSettings] = Field({}, examples=["flash"])
    staging: dict[PlaceName, StagingPolicySettings] = Field({}, examples=["high-grade"])
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    protection: ProtectionSettings = Field(default_factory=ProtectionSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    cleanup: CleanupSettings = Field(default_factory=CleanupSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    anonymize: AnonymizeSettings = Field(default_factory=AnonymizeSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    _file: Path | None = PrivateAttr(None)

    @property
    def file(self) -> Path | None:
        """The settings file these were loaded from; None when there was none."""
        return self._file

    @property
    def trees(self) -> Mapping[str, Path]:
        """Every folder tree of the site by its dotted key; no two of them may overlap."""
        return {
            "site.state": self.site.state,
            **{f"drop.{name}.path": drop.path for name, drop in self.drop.items()},
            "records.path": self.records.path,
            "records.reports": self.records.reports,
            "bucket.path": self.bucket.path,
            **{f"tier.{name}.path": tier.path for name, tier in self.tier.items()},
            **{f"training.roots.{index}": root for index, root in enumerate(self.training.roots)},
            **{f"protection.replicas.{index}": root for index, root in enumerate(self.protection.replicas)},
        }

    @property
    def guarded(self) -> Mapping[str, Path]:
        """What must lie, by its dotted key, where neither scanners write nor researchers read: only in the state, or apart."""
        return {"site.key": self.site.key, "api.socket": self.api.socket, "records.contracts": self.records.contracts}


class EnvironmentVariables(DotEnvSettingsSource):
    """Environment variables, unknown ones included: the model then refuses them by name, as it does for those in ``.env``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings, env_file=None, dotenv_filtering="match_prefix")

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}


Source: TypeAlias = InitSettingsSource | DotEnvSettingsSource


def load_settings(file: Path | None, *, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Load and check the settings.

    Args:
        file: the TOML file; relative paths in any source are taken from its folder (from the working directory without one).
        environ: environment variables; the process's own by default.
        overrides: values from the command line by dotted key, ``{"engine.workers": 4}``.

    Raises:
        SettingsError: ``detail`` has one line for each problem.
    """
    folder = file.absolute().parent if file else Path.cwd()
    sources = _sources(file, folder, os.environ if environ is None else environ, overrides or {})
    try:
        settings = Settings(_build_sources=(tuple(sources.values()), {}))
    except ValidationError as invalid:
        raise _wrong(_problem(error["loc"], error["type"], error["msg"], sources) for error in invalid.errors()) from None
    except UnreadableSource as unreadable:
        raise _wrong([f"environment or .env: {unreadable}; sections and lists are given as JSON"]) from None
    settings = settings.model_copy(update=_anchored_fields(settings, folder))
    problems = conflicts(settings.trees, settings.guarded)
    if problems:
        raise _wrong(f"{_origin(sources, *(key.split('.') for key in problem.keys))}: {problem.text}" for problem in problems)
    settings._file = file.absolute() if file else None
    return settings


def _sources(file: Path | None, folder: Path, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Mapping[str, Source]:
    """The sources by the name under which problems are reported, strongest first."""
    return {
        "command line": InitSettingsSource(Settings, _nested(overrides)),
        "environment": EnvironmentVariables(environ),
        str(folder / ".env"): DotEnvSettingsSource(Settings, env_file=folder / ".env", dotenv_filtering="match_prefix"),
        str(file or "settings"): _toml(file) if file else InitSettingsSource(Settings, {}),
    }


def _toml(file: Path) -> TomlConfigSettingsSource:
    try:
        file.open("rb").close()
        return TomlConfigSettingsSource(Settings, toml_file=file)
    except OSError as error:
        raise _wrong([f"{file}: cannot be read ({errno.errorcode.get(error.errno or 0, 'unknown error')})"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong([f"{file}: no TOML: {error}"]) from None


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested tables."""
    tables: dict[str, Any] = {}
    for dotted, value in overrides.items():
        *parents, key = dotted.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
        table[key] = value
    return tables


def _wrong(problems: Iterable[str]) -> SettingsError:
    return SettingsError("wrong-settings", "\n".join(problems), "Every key is explained in config/slidekeeper.example.toml")


def _problem(location: Location, kind: str, message: str, sources: Mapping[str, Source]) -> str:
    """One line: where it was written, the dotted key, what is wrong and what is allowed."""
    keys = tuple(key for key in location if key != "[key]")
    dotted = ".".join(str(key) if str(key).isprintable() else repr(key) for key in keys)
    match kind:
        case "extra_forbidden":
            allowed = ", ".join(_keys_allowed(keys[:-1]))
            return f"{_origin(sources, keys)}: {dotted}: unknown key; known here: {allowed}"
        case "string_pattern_mismatch" if keys != location:
            return f"{_origin(sources, keys)}: {dotted}: a name has only a-z, 0-9 and -, and begins with a letter or digit"
        case "missing":
            return f"{_origin(sources, keys[:-1])}: {dotted}: is missing"
        case _:
            return f"{_origin(sources, keys)}: {dotted}: {message.removeprefix('Value error, ')}"


def _origin(sources: Mapping[str, Source], *places: Sequence[str | int]) -> str:
    """The strongest source that has the key, or one of several; variables by their names, since there the file alone does not lead to
    the line."""
    for name, source in sources.items():
        for keys in places:
            if _has(source(), keys):
                variable = PREFIX + DELIMITER.join(str(key).upper() for key in keys)
                return f"{name} ({variable})" if isinstance(source, DotEnvSettingsSource) else name
    return list(sources)[-1]


def _has(values: Any, keys: Sequence[str | int]) -> bool:
    for key in keys:
        if isinstance(values, Mapping) and key in values:
            values = values[str(key)]
        elif not isinstance(values, (list, tuple)):
            return False
    return True


def _keys_allowed(parents: Sequence[str | int]) -> list[str]:
    """The keys that the section at ``parents`` knows."""
    fields: Mapping[str, FieldInfo] = Settings.model_fields
    for parent in parents:
        if parent in fields:
            annotation = fields[str(parent)].annotation
            section = next((part for part in (annotation, *get_args(annotation)) if _is_section(part)), Section)
            fields = section.model_fields
    return sorted(fields)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _anchored_fields(model: Section | Settings, folder: Path) -> dict[str, Any]:
    return {name: _anchored(getattr(model, name), folder) for name in type(model).model_fields}


def _anchored(value: Any, folder: Path) -> Any:
    """The value with every relative path in it taken from ``folder``."""
    match value:
        case Path():
            return folder / value
        case Section():
            return value.model_copy(update=_anchored_fields(value, folder))
        case dict():
            return {key: _anchored(each, folder) for key, each in value.items()}
        case tuple():
            return tuple(_anchored(each, folder) for each in value)
        case _:
            return value
