"""The file system under a folder is read from mountinfo as the kernel writes it, and shares are told from local disks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.drop.mounts import REMOTE, file_system_type, is_local

MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /proc rw,nosuid - proc proc rw
30 22 0:40 / /srv/drop rw,relatime shared:15 master:2 - nfs4 nas:/drop rw,vers=4.2
31 22 0:41 / /srv/drop/local rw - xfs /dev/sdb1 rw
32 22 0:42 / /srv/with\040space\011and\134slash rw - cifs //nas/scan rw
33 22 0:43 / /srv/twice rw - ext4 /dev/sdc1 rw
34 33 0:44 / /srv/twice rw - fuse.sshfs nas: rw
"""


def escaped(path: str) -> str:
    """A path as the kernel writes it in mountinfo."""
    return "".join(f"\\{ord(character):03o}" if character in " \t\n\\" else character for character in path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/somebody", "ext4"),
        ("/srv/drop", "nfs4"),
        ("/srv/drop/scanner1", "nfs4"),
        ("/srv/drop/local/x", "xfs"),
        ("/srv/dropped", "ext4"),
        ("/srv/with space\tand\\slash", "cifs"),
        ("/srv/with space\tand\\slash/x", "cifs"),
    ],
)
def test_the_longest_mount_point_above_a_path_counts(path: str, kind: str) -> None:
    assert file_system_type(MOUNTINFO, path) == kind


def test_the_last_of_two_mounts_on_one_point_counts() -> None:
    assert file_system_type(MOUNTINFO, "/srv/twice/x") == "fuse.sshfs"


@pytest.mark.parametrize("text", ["", "\n\n", "nonsense", "1 2 3 - ext4", "22 1 8:1 / / rw -", "22 1 8:1 / / rw ext4"])
def test_lines_that_mean_nothing_are_skipped(text: str) -> None:
    assert file_system_type(text, "/srv") == ""


@given(st.text(st.sampled_from(" \t\n\\#-01234ab.é\u6f22"), min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_whitespace_and_backslashes_in_mount_points_are_understood(name: str) -> None:
    line = f"22 1 8:1 / / rw - ext4 a rw\n40 22 0:9 / /mnt/{escaped(name)} rw - nfs4 nas:/x rw\n"
    assert file_system_type(line, f"/mnt/{name}/below") == "nfs4"
    assert file_system_type(line, f"/mnt/{name}-beside") == "ext4"


@given(st.text(max_size=200), st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_without_an_error(mountinfo: str, path: str) -> None:
    assert isinstance(file_system_type(mountinfo, path), str)


@pytest.mark.parametrize("name", ["\u00a0non-breaking", "\x0bvertical tab", "\u2028line", "\x85next", "\x1cfile", "\rreturn"])
def test_whitespace_that_the_kernel_does_not_escape_is_part_of_the_name(name: str) -> None:
    line = f"22 1 8:1 / / rw - ext4 a rw\n40 22 0:9 / /mnt/a{escaped(name)} rw - nfs4 nas:/x rw\n"
    assert file_system_type(line, f"/mnt/a{name}/below") == "nfs4"


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuse.glusterfs", "ceph", "lustre", "virtiofs"]
)
def test_shares_are_remote(kind: str) -> None:
    assert REMOTE.fullmatch(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "zfs", "overlay", "fusectl", ""])
def test_disks_are_local(kind: str) -> None:
    assert not REMOTE.fullmatch(kind)


def test_a_folder_of_this_machine_has_a_file_system(tmp_path: Path) -> None:
    kind = file_system_type(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"), str(tmp_path.resolve()))
    assert kind
    assert is_local(tmp_path) == (REMOTE.fullmatch(kind) is None)


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="no proc file system")
def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/self")
    assert is_local(tmp_path / "link")
