"""``python -m ftchaos.workload CONFIG.json``: write until told to end by SIGTERM, or until the longest duration.

Standard output gets a JSON object each half second and a last one with ``"ended": true``::

    {"at": 1234.5, "kind": "uploads", "attempted": 100, "acknowledged": 99, "failed": 0, "indeterminate": 1,
     "problem": "HTTP 502"}

Each kind of writer is a process of its own, so that database threads never delay the clock of the uploads.
All of it dies with the process that began it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ftchaos.errors import FtchaosError
from ftchaos.ledger import Outcome
from ftchaos.process import die_with_parent
from ftchaos.workload import book, config
from ftchaos.workload.book import Book

PROGRESS_S = 0.5


def main(argv: Sequence[str]) -> int:
    die_with_parent()
    try:
        chosen = config.load(Path(argv[0]))
        die_with_parent(chosen.parent_pid)
        books = book.create(Path(chosen.folder), chosen.writers())
    except (FtchaosError, OSError) as error:
        sys.stderr.write(f"workload: {error}\n")
        return error.exit_code if isinstance(error, FtchaosError) else 2
    inserting = [one for one in books if one.kind == "mysql"]
    if not chosen.uploads:
        return insert(chosen, inserting)
    if not chosen.mysql:
        return upload(chosen, books[0])
    me = os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(me)
        os._exit(insert(chosen, inserting))
    try:
        result = upload(chosen, books[0], beside=child)
    finally:
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
    return result or os.waitstatus_to_exitcode(status)


def insert(chosen: config.Config, books: Sequence[Book]) -> int:
    """All database writers, until told to end."""
    from ftchaos.workload.inserts import Inserter

    assert chosen.mysql is not None
    end, failed = threading.Event(), threading.Event()

    def crashed(args: threading.ExceptHookArgs) -> None:
        sys.__excepthook__(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
        failed.set()
        end.set()

    threading.excepthook = crashed
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    writers = [Inserter(chosen.mysql, one, end) for one in books]
    for writer in writers:
        writer.start()
    end_at = time.monotonic() + chosen.max_duration_s
    while not end.wait(min(PROGRESS_S, max(end_at - time.monotonic(), 0))) and time.monotonic() < end_at:
        tell(books, next((writer.problem for writer in writers if writer.problem), ""))
        for writer in writers:
            writer.problem = ""
    end.set()
    for writer in writers:
        writer.join()
    close(books)
    return 1 if failed.is_set() else 0


def upload(chosen: config.Config, one: Book, beside: int | None = None) -> int:
    """The uploads, until told to end, or until the process beside ends, which it only does early when it failed."""
    from ftchaos.workload.uploads import Uploader

    assert chosen.uploads is not None
    uploader = Uploader(chosen.uploads, one)

    async def run() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.set)
        if beside is not None:
            loop.add_reader(os.pidfd_open(beside), end.set)
        telling = asyncio.create_task(progress())
        loop.call_later(chosen.max_duration_s, end.set)
        await uploader.run(end)
        telling.cancel()

    async def progress() -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            tell([one], uploader.problem)
            uploader.problem = ""

    asyncio.run(run())
    close([one])
    return 0


def tell(books: Sequence[Book], problem: str = "", *, ended: bool = False) -> None:
    """One line of progress, written in one piece because two processes share the pipe."""
    counts = {
        key: sum(one.counts[outcome] for one in books)
        for key, outcome in (
            ("acknowledged", Outcome.ACKNOWLEDGED),
            ("failed", Outcome.FAILED),
            ("indeterminate", Outcome.INDETERMINATE),
        )
    }
    attempted = sum(one.attempted for one in books)
    line = {"at": time.monotonic(), "kind": books[0].kind, "attempted": attempted, **counts, "problem": problem[:500]}
    try:
        os.write(sys.stdout.fileno(), (json.dumps(line | ({"ended": True} if ended else {})) + "\n").encode())
    except BrokenPipeError:
        return  # nobody listens any more; whether that ends us is up to our parent's life


def close(books: Sequence[Book]) -> None:
    tell(books, ended=True)
    for one in books:
        one.close()


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
