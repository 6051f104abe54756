"""What ``check`` finds wrong with a site, and what it advises."""

from __future__ import annotations

import os
import resource
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.drop.limits import InotifyLimits
from slidekeeper.bootstrap import doctor
from slidekeeper.bootstrap.doctor import Finding, check_site
from slidekeeper.bootstrap.initialize import initialize_site
from slidekeeper.bootstrap.stopping import CLOSING_SECONDS
from slidekeeper.settings.loader import load_settings
from slidekeeper.settings.sections import EngineSettings

UNIT_FILE = Path(__file__).parents[2] / "systemd" / "slidekeeper.service"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A new site."""
    initialize_site(tmp_path)
    return tmp_path


def troubles(site: Path, **overrides: Any) -> list[Finding]:
    """What is wrong, but for the remark that tests may run as root."""
    settings = load_settings(
        site / "slidekeeper.toml", environ={}, overrides={key.replace("__", "."): value for key, value in overrides.items()}
    )
    return [finding for finding in check_site(settings) if finding.level != "ok" and finding.topic != "user"]


def only(findings: list[Finding]) -> Finding:
    """The single finding, which must say what to do."""
    (finding,) = findings
    assert finding.remedy
    return finding


def test_a_new_site_is_sound(site: Path) -> None:
    assert troubles(site, bucket__reserve_bytes=0) == []


@pytest.mark.parametrize(("folder", "level"), [("bucket", "error"), ("records", "warning"), ("flash", "warning"), ("runs", "warning")])
def test_a_missing_folder_is_told(site: Path, folder: str, level: str) -> None:
    (site / folder).rmdir()
    finding = only(troubles(site, bucket__reserve_bytes=0))
    assert (finding.level, finding.text) == (level, f"{site / folder} is not there")


def test_a_missing_drop_folder_is_told(site: Path) -> None:
    (site / "drop").rmdir()
    finding = only(troubles(site))
    assert (finding.level, finding.topic) == ("error", "drop.scanner.path")


@pytest.mark.parametrize(
    ("folder", "mode", "advice"), [("drop", 0o755, "750"), ("records", 0o704, "700"), ("state/identified", 0o750, "700")]
)
def test_a_folder_with_identifiers_that_is_open_to_others_is_told(site: Path, folder: str, mode: int, advice: str) -> None:
    (site / folder).chmod(mode)
    finding = only(troubles(site))
    assert (finding.level, finding.topic) == ("error", "privacy")
    assert finding.remedy == f"chmod {advice} {site / folder}"


def test_a_drop_folder_may_be_shared_with_a_group(site: Path) -> None:
    (site / "drop").chmod(0o2770)
    assert troubles(site) == []


@pytest.mark.parametrize("damage", ["missing", "exposed", "short"])
def test_a_key_that_cannot_be_used_is_told(site: Path, damage: str) -> None:
    key = site / "keys" / "linking.key"
    match damage:
        case "missing":
            key.unlink()
        case "exposed":
            key.chmod(0o644)
        case "short":
            key.write_bytes(b"short")
    finding = only(troubles(site))
    assert (finding.level, finding.topic) == ("error", "key")


def test_a_key_beside_the_table_it_opens_is_told(site: Path) -> None:
    (site / "keys" / "linking.key").rename(site / "state" / "linking.key")
    assert only(troubles(site, site__key="state/linking.key")).text == "the key lies beside the table it opens"


def test_too_little_space_for_the_bucket_is_told(site: Path) -> None:
    finding = only(troubles(site, bucket__reserve_bytes=10**18))
    assert (finding.level, finding.topic) == ("error", "disk")


def test_a_folder_that_should_be_a_mount_and_is_not_is_told(site: Path) -> None:
    finding = only(troubles(site, bucket__mount=True))
    assert finding.text == f"nothing is mounted on {site / 'bucket'}"


def test_a_state_on_a_share_is_told(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_local", lambda _: False)
    finding = only(troubles(site))
    assert (finding.level, finding.text) == ("error", "the state lies on a share, where databases get damaged")


def test_a_drop_folder_without_its_sentinel_is_told(site: Path) -> None:
    finding = only(troubles(site, drop__scanner__sentinel="here"))
    assert (finding.level, finding.topic) == ("error", "drop.scanner")


def test_more_directories_than_watches_are_told(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "inotify_limits", lambda: InotifyLimits(watches=3, instances=128, queued_events=16384))
    (site / "drop/a/b/c").mkdir(parents=True)
    finding = only(troubles(site))
    assert (finding.level, finding.topic) == ("warning", "watches")
    assert troubles(site, drop__scanner__watch="poll") == []


@pytest.mark.parametrize(
    ("limits", "topic"),
    [
        (InotifyLimits(watches=10_000, instances=4, queued_events=16_384), "instances"),
        (InotifyLimits(watches=10_000, instances=128, queued_events=1_000), "queue"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_low_limits_are_told_with_a_remedy(site: Path, monkeypatch: pytest.MonkeyPatch, limits: InotifyLimits, topic: str) -> None:
    monkeypatch.setattr(doctor, "inotify_limits", lambda: limits)
    finding = only(troubles(site))
    assert (finding.level, finding.topic) == ("warning", topic)
    assert "sysctl fs.inotify." in finding.remedy


def test_too_few_open_files_are_told(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    finding = only(troubles(site))
    assert (finding.level, finding.topic) == ("warning", "files")


def test_a_broker_that_does_not_answer_is_told_and_one_that_does_is_fine(site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        assert troubles(site, mqtt__host="127.0.0.1", mqtt__port=port) == []
    finding = only(troubles(site, mqtt__host="127.0.0.1", mqtt__port=port))
    assert (finding.level, finding.topic) == ("warning", "mqtt")


def test_a_clock_that_was_put_back_is_told(site: Path) -> None:
    tomorrow = time.time() + 86_400
    os.utime(site / "slidekeeper.toml", (tomorrow, tomorrow))
    assert only(troubles(site)).topic == "clock"


def test_a_socket_path_that_no_socket_can_have_is_told(site: Path) -> None:
    assert only(troubles(site, api__socket=f"{'x' * 90}/door.sock")).topic == "api"


def test_a_group_of_brokers_that_does_not_exist_is_told(site: Path) -> None:
    assert only(troubles(site, broker__group="no-such-group-here")).topic == "honest broker"


def test_a_site_without_drop_folders_is_told(site: Path) -> None:
    (site / "slidekeeper.toml").write_text("[tier.flash]\npath = 'flash'\n")
    assert only(troubles(site)).topic == "drop"


def test_nothing_that_lies_in_a_drop_folder_is_named(site: Path) -> None:
    (site / "drop" / "S26-11902;A;1").mkdir()
    (site / "drop" / "S26-11902;A;1" / "S26-11902;A;1.svs").write_text("")
    (site / "drop").chmod(0o777)
    settings = load_settings(site / "slidekeeper.toml", environ={})
    assert "S26-11902" not in repr(check_site(settings))


@pytest.mark.parametrize(("stop_seconds", "told"), [(20, []), (25, ["stop"])])
def test_a_unit_that_does_not_wait_for_the_stop_is_told(
    site: Path, monkeypatch: pytest.MonkeyPatch, stop_seconds: float, told: list[str]
) -> None:
    monkeypatch.setattr(doctor, "stop_timeout", lambda: 30.0)
    assert [finding.topic for finding in troubles(site, bucket__reserve_bytes=0, engine__stop_seconds=stop_seconds)] == told


def test_the_units_own_time_is_enough_for_the_settings_own() -> None:
    [line] = [line for line in UNIT_FILE.read_text().splitlines() if line.startswith("TimeoutStopSec=")]
    assert float(line.partition("=")[2]) >= EngineSettings().stop_seconds + CLOSING_SECONDS
