"""However a lab dies, nothing of it remains: no process, namespace, mount or interface."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from residue import gone_within, networks, processes, surroundings
from small_labs import bring_up_bare, small_server, wait_until

from ftchaos.platforms.lab.lab import Lab

_MODES = ["root", "user", "loopback"]
_STARTER = """
import sys
from small_labs import bring_up_bare, small_server, wait_until
lab = bring_up_bare(sys.argv[1], ephemeral=sys.argv[2] == "ephemeral")
for zone in ("zone-a", "zone-b"):
    lab.call("begin_service", spec=small_server(lab, zone).to_json())
print("up", flush=True)
sys.stdin.read()
"""
_LAUNCHER = """
import sys
from ftchaos.platforms.lab import control, lab, launch
folder = lab.folder_of(sys.argv[1])
ephemeral = sys.argv[2] == "ephemeral"
launch.launch(sys.argv[1], folder, launch.take_lock(folder), *launch.choose_mode(), ephemeral=ephemeral, recipe={})
control.call(folder, "status", {})
print("up", flush=True)
sys.stdin.read()
"""


def begin_starter(name: str, kind: str, program: str = _STARTER) -> subprocess.Popen[str]:
    """A process of its own that brings up a lab with two services, or does as another program says, and waits."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    starter = subprocess.Popen(
        [sys.executable, "-c", program, name, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    return starter


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.alone
@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("victim", ["starter", "head", "supervisor"])
def test_kill_9_anywhere_in_the_chain_leaves_nothing(
    mode: str, victim: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", mode)
    before = surroundings()
    starter = begin_starter(f"chain-{mode}", "ephemeral")
    supervisor = Lab.attach(f"chain-{mode}").status()["pid"]
    head = supervisor if mode == "loopback" else parent(supervisor)
    running = processes(state)
    assert len(running) >= 9
    assert len(networks(running)) == (0 if mode == "loopback" else 6)

    killed_at = time.monotonic()
    os.kill({"starter": starter.pid, "head": head, "supervisor": supervisor}[victim], signal.SIGKILL)
    if victim != "starter":
        # The starter is no part of the lab; it ends when it is told to.
        starter.communicate()
    else:
        starter.wait()

    assert gone_within(state, 2)
    assert time.monotonic() - killed_at < 2
    assert surroundings() == before


@pytest.mark.parametrize("mode", _MODES)
def test_a_lasting_lab_survives_its_starter_but_not_its_supervisor(
    mode: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", mode)
    starter = begin_starter(f"lasting-{mode}", "lasting")
    starter.kill()
    starter.wait()
    time.sleep(0.2)
    lab = Lab.attach(f"lasting-{mode}")
    assert lab.status()["services"]["redis-zone-a-7000"]["alive"] is True

    os.kill(lab.status()["pid"], signal.SIGKILL)

    assert gone_within(state, 2)


@pytest.mark.parametrize("mode", _MODES)
def test_the_folder_of_a_dead_lab_is_cleaned_by_the_next(
    mode: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", mode)
    dead = bring_up_bare("again")
    dead.call("begin_service", spec=small_server(dead, "zone-a").to_json())
    os.kill(dead.status()["pid"], signal.SIGKILL)
    assert gone_within(state, 2)

    again = bring_up_bare("again")

    assert not (again.folder / "zone-a").exists()
    assert again.status()["services"] == {}
    os.kill(again.status()["pid"], signal.SIGKILL)
    again.down()
    assert not again.folder.exists()


def test_a_supervisor_that_hangs_is_taken_down(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftchaos.platforms.lab.lab._HANG_S", 0.5)
    lab = bring_up_bare("hung")
    os.kill(lab.status()["pid"], signal.SIGSTOP)

    lab.down()

    assert gone_within(state, 2)
    assert not lab.folder.exists()


@pytest.mark.parametrize("mode", _MODES)
def test_sigterm_to_the_supervisor_ends_the_lab(mode: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_LAB_MODE", mode)
    lab = bring_up_bare("asked")
    lab.call("begin_service", spec=small_server(lab, "zone-a").to_json())

    os.kill(lab.status()["pid"], signal.SIGTERM)

    assert gone_within(state, 2)
    lab.down()


@pytest.mark.parametrize("kind", ["ephemeral", "lasting"])
def test_a_starter_killed_during_bring_up_leaves_no_half_lab(kind: str, state: Path) -> None:
    for number, delay_s in enumerate((0.0, 0.03, 0.1, 0.2)):
        name = f"half-{kind}-{number}"
        starter = begin_starting(name, kind)
        time.sleep(delay_s)
        starter.kill()
        starter.wait()

        if not gone_within(state, 2):  # a lab that was up by then and lasts is no half one
            assert kind == "lasting"
            Lab.attach(name).down()
        assert gone_within(state, 1)


@pytest.mark.parametrize("kind", ["ephemeral", "lasting"])
def test_a_supervisor_that_was_never_asked_to_bring_up_anything_ends_with_its_starter(kind: str, state: Path) -> None:
    starter = begin_starter(f"unasked-{kind}", kind, _LAUNCHER)
    starter.kill()
    starter.communicate()

    assert gone_within(state, 2)


def test_an_interrupted_bring_up_removes_even_its_folder(state: Path) -> None:
    starter = begin_starting("interrupted", "lasting")
    time.sleep(0.05)

    starter.send_signal(signal.SIGINT)
    _, problems = starter.communicate()

    assert "KeyboardInterrupt" in problems
    assert gone_within(state, 2)
    assert not (state / "lab" / "interrupted").exists()


def begin_starting(name: str, kind: str) -> subprocess.Popen[str]:
    """A starter that has just begun a supervisor."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, name, kind], env=environment, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    log = Path(os.environ["FTCHAOS_STATE"]) / "lab" / name / "supervisor.log"
    assert wait_until(log.exists, 60)
    return starter
