"""Wherever a drill of the configuration dies, its undo puts every object back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cluster import velero
from cluster.configured import Place, application, leases, more
from cluster.velero import Velero

import ftchaos
from ftchaos import notes, planning, platforms
from ftchaos.errors import FtchaosError, Inconclusive
from ftchaos.platforms.kubernetes import access as way
from ftchaos.platforms.kubernetes.configuration import making
from ftchaos.platforms.kubernetes.configuration import velero as restoring
from ftchaos.platforms.kubernetes.configuration.recovery import ConfigurationRecovery
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.platforms.mending import Mending
from ftchaos.undo import UndoLog


def _restore(place: Place, undo: UndoLog) -> None:
    """All that the drill calls, as far as it comes."""
    drill = place.plan().platform.recovery()
    with suppress(FtchaosError):
        drill.destroy(undo, "run", lambda: None)
        drill.detect(0.0)
        drill.decide("last")
        drill.provision()
        drill.restore(lambda done, total: None)


def _undo_log() -> UndoLog:
    path = notes.undo_log("run")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return UndoLog(path)


@pytest.mark.parametrize("effect", [False, True])
def test_death_at_each_write_is_undone_object_by_object(
    place: Place, effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number, died = place.state(), 0, True
    planning.preview(place.plan())
    asked = len([one for one in place.cluster.requests(writes=True) if one["resource"] == "selfsubjectaccessreviews"])
    while died:
        number += 1
        undo = _undo_log()
        place.cluster.stop_at(asked + number, effect=effect, hang_up=True, writes=True)
        with monkeypatch.context() as hasty:
            hasty.setattr(way, "ATTEMPTS", 1)
            hasty.setattr(making, "GONE_S", 3.0)
            _restore(place, undo)
        died = place.cluster.stopped
        place.cluster.resume()
        healed = undo.heal(platforms.heal)
        again = undo.heal(platforms.heal)

        assert [] == healed.failed, number
        assert [] == again.healed
        assert before == place.state(), number
        assert [] == list((place.folder / "state" / "runs").glob("*.secret"))
    assert number > 12


def test_heal_that_died_is_completed_by_the_next_and_keeps_its_file_until_then(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.state()
    for number in (1, 4, 9):
        undo = _undo_log()
        place.plan().platform.recovery().destroy(undo, "run", lambda: None)
        place.cluster.stop_at(number, effect=number == 4, hang_up=True, writes=True)
        with monkeypatch.context() as hasty:
            hasty.setattr(settling, "SETTLED_S", 0.0)
            hasty.setattr(way, "ATTEMPTS", 1)
            first = undo.heal(platforms.heal)
        place.cluster.resume()
        modes = [one.stat().st_mode & 0o777 for one in (place.folder / "state" / "runs").glob("*.secret")]
        second = undo.heal(platforms.heal)

        assert 2 == len(first.failed), number
        assert [0o600] == modes
        assert [] == second.failed
        assert before == place.state(), number


def test_heal_is_not_content_with_less_than_the_minimum_of_an_autoscaler(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLED_S", 0.0)
    place.cluster.settings(autoscale_s=1e6)
    deployment, scaler = (
        next(one for one in application() if one["kind"] == kind) for kind in ("Deployment", "HorizontalPodAutoscaler")
    )
    place.cluster.request("DELETE", place.cluster.path(scaler))
    place.cluster.create(scaler)
    place.cluster.request("PATCH", place.cluster.path(deployment), {"spec": {"replicas": 1}})
    place.cluster.until(place.is_ready, "the one that is left")
    mending, access = Mending("by hand"), place.plan().platform.recovery().access
    undo = {"place": access.place.to_json(), "ready": {"Deployment app/api": 2}}
    settling.wait(access, undo, mending)

    assert ["the workloads: Deployment app/api has 1 of 2 ready: not as before not within 0 s"] == mending.failed


def test_heal_waits_for_what_velero_has_begun_and_then_removes_what_that_made(place: Place) -> None:
    place.config()
    before, undo, backup = place.state(), _undo_log(), application()
    more(backup)
    with Velero(place.cluster, backup, takes_s=0.5) as installed:
        drill = place.plan().platform.recovery()
        drill.destroy(undo, "run", lambda: None)
        drill.detect(0.0)
        installed.back_up("of-what-is-left", "2099-01-01T00:00:00Z")
        fetched = drill.decide("last")
        with pytest.raises(Inconclusive, match="the Restore ftchaos-"):
            _begin_restore(drill)
        place.cluster.until(lambda: "status" in place.cluster.all("velero.io/v1", "Restore")[0], "Velero")
        healed = undo.heal(platforms.heal)

    assert velero.NAME == fetched.facts["backup"]["id"]
    assert [] == healed.failed
    assert before == velero.unlabelled(place.state())


def _begin_restore(drill: ConfigurationRecovery) -> None:
    """A drill that ends while Velero works."""
    with pytest.MonkeyPatch.context() as hasty:
        hasty.setattr(restoring, "RESTORED_S", 0.0)
        drill.restore(lambda done, total: None)


def test_killed_drill_is_undone_by_recover(place: Place) -> None:
    before = place.state()
    environment = {**os.environ, "PYTHONPATH": str(Path(ftchaos.__file__).parent.parent)}
    command = [sys.executable, "-m", "ftchaos"]
    options = ["--environment", "staging", "--reports", "reports"]
    place.cluster.clear()
    place.cluster.fail_next("HangUp", "create", "deployments", slow_s=60.0)
    with (place.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "drill", "config-restore", *options], cwd=place.folder, env=environment, stdout=log, stderr=log
        )
        place.cluster.until(
            lambda: any(one["verb"] == "create" and one["resource"] == "services" for one in place.cluster.requests()),
            "the drill",
            60,
        )
        process.kill()
        process.wait()
    place.cluster.clear()
    harmed, holder = place.state(), leases(place)
    done = subprocess.run([*command, "recover"], cwd=place.folder, env=environment, capture_output=True, check=False)
    again = subprocess.run([*command, "recover"], cwd=place.folder, env=environment, capture_output=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert before != harmed
    assert ["default/ftchaos: 2"] == [one[:18] for one in holder]  # the id of the run that was killed
    assert ["default/ftchaos: "] == leases(place)
    assert before == place.state()
    assert b"nothing to recover" in again.stdout
    assert [] == list((place.folder / "state" / "runs").glob("*"))
