"""``python -m ftchaos.workload CONFIG.json``: write until told to end by SIGTERM, or until the longest duration.

Standard output gets a JSON object for each kind of writer each half second, and a last one with ``"ended": true``::

    {"at": 1234.5, "kind": "uploads", "attempted": 100, "acknowledged": 99, "failed": 0, "indeterminate": 1,
     "problem": "HTTP 502"}

Uploads, the writers to Redis, those to the database and the subscribers to events are processes of their own where
there are several, so that none of them delays the clock of another. All of it dies with the process that began it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ftchaos.errors import FtchaosError
from ftchaos.process import die_with_parent
from ftchaos.workload import book, config, part
from ftchaos.workload.book import Book

Part = Callable[[], int]


def main(argv: Sequence[str]) -> int:
    die_with_parent()
    part.defer()
    try:
        chosen = config.load(Path(argv[0]))
        die_with_parent(chosen.parent_pid)
        books = book.create(Path(chosen.folder), chosen.writers())
    except (FtchaosError, OSError) as error:
        sys.stderr.write(f"workload: {error}\n")
        return error.exit_code if isinstance(error, FtchaosError) else 2
    first, *others = parts(chosen, books)
    return beside(first, *others) if others else first()


def parts(chosen: config.Config, books: Sequence[Book]) -> Iterator[Part]:
    """The parts of a workload, each of which runs until it is told to end; what they need is imported by them alone."""
    duration_s = chosen.max_duration_s

    def of(kinds: Sequence[str]) -> list[Book]:
        return [one for one in books if one.kind in kinds]

    def upload() -> int:
        from ftchaos.workload import uploads

        assert chosen.uploads is not None
        return uploads.run(chosen.uploads, of(["uploads"]), duration_s)

    def set_keys() -> int:
        from ftchaos.workload import sets

        assert chosen.redis is not None
        return sets.run(chosen.redis, of(chosen.redis.kinds()), duration_s)

    def insert() -> int:
        from ftchaos.workload import inserts

        assert chosen.mysql is not None
        return inserts.run(chosen.mysql, of([chosen.mysql.kind]), duration_s)

    def subscribe() -> int:
        from ftchaos.workload import subscriber

        assert chosen.events is not None
        return subscriber.run(chosen.events, duration_s)

    wanted = (chosen.uploads, upload), (chosen.redis, set_keys), (chosen.mysql, insert), (chosen.events, subscribe)
    return (run for settings, run in wanted if settings is not None)


def beside(*runs: Part) -> int:
    """Run parts as children until all have ended: when told so, by themselves, or because one of them failed."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in part.ENDING:
        signal.signal(number, lambda *_: None)  # the pipe tells
    running = {os.pidfd_open(pid): pid for pid in [_fork(run) for run in runs]}
    part.heed()
    result = 0
    while running:
        ready, _, _ = select.select([told, *running], [], [])
        ended = [one for one in ready if one != told]
        for one in ended:
            _, status = os.waitpid(running.pop(one), 0)
            os.close(one)
            result = result or os.waitstatus_to_exitcode(status)
        if told in ready:
            os.read(told, 100)
        if told in ready or result:
            for handle in running:
                with suppress(ProcessLookupError):  # it has just ended, and is next
                    signal.pidfd_send_signal(handle, signal.SIGTERM)
    return result if result >= 0 else 1


def _fork(run: Part) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    signal.set_wakeup_fd(-1)
    die_with_parent(parent)
    status = 1
    try:
        status = run()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
