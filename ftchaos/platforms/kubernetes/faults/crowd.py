"""Many objects at once, over as many connections as the way to the cluster keeps open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from typing import TypeVar

from ftchaos.errors import FtchaosError
from ftchaos.platforms.kubernetes.access import CONNECTIONS

NAMED = 3  # of the errors beside the first
T = TypeVar("T")
R = TypeVar("R")


def each(every: Iterable[T], act: Callable[[T], R]) -> list[R]:
    """What acting on each gave, in their order.

    After the first error nothing new is begun, and it is raised when all that had begun has ended: no thread harms
    anything any more while a heal is at work. It names the others that differ from it.
    """
    failed = threading.Event()

    def tried(one: T) -> R:
        if failed.is_set():
            raise CancelledError
        try:
            return act(one)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(CONNECTIONS, "ftchaos-crowd") as pool:
        try:
            begun = [pool.submit(tried, one) for one in every]
            wait(begun)
        except BaseException:  # a signal: the rest must not be begun while the pool is waited for
            failed.set()
            raise
    if errors := [error for one in begun if (error := one.exception()) and not isinstance(error, CancelledError)]:
        raise _named(errors)
    return [one.result() for one in begun]


def _named(errors: Sequence[BaseException]) -> BaseException:
    """The first of several, with what the others say that it does not."""
    first = errors[0]
    others = list(dict.fromkeys(str(getattr(one, "fact", "") or repr(one)) for one in errors))[1:]
    if isinstance(first, FtchaosError) and others:
        more = "; ".join(others[:NAMED]) + ("; ..." if len(others) > NAMED else "")
        first.fact += f"; and {len(others)} more: {more}"
    return first
