"""What the parts of a workload have in common: progress on standard output, and the life of an event loop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Protocol

from ftchaos.ledger import Outcome
from ftchaos.workload.book import Book

PROGRESS_S = 0.5
ENDING = (signal.SIGTERM, signal.SIGINT)


class Writer(Protocol):
    """Whatever keeps a book and tells what it met last."""

    problem: str


def defer() -> None:
    """Have signals that tell to end wait until :func:`heed`, so that none comes before there is somebody to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def heed() -> None:
    """Let those signals come, also the ones that waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def run(main: Callable[[asyncio.Event], Awaitable[None]], duration_s: float, tick: Callable[[], None]) -> None:
    """Run until told to end by a signal, or for a time.

    Args:
        main: is given the event that says so, and returns some time after it.
        duration_s: the longest time.
        tick: called each half second.
    """

    async def begin() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, end.set)
        heed()
        loop.call_later(duration_s, end.set)
        ticking = asyncio.create_task(ticks())
        try:
            await main(end)
        finally:
            ticking.cancel()

    async def ticks() -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            tick()

    asyncio.run(begin())


def tell(books: Sequence[Book], writers: Sequence[Writer] = (), *, ended: bool = False) -> None:
    """A line of progress for each kind, in one piece, because several processes share the pipe."""
    problem = next((one.problem for one in writers if one.problem), "")
    for one in writers:
        one.problem = ""
    lines = ""
    for kind, some in groupby(sorted(books, key=lambda book: book.kind), lambda book: book.kind):
        ours = list(some)
        line = {"at": time.monotonic(), "kind": kind, "attempted": sum(one.attempted for one in ours)}
        for outcome in (Outcome.ACKNOWLEDGED, Outcome.FAILED, Outcome.INDETERMINATE):
            line[outcome.name.lower()] = sum(one.counts[outcome] for one in ours)
        lines += json.dumps(line | {"problem": problem[:500]} | ({"ended": True} if ended else {})) + "\n"
    try:
        os.write(sys.stdout.fileno(), lines.encode())
    except BrokenPipeError:
        return  # nobody listens any more; whether that ends us is up to our parent's life


def close(books: Sequence[Book]) -> None:
    """The last line of progress, and the end of the books."""
    tell(books, ended=True)
    for one in books:
        one.close()
