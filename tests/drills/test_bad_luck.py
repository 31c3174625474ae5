"""What goes wrong around a drill never makes it pass, and the lab is whole afterwards, if need be by `ftchaos recover`.

None of it depends on the database's flavour.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from crowded import FILLER
from residue import gone_within
from stages import Hooks, Stage, edit_json, reasons, restored, wait_until
from workplaces import TIMEOUT_S, Done

from ftchaos import run, verification
from ftchaos.actions import mysql as faults
from ftchaos.platforms.lab import recovery as recoveries
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.recovery import LabRecovery
from ftchaos.platforms.lab.tier import Tier
from ftchaos.report import terminal

pytestmark = pytest.mark.parametrize("build", ["mariadb"], indirect=True)


# The fault


def test_a_fault_that_does_not_bite_proves_nothing_and_harms_nothing(stage: Stage, hooks: Hooks) -> None:
    hooks.patch.setattr(Tier, "destroy", lambda tier, run_id: None)
    hooks.patch.setattr(faults, "PROOF_TIMEOUT_S", 1.0)
    before = _databases(stage)
    result = stage.drill()

    assert result.evidence.verdict == "inconclusive"
    assert "the fault was never seen" in reasons(result)
    assert result.evidence.witness.proven is False
    assert _databases(stage) == before
    stage.ensure_whole(result)


def test_a_fault_that_takes_only_the_primary_is_not_the_disaster_and_loses_no_write(stage: Stage, hooks: Hooks) -> None:
    """The failover manager promotes a replica, which leads on after the heal with all that it has acknowledged."""

    def destroy(tier: Tier, run_id: str) -> None:
        hooks.patch.setattr(Tier, "servers", {tier.primary.name: tier.primary})
        real(tier, run_id)
        hooks.patch.setattr(Tier, "servers", servers)
        assert wait_until(lambda: tier.primary.name != before, timeout_s=60)

    real, servers = Tier.destroy, Tier.servers
    before = stage.tier.primary.name
    hooks.patch.setattr(Tier, "destroy", destroy)
    hooks.patch.setattr(faults, "PROOF_TIMEOUT_S", 1.0)
    result = stage.drill()

    assert result.evidence.verdict == "inconclusive"
    assert "the fault was never seen" in reasons(result)
    stage.ensure_whole(result)
    assert stage.tier.primary.name != before


def _databases(stage: Stage) -> dict[str, int]:
    services = stage.lab.status()["services"]
    return {name: services[name]["pid"] for name in stage.tier.servers}


# Who surrounds the run


@pytest.mark.parametrize(("who", "step"), [("workload", "replay"), ("witness", "destroy")])
def test_without_workload_or_witness_nothing_is_measured(who: str, step: str, stage: Stage, hooks: Hooks) -> None:
    def die(recovery: LabRecovery) -> None:
        process = run.current().traffic._processes[who]
        process.kill()
        process.wait()

    hooks.before(step, die)
    result = stage.drill()

    assert result.evidence.verdict == "inconclusive"
    assert f"the {who} died with -9" in reasons(result)
    stage.ensure_whole(result)


def test_a_failover_manager_that_hangs_detects_nothing(stage: Stage, hooks: Hooks) -> None:
    def hang(recovery: LabRecovery) -> None:
        stage.lab.call("kill_service", name="failover", signal=signal.SIGSTOP)

    hooks.patch.setattr(recoveries, "DETECT_TIMEOUT_S", 1.0)
    hooks.patch.setattr(Folder.pause, "__defaults__", (0.5,))
    hooks.before("destroy", hang)
    result = stage.drill()
    stage.lab.call("kill_service", name="failover", signal=signal.SIGCONT)

    assert result.evidence.verdict == "inconclusive"
    assert "the failover manager did not notice within 1 s" in reasons(result)
    stage.ensure_whole(result)


def test_survivors_that_cannot_be_read_are_no_survivors(stage: Stage, hooks: Hooks) -> None:
    """The restored server dies before the audit; the heal begins it again and grows its replicas."""

    def die() -> None:
        recovery = run.current().platform.recovery()
        assert isinstance(recovery, LabRecovery)
        stage.lab.call("kill_service", name=restored(recovery).name)

    hooks.before_audit(die)
    result = stage.drill()

    assert result.evidence.verdict == "inconclusive"
    assert "The audit of the restored data did not complete." in reasons(result)
    assert any("Can't connect" in step.error for step in result.evidence.steps if "audit" in step.name)
    stage.ensure_whole(result)


# The heal


def test_a_heal_that_fails_is_said_last_and_loudest_and_recover_mends_it(stage: Stage, hooks: Hooks) -> None:
    """A lost volume was moved, so it cannot be put back. The drill itself fails at a time before all backups."""
    moved = stage.place.folder / "moved"

    def move(recovery: LabRecovery) -> None:
        home = stage.lab.folder / "zone-c" / "mysql-c"
        (volume := home / f"data.destroyed-{run.current().id}").rename(moved)
        volume.write_text("not a volume")

    hooks.after("destroy", move)
    result = stage.drill(to="2001-01-01T00:00:00Z")

    assert (result.evidence.verdict, result.exit_code) == ("failed", 4)
    assert result.evidence.reasons[0].startswith("A heal failed and the system is left harmed: the database tier")
    assert "the target lies before the oldest backup" in "\n".join(result.evidence.reasons)
    last = [line.plain for line in terminal.summary(result.evidence, result.folder)][-2:]
    by_hand = f"by hand: FTCHAOS_STATE={stage.place.state} ftchaos recover"
    assert last == ["THE SYSTEM IS LEFT HARMED. Heal it: ftchaos recover", by_hand]

    assert stage.place.run("recover").exit_code == 4
    home = stage.lab.folder / "zone-c" / "mysql-c" / "data"
    home.unlink()
    moved.rename(home)
    recovered = stage.place.run("recover")

    assert (recovered.exit_code, recovered.stdout.count("healed: ")) == (0, 1)
    assert stage.place.run("recover").stdout == f"nothing to recover in {stage.place.state}\n"
    assert verification.verify(result.folder) == []
    stage.ensure_up()


# The disk


def test_without_room_for_the_restored_data_nothing_is_begun(stage: Stage) -> None:
    """A lab of its own on a small disk of its own."""
    small = stage.place.folder / "small-state"
    drilled, recovered = _crowded(stage, small, "restore", 16 << 20, "", {"FTCHAOS_STATE": str(small)})

    assert drilled.exit_code == 3
    assert "no room for" in drilled.stdout
    assert (recovered.exit_code, recovered.stdout) == (0, f"nothing to recover in {small}\n")
    assert gone_within(small, 2)


def test_a_full_disk_of_the_reports_stops_no_heal_and_the_evidence_is_completed_later(stage: Stage) -> None:
    small = stage.place.folder / "small-reports"
    drilled, recovered, again, verified, shown = _crowded(
        stage, small, "cut_over", 0, f"--lab {stage.name} --reports {small}", {},
        "recover", f"report verify --reports {small}", f"report show --json --reports {small}",
    )  # fmt: skip

    assert drilled.exit_code == 3
    assert drilled.stderr.count("No space left on device") < 10
    recover = f"FTCHAOS_STATE={stage.place.state} ftchaos recover"
    assert drilled.stderr.splitlines()[-1] == f"HINT: make room there; `{recover}` then completes it"
    assert recovered.stdout.endswith("healed: nothing was harmed\n")  # any more
    assert again.stdout == f"nothing to recover in {stage.place.state}\n"
    assert verified.exit_code == 0
    assert shown.json["verdict"] == "inconclusive"
    assert shown.json["undo"]["recorded"] == shown.json["undo"]["healed"] == 1
    assert shown.json["data"]["acknowledged"] > 1000
    stage.ensure_up()


def _crowded(
    stage: Stage, disk: Path, step: str, room_bytes: int, options: str, environment: dict[str, str], *then: str
) -> list[Done]:
    """Run a drill with a disk of its own that becomes full, then make room and recover; how each command went."""
    commands = [
        f"{Path(__file__).with_name('crowded.py')} {step} {room_bytes} {disk} drill restore {options}",
        *(f"-m ftchaos {command}" for command in ("recover", *then)),
    ]
    lines = [f"mkdir {disk}", f"mount -t tmpfs -o size=1G tmpfs {disk}"]
    for number, command in enumerate(commands):
        lines += [f"{sys.executable} {command} >{number}.out 2>{number}.err", f"echo $? >{number}.code"]
        lines += [f"rm -f {disk}/{FILLER}"]
    subprocess.run(
        ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", "\n".join(lines)],
        cwd=stage.place.folder,
        env={**stage.place.environment(), **environment},
        timeout=TIMEOUT_S,
        check=True,
    )
    return [_done(stage.place.folder, number) for number in range(len(commands))]


def _done(folder: Path, number: int) -> Done:
    code, stdout, stderr = ((folder / f"{number}.{end}").read_text() for end in ("code", "out", "err"))
    sys.stderr.write(stderr)  # shown when the test fails
    return Done(int(code), stdout, stderr)


# The evidence


def test_a_sound_drill_passes_after_all_that_and_whoever_changes_its_files_is_found_out(stage: Stage) -> None:
    result = stage.drill()

    assert result.evidence.verdict == "passed", result.evidence.reasons
    stage.ensure_whole(result)
    assert stage.place.run("report", "verify").exit_code == 0
    lost = result.evidence.data.lost
    for name, (change, told) in _CHANGES.items():
        copy = stage.place.folder / "copies" / result.folder.name
        shutil.copytree(stage.place.reports, copy.parent)
        change(copy / name)
        problems = verification.verify(copy)
        assert problems[0] == f"altered: {name}"
        assert told.format(lost=lost) in "\n".join(problems[1:])
        assert stage.place.run("report", "verify", copy.name, "--reports", str(copy.parent)).exit_code == 1
        shutil.rmtree(copy.parent)


def _lose_the_last_write(path: Path) -> None:
    book = bytearray(path.read_bytes())
    book[-1] = 3
    path.write_bytes(book)


_CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "evidence.json": (
        lambda path: edit_json(path, lambda found: found["data"].update(lost=7_000)),
        "evidence.json says data.lost = 7000, the raw data says {lost}",
    ),
    "observations/survivors.json": (
        lambda path: edit_json(path, lambda found: found[0].update(strangers=5)),
        "evidence.json says data.unexpected = 0, the raw data says 5",
    ),
    "run.json": (
        lambda path: edit_json(path, lambda found: found["objectives"].update(rto_s=0.1)),
        "evidence.json says verdict = 'passed', the raw data says 'failed'",
    ),
    "undo.jsonl": (
        lambda path: path.write_bytes(path.read_bytes().splitlines(keepends=True)[0]),
        "evidence.json says undo.healed = 1, the raw data says 0",
    ),
    "observations/witness.jsonl": (
        lambda path: path.write_text(""),
        "evidence.json says witness.proven = True, the raw data says False",
    ),
}
