"""The way in: the daemon's socket while it runs, journal and catalog themselves while it does not."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx

from slidekeeper.errors import Refused
from slidekeeper.ports.desk import ReadingDesk
from slidekeeper.settings.loader import Settings

T = TypeVar("T")

TIMEOUT_SECONDS = 60.0


class Door:
    """Asks and orders on behalf of one command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        transport = httpx.HTTPTransport(uds=str(settings.api.socket))
        self._http = httpx.Client(transport=transport, base_url="http://slidekeeper", timeout=TIMEOUT_SECONDS)

    def ask(self, path: str, params: Mapping[str, Any], offline: Callable[[ReadingDesk], Awaitable[T]]) -> T:
        """The answer to a question: from the daemon, or through ``offline`` while it does not run."""
        try:
            response = self._http.get(path, params={key: value for key, value in params.items() if value not in ("", None)})
        except httpx.ConnectError:
            return asyncio.run(self._ask_offline(offline))
        except httpx.TransportError as silent:
            raise _silent(silent, "Ask again; if it stays so, see its log: `journalctl -u slidekeeper`") from None
        answer: T = _checked(response)
        return answer

    def order(self, path: str, **body: Any) -> Mapping[str, Any]:
        """Give an order to the daemon.

        Raises:
            Refused: the daemon does not run, refuses, or does not answer.
        """
        try:
            response = self._http.post(path, json={"by": getpass.getuser(), **body})
        except httpx.ConnectError:
            raise _not_running() from None
        except httpx.TransportError as silent:
            raise _silent(silent, "It may have been carried out all the same: see `slidekeeper events` before you repeat it") from None
        answer: Mapping[str, Any] = _checked(response)
        return answer

    def follow(self, after: int) -> Iterator[Mapping[str, Any]]:
        """Events behind ``after`` as they happen, until the daemon stops."""
        answered = False
        try:
            with self._http.stream("GET", "/events/stream", params={"after": after}, timeout=None) as response:
                answered = True
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.ConnectError:
            raise _not_running() from None
        except httpx.TransportError as silent:
            if not answered:
                raise _silent(silent, "Ask again; if it stays so, see its log: `journalctl -u slidekeeper`") from None

    async def _ask_offline(self, question: Callable[[ReadingDesk], Awaitable[T]]) -> T:
        from slidekeeper.bootstrap.offline import reading_desk

        async with reading_desk(self._settings) as desk:
            return await question(desk)


def _checked(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json()
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        problem = response.json()
        raise Refused(problem["title"], problem["detail"], problem["remedy"])
    raise Refused("daemon-fault", f"the daemon answered {response.status_code}", "See its log: `journalctl -u slidekeeper`")


def _silent(trouble: httpx.TransportError, remedy: str) -> Refused:
    what = "did not answer in time" if isinstance(trouble, httpx.TimeoutException) else "hung up before it had answered"
    return Refused("daemon-silent", f"the daemon {what}", remedy)


def _not_running() -> Refused:
    return Refused("daemon-not-running", "this needs the daemon", "Start it: `systemctl start slidekeeper` or `slidekeeper run`")
