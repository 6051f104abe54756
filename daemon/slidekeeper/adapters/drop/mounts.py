"""Which file system a folder lies on: a network share sends no events for what others write.

Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

REMOTE = re.compile(r"nfs4?|cifs|smb3?|smbfs|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|fuse(\..*)?|fuseblk|virtiofs|sshfs")
"""Types whose changes other machines make unseen; also user-space file systems, which need not report theirs."""


def file_system_type(mountinfo: str, path: str) -> str:
    """The type of the file system that ``path`` (absolute, resolved) lies on, from the text of ``/proc/self/mountinfo``.

    Later mounts hide earlier ones on the same point, so the last of the longest matching points counts. The kernel escapes blank, tab,
    line feed and backslash only: all other whitespace, of which Python's own splitting knows more, is part of a name.
    """
    best, kind = "", ""
    for line in mountinfo.split("\n"):
        before, _, behind = line.partition(" - ")
        fields, behind_fields = before.split(" "), behind.split(" ")
        if len(fields) < 5 or not behind_fields[0]:  # noqa: PLR2004 - the fifth field is the mount point
            continue
        point = _unescaped(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, behind_fields[0]
    return kind


def is_local(path: Path) -> bool:
    """Whether changes below ``path`` can be seen by inotify, as far as the file system's type tells."""
    mountinfo = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())  # read as text, a carriage return would become a new line
    return REMOTE.fullmatch(file_system_type(mountinfo, str(path.resolve()))) is None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), text)
