"""``init``: a new site in one folder, with everything it needs and permissions that do not depend on who calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slidekeeper.adapters.linking.keys import create_key
from slidekeeper.errors import Refused
from slidekeeper.settings.contracts import contract_templates
from slidekeeper.settings.template import render_initial

SETTINGS_FILE = "slidekeeper.toml"
INITIAL: Mapping[str, Mapping[str, Path]] = {"drop.scanner": {"path": Path("drop")}, "tier.flash": {"path": Path("flash")}}

RESTRICTED = 0o700
"""For folders whose content identifies patients."""
SHARED = 0o750
"""For folders that the service's group may read."""


def initialize_site(folder: Path) -> list[Path]:
    """Write settings, key, contracts and folders of a new site; returns what was created. What is there already stays as it is.

    Raises:
        Refused: the folder holds a site already, or cannot be written.
    """
    file = folder.absolute() / SETTINGS_FILE
    if file.exists():
        raise Refused("site-exists", f"{file} is there already", "Choose another folder, or edit that file")
    try:
        return _create(file)
    except OSError as error:
        raise Refused("cannot-initialize", f"{folder}: {os.strerror(error.errno or 0)}", "Choose a folder you may write") from None


def _create(file: Path) -> list[Path]:
    """The settings come last: without them the site does not exist, and ``init`` may be repeated."""
    folder = file.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    _make_folder(folder, SHARED)
    folders = {
        "drop": RESTRICTED,
        "records": RESTRICTED,
        "reports": RESTRICTED,
        "contracts": SHARED,
        "bucket": SHARED,
        "flash": SHARED,
        "runs": SHARED,
        "state": SHARED,
        "state/identified": RESTRICTED,
        "keys": RESTRICTED,
    }
    created = [folder / name for name, mode in folders.items() if _make_folder(folder / name, mode)]
    with suppress(FileExistsError):
        create_key(folder / "keys" / "linking.key")
        created.append(folder / "keys" / "linking.key")
    created += _copy_contracts(folder / "contracts")
    file.write_text(render_initial(INITIAL))
    file.chmod(0o640)
    return [*created, file]


def _copy_contracts(folder: Path) -> list[Path]:
    """The templates of Safe Harbor, to be adapted to the hospital's exports; files that are there stay as they are."""
    created = []
    for name, template in contract_templates().items():
        with suppress(FileExistsError), (folder / name).open("x", encoding="utf-8") as file:
            file.write(template.read_text(encoding="utf-8"))
            (folder / name).chmod(0o640)
            created.append(folder / name)
    return created


def _make_folder(path: Path, mode: int) -> bool:
    """Make a folder with exactly this mode, whatever the umask; False when it is there already."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    path.chmod(mode)
    return True
