"""The API answers what the desk answers, refuses in one form, and never with 500."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from slidekeeper.api.app import create_app
from slidekeeper.api.server import ApiServer, bind_socket
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.model.run import DoneMarker
from slidekeeper.ports.desk import BrokerUse

SLIDE = {"number": "123456789012", "revision": 1}
EVENTS = [{"sequence": "7", "type": "slidekeeper.slide.stored"}, {"sequence": "8", "type": "slidekeeper.slide.catalogued"}]


class FakeVersions:
    """Takes orders about versions."""

    def __init__(self, orders: list[tuple[str, ...]]) -> None:
        self.orders = orders

    async def hold(self, version: str, until: date, by: str) -> Mapping[str, Any]:
        self.orders.append(("hold", version, until.isoformat(), by))
        return {"version": version}

    async def free(self, version: str, by: str) -> Mapping[str, Any]:
        raise Refused("unknown-version", "there is no such version", "List them")

    async def retention(self) -> Sequence[Mapping[str, Any]]:
        return [{"version": "liver@v1", "keep": True}]

    async def apply_retention(self) -> Sequence[Mapping[str, Any]]:
        self.orders.append(("apply",))
        return []


class FakeRunOrders:
    """Notes orders about runs."""

    def __init__(self, orders: list[tuple[str, ...]]) -> None:
        self._orders = orders

    async def done(self, folder: str, project: str, marker: DoneMarker, by: str) -> Mapping[str, Any]:
        self._orders.append(("done", folder, project, marker.status, by))
        return {"run": "known"}

    async def retry(self, run: str, by: str) -> Mapping[str, Any]:
        self._orders.append(("retry run", run, by))
        return {"run": run}

    async def clean(self, run: str, by: str) -> Mapping[str, Any]:
        self._orders.append(("clean", run, by))
        return {"run": run}


class FakeDesk:
    """Knows one slide, one held pack and two events."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, ...]] = []
        self.versions = FakeVersions(self.orders)

    async def status(self) -> Mapping[str, Any]:
        return {"running": True}

    async def events(self, after: int, limit: int, types: Sequence[str] = ()) -> Sequence[Mapping[str, Any]]:
        return [event for event in EVENTS if int(event["sequence"]) > after and (not types or event["type"].split(".", 1)[1] in types)][
            :limit
        ]

    async def slides(self, after: str, limit: int, batch: str) -> Sequence[Mapping[str, Any]]:
        return [SLIDE][:limit]

    async def slide(self, number: str) -> Sequence[Mapping[str, Any]]:
        return [SLIDE] if number == SLIDE["number"] else []

    async def quarantine(self, after: str, limit: int) -> Sequence[Mapping[str, Any]]:
        return [{"pack": "held"}]

    async def pack(self, pack: str) -> Mapping[str, Any] | None:
        return {"pack": pack} if pack == "held" else None

    async def follow(self, after: int) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        yield await self.events(after, 100)
        yield []

    async def retry(self, pack: str, by: str) -> Mapping[str, Any]:
        if pack != "held":
            raise Refused("unknown-pack", "there is no such pack", "List them")
        self.orders.append(("retry", pack, by))
        return {"pack": pack}

    async def discard(self, pack: str, by: str) -> Mapping[str, Any]:
        raise Refused("not-in-quarantine", "it is done", "List them")

    async def batch_ready(self, folder: str, by: str) -> Mapping[str, Any]:
        if folder == "/away":
            raise Unavailable("drop:scanner", "unreachable", "ENOENT", "Mount the drop folder")
        self.orders.append(("ready", folder, by))
        return {"batch": "b"}

    async def records(self, after: str, limit: int) -> Sequence[Mapping[str, Any]]:
        return [{"records": "known"}]

    async def record(self, records: str) -> Mapping[str, Any] | None:
        return {"records": records} if records == "known" else None

    async def findings(self, records: str, limit: int) -> Sequence[Mapping[str, Any]]:
        return [{"row": row} for row in range(2, 9)][:limit]

    async def withdrawals(self) -> Sequence[Mapping[str, Any]]:
        return []

    async def retry_records(self, records: str, by: str, reviewed: bool) -> Mapping[str, Any]:
        self.orders.append(("retry records", records, by, str(reviewed)))
        return {"records": records}

    async def withdraw(self, numbers: Sequence[str], by: str) -> Mapping[str, Any]:
        if "999999999999" in numbers:
            raise Refused("unknown-number", "nothing is known of these numbers", "List them")
        self.orders.append(("withdraw", *numbers, by))
        return {"withdrawal": "w"}

    async def runs(self, after: str, limit: int) -> Sequence[Mapping[str, Any]]:
        return [{"run": "known"}]

    async def run(self, run: str) -> Mapping[str, Any] | None:
        return {"run": run} if run == "known" else None

    @property
    def run_orders(self) -> FakeRunOrders:
        return FakeRunOrders(self.orders)

    async def broker_use(self, use: BrokerUse) -> Mapping[str, Any]:
        self.orders.append((use.type, use.by, use.reason, str(use.asked)))
        return {"sequence": "9", "by": use.by}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def client(desk: FakeDesk) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(desk)), base_url="http://slidekeeper") as client:
        yield client


