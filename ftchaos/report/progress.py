"""How a run goes while it goes, on standard error: a block that updates in a terminal, plain lines in a CI log.

Progress never harms a run: when nobody reads any more (a closed pipe, a lost terminal), it falls silent.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ftchaos.units import human_duration, human_size

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_COUNT_EVERY_S = 5.0
_WRITES_EVERY_S = 10.0
_BAR = 24


@dataclass
class _Task:
    """A step or a phase that is under way."""

    name: str
    began_at: float
    detail: str = ""


class Progress:
    """What is told, and what is remembered of it; where it is shown is the part of the two below.

    Every method may be called from any thread, in any order, and never raises.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._lock = threading.RLock()
        self._step: _Task | None = None
        self._phase: _Task | None = None
        self._count: tuple[int, int] | None = None
        self._writes: tuple[int, int] | None = None
        self._silent = False

    def step(self, name: str) -> None:
        """An activity of the definition begins; the one before it has ended."""
        with self._lock:
            self._step, self._count = _Task(_one_line(name), self._clock()), None
            self._say(f"{_one_line(name)}", heading=True)

    def phase_begin(self, name: str, detail: str = "") -> None:
        """A timed part of the recovery begins."""
        with self._lock:
            self._phase, self._count = _Task(_one_line(name), self._clock(), _one_line(detail)), None

    def phase_end(self, name: str) -> None:
        """The timed part has ended; its duration is said."""
        with self._lock:
            phase, self._phase, self._count = self._phase, None, None
            if phase is not None and phase.name == _one_line(name):
                detail = f"  {phase.detail}" if phase.detail else ""
                self._say(f"{phase.name}: {human_duration(self._clock() - phase.began_at)}{detail}")

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
        with self._lock:
            for line in text.split("\n"):
                self._say(_one_line(line))

    def count(self, done: int, total: int) -> None:
        """How many bytes of the present phase are done; a total of 0 is not known."""
        with self._lock:
            self._count = (max(0, done), max(0, total))
            self._counted()

    def writes(self, acknowledged: int, failed: int) -> None:
        """How many writes of the workload were acknowledged and failed so far."""
        with self._lock:
            self._writes = (acknowledged, failed)
            self._wrote()

    def close(self) -> None:
        """The run has ended; nothing is shown after this."""
        with self._lock:
            self._silent = True

    def _say(self, line: str, *, heading: bool = False) -> None:
        if self._silent:
            return
        try:
            self._show(line, heading)
        except (OSError, ValueError):  # a closed pipe or file: the run matters more than who watches it
            self._silent = True

    def _show(self, line: str, heading: bool) -> None:
        raise NotImplementedError

    def _counted(self) -> None:
        """The bytes of the phase have moved."""

    def _wrote(self) -> None:
        """The writes of the workload have moved."""


class PlainProgress(Progress):
    """Plain lines with the seconds since the begin, for a CI log: no control characters, counters now and then."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._counted_at = self._wrote_at = self._began_at

    def _show(self, line: str, heading: bool) -> None:
        indent = "" if heading else "  "
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        safe = line.encode(encoding, "replace").decode(encoding)
        self._stream.write(f"{self._clock() - self._began_at:7.1f} s  {indent}{safe}".rstrip() + "\n")
        self._stream.flush()

    def _counted(self) -> None:
        now = self._clock()
        task = self._phase or self._step
        if self._count and task and now - max(self._counted_at, task.began_at) >= _COUNT_EVERY_S:
            self._counted_at = now
            self._say(f"{task.name}: {_bytes_words(*self._count)}")

    def _wrote(self) -> None:
        now = self._clock()
        if self._writes and now - self._wrote_at >= _WRITES_EVERY_S:
            self._wrote_at = now
            self._say(f"writes: {self._writes[0]:,} acknowledged, {self._writes[1]:,} failed")


class LiveProgress(Progress):
    """A block at the bottom of a terminal: the step, its time, its bytes, and the writes of the workload."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._fancy = console.encoding.lower().startswith("utf")
        self._live = Live(
            console=console,
            get_renderable=self._block,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def close(self) -> None:
        super().close()
        try:
            self._live.stop()
        except (OSError, ValueError):
            self._silent = True

    def _show(self, line: str, heading: bool) -> None:
        text = Text(line if heading else f"  {line}", "bold" if heading else "")
        self._console.print(text, highlight=False, soft_wrap=True)

    def _block(self) -> RenderableType:
        # The drawing thread holds the display's lock, and who speaks holds ours and then wants the display's:
        # taking ours here would be a deadlock. Each attribute is replaced whole, so reading them needs no lock.
        now, task, count, writes = self._clock(), self._phase or self._step, self._count, self._writes
        lines = [Text(f"elapsed {_seconds(now - self._began_at)}", "dim")]
        if task is not None:
            lines.append(Text(f"{'▸' if self._fancy else '>'} {task.name}  {_seconds(now - task.began_at)}", "cyan"))
            if count is not None:
                lines[-1].append(f"  {self._bar(*count)} {_bytes_words(*count)}")
        if writes is not None:
            line = Text("  writes  ", "dim")
            line.append(f"{writes[0]:,} acknowledged", "green")
            line.append(", ").append(f"{writes[1]:,} failed", "red" if writes[1] else "dim")
            lines.append(line)
        for line in lines:
            line.truncate(self._console.width, overflow="ellipsis")
        return Group(*lines)

    def _bar(self, done: int, total: int) -> str:
        full = _BAR * min(done, total) // total if total else 0
        return ("━" if self._fancy else "#") * full + ("·" if self._fancy else ".") * (_BAR - full)


def for_stream(stream: TextIO) -> Progress:
    """Progress as the stream can show it: live in a terminal, plain lines elsewhere."""
    console = Console(file=stream, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(console)
    return PlainProgress(stream)


def _one_line(text: str) -> str:
    """The text without line breaks and without anything that moves a cursor: servers' messages end up here."""
    return _CONTROL.sub(" ", text).strip()


def _bytes_words(done: int, total: int) -> str:
    if not total:
        return human_size(done)
    return f"{human_size(min(done, total))} of {human_size(total)}, {100 * min(done, total) // total} %"


def _seconds(seconds: float) -> str:
    """A running time: tenths, so that one sees it run, and no jumps in width."""
    return f"{seconds:.1f} s" if seconds < 60 else human_duration(round(seconds))
