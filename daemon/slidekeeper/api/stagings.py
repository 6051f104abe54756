"""Routes about stagings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from slidekeeper.errors import Refused
from slidekeeper.ports.desk import Answer, Desk

SLIDES = 1_000_000


class StagingRequest(BaseModel):
    """The order to stage a cohort: a condition on the published catalog, or slide numbers."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field("operator", max_length=64)
    name: str = Field(max_length=100)
    tier: str = Field("flash", max_length=100)
    where: str = Field("", max_length=100_000)
    numbers: list[Annotated[str, Field(max_length=12)]] = Field(default_factory=list, max_length=SLIDES)
    preview: bool = False
    """Only tell what would be done."""


class StagingOrder(BaseModel):
    """An order about one staging."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field("operator", max_length=64)
    reason: str = Field("", max_length=1000)


def add_stagings(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""

    @app.get("/stagings")
    async def stagings(
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        removed: bool = False,
    ) -> list[Any]:
        return list(await desk.stagings(after, limit, removed))

    @app.get("/stagings/{name}")
    async def staging(name: str) -> Answer:
        answer = await desk.staging(name)
        if answer is None:
            raise Refused("unknown-staging", "there is no staging of this name", "See `slidekeeper staging list`")
        return answer

    @app.post("/stagings")
    async def stage(order: StagingRequest) -> Answer:
        asked = (order.name, order.tier, order.where, order.numbers)
        return await (desk.preview_staging(*asked) if order.preview else desk.stage(*asked, by=order.by))

    @app.post("/stagings/{name}/release")
    async def release(name: str, order: StagingOrder) -> Answer:
        return await desk.release_staging(name, order.by, order.reason)

    @app.post("/stagings/{name}/retry")
    async def retry(name: str, order: StagingOrder) -> Answer:
        return await desk.retry_staging(name, order.by)
