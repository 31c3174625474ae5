"""The reaper: heals a lab when the run is killed, or does not end a fault in time, and is gone when all is well."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from just_begun import folder_of
from small_labs import bring_up, wait_until

from ftchaos import evidence, guard, manifest, notes, recover
from ftchaos.cli import cli
from ftchaos.errors import Invalid, StepFailed
from ftchaos.platforms.lab.lab import Lab
from ftchaos.process import alive
from ftchaos.reaper import Reaper
from ftchaos.undo import UndoLog

RUN = "20261123T061500Z-reaped-7f3a"
ZONE = "zone-c"
HEAL_S = 60.0  # a zone of real servers must catch up

# A run as far as the reaper knows one: lock, note, undo log and a dead zone.
_RUN = """
import signal, sys, time
from ftchaos import guard, notes, reaper, stop
from ftchaos.platforms import heal
from ftchaos.platforms.lab import faults, standing
from ftchaos.platforms.lab.lab import Lab
from ftchaos.undo import UndoLog, is_fault

run_id, lab_name, folder, harms, obeys, limit_s = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
lock = guard.EnvironmentLock(f"lab.{lab_name}")
lock.acquire(run_id)
notes.Note(run_id, folder, f"lab.{lab_name}", "lab").write()
reaping = reaper.Reaper.begin(run_id, float(limit_s) or None)
undo = UndoLog(notes.undo_log(run_id))

def obey(reason):
    undo.stop(reason)
    undo.heal(heal, only=is_fault)

if obeys == "obeys":
    stop.Watch([lambda: notes.asked_to_stop(run_id)], obey, lambda: None).begin()
lab = Lab.attach(lab_name)
if harms == "harms":
    with undo.injecting():
        fault = faults.find("fail_zone")
        harm = fault.plan(standing.fresh(lab.layout), zone="zone-c", manner="outage")
        undo.record("lab", "fault.fail_zone", {**harm.undo, "lab": lab_name}, harm.clause)
        fault.inject(lab, harm)
print("up", reaping._process.pid, flush=True)
for line in sys.stdin:
    if line == "record\\n":
        try:
            undo.record("lab", "fault.fail_zone", {}, "more")
        except Exception as error:
            print(error.fact, flush=True)
    if line == "end\\n":
        undo.heal(heal)
        notes.forget(run_id)
        reaping.end()
        print("ended", flush=True)
"""


_begun: list[subprocess.Popen[str]] = []


class _Begun:
    """A run in a process of its own, and its reaper."""

    def __init__(self, lab: Lab, folder: Path, *, harms: bool = True, obeys: bool = False, limit_s: float = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUN, RUN, lab.name, str(folder), "harms" if harms else "harmless",
             "obeys" if obeys else "hangs", str(limit_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        up, _, pid = self.hear().partition(" ")
        assert up == "up", self.process.communicate()[1]
        self.reaper = int(pid)
        _begun.append(self.process)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, number)


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    lab = bring_up("reaped", "mariadb", ephemeral=False)
    yield lab
    lab.down()


@pytest.fixture(autouse=True)
def whole(lab: Lab) -> Iterator[None]:
    """Each test begins with a whole lab and leaves no reaper."""
    assert wait_until(lambda: _is_whole(lab), HEAL_S)
    yield
    for process in _begun:
        process.kill()
        process.communicate()
    _begun.clear()
    if not wait_until(lambda: not _reapers(), HEAL_S):
        pytest.fail(f"reapers are left: {_reapers()}")
    notes.forget(RUN)
    notes.reaper_log(RUN).unlink(missing_ok=True)


def _reapers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name.isdigit() and b"ftchaos.reaper" in words and RUN.encode() in words and alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def _is_whole(lab: Lab) -> bool:
    return all(_in_zone(lab).values())


def _in_zone(lab: Lab) -> dict[str, int | None]:
    """The pids of the zone's services."""
    return {name: one["pid"] for name, one in lab.status()["services"].items() if one["place"] == ZONE}


