"""A call to a lab's supervisor that a signal interrupts leaves nothing under way that a heal could overtake."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftchaos.platforms.lab import control

WORK_S = 0.6


@pytest.fixture
def done(tmp_path: Path) -> Iterator[list[str]]:
    """What a supervisor that takes its time has done so far."""
    finished: list[str] = []

    async def dispatch(name: str, args: dict[str, Any], progress: control.Progress) -> str:
        progress("under way")
        await asyncio.sleep(WORK_S)
        finished.append(name)
        return name

    loop = asyncio.new_event_loop()
    serving = loop.create_task(control.serve(control.listen(tmp_path), dispatch, lambda name: None))

    async def until_all_is_answered() -> None:
        await asyncio.wait([serving])
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    thread = threading.Thread(target=lambda: loop.run_until_complete(until_all_is_answered()))
    thread.start()
    yield finished
    loop.call_soon_threadsafe(serving.cancel)
    thread.join()
    loop.close()


@contextmanager
def interrupted() -> Iterator[None]:
    """A signal in the middle of the call, upon which the run unwinds."""

    def leave(*_: object) -> None:
        raise SystemExit(130)

    before = signal.signal(signal.SIGALRM, leave)
    try:
        signal.setitimer(signal.ITIMER_REAL, WORK_S / 3)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def interrupted_sending(event: str) -> Iterator[None]:
    """The same just before the call is sent, ``c_call``, or just after it, ``c_return``."""

    def leave(_: object, what: str, argument: Any) -> None:
        if what == event and argument.__name__ in ("send", "sendall"):
            sys.setprofile(None)
            raise SystemExit(130)

    try:
        sys.setprofile(leave)
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_whole_call_is_done_when_it_is_left(tmp_path: Path, done: list[str], whole: bool) -> None:
    began = time.monotonic()

    with pytest.raises(SystemExit), interrupted():
        control.call(tmp_path, "kill_service", {}, whole=whole)

    assert (["kill_service"] if whole else []) == done
    assert (time.monotonic() - began >= WORK_S) is whole


@pytest.mark.parametrize(("event", "asked"), [("c_call", []), ("c_return", ["kill_service"])])
def test_a_whole_call_that_is_left_as_it_is_sent_is_done_or_was_never_asked_for(
    tmp_path: Path, done: list[str], event: str, asked: list[str]
) -> None:
    with pytest.raises(SystemExit), interrupted_sending(event):
        control.call(tmp_path, "kill_service", {}, timeout_s=2 * WORK_S, whole=True)

    assert asked == done


def test_a_call_that_nobody_interrupts_answers(tmp_path: Path, done: list[str]) -> None:
    said: list[str] = []

    assert control.call(tmp_path, "status", {}, said.append, whole=True) == "status"
    assert said == ["under way"]
