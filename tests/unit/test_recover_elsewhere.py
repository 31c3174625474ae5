"""Runs and recoveries on another host that shares the volume: the kernel says who lives, their numbers say nothing."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from just_begun import folder_of

from ftchaos import guard, notes, recover
from ftchaos.guard import EnvironmentLock

RUN = "20261123T061500Z-outage-7f3a"
LOCK = "kubernetes.staging"
NOBODY = 2**22  # no process has this number


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnvironmentLock]:
    """The lock of a run that was announced, to be taken by a pod whose host and process nobody here knows."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    notes.Note(RUN, str(folder_of(RUN, tmp_path)), LOCK, "staging").write()
    monkeypatch.setattr(socket, "gethostname", lambda: "zone-outage-x7k2p")
    monkeypatch.setattr(os, "getpid", lambda: NOBODY)
    with EnvironmentLock(LOCK) as lock:
        yield lock


def _back_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "zone-outage-q9w4d")
    monkeypatch.setattr(os, "getpid", lambda: 1)


def test_a_run_that_lives_on_another_host_is_left_alone(
    elsewhere: EnvironmentLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.acquire(RUN)
    _back_home(monkeypatch)
    told: list[str] = []

    assert [] == recover.recover(dry_run=False, progress=told.append)
    assert [f"{RUN} is still running on zone-outage-x7k2p; it is left alone"] == told
    assert [RUN] == [one.run_id for one in recover.under_way()]
    assert notes.note(RUN).exists()


def test_a_recovery_on_another_host_is_waited_for_and_what_it_could_not_do_is_done(
    elsewhere: EnvironmentLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.acquire(f"{guard.RECOVERY}{RUN}")
    _back_home(monkeypatch)
    told: list[str] = []

    def die(text: str) -> None:
        told.append(text)
        if text.startswith(f"{RUN}: waiting for the recovery of {RUN} of "):
            elsewhere.release()

    (found,) = recover.recover(dry_run=False, progress=die)

    assert (RUN, []) == (found.run_id, found.failed)
    assert "on zone-outage-x7k2p" in told[0]
    assert not notes.note(RUN).exists()


def test_a_dead_run_is_no_live_one_although_this_process_has_its_number_and_host(
    elsewhere: EnvironmentLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a container is begun anew in its pod, where each is number 1."""
    _back_home(monkeypatch)
    elsewhere.acquire(RUN)
    named = elsewhere.path.read_bytes()
    elsewhere.release()
    elsewhere.path.write_bytes(named)  # as a kill leaves it

    assert [] == recover.under_way()
    (found,) = recover.recover(dry_run=False, progress=lambda _: None)
    assert (RUN, []) == (found.run_id, found.failed)


def test_a_lock_is_never_said_to_be_held_by_the_one_before(
    elsewhere: EnvironmentLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recovery has the lock of a dead run, and has not yet written its own name over that of the run."""
    elsewhere.acquire(RUN)
    named = elsewhere.path.read_bytes()
    elsewhere.release()
    elsewhere.path.write_bytes(named)
    seen: list[guard.Holder | None] = []
    looks = threading.Thread(target=lambda: seen.append(guard.holder(LOCK)))
    truncate = os.ftruncate

    def look_first(descriptor: int, length: int) -> None:
        looks.start()
        looks.join(0.2)
        truncate(descriptor, length)

    monkeypatch.setattr(os, "ftruncate", look_first)
    elsewhere.acquire(f"{guard.RECOVERY}{RUN}")
    looks.join()
    monkeypatch.setattr(os, "ftruncate", truncate)

    (holder,) = seen
    assert holder is not None
    assert holder.heals
