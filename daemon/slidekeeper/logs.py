"""Logging: JSON for machines, colours for terminals, and no way for an identifier into either.

What may be logged is decided by kind, not by trust: values that hide themselves, paths, raw bytes and foreign exceptions are
replaced by their type; the text of foreign log records and exceptions is withheld, because libraries quote file names and tag
values in it. What remains says which code met which kind of trouble. Ids bound with structlog's context variables (``pack``)
go through unchanged, so that one id leads through a pack's life.
"""

from __future__ import annotations

import errno
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from slidekeeper.errors import SlidekeeperError
from slidekeeper.model.concealed import Concealed
from slidekeeper.settings.sections import LogSettings

CONSTANT_TEXTS = ("asyncio", "uvicorn")
"""Loggers whose format strings begin with a line of constant text; that line, without its arguments, names nobody."""


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send everything that is logged, warned of or raised unhandled to ``stream`` (standard error), in one form. May be called again."""
    stream = stream or sys.stderr
    pretty = settings.format == "pretty" or (settings.format == "auto" and stream.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=stream.isatty()) if pretty else structlog.processors.JSONRenderer()
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        render_exception,
        conceal,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[withhold_foreign_text, *processors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            use_get_message=False,
        )
    )
    _install(handler, settings.level)


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("slidekeeper").setLevel(level.upper())
    sys.excepthook = _log_unhandled
    threading.excepthook = lambda fault: _log_unhandled(fault.exc_type, fault.exc_value, fault.exc_traceback)
    sys.unraisablehook = lambda fault: _log_unhandled(fault.exc_type, fault.exc_value, fault.exc_traceback)
    warnings.showwarning = _log_warning


def _log_unhandled(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger("slidekeeper").critical("unhandled fault", exc_info=(kind, error, trace))


def _log_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """Log that and where a library warned; what it said may quote its input."""
    where = f"{PurePath(filename).name}:{lineno}"
    structlog.get_logger("slidekeeper.warnings").info("library warned", category=category.__name__, where=where)


def withhold_foreign_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the text of a record from the standard library's logging by where it was logged."""
    record: logging.LogRecord = event["_record"]
    known = record.name.partition(".")[0] in CONSTANT_TEXTS
    event["event"] = str(record.msg).partition("\n")[0] if known else "text withheld"
    event["where"] = f"{record.module}:{record.lineno}"
    event.pop("stack_info", None)
    return event


def conceal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every value that may identify somebody, however deep it lies, by its type, and say so with ``redacted``."""
    hidden: set[str] = set()
    shown = {key: value if key.startswith("_") else _shown(value, hidden) for key, value in event.items()}
    return shown | {"redacted": True} if hidden else shown


def _shown(value: Any, hidden: set[str]) -> Any:
    """The value as it may be logged; ``hidden`` collects the types that had to be replaced."""
    match value:
        case SlidekeeperError():
            return str(value)
        case Concealed() | PurePath() | bytes() | bytearray() | memoryview() | BaseException():
            hidden.add(type(value).__name__)
            return f"<{_kind(value)}>"
        case Mapping():
            return {_shown(key, hidden): _shown(each, hidden) for key, each in value.items()}
        case tuple():
            return tuple(_shown(each, hidden) for each in value)
        case list() | set() | frozenset():
            return [_shown(each, hidden) for each in value]
        case _:
            return value


def render_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn ``exc_info`` into lines of types and code locations: no local variables, and texts of our own errors only."""
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info else None
    if error is not None:
        event["exception"] = "\n".join(_lines(error))
    return event


def _lines(error: BaseException, indent: str = "") -> Iterator[str]:
    """An exception, where it came through, then its causes and parts."""
    yield f"{indent}{error if isinstance(error, SlidekeeperError) else _kind(error)}"
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"{indent}  {frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _lines(part, f"{indent}  ")
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield f"{indent}because of"
        yield from _lines(cause, indent)


def _kind(value: object) -> str:
    """The type's name, and the name of the system's error number where there is one."""
    number = value.errno if isinstance(value, OSError) else None
    return f"{type(value).__name__} ({errno.errorcode.get(number, number)})" if number else type(value).__name__
