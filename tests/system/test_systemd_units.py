"""The service as systemd sees it, and its installation into a folder that stands for a host."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from slidekeeper.settings.sections import EngineSettings

PROJECT = Path(__file__).parents[2]
UNIT = PROJECT / "systemd" / "slidekeeper.service"
MOST_EXPOSED = 2.0

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("systemd-sysusers") is None, reason="needs root and systemd")


def run(*command: str | Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, check=check, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)


def install(host: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Install into ``host`` with this interpreter."""
    return run(PROJECT / "scripts" / "install", "--root", host, "--python", sys.executable, *options)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder into which Slidekeeper was installed."""
    install(tmp_path)
    return tmp_path


@needs_systemd
def test_the_unit_is_exposed_little() -> None:
    verdict = run("systemd-analyze", "security", "--offline=true", UNIT, check=False).stdout
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", verdict)
    assert exposure is not None, verdict
    assert float(exposure[1]) <= MOST_EXPOSED, verdict


@needs_systemd
@needs_root
def test_systemd_finds_no_fault_in_the_installed_unit(host: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    shutil.copytree(host / "etc" / "systemd" / "system", units)
    unit = units / "slidekeeper.service"
    unit.write_text(unit.read_text().replace("/opt/slidekeeper/.venv/bin/slidekeeper", "/bin/true"))
    verdict = run("systemd-analyze", "verify", "--man=no", "slidekeeper.service", check=False, SYSTEMD_UNIT_PATH=f"{units}:")
    assert (verdict.returncode, [line for line in verdict.stderr.splitlines() if "slidekeeper" in line]) == (0, [])


def test_systemd_waits_longer_for_the_stop_than_the_daemon_takes() -> None:
    timeout = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert timeout is not None
    assert int(timeout[1]) > EngineSettings().stop_seconds


@needs_root
def test_installation_makes_restricted_folders_a_key_and_a_user(host: Path) -> None:
    modes = {
        name: stat.S_IMODE((host / name).stat().st_mode) for name in ("var/lib/slidekeeper", "srv/slidekeeper/drop", "etc/slidekeeper/keys")
    }
    assert modes == {"var/lib/slidekeeper": 0o750, "srv/slidekeeper/drop": 0o2770, "etc/slidekeeper/keys": 0o700}
    key = (host / "etc/slidekeeper/keys/linking.key").stat()
    assert (stat.S_IMODE(key.st_mode), key.st_size) == (0o600, 32)
    assert "slidekeeper:" in (host / "etc/passwd").read_text()
    assert re.search(r"^slidekeeper-drop:.*:slidekeeper$", (host / "etc/group").read_text(), re.MULTILINE)


@needs_root
def test_exactly_the_folders_of_the_settings_are_open_for_writing(host: Path) -> None:
    settings = host / "etc/slidekeeper/slidekeeper.toml"
    settings.write_text(settings.read_text().replace("/srv/slidekeeper/bucket", "/mnt/100% ours/bucket"))
    install(host)
    opened = re.findall(
        r'^ReadWritePaths="-(.*)"$', (host / "etc/systemd/system/slidekeeper.service.d/folders.conf").read_text(), re.MULTILINE
    )
    data = [f"/srv/slidekeeper/{name}" for name in ("drop", "records", "reports", "flash", "runs")]
    assert sorted(opened) == sorted(["/var/lib/slidekeeper", "/mnt/100%% ours/bucket", *data])


@needs_root
def test_installing_again_replaces_code_but_neither_key_nor_settings(host: Path) -> None:
    settings, key = host / "etc/slidekeeper/slidekeeper.toml", host / "etc/slidekeeper/keys/linking.key"
    settings.write_text(f"{settings.read_text()}\n[log]\nlevel = 'debug'\n")
    (stale := host / "opt/slidekeeper/daemon/slidekeeper/stale.py").write_text("")
    before = settings.read_bytes(), key.read_bytes()
    install(host)
    assert (settings.read_bytes(), key.read_bytes()) == before
    assert not stale.exists()


@needs_root
def test_removal_keeps_settings_keys_and_slides(host: Path) -> None:
    slide = host / "srv/slidekeeper/bucket/slide.json"
    slide.write_text("{}")
    install(host, "--uninstall")
    assert not (host / "opt/slidekeeper").exists()
    assert not (host / "etc/systemd/system/slidekeeper.service").exists()
    assert slide.exists()
    assert (host / "etc/slidekeeper/keys/linking.key").exists()
    assert tomllib.loads((host / "etc/slidekeeper/slidekeeper.toml").read_text())["site"]["state"] == "/var/lib/slidekeeper"


LIBRARIES = """
import ctypes, mmap, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1  # prctl(2), Linux 6.3
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(75)
try:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    sys.exit("the restriction does not hold")
import aiomqtt, blake3, duckdb, fastapi, hyperscan, numpy, openslide, pebble, PIL.Image, pydicom, tifffile, uvicorn, watchdog.observers
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
AESGCM(bytes(32)).encrypt(bytes(12), b"x", None)
hits = []
database = hyperscan.Database()
database.compile(expressions=[b"secret"], ids=[1], elements=1, flags=[0])
database.scan(b"a secret", match_event_handler=lambda *hit: hits.append(hit))
assert hits
assert duckdb.sql("select sum(i) from range(10) t(i)").fetchall() == [(45,)]
assert openslide.OpenSlide.detect_format(sys.executable) is None
"""


def test_the_libraries_work_where_memory_is_never_writable_and_executable() -> None:
    """What MemoryDenyWriteExecute forbids, forbidden by the kernel itself."""
    attempt = run(sys.executable, "-c", LIBRARIES, check=False)
    if attempt.returncode == 75:
        pytest.skip("this kernel cannot forbid it")
    assert (attempt.returncode, attempt.stderr) == (0, "")
