"""A drop folder of a million new files is taken in within bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = 1_000_000
DIRECTORIES = 1_000
MEMORY_MEGABYTES = 250

INTAKE = """
import asyncio, re, sys
from pathlib import Path
from steps.intake.drop_site import drop_site

async def main():
    async with drop_site(Path(sys.argv[1])) as site:
        await site.intake._watchers["scanner"].look([])
        peak = re.search("VmHWM: *(.*) kB", Path("/proc/self/status").read_text().replace("\t", " "))  # ru_maxrss counts its parent's
        print(sum((await site.journal.counts()).values()), int(peak[1]) // 1000)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_million_new_files_are_taken_in_within_bounded_memory(tmp_path: Path) -> None:
    for directory in range(DIRECTORIES):
        folder = tmp_path / "drop" / f"{directory:04}"
        folder.mkdir(parents=True)
        for number in range(FILES // DIRECTORIES):
            (folder / f"S26-{directory}-{number}.svs").touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", INTAKE, tmp_path], env=environment, capture_output=True, text=True, check=True)
    packs, megabytes = map(int, told.stdout.split())
    assert packs == FILES
    assert megabytes < MEMORY_MEGABYTES
