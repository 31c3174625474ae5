"""Progress is readable in a log, alive in a terminal, and never the reason why a run fails."""

from __future__ import annotations

import io
import threading
import time

from rich.console import Console

from ftchaos.report.progress import LiveProgress, PlainProgress, Progress, for_stream


class Clock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _drill(progress: Progress, clock: Clock) -> None:
    progress.note("run 20261123T061441Z-restore-7f3a")
    progress.step("restore the backup")
    progress.phase_begin("restore", "2 threads")
    for second in range(12):
        clock.now += 1
        progress.count(second * 100 << 20, 1200 << 20)
        progress.writes(second * 800, second)
    progress.phase_end("restore")
    progress.close()


def test_a_log_gets_plain_lines_with_seconds_and_counters_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    _drill(PlainProgress(stream, clock), clock)

    assert stream.getvalue().splitlines() == [
        "    0.0 s    run 20261123T061441Z-restore-7f3a",
        "    0.0 s  restore the backup",
        "    5.0 s    restore: 400.0 MiB of 1.2 GiB, 33 %",
        "   10.0 s    restore: 900.0 MiB of 1.2 GiB, 75 %",
        "   10.0 s    writes: 7,200 acknowledged, 9 failed",
        "   12.0 s    restore: 12 s  2 threads",
    ]


def test_a_servers_message_cannot_move_the_cursor() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, Clock())
    progress.note("one\x1b[2J\r\x07\ntwo")

    assert not set(stream.getvalue()) & {"\x1b", "\r", "\x07"}
    assert len(stream.getvalue().splitlines()) == 2


def test_a_log_that_cannot_hold_a_letter_gets_a_replacement() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainProgress(stream, Clock()).note("Größe 1 → 2")

    assert b"Gr??e 1 ? 2" in raw.getvalue()


def test_a_closed_pipe_silences_progress_and_raises_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    stream.close()

    _drill(progress, clock)


def test_a_terminal_that_goes_away_silences_progress_and_raises_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LiveProgress(Console(file=stream, force_terminal=True, width=80), clock)
    stream.close()

    _drill(progress, clock)


def test_a_terminal_sees_the_step_its_bytes_and_the_writes_and_keeps_only_the_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = LiveProgress(Console(file=stream, force_terminal=True, width=80, color_system=None), clock)
    progress.step("restore the backup")
    progress.phase_begin("restore")
    progress.count(600 << 20, 1200 << 20)
    progress.writes(4_000, 3)
    clock.now += 1
    progress.note("half of it")
    deadline = time.monotonic() + 10
    while "4,000 acknowledged" not in stream.getvalue() and time.monotonic() < deadline:
        threading.Event().wait(0.01)  # for the next of its eight pictures a second
    shown = stream.getvalue()
    progress.close()

    assert "restore  1.0 s" in shown
    assert "600.0 MiB of 1.2 GiB, 50 %" in shown
    assert "4,000 acknowledged, 3 failed" in shown
    assert "half of it" in shown


def test_nothing_is_shown_after_the_close() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, Clock())
    progress.close()
    progress.note("too late")
    progress.close()

    assert stream.getvalue() == ""


def test_an_end_without_a_begin_is_ignored() -> None:
    stream = io.StringIO()
    PlainProgress(stream, Clock()).phase_end("restore")

    assert stream.getvalue() == ""


def test_many_threads_speak_at_once_without_a_deadlock() -> None:
    clock = Clock()
    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=80), clock)

    def speak(number: int) -> None:
        for turn in range(100):
            progress.note(f"{number} {turn}")
            progress.writes(turn, number)
            progress.count(turn, 100)

    threads = [threading.Thread(target=speak, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    progress.close()

    assert not any(thread.is_alive() for thread in threads)


def test_a_stream_that_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(for_stream(io.StringIO()), PlainProgress)
