"""Files that belong together become one pack, whatever their names are made of, and no file is lost or counted twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.model.phi import Barcode, FileIdentity, RelativePath, Role
from slidekeeper.ports.drop import Sighting
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.assembly import (
    barcode_of,
    grouped,
    is_marker,
    is_valid_barcode,
    member_of,
    merged,
)

BY_STEM = DropSettings(path=Path("drop"))
BY_DIRECTORY = DropSettings(path=Path("drop"), pack="directory")
PATTERN = BY_STEM.barcode_pattern


def seen(path: bytes, special: str = "", size: int = 1) -> Sighting:
    return Sighting(RelativePath(path), FileIdentity(size, 1, 1), special)


def packs(*paths: bytes, settings: DropSettings = BY_STEM) -> dict[tuple[bytes, bytes], set[bytes]]:
    """Paths by pack."""
    found = grouped([seen(path) for path in paths], settings)
    return {(key.directory, key.stem): {member.path.reveal() for member in members} for key, members in found.items()}


def barcode(*paths: bytes, settings: DropSettings = BY_STEM) -> Barcode:
    ((key, members),) = grouped([seen(path) for path in paths], settings).items()
    return barcode_of(key, members)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        (b"a.svs", Role.IMAGE),
        (b"a.SVS", Role.IMAGE),
        (b"a.ndpi", Role.IMAGE),
        (b"a.jpg", Role.THUMBNAIL),
        (b"a.PNG", Role.THUMBNAIL),
        (b"a.txt", Role.BARCODE),
        (b"a.barcode", Role.BARCODE),
        (b"a.xml", Role.SIDECAR),
        (b"a", Role.SIDECAR),
        (b"svs", Role.SIDECAR),
    ],
)
def test_a_role_follows_from_the_extension(name: bytes, role: Role) -> None:
    assert member_of(seen(b"session/" + name), BY_STEM).role is role


def test_a_site_may_call_other_extensions_images() -> None:
    settings = DropSettings(path=Path("drop"), image_extensions=(".wsi",))
    assert [member_of(seen(name), settings).role for name in (b"a.wsi", b"a.svs")] == [Role.IMAGE, Role.SIDECAR]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "socket", "device"])
def test_what_is_no_regular_file_is_special_whatever_its_extension(kind: str) -> None:
    assert member_of(seen(b"a.svs", kind), BY_STEM).role is Role.SPECIAL


def test_files_of_one_stem_are_one_pack() -> None:
    assert packs(b"s/a.svs", b"s/a.jpg", b"s/a.txt", b"s/b.svs") == {
        (b"s", b"a"): {b"s/a.svs", b"s/a.jpg", b"s/a.txt"},
        (b"s", b"b"): {b"s/b.svs"},
    }


def test_the_same_stem_in_another_directory_is_another_pack() -> None:
    assert set(packs(b"a.svs", b"s/a.svs", b"t/a.svs")) == {(b"", b"a"), (b"s", b"a"), (b"t", b"a")}


@pytest.mark.parametrize("name", [b"x_thumb.jpg", b"x-thumbnail.png", b"x.preview.jpeg", b"x Thumb.jpg", b"xthumb.jpg", b"x.jpg"])
def test_a_thumbnail_belongs_to_its_image(name: bytes) -> None:
    assert packs(b"x.svs", name) == {(b"", b"x"): {b"x.svs", name}}


def test_only_thumbnails_lose_their_suffix() -> None:
    assert set(packs(b"x.svs", b"x_thumb.svs")) == {(b"", b"x"), (b"", b"x_thumb")}


def test_a_directory_may_be_one_pack() -> None:
    assert packs(b"s/a.svs", b"s/label.jpg", b"s/t/b.svs", settings=BY_DIRECTORY) == {
        (b"s", b""): {b"s/a.svs", b"s/label.jpg"},
        (b"s/t", b""): {b"s/t/b.svs"},
    }


def test_files_in_the_root_are_packed_by_stem_even_where_directories_are_packs() -> None:
    assert set(packs(b"a.svs", b"b.svs", settings=BY_DIRECTORY)) == {(b"", b"a"), (b"", b"b")}


@pytest.mark.parametrize("settings", [BY_STEM, BY_DIRECTORY])
def test_what_is_no_regular_file_is_a_pack_of_its_own(settings: DropSettings) -> None:
    found = grouped([seen(b"s/a.svs"), seen(b"s/a.txt"), seen(b"s/a.jpg", "symlink")], settings)
    assert sorted(len(members) for members in found.values()) == [1, 2]


def test_a_special_file_draws_no_regular_file_into_its_pack() -> None:
    found = grouped([seen(b"s/a.svs", "symlink"), seen(b"s/a.svs.txt")], BY_STEM)
    assert len(found) == 2


def test_the_name_of_a_special_file_is_its_barcode() -> None:
    ((key, members),) = grouped([seen(b"s/a.svs", "symlink")], BY_STEM).items()
    assert barcode_of(key, members).reveal() == "a.svs"


def test_markers_belong_to_no_pack() -> None:
    assert packs(b"READY", b"s/READY", b"s/a.svs") == {(b"s", b"a"): {b"s/a.svs"}}


@pytest.mark.parametrize(("path", "marks"), [(b"READY", True), (b"s/READY", True), (b"READY.txt", False), (b"s/ready", False)])
def test_only_the_exact_name_is_a_marker(path: bytes, marks: bool) -> None:
    assert is_marker(seen(path)) is marks


def test_what_only_bears_the_name_of_a_marker_is_a_special_file() -> None:
    assert not is_marker(seen(b"s/READY", "symlink"))
    ((_, members),) = grouped([seen(b"s/READY", "symlink")], BY_STEM).items()
    assert [member.role for member in members] == [Role.SPECIAL]


@pytest.mark.parametrize(("path", "session"), [(b"a.svs", b""), (b"s/a.svs", b"s"), (b"s/t/u/a.svs", b"s")])
def test_a_session_is_the_first_folder(path: bytes, session: bytes) -> None:
    assert RelativePath(path).session == session


def test_the_image_names_the_barcode() -> None:
    assert barcode(b"s/folder.jpg", b"s/S26-1;A;1.svs", settings=BY_DIRECTORY).reveal() == "S26-1;A;1"


def test_until_the_image_comes_the_stem_names_the_barcode() -> None:
    assert barcode(b"s/S26-1_thumb.jpg").reveal() == "S26-1"


def test_until_the_image_comes_the_directory_names_the_barcode_of_its_pack() -> None:
    assert barcode(b"s/S26-1/label.jpg", settings=BY_DIRECTORY).reveal() == "S26-1"


@pytest.mark.parametrize("name", ["S26-1;A;1", "ß-ø-標本", "🔬 1", "a.b", "x" * 200])
def test_barcodes_of_any_script_are_valid(name: str) -> None:
    assert is_valid_barcode(barcode(name.encode() + b".svs"), PATTERN)


@pytest.mark.parametrize("name", [b"S26-\xff1", b"S26\n1", b"S26-1\n", b"\x07", b"x" * 201, b"S26\x7f"])
def test_names_that_no_barcode_can_have_are_invalid(name: bytes) -> None:
    assert not is_valid_barcode(barcode(name + b".svs"), PATTERN)


def test_a_barcode_must_match_the_whole_pattern() -> None:
    assert [is_valid_barcode(Barcode(text), r"S\d+") for text in ("S26", "S26-1", "xS26", "S26\n")] == [True, False, False, False]


def test_an_invalid_name_keeps_its_files_together() -> None:
    assert packs(b"\xff\xfe.svs", b"\xff\xfe_thumb.jpg") == {(b"", b"\xff\xfe"): {b"\xff\xfe.svs", b"\xff\xfe_thumb.jpg"}}


def test_members_seen_again_are_brought_up_to_date() -> None:
    old, new = member_of(seen(b"a.svs", size=1), BY_STEM), member_of(seen(b"a.svs", size=2), BY_STEM)
    other = member_of(seen(b"a.txt"), BY_STEM)
    assert merged([old, other], [new]) == (new, other)


NAMES = st.one_of(
    st.binary(min_size=1, max_size=6).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")),
    st.builds(
        lambda stem, suffix, extension: stem.encode() + suffix + extension,
        st.sampled_from(["a", "b", "🔬", "a\n", "ab"]),
        st.sampled_from([b"", b"_thumb", b" preview"]),
        st.sampled_from([b".svs", b".jpg", b".txt", b"", b".svs.txt"]),
    ),
)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), unique=True, max_size=20)
SETTINGS = st.sampled_from([BY_STEM, BY_DIRECTORY])


@given(PATHS, SETTINGS, st.data())
def test_packs_are_a_partition_of_all_files_but_the_markers(paths: list[bytes], settings: DropSettings, data: st.DataObject) -> None:
    sightings = [seen(path, data.draw(st.sampled_from(["", "", "fifo"]))) for path in paths]
    found = [member.path.reveal() for members in grouped(sightings, settings).values() for member in members]
    assert Counter(found) == Counter(sighting.path.reveal() for sighting in sightings if not is_marker(sighting))


@given(PATHS, SETTINGS)
def test_a_pack_never_spans_directories_and_does_not_depend_on_the_order_of_looking(paths: list[bytes], settings: DropSettings) -> None:
    found = packs(*paths, settings=settings)
    assert all(path.rpartition(b"/")[0] == directory for (directory, _), members in found.items() for path in members)
    assert found == packs(*reversed(paths), settings=settings)


@given(PATHS, SETTINGS)
def test_a_barcode_is_the_name_of_a_file_or_folder_byte_for_byte(paths: list[bytes], settings: DropSettings) -> None:
    for key, members in grouped([seen(path) for path in paths], settings).items():
        name = barcode_of(key, members).reveal().encode("utf-8", "surrogateescape")
        assert any(name in part for member in members for part in member.path.reveal().split(b"/"))
