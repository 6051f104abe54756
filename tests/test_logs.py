"""What reaches the log, and what never may."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.errors import Temporary
from slidekeeper.logs import conceal, configure_logging
from slidekeeper.model.phi import Barcode
from slidekeeper.settings.sections import LogSettings

NAME = "S26-11902;A;1"
LEVELS = ("debug", "info", "warning", "error")


@pytest.fixture(autouse=True)
def _restore_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the process's own hooks and handlers back after each test."""
    root, own = logging.getLogger(), logging.getLogger("slidekeeper")
    before = (list(root.handlers), root.level, own.level)
    for module, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook"), (warnings, "showwarning")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    yield
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Log(io.StringIO):
    """Everything that was logged."""

    def lines(self) -> list[dict[str, Any]]:
        """The lines as JSON objects."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        """The only line."""
        (line,) = self.lines()
        return line


@pytest.fixture
def log() -> Log:
    """A log in JSON at level info."""
    return configured()


def configured(level: Literal["debug", "info", "warning", "error"] = "info", form: Literal["auto", "json", "pretty"] = "json") -> Log:
    """Configure logging into memory."""
    log = Log()
    configure_logging(LogSettings(level=level, format=form), log)
    return log


def own_logger() -> Any:
    """A logger as every module has one."""
    return structlog.get_logger("slidekeeper.engine.lane")


def test_a_line_has_time_level_logger_event_and_values(log: Log) -> None:
    own_logger().info("pack settled", files=3)
    assert log.line["timestamp"].endswith("Z")
    assert {key: log.line[key] for key in ("level", "logger", "event", "files")} == {
        "level": "info",
        "logger": "slidekeeper.engine.lane",
        "event": "pack settled",
        "files": 3,
    }


def test_one_id_runs_through_all_lines_of_a_pack_and_not_into_another_packs(log: Log) -> None:
    async def carry(pack: str) -> None:
        structlog.contextvars.bind_contextvars(pack=pack)
        own_logger().info("begun", expected=pack)
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: own_logger().info("ended", expected=pack))

    async def both() -> None:
        await asyncio.gather(carry("a" * 16), carry("b" * 16))

    asyncio.run(both())
    assert len(log.lines()) == 4
    assert all(line["pack"] == line["expected"] for line in log.lines())


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_decides_what_is_written_and_may_change_while_it_runs(level: Literal["debug", "info", "warning", "error"]) -> None:
    configured("error")
    log = configured(level)
    for each in LEVELS:
        getattr(own_logger(), each)("said")
    assert [line["level"] for line in log.lines()] == list(LEVELS[LEVELS.index(level) :])


@pytest.mark.parametrize(
    "value",
    [
        Barcode(NAME),
        [Barcode(NAME)],
        {"deep": ({"er": {Barcode(NAME)}},)},
        {Barcode(NAME): 1},
        Path("/drop") / NAME,
        NAME.encode(),
        OSError(2, "No such file", f"/drop/{NAME}.svs"),
        ValueError(NAME),
    ],
)
def test_what_identifies_is_replaced_wherever_it_lies(log: Log, value: object) -> None:
    own_logger().info("seen", value=value, count=1)
    assert NAME not in log.getvalue()
    assert log.line["redacted"] is True
    assert log.line["count"] == 1


def test_what_identifies_is_replaced_in_positional_arguments(log: Log) -> None:
    own_logger().info("seen %s and %s", Barcode(NAME), {"also": Path(NAME)})
    assert NAME not in log.getvalue()
    assert log.line["event"].startswith("seen <Barcode> and ")
    assert log.line["redacted"] is True


def test_what_identifies_is_replaced_in_bound_values_and_on_terminals() -> None:
    log = configured(form="pretty")
    structlog.contextvars.bind_contextvars(slide=Barcode(NAME))
    own_logger().bind(file=Path(NAME)).warning("seen", file_names=[NAME.encode()])
    assert "<Barcode>" in log.getvalue()
    assert NAME not in log.getvalue()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(min_size=1).filter(lambda key: not key.startswith("_")), plain))
def test_harmless_values_go_through_unchanged(event: dict[str, Any]) -> None:
    assert conceal(None, "info", dict(event)) == event


def raise_foreign() -> None:
    """Raise what the system raises for a file of a patient."""
    raise FileNotFoundError(2, "No such file or directory", f"/drop/{NAME}.svs")


def test_a_foreign_exception_shows_type_and_place_but_not_its_text(log: Log) -> None:
    try:
        raise_foreign()
    except FileNotFoundError as error:
        own_logger().error("unexpected fault", exc_info=error)
    text = log.line["exception"]
    assert text.startswith("FileNotFoundError (ENOENT)\n")
    assert " raise_foreign" in text
    assert NAME not in log.getvalue()
    assert "/drop" not in log.getvalue()


def test_our_own_exceptions_show_their_text_and_causes_only_their_type(log: Log) -> None:
    try:
        try:
            raise_foreign()
        except FileNotFoundError as cause:
            raise Temporary("worker-crashed", "ended by signal 11") from cause
    except Temporary:
        own_logger().exception("failed")
    assert "worker-crashed: ended by signal 11\n" in log.line["exception"]
    assert "because of\nFileNotFoundError (ENOENT)\n" in log.line["exception"]
    assert NAME not in log.getvalue()


def test_every_part_of_an_exception_group_is_shown(log: Log) -> None:
    own_logger().error("failed", exc_info=ExceptionGroup(NAME, [ValueError(NAME), Temporary("flaky-share")]))
    assert log.line["exception"] == "ExceptionGroup\n  ValueError\n  flaky-share"


def test_other_libraries_are_heard_from_warning_on_and_their_text_is_withheld(log: Log) -> None:
    logging.getLogger("tifffile").info("reading %s", NAME)
    logging.getLogger("tifffile").warning(f"<TiffFile '{NAME}.svs'> has no magic", extra={"file": NAME})
    assert log.line["logger"] == "tifffile"
    assert log.line["event"] == "text withheld"
    assert log.line["where"].startswith("test_logs:")
    assert NAME not in log.getvalue()


def test_the_event_loops_own_reports_say_what_happened_but_not_to_whom(log: Log) -> None:
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "Task exception was never retrieved", "exception": ValueError(NAME), "future": NAME})
    loop.close()
    assert log.line["event"] == "Task exception was never retrieved"
    assert log.line["exception"] == "ValueError"
    assert NAME not in log.getvalue()


def test_warnings_and_unhandled_faults_of_threads_show_no_text(log: Log) -> None:
    warnings.showwarning(UserWarning(NAME), UserWarning, "/lib/pydicom/valuerep.py", 7)
    thread = threading.Thread(target=raise_foreign)
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(NAME), None)
    warned, threaded, unhandled = log.lines()
    assert (warned["category"], warned["where"]) == ("UserWarning", "valuerep.py:7")
    assert threaded["exception"].startswith("FileNotFoundError (ENOENT)\n")
    assert unhandled["exception"] == "ValueError"
    assert NAME not in log.getvalue()


def test_without_a_terminal_the_log_is_json() -> None:
    log = configured(form="auto")
    own_logger().info("ready")
    assert log.line["event"] == "ready"