async def test_questions_are_answered_by_the_desk(client: httpx.AsyncClient) -> None:
    assert (await client.get("/status")).json() == {"running": True}
    assert (await client.get("/slides")).json() == [SLIDE]
    assert (await client.get("/slides/123456789012")).json() == [SLIDE]
    assert (await client.get("/quarantine")).json() == [{"pack": "held"}]
    assert (await client.get("/packs/held")).json() == {"pack": "held"}


async def test_questions_about_records_are_answered_by_the_desk(client: httpx.AsyncClient) -> None:
    assert (await client.get("/records")).json() == [{"records": "known"}]
    assert (await client.get("/records/known")).json() == {"records": "known"}
    assert (await client.get("/records/known/findings", params={"limit": 2})).json() == [{"row": 2}, {"row": 3}]
    assert (await client.get("/withdrawals")).json() == []


async def test_orders_about_records_reach_the_desk(client: httpx.AsyncClient, desk: FakeDesk) -> None:
    await client.post("/records/known/retry", json={"by": "ada", "reviewed": True})
    await client.post("/withdrawals", json={"by": "ada", "numbers": ["123456789012"]})
    assert desk.orders == [("retry records", "known", "ada", "True"), ("withdraw", "123456789012", "ada")]


async def test_orders_about_versions_reach_the_desk(client: httpx.AsyncClient, desk: FakeDesk) -> None:
    assert (await client.post("/versions/hold", json={"version": "liver@v1", "until": "2030-01-31", "by": "ada"})).status_code == 200
    assert (await client.post("/versions/free", json={"version": "liver@v9"})).status_code == 404
    assert (await client.get("/retention")).json() == [{"version": "liver@v1", "keep": True}]
    assert desk.orders == [("hold", "liver@v1", "2030-01-31", "ada")]
    await client.post("/retention", json={})
    assert desk.orders[-1] == ("apply",)


async def test_a_withdrawal_of_nobody_is_refused(client: httpx.AsyncClient, desk: FakeDesk) -> None:
    assert (await client.post("/withdrawals", json={"by": "ada", "numbers": []})).status_code == 422
    unknown = await client.post("/withdrawals", json={"by": "ada", "numbers": ["999999999999"]})
    assert (unknown.status_code, unknown.json()["title"]) == (404, "unknown-number")
    assert desk.orders == []


async def test_events_can_be_asked_for_by_type_and_position(client: httpx.AsyncClient) -> None:
    assert (await client.get("/events", params={"after": 7})).json() == EVENTS[1:]
    assert (await client.get("/events", params={"type": "slide.stored"})).json() == EVENTS[:1]


async def test_the_stream_carries_the_sequence_as_id_so_that_it_can_be_resumed(client: httpx.AsyncClient) -> None:
    text = (await client.get("/events/stream", params={"after": 7})).text
    assert text == f"id: 8\ndata: {json.dumps(EVENTS[1])}\n\n: still here\n\n"


async def test_orders_reach_the_desk_with_who_gave_them(client: httpx.AsyncClient, desk: FakeDesk) -> None:
    await client.post("/quarantine/held/retry", json={"by": "ada"})
    await client.post("/batches/ready", json={"by": "ada", "folder": "/drop/session"})
    assert desk.orders == [("retry", "held", "ada"), ("ready", "/drop/session", "ada")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/slides/999999999999", 404),
        ("GET", "/packs/nothing", 404),
        ("GET", "/records/nothing", 404),
        ("POST", "/quarantine/nothing/retry", 404),
        ("POST", "/quarantine/held/discard", 409),
    ],
)
async def test_a_refusal_says_what_and_what_to_do(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path, json={"by": "ada"} if method == "POST" else None)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"]


