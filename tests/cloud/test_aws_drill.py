"""The restore drill on AWS, through the command line: what it makes, measures, finds out and leaves behind.

One staging serves all drills; each leaves the account as it was.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from copy_account import ground, state
from fault_account import led_to
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import Staging
from workplaces import Done, Workplace

from ftchaos import engine, evidence, planning, verification
from ftchaos.mysql import session
from ftchaos.platforms.aws.drill import AwsDrill
from ftchaos.platforms.base import Step
from ftchaos.report import progress

CONFIGURATION = """\
objectives: {{sustain: 1s, rto: {rto}, rpo: {rpo}, p95: 2s}}
environments:
  staging:
    platform: aws
    account: "{account}"
    region: {region}
    endpoint: {endpoint}
    mysql: {{instance: {instance}, secret: {secret}, database: filetransfer, ca: {ca}}}
    drill: {{subnets: [{subnets}]}}
"""


@dataclass(frozen=True)
class Stage:
    """A staging, and a folder in which ftchaos is run against it."""

    made: Staging
    place: Workplace
    subnets: list[str]

    def configure(self, rto: str = "4m", rpo: str = "2m") -> None:
        standin = self.made.standin
        (self.place.folder / "ftchaos.yaml").write_text(
            CONFIGURATION.format(
                account=standin.account, region=standin.region, endpoint=standin.endpoint, instance=staging.INSTANCE,
                secret=staging.SECRET, ca=standin.ca, subnets=", ".join(self.subnets), rto=rto, rpo=rpo,
            )
        )  # fmt: skip

    def run(self, *options: str) -> Done:
        return self.place.run("drill", "restore", "--environment", "staging", *options)

    def state(self) -> dict[str, Any]:
        """The account, object by object, once nothing in it is under way."""
        self.made.await_available()
        return state(self.made.standin)


@pytest.fixture(scope="module")
def built(standin: Standin) -> Iterator[Stage]:
    with led_to(standin):
        standin.reset()
        made = staging.build(standin, replicas=0, caches=False)
        place = Workplace(Path(tempfile.mkdtemp(prefix="ftchaos-staging-")))
        yield Stage(made, place, ground(standin)[1])
        shutil.rmtree(place.folder)


@pytest.fixture
def stage(built: Stage) -> Stage:
    built.configure()
    built.made.standin.clear()
    return built


def test_a_preview_names_what_would_be_made_and_makes_nothing(stage: Stage) -> None:
    before = stage.state()
    done = stage.run("--dry-run", "--json")

    assert 0 == done.exit_code, done.stderr
    assert [] == done.json["targets"]
    assert done.json["makes"][0].startswith("a copy of file-transfer-staging in us-east-1: db.t3.medium, as of ")
    assert before == stage.state()
    assert [] == stage.place.runs()


def test_a_copy_is_restored_audited_read_and_removed_and_its_source_stands_still(stage: Stage) -> None:
    before = stage.state()
    done = stage.run("--json")
    found = json.loads(done.stdout)
    folder = stage.place.runs()[-1]
    recovery = found["recovery"]

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert found["summary"].startswith("A disaster was assumed at ")
    assert 0 < recovery["available_s"] < recovery["first_answer_s"] < recovery["recovery_time_s"] < 120
    assert found["data"]["acknowledged"] > 100
    assert "passed" == found["data"]["self_test"]
    assert 0 <= found["data"]["data_loss_s"] < 20
    assert found["data"]["lost"] > 0  # the newest second could not be restored yet
    assert {"schema", "tables", "rows", "source"} <= {one["name"] for one in found["verification"]["checks"]}
    assert all(one["passed"] for one in found["verification"]["checks"])
    assert "point-in-time" == found["backup"]["method"]
    assert found["replay"]["until_at"]
    assert [] == [one for one in found["witness"]["observations"] if one["saw"] == "refused"]
    assert found["undo"]["recorded"] == found["undo"]["healed"] >= 6
    assert {"rds:RestoreDBInstanceToPointInTime", "rds:DeleteDBInstance"} <= {
        one["name"] for one in found["calls"]["operations"]
    }
    assert 1.0 == found["service"]["success_ratio"]
    assert 0 < found["cost"]["usd"] < found["cost"]["estimated_usd"]
    assert before == stage.state()
    assert [] == verification.verify(folder)
    kept = [path for path in (*folder.rglob("*"), *stage.place.state.rglob("*")) if path.is_file()]
    assert [] == [path for path in kept if stage.made.password.encode() in path.read_bytes()]
    assert [] == [*stage.place.state.rglob("*.secret"), *stage.place.state.rglob("*.password")]


def test_of_a_snapshot_the_age_is_the_loss_where_that_is_accepted(stage: Stage) -> None:
    rds = stage.made.standin.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=staging.INSTANCE, DBSnapshotIdentifier="nightly")
    until(lambda: _status(rds, "nightly") == "available", 60, "the snapshot")
    configuration = stage.place.folder / "ftchaos.yaml"
    done = stage.run("--json", "--method", "snapshot")
    unknown = json.loads(done.stdout)
    configuration.write_text(f"{configuration.read_text()}restore: {{accept_backup_age: true}}\n")
    done = stage.run("--json", "--method", "snapshot")
    found = json.loads(done.stdout)

    assert "inconclusive" == unknown["verdict"]
    assert "restore.accept_backup_age" in unknown["reasons"][0]
    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert ("backup age", None) == (found["data"]["source"], found["data"]["data_loss_s"])
    assert 0 < found["data"]["backup_age_s"] < 120
    assert found["data"]["lost"] == found["data"]["acknowledged"] > 0


def _status(rds: Any, name: str) -> str:
    return str(rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]["Status"])


def test_whoever_recovers_after_a_kill_removes_the_copy(stage: Stage) -> None:
    before, known = stage.state(), set(stage.place.runs())
    process = stage.place.begin("drill", "restore", "--environment", "staging")
    deadline = time.monotonic() + 60
    while not (begun := [one for one in stage.place.runs() if one not in known and "restore" in _facts(one)]):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    during = state(stage.made.standin)
    process.kill()
    process.communicate()
    done = stage.place.run("recover")
    found = evidence.read(begun[0])

    assert 0 == done.exit_code, done.stderr
    assert before != during
    assert before == stage.state()
    assert ("inconclusive", 130) == (found.verdict, found.exit_code)
    assert found.undo.recorded == found.undo.healed
    assert "nothing to recover" in stage.place.run("recover").stdout


def _facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())["facts"]
    return found


def test_without_backups_nothing_begins(stage: Stage) -> None:
    rds, known = stage.made.standin.client("rds"), stage.place.runs()
    rds.modify_db_instance(DBInstanceIdentifier=staging.INSTANCE, BackupRetentionPeriod=0, ApplyImmediately=True)
    stage.made.await_available()
    done = stage.run()
    rds.modify_db_instance(DBInstanceIdentifier=staging.INSTANCE, BackupRetentionPeriod=30, ApplyImmediately=True)
    stage.made.await_available()

    assert 5 == done.exit_code
    assert "keeps no automated backups: its retention is 0" in done.stderr
    assert known == stage.place.runs()


def test_a_copy_that_lacks_a_row_in_the_middle_fails_the_drill(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_over = AwsDrill.cut_over

    def damaged(drill: AwsDrill) -> Step:
        with drill.connect() as copy:
            newest = session.value(copy, "SELECT MAX(id) FROM ftchaos.ledger_writes")
            session.execute(copy, [f"DELETE FROM ftchaos.ledger_writes WHERE id = {newest - 20}"])
        return cut_over(drill)

    monkeypatch.setattr(AwsDrill, "cut_over", damaged)
    monkeypatch.chdir(stage.place.folder)
    monkeypatch.setenv("FTCHAOS_STATE", str(stage.place.state))
    before = stage.state()
    given = {"environment": "staging", "reports": str(stage.place.reports)}
    result = engine.run(planning.plan("drill", "restore", given), progress.for_stream(sys.stderr))

    assert "failed" == result.evidence.verdict
    assert "1 of the lost writes are missing from the middle of what survived" in result.evidence.reasons[0]
    assert before == stage.state()
