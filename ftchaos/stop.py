"""Stop conditions: what ends a run early, watched four times a second beside the method and independent of it.

A condition is a function that answers with the reason to stop, or with nothing. The conditions below are pure functions
over what was seen; :class:`Watch` is the thread that asks them. When one holds, that thread heals: an action that
blocks the main thread cannot hinder it. Only then is the main thread interrupted, by a signal that makes even a wait
for a child return, so that an injection under way may come to its end and its heal be repeated.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ftchaos.errors import FtchaosError
from ftchaos.guard import Target
from ftchaos.ledger import TICK_S, Outcome, WriterLedger
from ftchaos.recovery import Operations
from ftchaos.units import human_duration
from ftchaos.witness import Observation

LOOK_S = 0.25
PIECE_S = 1.0
"""The service is judged by pieces of this length, so that a moment's luck does not hide a bad minute."""
SETTLE_S = 1.0
"""What was sent this short ago may still be answered."""
DOWN_S = 1.0
"""A server that is down for less may only have been slow to answer on a busy machine."""
INTERRUPT_S = 2.0
"""After this long of healing the main thread is interrupted anyway."""
BLIND = 20
"""A condition that cannot be asked this often in a row, hence for 5 s, counts as one that holds."""

SIGNAL = signal.SIGRTMIN
"""Interrupts the main thread; nobody else uses it."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Condition = Callable[[], str]


def service_too_bad(operations: Operations, success: float, longer_than_s: float, at: float) -> str:
    """Why the service is too bad to go on, or nothing.

    It is when in every single second of the last ``longer_than_s`` fewer operations succeeded than allowed. A second in
    which clients sent nothing says nothing of the service.

    Args:
        operations: what clients did lately; see :func:`lately`.
        success: the share that must succeed.
        at: now; what was sent within the last second is left out, as it may still be answered.
    """
    until_at = at - SETTLE_S
    pieces = max(1, round(longer_than_s / PIECE_S))
    good = sent = 0
    for piece in range(pieces, 0, -1):
        begin = bisect_left(operations.sent_at, until_at - piece * PIECE_S)
        end = bisect_left(operations.sent_at, until_at - (piece - 1) * PIECE_S)
        succeeded = operations.succeeded[begin:end].count(1)
        if begin == end or succeeded >= success * (end - begin):
            return ""
        good, sent = good + succeeded, sent + end - begin
    return (
        f"the service was worse than {success:.1%} for longer than {human_duration(longer_than_s)}: "
        f"{good:,} of {sent:,} operations succeeded"
    )


def lately(writers: Iterable[WriterLedger], since_at: float) -> Operations:
    """What some writers sent since an instant; quick also for a long ledger."""
    rows: list[tuple[float, float, int]] = []
    for writer in writers:
        sent = memoryview(writer.times)[0::2] if isinstance(writer.times, memoryview) else writer.times[0::2]
        first = bisect_left(sent, (since_at - writer.anchor_at) / TICK_S)
        rows.extend(
            (
                writer.anchor_at + writer.times[2 * index] * TICK_S,
                writer.times[2 * index + 1] * TICK_S,
                writer.outcomes[index] == Outcome.ACKNOWLEDGED,
            )
            for index in range(first, len(writer.outcomes))
        )
    rows.sort()
    return Operations(array("d", (row[0] for row in rows)), array("d", (row[1] for row in rows)), bytes(
        row[2] for row in rows
    ))  # fmt: skip


def allowed(targets: Iterable[Target], zone_of: Mapping[str, str]) -> set[str]:
    """The servers that a fault may take down: its targets, and whatever stands in their zones.

    Args:
        zone_of: the zone of every server that is watched.
    """
    hit = list(targets)
    zones = {target.zone for target in hit} - {""}  # of a server whose zone nobody knows it is not known either
    return {target.name for target in hit} | {name for name, zone in zone_of.items() if zone in zones}


def stranger_down(observations: Sequence[Observation], may_fall: Collection[str], since_at: float, at: float) -> str:
    """Which server that is no target is down, or nothing.

    It was seen up, went down after an instant, and has stayed down for a while. One that still answers, if only to say
    that something behind it is missing, was not harmed.

    Args:
        observations: what the witness saw, in order; changes are enough.
        may_fall: see :func:`allowed`.
        at: now.
    """
    up: set[str] = set()
    down: dict[str, Observation] = {}
    for one in observations:
        if one.up:
            up.add(one.target)
            down.pop(one.target, None)
        elif one.target in up and one.target not in down and one.at >= since_at and not one.saw.startswith("HTTP "):
            down[one.target] = one
    for name, one in down.items():
        if name not in may_fall and at - one.at > DOWN_S:
            return f"{name} went down ({one.saw}), which is no target and in no target's zone"
    return ""


class Changes:
    """The changes in a witness's file, read on from where it was read last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._found: list[Observation] = []

    def read(self) -> list[Observation]:
        """All changes so far, in order.

        Raises:
            ValueError, KeyError: the file is no witness's.
        """
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().split(b"\n")
            for line in lines[:-1]:  # the last one has no end yet
                entry: dict[str, Any] = json.loads(line)
                if "target" in entry:
                    self._found.append(Observation(entry["at"], entry["target"], entry["up"], entry["saw"]))
            self._offset += sum(len(line) + 1 for line in lines[:-1])
        return self._found


class Watch:
    """The thread that asks the conditions.

    Args:
        conditions: each answers with the reason to stop, or with nothing.
        stop: told the reason, in the thread; it refuses further harm, keeps the reason, and heals.
        interrupt: makes the main thread leave whatever it does.

    Attributes:
        reason: why the run was stopped; empty while it was not.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        stop: Callable[[str], None],
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.reason = ""
        self._conditions = conditions
        self._stop = stop
        self._interrupt = interrupt or _interrupt_main
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._interrupted = False
        self._blind = [0] * len(conditions)
        self._previous: Any = None
        self._thread = threading.Thread(target=self._run, name="stop conditions", daemon=True)

    def begin(self) -> None:
        """Begin to watch; call it in the main thread, which it will interrupt."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(SIGNAL, _leave)
        self._thread.start()

    def end(self) -> None:
        """Watch no more, and interrupt nobody from here on; returns when nothing is being healed any more."""
        with self._turn:
            self._ended.set()
        self._thread.join()
        if self._previous is not None:
            signal.signal(SIGNAL, self._previous)
            self._previous = None

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            if reason := self._ask():
                self.reason = reason
                late = threading.Timer(INTERRUPT_S, self._interrupt_once)
                late.daemon = True
                late.start()
                try:
                    self._stop(reason)
                finally:
                    late.cancel()
                    self._interrupt_once()
                return

    def _ask(self) -> str:
        for number, condition in enumerate(self._conditions):
            try:
                reason = condition()
                self._blind[number] = 0
            except Exception as error:  # noqa: BLE001 - one that cannot be asked now may answer the next time
                self._blind[number] += 1
                fact = error.fact if isinstance(error, FtchaosError) else f"{type(error).__name__}: {error}"
                reason = f"a stop condition could not be watched: {fact}" if self._blind[number] >= BLIND else ""
            if reason:
                return reason
        return ""

    def _interrupt_once(self) -> None:
        with self._turn:
            if not self._interrupted and not self._ended.is_set():
                self._interrupted = True
                self._interrupt()


def _interrupt_main() -> None:
    """Make even a blocking call of the main thread return."""
    signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)


def _leave(number: int, frame: FrameType | None) -> None:
    # A signal while this one unwinds would cut the unwinding short.
    for each in (*ENDING, SIGNAL):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(3)
