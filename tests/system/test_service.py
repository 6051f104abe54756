"""The service as a real systemd runs it: credentials, readiness, reload, watchdog, an orderly stop, and work under all its fences."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.private_systemd import PACKAGES, PYTHON, PrivateSystemd, is_possible
from writers import write_aperio

PROJECT = Path(__file__).parents[2]
HOME = "/opt/slidekeeper"
CONFIG = "/etc/slidekeeper/slidekeeper.toml"
UNIT = "slidekeeper.service"
LOG = "/var/log/slidekeeper-test.log"

OVERRIDES = f"""[Service]
Environment=LD_LIBRARY_PATH={PYTHON}/lib SLIDEKEEPER_DROP__SCANNER__SETTLE_SECONDS=0.5
StandardError=append:{LOG}
WatchdogSec=3
RestartSec=1
"""
ENTRY = f"""#!{HOME}/.venv/bin/python
from slidekeeper.cli.app import main

if __name__ == "__main__":
    main()
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not is_possible(), reason="a private systemd needs root, systemd, unshare and nsenter"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSystemd]:
    """A host on which Slidekeeper was installed and started."""
    folder = tmp_path_factory.mktemp("host") / "overlay"
    folder.mkdir()
    systemd = PrivateSystemd.boot(folder)
    if systemd is None:
        pytest.skip("this machine does not let a private systemd boot")
    try:
        install(systemd)
        systemd.run("systemctl", "start", UNIT)
        yield systemd
    finally:
        systemd.halt()


def install(host: PrivateSystemd) -> None:
    """Run the installer inside, with this interpreter and these packages in the place of a new environment."""
    host.run(str(PROJECT / "scripts" / "install"), "--python", sys.executable)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = host.path(f"{HOME}/.venv")
    (environment / "bin").mkdir(parents=True)
    (environment / "lib" / version / "site-packages").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(f"{PYTHON}/bin/{version}")
    (environment / "pyvenv.cfg").write_text(f"home = {PYTHON}/bin\ninclude-system-site-packages = false\n")
    (environment / "lib" / version / "site-packages" / "here.pth").write_text(f"{HOME}/daemon\n{PACKAGES}\n")
    (environment / "bin" / "slidekeeper").write_text(ENTRY)
    (environment / "bin" / "slidekeeper").chmod(0o755)
    host.path(f"/etc/systemd/system/{UNIT}.d/test.conf").write_text(OVERRIDES)
    host.run("systemctl", "daemon-reload")


def ask(host: PrivateSystemd, *arguments: str) -> dict[str, object]:
    """What a command of the installed program answers in JSON."""
    answer: dict[str, object] = json.loads(host.run(f"{HOME}/.venv/bin/slidekeeper", "--config", CONFIG, *arguments, "--json").stdout)
    return answer


def log(host: PrivateSystemd) -> str:
    """Everything the service wrote to its error stream."""
    return host.path(LOG).read_text()


def test_the_service_says_when_it_is_ready(host: PrivateSystemd) -> None:
    assert host.show(UNIT, "ActiveState") == "active"
    assert ask(host, "status")["running"] is True


def test_the_key_is_handed_over_and_cannot_be_read_by_the_service(host: PrivateSystemd) -> None:
    key = host.path("/etc/slidekeeper/keys/linking.key").stat()
    assert (key.st_uid, key.st_mode & 0o777) == (0, 0o600)
    assert host.show(UNIT, "User") == "slidekeeper"


def test_a_slide_comes_through_all_fences(host: PrivateSystemd, tmp_path: Path) -> None:
    planted = write_aperio(tmp_path / "S26-4711.svs", seed=1, barcode="S26-4711")
    target = host.path("/srv/slidekeeper/drop/S26-4711.svs")
    shutil.copyfile(planted.path, target)
    shutil.chown(target, 0, target.parent.stat().st_gid)
    target.chmod(0o640)
    host.wait_until(lambda: ask(host, "status")["packs"] == {"done": 1}, 30, f"the slide is done; the log:\n{log(host)}")
    stored = list(host.path("/srv/slidekeeper/bucket/slides").rglob("*.svs"))
    assert len(stored) == 1
    content = stored[0].read_bytes()
    assert not [identifier for identifier in planted.identifiers if identifier.encode() in content]


def test_a_reload_takes_up_the_log_section_and_ends_nothing(host: PrivateSystemd) -> None:
    before = host.show(UNIT, "MainPID")
    host.run("systemctl", "reload", UNIT)
    host.wait_until(lambda: "log settings reloaded" in log(host), 10, "the log section is taken up")
    assert host.show(UNIT, "MainPID") == before


def test_a_daemon_that_hangs_misses_its_watchdog_and_is_started_again(host: PrivateSystemd) -> None:
    pid = int(host.show(UNIT, "MainPID"))
    host.run("kill", "-STOP", str(pid))
    host.wait_until(lambda: host.show(UNIT, "NRestarts") == "1", 40, "systemd has started it again")
    host.wait_until(lambda: host.show(UNIT, "ActiveState") == "active", 20, "it is ready again")
    assert ask(host, "status")["packs"] == {"done": 1}


def test_a_stop_is_orderly_and_in_time(host: PrivateSystemd) -> None:
    host.run("systemctl", "stop", UNIT)
    assert (host.show(UNIT, "Result"), host.show(UNIT, "ExecMainStatus")) == ("success", str(os.EX_OK))
    last = ask(host, "events", "--limit", "1")
    assert last[0]["type"] == "slidekeeper.daemon.stopped"  # type: ignore[index]
    assert signal.SIGKILL.name not in log(host)
