"""Subscribers to the application's events: a Socket.IO client for each user, which comes back as a browser's does."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import socketio  # type: ignore[import-untyped]

from ftchaos.workload import config, part
from ftchaos.workload.events import Log

CONNECT_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 0.5
RETRY_S = 0.1


class Subscriber:
    """One user's subscription; for one event loop."""

    def __init__(self, url: str, user: int, log: Log) -> None:
        self._url, self._user, self._log = url, user, log
        self._problem = ""
        self._full: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Listen for ever, through whatever outages there are.

        Raises:
            OSError: what was heard does not fit on the disk.
        """
        while True:
            # Nothing of a connection that broke in the middle of anything can stand in the way of the next one.
            async with aiohttp.ClientSession() as session:
                client = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=session)
                client.on("transfer", self._heard)
                listening = asyncio.create_task(self._listen(client))
                try:
                    await asyncio.wait([listening, self._full], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    # Before its session is closed, which it would take for a loss of the connection.
                    await _end(listening)
            if self._full.done():
                self._full.result()
            if not listening.cancelled():
                listening.result()
            await asyncio.sleep(RETRY_S)

    async def _listen(self, client: Any) -> None:
        """Connect, and return when the connection has ended."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.connect(self._url, auth={"user": self._user}, wait_timeout=CONNECT_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - the library lets through whatever half an answer makes it raise
            self._tell(error)
            await self._end(client)
            return
        self._note(connected=True)
        try:
            await client.eio.wait()
        except Exception as error:  # noqa: BLE001
            self._tell(error)
        self._note(connected=False)
        await self._end(client)

    def _heard(self, event: Any) -> None:
        key = event.get("upload_key") if isinstance(event, dict) else None
        if isinstance(key, int):  # null for what was not uploaded by us
            self._note(upload_key=key)

    def _note(self, **what: Any) -> None:
        try:
            self._log.add(at=time.monotonic(), user=self._user, **what)
        except OSError as error:
            # Raised here, it would only end one of the library's tasks.
            if not self._full.done():
                self._full.set_exception(error)

    async def _end(self, client: Any) -> None:
        with suppress(Exception):  # what matters is that its session is closed, which follows
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await client.disconnect()

    def _tell(self, error: Exception) -> None:
        problem = f"user {self._user}: {error or type(error).__name__}"
        if problem != self._problem:
            sys.stderr.write(f"subscriber: {problem}\n")
        self._problem = problem


def run(chosen: config.Events, duration_s: float) -> int:
    """All subscribers, until told to end and for a little longer, to hear of what was uploaded last."""
    log = Log(Path(chosen.file))

    async def main(end: asyncio.Event) -> None:
        listening = [
            asyncio.create_task(Subscriber(chosen.url, user, log).run()) for user in range(1, chosen.users + 1)
        ]
        ending = asyncio.create_task(_linger(end, chosen.linger_s))
        done, left = await asyncio.wait([ending, *listening], return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in done:
            task.result()

    part.run(main, duration_s, lambda: None)
    log.close()
    return 0


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel it until it has ended: a cancellation gets lost where it meets a message that has just come in.

    Source: Python 3.11, ``asyncio.wait_for``, which then returns the message; the library waits for messages with it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=RETRY_S)


async def _linger(end: asyncio.Event, linger_s: float) -> None:
    await end.wait()
    await asyncio.sleep(linger_s)
