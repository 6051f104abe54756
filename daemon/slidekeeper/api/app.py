"""The application: routes that pass questions and orders to the front desk, and one form for every refusal (RFC 9457)."""

from __future__ import annotations

import json
import pwd
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from slidekeeper import __version__
from slidekeeper.api.server import PEER_USER
from slidekeeper.api.stagings import add_stagings
from slidekeeper.errors import Refused, SlidekeeperError
from slidekeeper.messages.events import IdentityRevealed, IdentitySought
from slidekeeper.model.broker import REASON_LIMIT, checked_reason, named_caller
from slidekeeper.model.run import DoneMarker
from slidekeeper.ports.desk import Answer, Desk

PROBLEM = "application/problem+json"
UNKNOWN = frozenset(
    {
        "unknown-pack",
        "unknown-slide",
        "unknown-records",
        "unknown-number",
        "unknown-version",
        "unknown-project",
        "unknown-run",
        "unknown-staging",
    }
)

Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many")]
After = Annotated[str, Query(max_length=64, description="Continue behind this one")]


class Order(BaseModel):
    """Who gives an order."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field("operator", max_length=64)


class BatchReady(Order):
    """The notice that a folder's scans are complete."""

    folder: str = Field(max_length=4096)


class RecordsRetry(Order):
    """The order to try held records again."""

    reviewed: bool = False


class RunDone(Order):
    """The notice that a training run is done; says what its done-marker would."""

    folder: str = Field(max_length=4096)
    project: str = Field("", max_length=100)
    marker: DoneMarker = DoneMarker()


class Withdrawal(Order):
    """The order to remove slides and patients everywhere."""

    numbers: list[str] = Field(min_length=1, max_length=1000)


class VersionOrder(Order):
    """An order about one version."""

    version: str = Field(max_length=400)


class VersionHold(VersionOrder):
    """The order to keep a version until a day."""

    until: date


class BrokerUse(Order):
    """Notice that somebody passes the honest broker's door; holds no identifier and no number."""

    use: Literal["lookup", "reveal"]
    reason: str = Field(max_length=REASON_LIMIT)
    asked: int = Field(ge=1)


