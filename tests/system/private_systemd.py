"""A systemd of its own, in namespaces of its own, on an overlay of this machine's root: nothing it does reaches the real files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
PYTHON, PACKAGES = "/opt/python", "/opt/packages"
"""Where interpreter and packages are seen inside: the unit hides home folders, in which they may really lie."""

BOOT = f"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p .{PYTHON} .{PACKAGES} .old
mount --bind "$2" .{PYTHON}
mount --bind "$3" .{PACKAGES}
printf '[Unit]\\nDescription=Nothing but what is asked for\\n' >etc/systemd/system/private.target
pivot_root . .old
cd /
umount -l .old
mount --make-rshared /
exec env -i PATH="$PATH" container=private {SYSTEMD} --system --unit=private.target --log-target=null --show-status=no
"""


@dataclass
class PrivateSystemd:
    """A booted systemd; commands run inside."""

    process: subprocess.Popen[bytes]
    pid: int

    @classmethod
    def boot(cls, folder: Path) -> PrivateSystemd | None:
        """Boot, or None where this machine does not allow it."""
        packages = next(path for path in map(Path, sys.path) if path.name == "site-packages")
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--uts", "--ipc", "--cgroup"]
        command = [*unshare, "bash", "-c", BOOT, "boot", str(folder), sys.base_prefix, str(packages)]
        with (folder.parent / "boot.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < deadline:
            systemd = cls(process, child_of(process.pid))
            if systemd.pid and systemd.run("systemctl", "is-active", "private.target", check=False).stdout.strip() == "active":
                return systemd
            time.sleep(0.1)
        process.kill()
        process.wait()
        return None

    def run(self, *command: str, check: bool = True, timeout: float = 90) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", f"--root=/proc/{self.pid}/root", "--wd=/"]
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{PYTHON}/lib", "LC_ALL": "C.UTF-8"}
        return subprocess.run([*inside, *command], check=check, capture_output=True, text=True, timeout=timeout, env=environment, cwd="/")

    def path(self, inside: str) -> Path:
        """A path inside, as seen from outside."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def show(self, unit: str, field: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", unit, "--property", field, "--value").stdout.strip()

    def wait_until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Poll ``condition``."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"timed out waiting until {what}"
            time.sleep(0.2)

    def halt(self) -> None:
        """End everything inside at once."""
        self.process.kill()
        self.process.wait(10)


def child_of(pid: int) -> int:
    """The only child of a process, or 0."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    children = listing.read_text().split() if listing.exists() else []
    return int(children[0]) if children else 0


def is_possible() -> bool:
    """Whether this machine has what a private systemd needs."""
    return os.geteuid() == 0 and SYSTEMD.exists() and all(map(shutil.which, ("unshare", "nsenter", "pivot_root", "systemd-sysusers")))