def _ignores(pid: int) -> int:
    """Which of SIGHUP and SIGINT a process ignores."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("SigIgn:"))
    return int(line.split()[1], 16) & 0b11


def _said() -> str:
    return notes.reaper_log(RUN).read_text()


def test_killed_run_is_healed_and_its_evidence_completed_within_seconds(lab: Lab, tmp_path: Path) -> None:
    folder = folder_of(RUN, tmp_path)
    run = _Begun(lab, folder)
    assert not _is_whole(lab)
    killed_at = datetime.now(UTC)
    run.kill()
    # Whoever held a pipe of the run open would keep us here.
    run.process.communicate(timeout=2)

    assert wait_until(lambda: not notes.note(RUN).exists(), HEAL_S), _said()
    begun_at = datetime.fromisoformat(_said().split()[0])
    assert (begun_at - killed_at).total_seconds() < 5
    assert _is_whole(lab)
    assert wait_until(lambda: not alive(run.reaper), 2)
    left = [path for path in notes.note(RUN).parent.iterdir() if path.name.startswith(RUN)]
    assert [notes.reaper_log(RUN)] == left
    assert f"{RUN}: healed: zone-c lost its power" in _said()
    assert "cannot be completed" not in _said()
    found = evidence.read(folder)
    assert (1, 1) == (found.undo.recorded, found.undo.healed)
    assert "ftchaos was killed; its reaper healed what it had harmed" in found.reasons[0]
    assert [] == manifest.verify(folder).problems()
    assert [] == recover.recover(dry_run=False, progress=lambda _: None)


def test_zero_dose_a_killed_run_that_harmed_nothing_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path / "moved-away", harms=False)
    pids = _in_zone(lab)
    run.kill()

    assert wait_until(lambda: not notes.note(RUN).exists(), HEAL_S), _said()
    assert pids == _in_zone(lab)


def test_ctrl_c_and_a_lost_terminal_do_not_reach_the_reaper(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path)
    assert wait_until(lambda: _ignores(run.reaper) == 0b11, 10)
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(run.reaper, number)
    assert os.getsid(run.reaper) == os.getpgid(run.reaper) == run.reaper
    run.kill(signal.SIGINT)

    assert wait_until(lambda: not notes.note(RUN).exists(), HEAL_S), _said()
    assert _is_whole(lab)


def test_reaper_holds_no_terminal_and_no_pipe(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, harms=False)

    def held() -> dict[str, str]:
        return {entry.name: os.readlink(entry) for entry in Path(f"/proc/{run.reaper}/fd").iterdir()}

    def beyond_standard() -> list[str]:
        try:
            return [where for number, where in held().items() if number not in "012"]
        except FileNotFoundError:  # one was closed meanwhile
            return []

    # It may still load a library, whose file is open for a moment.
    assert wait_until(lambda: beyond_standard() == ["anon_inode:[pidfd]"], 10), held()
    assert "/dev/null" == held()["0"]
    assert held()["1"] == held()["2"] == str(notes.reaper_log(RUN))
    run.kill()


def test_run_that_ends_well_leaves_no_reaper(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path)
    run.say("end")

    assert "ended" == run.hear()
    assert not Path(f"/proc/{run.reaper}").exists()
    assert _is_whole(lab)
    run.process.communicate()
    assert 0 == run.process.returncode


def test_reaper_ends_with_the_note_although_nobody_tells_it(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, harms=False)
    assert wait_until(lambda: _ignores(run.reaper) == 0b11, 10)
    notes.forget(RUN)

    assert wait_until(lambda: not alive(run.reaper), 2)
    run.kill()


def test_fault_over_its_limit_is_healed_by_the_run_itself_when_it_listens(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, obeys=True, limit_s=1)

    assert wait_until(lambda: _is_whole(lab), HEAL_S)
    assert "a fault lasted longer than its limit of 1 s" == UndoLog(notes.undo_log(RUN)).stopped()
    assert "healed for it" not in notes.reaper_log(RUN).read_text()
    run.say("end")
    assert "ended" == run.hear()


def test_fault_over_its_limit_is_healed_for_a_run_that_hangs(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, limit_s=1)
    assert wait_until(lambda: notes.asked_to_stop(RUN), 4)
    os.kill(run.process.pid, signal.SIGSTOP)
    assert not _is_whole(lab)

    assert wait_until(lambda: _is_whole(lab), HEAL_S)
    os.kill(run.process.pid, signal.SIGCONT)
    run.say("record")
    assert run.hear().startswith("the run was stopped: a fault lasted longer than its limit")
    run.say("end")
    assert "ended" == run.hear()


def test_without_a_limit_a_fault_may_last(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, obeys=True)
    time.sleep(1)

    assert not _is_whole(lab)
    assert "" == notes.asked_to_stop(RUN)
    run.kill()


@pytest.mark.parametrize("delay_s", [0.0, 0.2, 0.5])
def test_a_person_who_recovers_at_the_same_time_is_no_harm(lab: Lab, tmp_path: Path, delay_s: float) -> None:
    folder = folder_of(RUN, tmp_path)
    run = _Begun(lab, folder)
    run.kill()
    run.process.wait()
    time.sleep(delay_s)

    found = recover.recover(dry_run=False, progress=lambda _: None)

    assert [] == [one for one in found if one.failed]
    assert _is_whole(lab)
    assert not notes.note(RUN).exists()
    assert [] == manifest.verify(folder).problems()
    assert (1, 1) == (evidence.read(folder).undo.recorded, evidence.read(folder).undo.healed)


def test_run_that_cannot_have_a_reaper_does_not_begin(state: Path) -> None:
    with pytest.raises(StepFailed, match="the reaper cannot be begun"):
        Reaper.begin("no-such-folder/run")


def test_live_run_is_found_stopped_by_command_and_left_alone_by_recover(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, obeys=True)
    told: list[str] = []
    assert [] == recover.recover(dry_run=False, progress=told.append)
    assert [f"{RUN} is still running on {socket.gethostname()}; it is left alone"] == told

    done = CliRunner().invoke(cli, ["stop", "--reason", "the phones ring"])

    assert f"{RUN} in the environment 'lab' heals now, and ends\n" == done.output
    assert wait_until(lambda: _is_whole(lab), HEAL_S)
    assert "the phones ring" == UndoLog(notes.undo_log(RUN)).stopped()
    run.say("end")
    assert "ended" == run.hear()
    assert not notes.stop_file(RUN).exists()


def test_run_that_does_not_listen_is_not_said_to_stop(lab: Lab, tmp_path: Path) -> None:
    run = _Begun(lab, tmp_path, harms=False)

    with pytest.raises(StepFailed, match=rf"does not listen\nHINT: send SIGTERM to its process {run.process.pid}"):
        recover.stop(RUN, "in vain")


def test_stop_without_a_run_says_where_it_looked(state: Path) -> None:
    with pytest.raises(Invalid, match=f"no run is under way in the state folder {state}"):
        recover.one_under_way(None)
    with pytest.raises(Invalid, match="no run nobody is under way"):
        recover.one_under_way("nobody")


def test_stop_tells_a_dead_run_and_asks_which_of_several(state: Path) -> None:
    dead = notes.Note("dead", "", "lab.dead", "lab")
    dead.write()
    one, two = (replace(dead, run_id=name, lock=f"lab.{name}") for name in ("one", "two"))
    try:
        with pytest.raises(Invalid, match=r"the run dead is dead\nHINT: run `FTCHAOS_STATE=.* ftchaos recover`"):
            recover.one_under_way("dead")
        with guard.EnvironmentLock("lab.one") as first, guard.EnvironmentLock("lab.two") as second:
            for note, lock in ((one, first), (two, second)):
                note.write()
                lock.acquire(note.run_id)

            assert [one, two] == recover.under_way()
            assert two == recover.one_under_way("two")
            with pytest.raises(Invalid, match="2 runs are under way"):
                recover.one_under_way(None)
    finally:
        for name in ("dead", "one", "two"):
            notes.forget(name)


def test_recover_with_nothing_to_do_names_the_state_folder(state: Path) -> None:
    assert f"nothing to recover in {state}\n" == CliRunner().invoke(cli, ["recover"]).output
