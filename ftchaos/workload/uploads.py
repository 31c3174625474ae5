"""Uploads through the public address, open loop: sent on time whether or not the service answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import aiohttp

from ftchaos.ledger import Outcome, content
from ftchaos.workload import fate, part
from ftchaos.workload.book import Book
from ftchaos.workload.config import Uploads

CONNECT_TIMEOUT_S = 0.5
# Being late by more than this means that the whole machine stood still: what was not sent then is not sent in a burst.
STALL_S = 1.0


class Uploader:
    """One open-loop client; for one event loop."""

    def __init__(self, config: Uploads, book: Book) -> None:
        self._config, self._book = config, book
        self._under_way: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None
        self.problem = ""

    async def run(self, end: asyncio.Event) -> None:
        """Upload until told to end, then wait for what is under way.

        Raises:
            OSError: the ledger's disk is full, for example: without a ledger nothing is sent.
        """
        timeout = aiohttp.ClientTimeout(total=self._config.timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        async with aiohttp.ClientSession(
            timeout=timeout,
            # As many connections as uploads are under way: none may wait for another.
            connector=aiohttp.TCPConnector(limit=0),
            trace_configs=[_tracing()],
        ) as session:
            due_at = time.monotonic()
            while not await _ended(end, due_at - time.monotonic()):
                task = asyncio.create_task(self._upload(session))
                self._under_way.add(task)
                task.add_done_callback(self._done)
                due_at += 1 / self._config.rate
                if time.monotonic() - due_at > STALL_S:
                    due_at = time.monotonic()
                if self._crash:
                    raise self._crash
            await asyncio.gather(*self._under_way)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._crash = self._crash or task.exception()

    async def _upload(self, session: aiohttp.ClientSession) -> None:
        seq = self._book.attempt()
        write = self._book.write_id(seq)
        # Set by the tracing as soon as a connection was had: from then on bytes may have left.
        fact = SimpleNamespace(sent=False)
        body = {
            "upload_key": write,
            "name": f"отчёт-{seq}-📄.pdf",
            "owner": seq % self._config.owners + 1,
            "content": content(write),
        }
        try:
            async with session.post(
                f"{self._config.url}/api/files", json=body, trace_request_ctx=fact, allow_redirects=False
            ) as answer:
                outcome = fate.of_answer(answer.status, answer.headers, await answer.read())
            if outcome is not Outcome.ACKNOWLEDGED:
                self.problem = f"HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            outcome = Outcome.INDETERMINATE if fact.sent else Outcome.FAILED
            self.problem = str(error) or type(error).__name__
        self._book.settle(seq, outcome)


def _tracing() -> aiohttp.TraceConfig:
    async def connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        context.trace_request_ctx.sent = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


async def _ended(end: asyncio.Event, within_s: float) -> bool:
    """Whether the end was announced, waiting for it until the next upload is due."""
    if within_s <= 0:
        await asyncio.sleep(0)
        return end.is_set()
    try:
        await asyncio.wait_for(end.wait(), within_s)
    except TimeoutError:
        return False
    return True


def run(config: Uploads, books: Sequence[Book], duration_s: float) -> int:
    """The uploads, until told to end."""
    (book,) = books
    uploader = Uploader(config, book)
    part.run(uploader.run, duration_s, lambda: part.tell(books, [uploader]))
    part.close(books)
    return 0