def create_app(desk: Desk) -> FastAPI:
    """The API in front of ``desk``."""
    app = FastAPI(title="Slidekeeper", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(SlidekeeperError, _refused)
    for add in (_add_daemon, _add_slides, _add_records, _add_runs, _add_orders, _add_versions, add_stagings):
        add(app, desk)
    return app


def _add_daemon(app: FastAPI, desk: Desk) -> None:
    @app.get("/status")
    async def status() -> Answer:
        return await desk.status()

    @app.get("/events")
    async def events(after: int = -1, limit: Limit = 100, type: Annotated[list[str] | None, Query()] = None) -> list[Any]:
        return list(await desk.events(after, limit, type or ()))

    @app.get("/events/stream")
    async def stream(after: int = 0) -> StreamingResponse:
        return StreamingResponse(_server_sent(desk, after), media_type="text/event-stream")


def _add_slides(app: FastAPI, desk: Desk) -> None:
    @app.get("/slides")
    async def slides(after: After = "", limit: Limit = 100, batch: After = "") -> list[Any]:
        return list(await desk.slides(after, limit, batch))

    @app.get("/slides/{number}")
    async def slide(number: str) -> list[Any]:
        revisions = list(await desk.slide(number))
        if not revisions:
            raise Refused("unknown-slide", f"there is no slide {number[:12]}", "See `slidekeeper slides list`")
        return revisions

    @app.get("/packs/{pack}")
    async def pack(pack: str) -> Answer:
        row = await desk.pack(pack)
        if row is None:
            raise Refused("unknown-pack", f"there is no pack {pack[:16]}", "See `slidekeeper quarantine list`")
        return row

    @app.get("/quarantine")
    async def quarantine(after: After = "", limit: Limit = 100) -> list[Any]:
        return list(await desk.quarantine(after, limit))


def _add_records(app: FastAPI, desk: Desk) -> None:
    @app.get("/records")
    async def records(after: After = "", limit: Limit = 100) -> list[Any]:
        return list(await desk.records(after, limit))

    @app.get("/records/{records}")
    async def record(records: str) -> Answer:
        row = await desk.record(records)
        if row is None:
            raise Refused("unknown-records", f"there are no records {records[:12]}", "See `slidekeeper records list`")
        return row

    @app.get("/records/{records}/findings")
    async def findings(records: str, limit: Limit = 100) -> list[Any]:
        return list(await desk.findings(records, limit))

    @app.get("/withdrawals")
    async def withdrawals() -> list[Any]:
        return list(await desk.withdrawals())


def _add_runs(app: FastAPI, desk: Desk) -> None:
    @app.get("/runs")
    async def runs(after: After = "", limit: Limit = 100) -> list[Any]:
        return list(await desk.runs(after, limit))

    @app.get("/runs/{run}")
    async def run(run: str) -> Answer:
        row = await desk.run(run)
        if row is None:
            raise Refused("unknown-run", f"there is no run {run[:12]}", "See `slidekeeper runs list`")
        return row

    @app.post("/runs/done")
    async def run_done(order: RunDone) -> Answer:
        return await desk.run_orders.done(order.folder, order.project, order.marker, order.by)

    @app.post("/runs/{run}/retry")
    async def retry_run(run: str, order: Order) -> Answer:
        return await desk.run_orders.retry(run, order.by)

    @app.post("/runs/{run}/clean")
    async def clean_run(run: str, order: Order) -> Answer:
        return await desk.run_orders.clean(run, order.by)


def _add_orders(app: FastAPI, desk: Desk) -> None:
    @app.post("/quarantine/{pack}/retry")
    async def retry(pack: str, order: Order) -> Answer:
        return await desk.retry(pack, order.by)

    @app.post("/quarantine/{pack}/discard")
    async def discard(pack: str, order: Order) -> Answer:
        return await desk.discard(pack, order.by)

    @app.post("/records/{records}/retry")
    async def retry_records(records: str, order: RecordsRetry) -> Answer:
        return await desk.retry_records(records, order.by, order.reviewed)

    @app.post("/withdrawals")
    async def withdraw(order: Withdrawal) -> Answer:
        return await desk.withdraw(order.numbers, order.by)

    @app.post("/batches/ready")
    async def batch_ready(order: BatchReady) -> Answer:
        return await desk.batch_ready(order.folder, order.by)

    @app.post("/broker/uses")
    async def broker_use(request: Request, order: BrokerUse) -> Answer:
        kind = IdentitySought if order.use == "lookup" else IdentityRevealed
        return await desk.broker_use(kind(by=_caller(request, order.by), reason=checked_reason(order.reason), asked=order.asked))


def _add_versions(app: FastAPI, desk: Desk) -> None:
    @app.post("/versions/hold")
    async def hold(order: VersionHold) -> Answer:
        return await desk.versions.hold(order.version, order.until, order.by)

    @app.post("/versions/free")
    async def free(order: VersionOrder) -> Answer:
        return await desk.versions.free(order.version, order.by)

    @app.get("/retention")
    async def retention() -> list[Any]:
        return list(await desk.versions.retention())

    @app.post("/retention")
    async def apply_retention(order: Order) -> Answer:
        del order
        return {"versions": list(await desk.versions.apply_retention())}


def _caller(request: Request, claimed: str) -> str:
    """The user at the other end of the socket, as the kernel knows it; only where there is no socket, what the request says."""
    user = getattr(request.state, PEER_USER, None)
    if user is None:
        return claimed
    name = f"user {user}"
    with suppress(KeyError):
        name = pwd.getpwuid(user).pw_name
    return named_caller(user, name, claimed)


async def _server_sent(desk: Desk, after: int) -> AsyncIterator[str]:
    """Server-sent events; the id is the journal's sequence, so that a client can resume where it was."""
    async for page in desk.follow(after):
        if not page:
            yield ": still here\n\n"
        for event in page:
            yield f"id: {event['sequence']}\ndata: {json.dumps(event)}\n\n"


async def _refused(_request: Request, refused: Exception) -> JSONResponse:
    """The answer to what cannot be done: at all (404, 409), or not now (503)."""
    if not isinstance(refused, SlidekeeperError):
        raise refused
    status = (404 if refused.reason in UNKNOWN else 409) if isinstance(refused, Refused) else 503
    problem = {"title": refused.reason, "status": status, "detail": refused.detail, "remedy": refused.remedy}
    return JSONResponse(problem, status, media_type=PROBLEM)
