"""An order that was journaled before a crash is read again as it was."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from pydantic import ValidationError

from slidekeeper.messages import commands as order
from slidekeeper.messages.commands import command_from_json, command_to_json
from writers.events import BATCH, NUMBER, RECORDS, RUN, STAGING, pack_id, slide_facts

FIELDS = {
    "records": RECORDS,
    "batch": BATCH,
    "alignment": 3,
    "pack": pack_id(1),
    "facts": slide_facts(pack_id(1)),
    "number": NUMBER,
    "revision": 2,
    "staging": STAGING,
    "run": RUN,
}
COMMANDS = [kind(**{name: value for name, value in FIELDS.items() if name in kind.model_fields}) for kind in get_args(order.Command)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.type)
def test_a_command_comes_back_from_json_as_it_was(command: order.Command) -> None:
    restored = command_from_json(command_to_json(command))
    assert (type(restored), restored) == (type(command), command)


def test_no_two_commands_share_a_lane() -> None:
    assert all(one is other or one.type != other.type for one, other in product(COMMANDS, COMMANDS))


@pytest.mark.parametrize("text", ["{}", '{"type": "burn", "pack": "p"}', '{"type": "settle"}', '{"type": "settle", "pack": "p", "x": 1}'])
def test_text_that_is_no_command_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        command_from_json(text)
