"""Drills wherever a lab can be: of an ordinary user, on loopback addresses, and in two labs side by side."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ordinary
import pytest
from residue import gone_within, surroundings
from stages import CONFIGURATION, Hooks, Stage, reasons, wait_until
from workplaces import TIMEOUT_S, Workplace

from ftchaos.mysql import archive
from ftchaos.mysql import session as sessions
from ftchaos.platforms.lab.recovery import LabRecovery


def test_an_ordinary_users_drill_passes_and_leaves_nothing() -> None:
    before = surroundings()
    scratch = Path(tempfile.mkdtemp(prefix="ftchaos-"))
    scratch.chmod(0o755)
    (scratch / "ftchaos.yaml").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "ftchaos", "drill", "restore", "--json", "--mysql-flavour", "mariadb"]
    command += ["--size", "8MiB", "--reports", str(scratch / "reports"), "--config", str(scratch / "ftchaos.yaml")]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "FTCHAOS_LAB_MODE"},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FTCHAOS_STATE": str(scratch / "state"),
        "HOME": str(scratch),
    }

    done = subprocess.run(
        ordinary.argv(command, scratch),
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["system"]["mode"]) == ("passed", "user")
    assert (scratch / "reports" / found["run_id"]).stat().st_uid != 0
    assert gone_within(scratch / "state", 3)
    assert surroundings() == before
    shutil.rmtree(scratch)


@pytest.fixture(scope="module")
def labs(shared_workplace: Workplace) -> list[Stage]:
    """Two labs that are up at the same time, the second on loopback addresses."""
    one = Stage.build(shared_workplace, "one", "mariadb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_LAB_MODE", "loopback")
        two = Stage.build(shared_workplace, "two", "mariadb")
    return [one, two]


def test_two_drills_side_by_side_pass(labs: list[Stage]) -> None:
    place = labs[0].place
    drills = [place.begin("drill", "restore", "--json", "--lab", stage.name) for stage in labs]
    said = [drill.communicate(timeout=TIMEOUT_S) for drill in drills]

    for (stdout, stderr), mode in zip(said, ("root" if os.geteuid() == 0 else "user", "loopback"), strict=True):
        assert json.loads(stdout)["verdict"] == "passed", stderr
        assert json.loads(stdout)["system"]["mode"] == mode
    assert place.run("report", "verify", "--all").exit_code == 0


@pytest.mark.parametrize("what", ["backups", "archive"])
def test_backups_or_archive_of_a_lab_that_has_lived_the_same_are_of_another_server(
    what: str, labs: list[Stage], hooks: Hooks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both labs had their drill, so their servers have the same ids, and their logs the same names."""
    one, two = labs
    monkeypatch.chdir(one.place.folder)
    monkeypatch.setenv("FTCHAOS_STATE", str(one.place.state))
    ours, theirs = (stage.lab.folder / what for stage in labs)

    def exchange(recovery: LabRecovery) -> None:
        _live_on(two)
        shutil.copytree(theirs, tmp_path / "theirs")
        ours.rename(tmp_path / what)
        (tmp_path / "theirs").rename(ours)

    hooks.before("decide", exchange)
    try:
        result = one.drill()
    finally:
        ours.rename(tmp_path / "theirs")  # whole, as an archiver may be at work in it
        (tmp_path / what).rename(ours)

    assert result.evidence.verdict == "inconclusive"
    assert "of another server" in reasons(result)
    one.ensure_whole(result)


def _live_on(stage: Stage) -> None:
    """Have the lab's archive end a minute from now."""
    before = archive.newest(stage.lab.folder / "archive")
    with stage.tier.primary.connect() as session:
        later = "SET SESSION timestamp = UNIX_TIMESTAMP() + 60"
        sessions.execute(session, [later, "UPDATE filetransfer.users SET created_at = NOW(6) ORDER BY id LIMIT 1"])
    assert wait_until(lambda: archive.newest(stage.lab.folder / "archive") != before, timeout_s=60)
