"""Routes of stagings pass on what was asked, and refuse what is no order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import httpx
import pytest

from slidekeeper.api.app import create_app
from slidekeeper.errors import Refused
from slidekeeper.ports.desk import Desk

NUMBER = "123456789012"


class FakeDesk:
    """Knows one staging."""

    async def stagings(self, after: str, limit: int, removed: bool) -> Sequence[Mapping[str, Any]]:
        return [{"name": "a"}, {"name": "b"}] if removed else [{"name": "a"}]

    async def staging(self, name: str) -> Mapping[str, Any] | None:
        return {"name": name} if name == "a" else None

    async def preview_staging(self, *asked: Any) -> Mapping[str, Any]:
        return {"preview": asked}

    async def stage(self, *asked: Any, by: str) -> Mapping[str, Any]:
        return {"ordered": asked, "by": by}

    async def release_staging(self, name: str, by: str, reason: str) -> Mapping[str, Any]:
        if name != "a":
            raise Refused("unknown-staging", "there is none", "List them")
        return {"name": name, "by": by, "reason": reason}

    async def retry_staging(self, name: str, by: str) -> Mapping[str, Any]:
        raise Refused("not-in-quarantine", "it is ready", "List them")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(cast(Desk, FakeDesk())))
    async with httpx.AsyncClient(transport=transport, base_url="http://slidekeeper") as client:
        yield client


async def test_stagings_are_told(client: httpx.AsyncClient) -> None:
    assert (await client.get("/stagings")).json() == [{"name": "a"}]
    assert len((await client.get("/stagings", params={"removed": "true"})).json()) == 2
    assert (await client.get("/stagings/a")).json() == {"name": "a"}
    assert (await client.get("/stagings/b")).status_code == 404


async def test_orders_are_passed_on(client: httpx.AsyncClient) -> None:
    order = {"name": "a", "where": "isup >= 4", "by": "me"}
    assert (await client.post("/stagings", json=order)).json() == {"ordered": ["a", "flash", "isup >= 4", []], "by": "me"}
    assert (await client.post("/stagings", json={**order, "numbers": [NUMBER], "preview": True})).json()["preview"][3] == [NUMBER]
    assert (await client.post("/stagings/a/release", json={"reason": "done"})).json()["reason"] == "done"
    assert (await client.post("/stagings/b/release", json={})).status_code == 404
    assert (await client.post("/stagings/a/retry", json={})).status_code == 409


@pytest.mark.parametrize("order", [{}, {"name": "a", "also": 1}, {"name": "a" * 200}, {"name": "a", "numbers": ["1" * 99]}])
async def test_what_is_no_order_is_refused(client: httpx.AsyncClient, order: Mapping[str, Any]) -> None:
    assert (await client.post("/stagings", json=order)).status_code == 422
