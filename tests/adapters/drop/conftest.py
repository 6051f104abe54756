"""What tests of drop folders share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.drop.scan_site import ScanSite


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ScanSite]:
    """An empty drop folder."""
    site = ScanSite(tmp_path)
    yield site
    site.scan.close()
    await site.known.close()
