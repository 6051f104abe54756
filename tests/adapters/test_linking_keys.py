"""A key that others may have read, or that is none, is refused; none is ever overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.linking.keys import KEY_BYTES, Key, create_key, install_key, load_key
from slidekeeper.adapters.linking.sealing import Ring, Seal, fingerprint, first_schema_ring, new_ring, unwrapped
from slidekeeper.errors import Refused

KEY, OTHER_KEY = Key(bytes(range(32))), Key(bytes(range(1, 33)))
RING = new_ring()
SEAL, OTHER_SEAL = Seal(RING), Seal(new_ring())
domains = st.sampled_from(["slide", "case", "name", "content"])

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "linking.key"
    create_key(path)
    return path


def test_a_new_key_is_32_bytes_that_only_its_owner_may_read(path: Path) -> None:
    assert path.stat().st_size == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_key_is_closed_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        create_key(tmp_path / "other.key")
    finally:
        os.umask(before)
    assert (tmp_path / "other.key").stat().st_mode & 0o777 == 0o600


def test_no_two_new_keys_are_the_same(path: Path) -> None:
    create_key(path.with_name("other.key"))
    assert path.read_bytes() != path.with_name("other.key").read_bytes()


def test_a_key_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_key(path)
    assert path.read_bytes() == before


def test_a_key_is_loaded_as_it_was_made(path: Path) -> None:
    assert load_key(path, {}).reveal() == path.read_bytes()


def test_a_key_does_not_show_itself(path: Path) -> None:
    key = load_key(path, {})
    assert {str(key), repr(key), f"{key}"} == {"<Key>"}


def test_a_missing_key_is_refused_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"key-missing.*backup"):
        load_key(tmp_path / "linking.key", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o622])
def test_a_key_that_is_open_to_others_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(Refused, match=f"key-exposed.*mode {mode:04o}.*chmod 600 {path}"):
        load_key(path, {})


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_key_that_only_its_owner_may_read_is_accepted(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert len(load_key(path, {}).reveal()) == KEY_BYTES


@as_root
def test_a_key_that_belongs_to_somebody_else_is_refused(path: Path) -> None:
    os.chown(path, 12345, -1)
    with pytest.raises(Refused, match=r"key-foreign.*belongs to user 12345"):
        load_key(path, {})


@as_root
def test_a_key_that_this_user_cannot_read_is_refused(path: Path) -> None:
    os.seteuid(12345)
    try:
        with pytest.raises(Refused, match="key-unreadable"):
            load_key(path, {})
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("length", "found"), [(0, "0"), (31, "31"), (33, "more than 32"), (4096, "more than 32")])
def test_a_key_of_another_length_is_refused(path: Path, length: int, found: str) -> None:
    path.write_bytes(b"k" * length)
    with pytest.raises(Refused, match=f"key-malformed: the key has {found} bytes"):
        load_key(path, {})


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"key-malformed.*is a folder"):
        load_key(tmp_path, {})


def test_a_credential_wins_over_the_file_whatever_its_mode(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "linking.key").write_bytes(b"c" * KEY_BYTES)
    (folder / "linking.key").chmod(0o440)
    assert load_key(path, {"CREDENTIALS_DIRECTORY": str(folder)}).reveal() == b"c" * KEY_BYTES


def test_a_credential_of_another_length_is_refused(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "linking.key").write_bytes(b"short")
    with pytest.raises(Refused, match="key-malformed"):
        load_key(path, {"CREDENTIALS_DIRECTORY": str(folder)})


def test_credentials_without_our_key_leave_the_file_in_charge(path: Path, tmp_path: Path) -> None:
    assert load_key(path, {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}).reveal() == path.read_bytes()


@given(domains, st.binary())
@settings(max_examples=50, deadline=None)
def test_what_is_sealed_is_opened_as_it_was_and_never_sealed_alike(domain: str, value: bytes) -> None:
    one, other = SEAL.seal(domain, value), SEAL.seal(domain, value)
    assert one != other
    assert SEAL.open(domain, one) == SEAL.open(domain, other) == value


@given(st.binary(min_size=1), st.data())
@settings(max_examples=50, deadline=None)
def test_an_altered_value_is_not_opened(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEAL.seal("slide", value))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refused, match="key-wrong"):
        SEAL.open("slide", bytes(sealed))


def test_a_value_of_one_domain_is_not_opened_in_another() -> None:
    with pytest.raises(Refused, match="key-wrong"):
        SEAL.open("slide", SEAL.seal("name", b"S26-1"))


@given(domains, domains, st.binary(), st.binary())
@settings(max_examples=100, deadline=None)
def test_keyed_hashes_agree_only_for_the_same_value_domain_and_key(domain: str, other: str, value: bytes, another: bytes) -> None:
    assert (SEAL.keyed_hash(domain, value) == SEAL.keyed_hash(other, another)) is ((domain, value) == (other, another))
    assert SEAL.keyed_hash(domain, value) != OTHER_SEAL.keyed_hash(domain, value)


@given(domains, st.binary(), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_a_hash_of_before_a_rotation_is_brought_to_that_of_after(domain: str, value: bytes, rotations: int) -> None:
    ring, digest = RING, SEAL.keyed_hash(domain, value)
    for _ in range(rotations):
        ring = ring.renewed()
        digest = Seal(ring).rehash(digest)
    assert digest == Seal(ring).keyed_hash(domain, value) != SEAL.keyed_hash(domain, value)


def test_what_was_sealed_before_a_rotation_is_not_opened_by_the_ring_after() -> None:
    with pytest.raises(Refused, match="key-wrong"):
        Seal(RING.renewed()).open("slide", SEAL.seal("slide", b"S26-1"))


def test_a_ring_is_opened_by_its_key_alone_and_shows_nothing_of_itself() -> None:
    ring = RING.renewed()
    assert unwrapped(KEY, 2, ring.wrapped(KEY)) == ring
    assert unwrapped(OTHER_KEY, 2, ring.wrapped(KEY)) is None
    assert unwrapped(KEY, 3, ring.wrapped(KEY)) is None
    assert repr(ring) == "<Ring 2>"


def test_a_ring_of_the_first_schema_follows_from_the_key() -> None:
    assert first_schema_ring(KEY) == first_schema_ring(KEY) != first_schema_ring(OTHER_KEY)
    assert isinstance(first_schema_ring(KEY), Ring)


def test_a_fingerprint_tells_keys_apart_and_is_no_part_of_them() -> None:
    assert fingerprint(KEY) != fingerprint(OTHER_KEY)
    assert fingerprint(KEY) not in KEY.reveal().hex()


def test_an_installed_key_takes_the_place_of_the_old_one_which_stays_beside_it(path: Path) -> None:
    before = path.read_bytes()
    retired = path.with_name("linking.key.v1")
    for _ in range(2):
        install_key(KEY, path, retired)
    assert (path.read_bytes(), retired.read_bytes()) == (KEY.reveal(), before)
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {path.name: 0o600, retired.name: 0o600}
