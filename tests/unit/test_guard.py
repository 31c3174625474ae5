"""One run at a time in an environment; a killed holder frees it; a protected environment is refused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ftchaos.errors import Locked, Refused
from ftchaos.guard import EnvironmentLock, ensure_allowed


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    return tmp_path


def test_the_second_run_is_refused_with_the_name_of_the_holder() -> None:
    with EnvironmentLock("lab") as first:
        first.acquire("20261123T061500Z-restore-7f3a")

        with pytest.raises(Locked, match=f"run 20261123T061500Z-restore-7f3a .*process {os.getpid()}"):
            EnvironmentLock("lab").acquire("another")


def test_two_environments_do_not_lock_each_other() -> None:
    with EnvironmentLock("lab") as first, EnvironmentLock("staging") as second:
        first.acquire("a")
        second.acquire("b")


def test_a_released_lock_can_be_taken() -> None:
    with EnvironmentLock("lab") as first:
        first.acquire("a")
    with EnvironmentLock("lab") as second:
        second.acquire("b")


def test_a_killed_holder_frees_the_lock() -> None:
    ready, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        EnvironmentLock("lab").acquire("doomed")
        os.write(told, b".")
        signal.pause()
    os.read(ready, 1)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)

    with EnvironmentLock("lab") as lock:
        lock.acquire("next")


def test_a_state_folder_that_cannot_be_written_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "file").write_text("")
    monkeypatch.setenv("FTCHAOS_STATE", str(state / "file"))

    with pytest.raises(Refused, match="cannot be written"):
        EnvironmentLock("lab").acquire("a")


def test_a_protected_environment_is_refused() -> None:
    with pytest.raises(Refused, match="'production' is protected"):
        ensure_allowed("production", protected=True)
    ensure_allowed("lab", protected=False)
