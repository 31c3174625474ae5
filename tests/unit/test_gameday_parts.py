"""A part that is told to stop: whether it listens, and when it gets a signal."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from ftchaos import notes
from ftchaos.child import Child
from ftchaos.gameday import parts
from ftchaos.gameday.parts import Parts, Running
from ftchaos.gameday.plan import Part
from ftchaos.guard import EnvironmentLock
from ftchaos.undo import UndoLog

RUN = "20261123T061500Z-worker-kill-7f3a"


class Process(Child):
    """One that does nothing, and counts the signals that it gets."""

    pid = 0
    has_ended = False

    def __init__(self) -> None:
        self.signals = 0

    def terminate(self) -> None:
        self.signals += 1


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A run that was announced."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    monkeypatch.setattr("os.getpid", lambda: Process.pid)
    notes.Note(RUN, str(tmp_path), "lab", "lab").write()
    return Process()


def _stopped(process: Process, monkeypatch: pytest.MonkeyPatch, listen_s: float) -> Running:
    monkeypatch.setattr(parts, "LISTEN_S", listen_s)
    running = Running(Part(experiment="worker-kill"), process, cast("Parts", None))
    with EnvironmentLock("lab") as lock:
        lock.acquire(RUN)
        running.stop("the phone rings")
    return running


def test_part_that_does_not_listen_gets_one_signal(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    running = _stopped(process, monkeypatch, -1.0)

    assert [None, None] == [running.poll(), running.poll()]
    assert "the phone rings" == notes.asked_to_stop(RUN)
    assert 1 == process.signals


def test_part_that_listened_gets_no_signal_when_it_is_complete(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = _stopped(process, monkeypatch, 60.0)
    UndoLog(notes.undo_log(RUN)).stop("the phone rings")
    running.poll()
    monkeypatch.setattr(parts, "LISTEN_S", -1.0)
    running.poll()
    notes.undo_log(RUN).unlink()  # as a run does first
    running.poll()

    assert 0 == process.signals


def test_part_that_was_complete_before_it_could_listen_gets_no_signal(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = _stopped(process, monkeypatch, -1.0)
    notes.forget(RUN)
    running.poll()

    assert 0 == process.signals
