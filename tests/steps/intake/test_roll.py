"""As many packs are followed as memory allows; those that need not wait for a notice come first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, FileIdentity, Member, PackFiles, RelativePath, Role
from slidekeeper.steps.intake import roll as module
from slidekeeper.steps.intake.roll import Roll, Tracked
from slidekeeper.steps.intake.settling import Watch

MONDAY, TUESDAY = BatchId("m" * 12), BatchId("t" * 12)


@pytest.fixture(autouse=True)
def _room_for_four(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "FOLLOWED_AT_MOST", 4)
    yield


@pytest.fixture
def roll() -> Roll:
    return Roll(["one", "two"])


def tracked(number: int, *, drop: str = "one", gated: bool = False, batch: BatchId = MONDAY) -> Tracked:
    """One pack."""
    stem = b"%d" % number
    member = Member(RelativePath(b"x/" + stem + b".svs"), Role.IMAGE, FileIdentity(1, 1, 1))
    files = PackFiles(PackId(f"{drop}{number:013}"), drop, batch, RelativePath(stem), Barcode(stem.decode()), (member,))
    return Tracked(files, Watch(0.0, 0.0), gated)


def test_a_followed_pack_is_found_by_id_and_by_name_until_it_leaves(roll: Roll) -> None:
    pack = tracked(1)
    assert roll.add(pack)
    assert roll.get(pack.files.pack) is roll.named("one", b"x", b"1") is pack
    assert roll.named("two", b"x", b"1") is None
    roll.remove(pack.files)
    assert (roll.get(pack.files.pack), roll.named("one", b"x", b"1"), list(roll.of("one"))) == (None, None, [])


def test_each_drop_folder_has_its_own_room(roll: Roll) -> None:
    assert [roll.add(tracked(number)) for number in range(6)] == [True] * 4 + [False] * 2
    assert roll.add(tracked(1, drop="two"))
    assert roll.take_left_out() == {"one"}
    assert roll.take_left_out() == set()


def test_a_pack_that_waits_makes_room_for_one_that_need_not(roll: Roll) -> None:
    waiting = [tracked(number, gated=True) for number in range(4)]
    assert all(roll.add(pack) for pack in waiting)
    assert not roll.add(tracked(9, gated=True))
    assert [roll.add(tracked(number)) for number in range(10, 16)] == [True] * 4 + [False] * 2
    assert all(roll.get(pack.files.pack) is None for pack in waiting)
    assert len(roll.of("one")) == 4


def test_a_gate_opens_for_its_batch_only(roll: Roll) -> None:
    mine, other = tracked(1, gated=True, batch=MONDAY), tracked(2, gated=True, batch=TUESDAY)
    roll.add(mine)
    roll.add(other)
    assert roll.open_gate(MONDAY) == [mine]
    assert (mine.gated, other.gated) == (False, True)
    assert roll.open_gate(MONDAY) == []


def test_packs_without_room_are_called_when_some_have_left_and_not_for_each(roll: Roll) -> None:
    packs = [tracked(number) for number in range(5)]
    for pack in packs:
        roll.add(pack)
    assert not roll.has_room_again()
    roll.remove(packs[0].files)
    assert roll.has_room_again()
    roll.take_left_out()
    assert not roll.has_room_again()


def test_packs_that_wait_do_not_keep_those_that_need_not_from_being_called(roll: Roll) -> None:
    for number in range(3):
        roll.add(tracked(number, gated=True))
    going = [tracked(number) for number in range(10, 15)]
    for pack in going:
        roll.add(pack)
    for pack in going[:2]:
        roll.remove(pack.files)
    for number in range(20, 22):
        roll.add(tracked(number, gated=True))
    assert roll.has_room_again()
