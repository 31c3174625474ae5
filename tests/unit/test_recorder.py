"""The API calls of a run are in its raw data whatever happens, never with a parameter, and the evidence counts them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import just_begun
import pytest

from ftchaos import conclusion, verification
from ftchaos.clock import Clock, now
from ftchaos.conclusion.calls import calls
from ftchaos.errors import Invalid
from ftchaos.notes import Note
from ftchaos.platforms.aws.access import Call
from ftchaos.platforms.recorder import FILE, Recorder
from ftchaos.record import RunRecord

RUN = "20261123T061500Z-zone-outage-7f3a"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = just_begun.folder_of(RUN, tmp_path)
    (made / "observations").mkdir()
    return made


def _call(operation: str = "StopInstances", error: str = "", **more: Any) -> Call:
    return Call(now(), "ec2", operation, "us-east-1", "1f2e", error, **more)


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_each_call_is_a_line_in_the_time_of_the_run_and_without_its_parameters(folder: Path) -> None:
    clock = RunRecord.read(folder).clock
    call = _call(error="Throttling", retries=4)
    Recorder(folder)(call)
    (line,) = _lines(folder)

    assert {
        "at": clock.iso(call.at), "service": "ec2", "operation": "StopInstances", "region": "us-east-1",
        "request_id": "1f2e", "error": "Throttling", "retries": 4,
    } == line  # fmt: skip


def test_calls_of_many_threads_and_of_two_processes_are_all_there(folder: Path) -> None:
    recorder, other = Recorder(folder), Recorder(folder)  # the other stands for a process that heals
    threads = [
        threading.Thread(target=lambda one=one: [one(_call()) for _ in range(100)])  # type: ignore[misc]
        for one in (recorder, other, recorder, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 400 == len(_lines(folder))


def test_whoever_is_killed_has_recorded_each_call_that_it_made(folder: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        recorder = Recorder(folder)
        while True:
            recorder(_call())
            os.write(writing, b".")
    os.close(writing)
    made = 0
    while made < 50:
        made += len(os.read(reading, 10))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while some := os.read(reading, 1 << 16):
        made += len(some)
    os.close(reading)

    assert made <= len(_lines(folder)) <= made + 1


def test_a_full_disk_disturbs_nobody_and_what_was_not_recorded_is_counted(folder: Path) -> None:
    (folder / FILE).symlink_to("/dev/full")
    recorder = Recorder(folder)
    for _ in range(3):
        recorder(_call())
    (folder / FILE).unlink()
    recorder(_call())
    recorder(_call())
    found = calls(folder)

    assert found is not None
    assert (2, 3) == (found.total, found.unrecorded)


def test_half_a_line_swallows_no_other_and_counts_as_a_call_of_which_nothing_is_known(folder: Path) -> None:
    (folder / FILE).write_text('{"at": "2026-11-23T06:1')
    Recorder(folder)(_call())
    found = calls(folder)

    assert found is not None
    assert (1, 1) == (found.total, found.unrecorded)


def test_nothing_is_recorded_into_evidence_that_is_complete(folder: Path) -> None:
    recorder = Recorder(folder)
    recorder(_call())
    conclusion.write(conclusion.conclude(folder), folder)
    recorder(_call())

    assert 1 == len(_lines(folder))
    assert [] == verification.verify(folder)


def test_after_a_reboot_calls_have_the_time_of_the_wall(folder: Path) -> None:
    record = RunRecord.read(folder)
    dataclasses.replace(record, clock=Clock(now() + 86_400.0, time.time())).save(folder)
    began_at = Clock.anchored().iso(now())
    Recorder(folder)(_call())
    (line,) = _lines(folder)

    assert began_at <= line["at"] <= Clock.anchored().iso(now() + 1)


def test_whoever_heals_finds_the_folder_by_the_note_of_the_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    Note(RUN, str(folder), "staging", "staging").write()
    found = Recorder.of(RUN)

    assert found is not None
    found(_call())
    assert 1 == len(_lines(folder))


@pytest.mark.parametrize("run_id", ["", "20261123T061500Z-another-0000"])
def test_without_a_run_there_is_nothing_to_record_into(
    run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    Note(RUN, str(tmp_path / "gone"), "staging", "staging").write()

    assert Recorder.of(run_id) is None
    assert Recorder.of(RUN) is None
    with pytest.raises(Invalid):
        Recorder(tmp_path / "gone")


def test_the_evidence_counts_by_operation_from_the_file_alone(folder: Path) -> None:
    recorder = Recorder(folder)
    began_at = now()
    for number, (operation, error) in enumerate(
        [("StopInstances", ""), ("DescribeInstances", "RequestLimitExceeded"), ("DescribeInstances", "AuthFailure")]
    ):
        recorder(dataclasses.replace(_call(operation, error, retries=number), at=began_at + number))
    found = calls(folder)
    clock = RunRecord.read(folder).clock

    assert found is not None
    assert (3, 2, 1, 3) == (found.total, found.errors, found.throttled, found.retries)
    assert (clock.iso(began_at), clock.iso(began_at + 2)) == (found.first_at, found.last_at)
    assert [("ec2:DescribeInstances", 2, 2, 1, 3), ("ec2:StopInstances", 1, 0, 0, 0)] == [
        (one.name, one.calls, one.errors, one.throttled, one.retries) for one in found.operations
    ]


def test_a_run_without_a_cloud_has_no_calls(folder: Path) -> None:
    assert calls(folder) is None
    assert conclusion.conclude(folder).calls is None


def test_a_call_that_somebody_took_out_of_the_file_is_found(folder: Path) -> None:
    recorder = Recorder(folder)
    recorder(_call())
    recorder(_call("StartInstances"))
    conclusion.write(conclusion.conclude(folder), folder)
    first, _ = (folder / FILE).read_text().splitlines()
    (folder / FILE).write_text(first + "\n")
    problems = verification.verify(folder)

    assert f"altered: {FILE}" in problems
    assert "evidence.json says calls.total = 2, the raw data says 1" in problems