async def test_what_cannot_be_done_now_is_told_in_the_same_form(client: httpx.AsyncClient) -> None:
    answer = await client.post("/batches/ready", json={"by": "ada", "folder": "/away"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["title"], answer.json()["remedy"]) == ("unreachable", "Mount the drop folder")


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 10**9}, {"after": "x" * 65}])
async def test_unreasonable_questions_are_refused(client: httpx.AsyncClient, params: dict[str, Any]) -> None:
    assert (await client.get("/slides", params=params)).status_code == 422


async def test_unknown_fields_of_an_order_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/quarantine/held/retry", json={"by": "ada", "force": True})).status_code == 422


def test_the_socket_has_its_mode_from_the_first_moment(tmp_path: Path) -> None:
    with bind_socket(tmp_path / "door.sock", 0o660) as door:
        assert door.family == socket.AF_UNIX
        assert stat.S_IMODE((tmp_path / "door.sock").stat().st_mode) == 0o660


def test_a_socket_left_behind_by_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    bind_socket(tmp_path / "door.sock", 0o660).close()
    bind_socket(tmp_path / "door.sock", 0o600).close()


def test_a_socket_path_that_the_kernel_cannot_hold_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="socket-path-too-long"):
        bind_socket(tmp_path / ("x" * 120), 0o660)


USE = {"by": "ada", "use": "lookup", "reason": "clinical recall", "asked": 2}


async def test_uses_of_the_brokers_door_reach_the_desk(client: httpx.AsyncClient, desk: FakeDesk) -> None:
    for use in ("lookup", "reveal"):
        assert (await client.post("/broker/uses", json={**USE, "use": use})).json()["sequence"] == "9"
    assert desk.orders == [
        ("identity.sought", "ada", "clinical recall", "2"),
        ("identity.revealed", "ada", "clinical recall", "2"),
    ]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"reason": "because"}, 409),
        ({"asked": 0}, 422),
        ({"use": "rotate"}, 422),
        ({"values": ["S26-1"]}, 422),
        ({"reason": "x" * 501}, 422),
    ],
)
async def test_a_use_without_reason_or_with_more_than_it_may_tell_is_refused(
    client: httpx.AsyncClient, desk: FakeDesk, changed: Mapping[str, Any], status: int
) -> None:
    assert (await client.post("/broker/uses", json={**USE, **changed})).status_code == status
    assert desk.orders == []


async def test_who_uses_the_door_is_what_the_kernel_says_of_the_sockets_other_end(tmp_path: Path, desk: FakeDesk) -> None:
    with bind_socket(tmp_path / "door.sock", 0o600) as door:
        server = ApiServer(create_app(desk), door)
        serving = asyncio.create_task(server.run())
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "door.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://slidekeeper") as client:
            answer = await client.post("/broker/uses", json={**USE, "by": "somebody-else"})
        server.stop()
        await serving
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert answer.json()["by"] == (name if os.geteuid() else f"somebody-else as {name}")


async def test_runs_are_listed_shown_and_unknown(client: httpx.AsyncClient) -> None:
    assert (await client.get("/runs")).json() == [{"run": "known"}]
    assert (await client.get("/runs/known")).json() == {"run": "known"}
    unknown = await client.get("/runs/other")
    assert (unknown.status_code, unknown.json()["title"]) == (404, "unknown-run")


async def test_orders_about_runs_reach_the_desk(client: httpx.AsyncClient, desk: FakeDesk) -> None:
    await client.post("/runs/done", json={"folder": "/runs/a/b", "marker": {"status": "failed"}, "by": "mara"})
    await client.post("/runs/known/retry", json={"by": "mara"})
    await client.post("/runs/known/clean", json={"by": "mara"})
    assert desk.orders == [("done", "/runs/a/b", "", "failed", "mara"), ("retry run", "known", "mara"), ("clean", "known", "mara")]
    wrong = await client.post("/runs/done", json={"folder": "/runs/a/b", "marker": {"status": "finished"}})
    assert wrong.status_code == 422
