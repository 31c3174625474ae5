"""The shipped experiments on AWS, through the command line: what they judge, prove, leave behind and refuse.

One staging serves them all; each leaves it as it was, but for who leads.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_account import ALLOWED_CALLS, led_to, state
from standin import staging
from standin.server import Standin
from standin.staging import Staging
from workplaces import Done, Workplace

from ftchaos import definitions, survivors, verification
from ftchaos.errors import StepFailed
from ftchaos.mysql import session
from ftchaos.platforms import comparison, ledgertable

REPLICA = staging.REPLICAS[0]
CONFIGURATION = """\
objectives: {{sustain: 500ms, rto: 2m, p95: 2s}}
environments:
  staging:
    platform: aws
    account: "{account}"
    region: {region}
    endpoint: {endpoint}
    client_zone: outside
    mysql: {{instance: {instance}, secret: {secret}, database: filetransfer, ca: {ca}}}
    redis: {{replication_group: {group}}}
    stop: {{after: {after}}}
"""


@dataclass(frozen=True)
class Stage:
    """A staging, and a folder in which ftchaos is run against it."""

    made: Staging
    place: Workplace

    def configure(self, after: str = "15m") -> None:
        """Write the configuration.

        Args:
            after: how long a fault may last.
        """
        (self.place.folder / "ftchaos.yaml").write_text(
            CONFIGURATION.format(
                account=self.made.account, region=self.made.region, endpoint=self.made.standin.endpoint,
                instance=staging.INSTANCE, secret=staging.SECRET, group=staging.GROUP, after=after,
                ca=self.made.ca,
            )
        )  # fmt: skip

    def run(self, name: str, *options: str) -> Done:
        return self.place.run("experiment", "run", name, "--environment", "staging", *options)

    def evidence(self) -> dict[str, Any]:
        """That of the newest run."""
        found: dict[str, Any] = json.loads((self.place.runs()[-1] / "evidence.json").read_text())
        return found

    def connect(self, name: str = staging.INSTANCE, user: str = "ftchaos", password: str = "") -> session.Session:
        """A connection to a database by its address."""
        where = self.made.database(name)["Endpoint"]
        return session.reach(
            where["Address"], where["Port"], user=user, password=password or self.made.password, ca=self.made.ca
        )

    def at_rest(self) -> dict[str, Any]:
        """How the account stands once nothing in it is under way."""
        self.made.await_available()
        self.made.await_cache()
        self.made.standin.clear()
        return state(self.made.standin)


@pytest.fixture(scope="module")
def built(standin: Standin) -> Iterator[Stage]:
    with led_to(standin):
        standin.reset()
        made = staging.build(standin, replicas=1)
        folder = Path(tempfile.mkdtemp(prefix="ftchaos-staging-"))
        stage = Stage(made, Workplace(folder))
        with closing(stage.connect(staging.INSTANCE, *staging.MASTER)) as admin:
            session.execute(admin, ["ALTER USER ftchaos@'%' REQUIRE SSL"])
        # Long enough to be seen where the network is silent as well: that takes the witness two tries to notice.
        standin.settings(failover_s=3)
        yield stage
        shutil.rmtree(folder)


@pytest.fixture
def stage(built: Stage) -> Stage:
    built.configure()
    return built


def _component(evidence: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in evidence["components"] if one["name"] == name)
    return found


def _called(stage: Stage) -> set[str]:
    """The calls since the account was at rest."""
    return {f"{one['service']}:{one['operation']}" for one in stage.made.standin.calls()}


def _secrets(stage: Stage) -> list[Path]:
    return [*stage.place.state.rglob("*.secret")]


def test_a_preview_names_targets_and_what_is_not_asked_and_changes_nothing(stage: Stage) -> None:
    before = stage.at_rest()
    done = stage.run("mysql-primary-failover", "--dry-run", "--json")
    called = _called(stage)

    assert 0 == done.exit_code, done.stderr
    assert [f"{staging.INSTANCE} in us-east-1a"] == done.json["targets"]
    assert ["RDS was asked to take the lead from the MySQL writer file-transfer-staging"] == done.json["faults"]
    assert "No acknowledged write of uploads is lost." in done.json["unasked"]
    assert set() == called - ALLOWED_CALLS
    assert "secretsmanager:GetSecretValue" not in called
    assert before == state(stage.made.standin)
    assert [] == stage.place.runs()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["mysql-primary-failover", "--durability", "weaker"], 2, "cannot be weakened"),
        (["mysql-primary-kill", "--manner", "lag"], 2, "cannot fail in the manner 'lag'"),
        (["worker-kill"], 2, "worker-kill is for lab and kubernetes"),
    ],
)
def test_what_aws_cannot_do_is_refused_before_anything_is_touched(
    stage: Stage, options: list[str], code: int, words: str
) -> None:
    known = stage.place.runs()
    done = stage.run(*options)

    assert code == done.exit_code, done.stderr
    assert words in done.stderr
    assert "HINT: " in done.stderr
    assert known == stage.place.runs()


def test_a_database_in_one_zone_is_refused(stage: Stage) -> None:
    known = stage.place.runs()
    rds = stage.made.standin.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier=staging.INSTANCE, MultiAZ=False, ApplyImmediately=True)
    stage.made.await_available()
    done = stage.run("mysql-primary-failover")
    rds.modify_db_instance(DBInstanceIdentifier=staging.INSTANCE, MultiAZ=True, ApplyImmediately=True)

    assert 5 == done.exit_code, done.stderr
    assert "it has no standby and no reader" in done.stderr
    assert known == stage.place.runs()
    assert [] == stage.made.standin.calls("RebootDBInstance")


# The zone first: whoever failed over before may have left two primaries of the cache in one, and with it its quorum.
@pytest.mark.parametrize(
    ("name", "hit"),
    [("zone-outage", {"database", "cache-a", "cache-b", "cache-c"}), ("redis-master-kill", {"cache-a"})],
)
def test_what_is_hit_comes_back_and_nothing_that_was_confirmed_is_lost(stage: Stage, name: str, hit: set[str]) -> None:
    before = stage.at_rest()
    done = stage.run(name, "--json")
    called, violations = _called(stage), stage.made.standin.violations()
    found = json.loads(done.stdout)

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert hit == {one["name"] for one in found["components"] if one["hit"]}
    assert found["witness"]["proven"]
    assert 0 == found["data"]["stores"]["mysql"]["lost"]
    assert 0 == found["data"]["stores"]["redis, waiting for a replica"]["lost"]
    assert (set(), []) == (called - ALLOWED_CALLS, violations)
    assert before == stage.at_rest()


def test_a_managed_failover_is_measured_proven_and_audited(stage: Stage) -> None:
    before = stage.at_rest()
    done = stage.run("mysql-primary-failover", "--json")
    found = json.loads(done.stdout)
    folder = stage.place.runs()[-1]

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert 0 < found["recovery"]["recovery_time_s"] < 60
    assert found["witness"]["proven"]
    assert [staging.INSTANCE] == [one["name"] for one in found["plan"]["targets"]]
    assert {"detected", "promoted"} <= {mark["name"] for mark in _component(found, "database")["marks"]}
    assert "the database's own address, as nothing was uploaded" == found["service"]["through"]
    assert "All work of acknowledged uploads is done in the end." in found["plan"]["unasked"]
    assert (0, "passed") == (found["data"]["lost"], found["data"]["self_test"])
    assert found["data"]["stores"]["mysql"]["acknowledged"] > 100
    assert found["data"]["stores"]["redis, waiting for a replica"]["acknowledged"] > 100
    assert [True] == [one["passed"] for one in found["verification"]["checks"]]
    assert [] == found["undo"]["differences"]
    assert before == stage.at_rest()
    kept = [path for path in (*folder.rglob("*"), *stage.place.state.rglob("*")) if path.is_file()]
    assert [] == [path for path in kept if stage.made.password.encode() in path.read_bytes()]
    assert [] == _secrets(stage)


def test_plain_chaos_run_comes_to_the_same_verdict(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_ENVIRONMENT", "staging")
    stage.at_rest()
    path = definitions.find("experiment", "mysql-primary-failover")
    done = stage.place.run("--no-version-check", "run", str(path), program="chaostoolkit")
    found = stage.evidence()

    assert 0 == done.exit_code, done.stderr
    assert ("mysql-primary-failover", "aws", "passed") == (found["name"], found["platform"], found["verdict"])
    assert [] == _secrets(stage)


def test_a_service_that_does_not_come_back_in_time_fails_and_is_healed(stage: Stage) -> None:
    before = stage.at_rest()
    stage.made.standin.settings(detect_s=0)
    done = stage.run("mysql-primary-partition", "--rto", "3s", "--warm-timeout", "4s", "--json")
    stage.made.standin.settings(detect_s=10)
    found = json.loads(done.stdout)

    assert (1, "failed") == (done.exit_code, found["verdict"]), done.stderr
    assert "The service was not restored within the RTO of 3 s." == found["reasons"][0]
    assert "The steady state was not met after: the service meets its objectives." in found["reasons"]
    assert 0 == found["data"]["lost"]
    assert before == stage.at_rest()


def test_two_machines_do_not_run_against_one_database(stage: Stage) -> None:
    with closing(stage.connect()) as other:
        ledgertable.claim(other)
        done = stage.run("mysql-primary-failover")

    assert 5 == done.exit_code, done.stderr
    assert "another run of ftchaos writes to this database" in done.stdout + done.stderr
    assert [] == stage.made.standin.calls("RebootDBInstance")
    assert [] == _secrets(stage)


def test_a_fault_that_does_not_bite_proves_nothing(stage: Stage) -> None:
    stage.configure(after="3s")
    stage.at_rest()
    stage.made.standin.settings(failover_bites=False)
    done = stage.run("mysql-primary-failover", "--json")
    stage.made.standin.settings(failover_bites=True)
    found = json.loads(done.stdout)

    assert (3, "inconclusive") == (done.exit_code, found["verdict"]), done.stderr
    assert not found["witness"]["proven"]
    assert "The witness did not see the fault bite, so nothing that followed proves a recovery." in found["reasons"]
    assert 1 == len(stage.made.standin.calls("RebootDBInstance"))


def test_whoever_recovers_after_a_kill_finds_everything_that_was_harmed(stage: Stage) -> None:
    before = stage.at_rest()
    known = set(stage.place.runs())
    process = stage.place.begin("experiment", "run", "mysql-primary-kill", "--environment", "staging")
    deadline = time.monotonic() + 60
    while not (injected := [one for one in stage.place.runs() if one not in known and _injected(one)]):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    during = state(stage.made.standin)
    process.kill()
    process.communicate()
    done = stage.place.run("recover")
    after = stage.at_rest()
    found = json.loads((injected[0] / "evidence.json").read_text())

    assert 0 == done.exit_code, done.stderr
    assert before != during
    assert before == after
    assert 130 == found["exit_code"]
    assert found["undo"]["recorded"] == found["undo"]["healed"] == 2
    made = {one["name"] for one in found["calls"]["operations"]}
    assert {"rds:RebootDBInstance", "ec2:CreateNetworkAcl"} <= made  # by the run
    assert "ec2:DeleteNetworkAcl" in made  # by whoever healed it
    assert [] == verification.verify(injected[0])
    assert [] == _secrets(stage)
    assert "nothing to recover" in stage.place.run("recover").stdout


def _injected(folder: Path) -> bool:
    return "inject" in json.loads((folder / "run.json").read_text())["facts"]


def test_a_copy_that_catches_up_while_it_is_compared_is_not_damaged(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "WITHIN_S", 0.0)
    stage.at_rest()
    with closing(stage.connect()) as writer:
        newest = ledgertable.newest(writer) + 1
    with closing(stage.connect(REPLICA, *staging.MASTER)) as copy:
        ledgertable.await_row(copy, newest - 1, REPLICA)
        session.execute(copy, ["STOP SLAVE SQL_THREAD"])
        with closing(stage.connect()) as writer:
            session.execute(writer, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({newest}, 'late')"])
        sums, looks = comparison._sums, []

        def then_catch_up(one: session.Session, tables: comparison.Tables) -> comparison.Sums:
            found = sums(one, tables)
            looks.append(one)
            if len(looks) == 2:  # of the copy, between two of the writer
                session.execute(copy, ["START SLAVE SQL_THREAD"])
                ledgertable.await_row(copy, newest, REPLICA)
            return found

        monkeypatch.setattr(comparison, "_sums", then_catch_up)
        (behind,) = _compared(stage)
        (caught_up,) = _compared(stage)

    assert (None, True) == (behind["passed"], caught_up["passed"])
    assert "it may only be behind" in behind["actual"]


def test_a_copy_that_lacks_a_row_is_damaged(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "WITHIN_S", 0.0)
    stage.at_rest()
    with closing(stage.connect()) as writer:
        newest = ledgertable.newest(writer)
        planted = f"({newest + 1}, 'planted'), ({newest + 2}, 'newest')"
        session.execute(writer, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES {planted}"])
    with closing(stage.connect(REPLICA, *staging.MASTER)) as copy:
        ledgertable.await_row(copy, newest + 2, REPLICA)
        whole = _compared(stage)
        session.execute(copy, [f"DELETE FROM ftchaos.ledger_writes WHERE id = {newest + 1}"])

    assert [True] == [one["passed"] for one in whole]
    (check,) = _compared(stage)
    assert check["passed"] is False
    assert "ledger_writes` has" in check["actual"]


def _compared(stage: Stage) -> list[dict[str, Any]]:
    step = comparison.compare(stage.connect, {REPLICA: lambda: stage.connect(REPLICA)}, "filetransfer")
    found: list[dict[str, Any]] = step.facts["checks"]
    return found


def test_a_server_that_takes_no_writes_is_no_place_for_the_ledger(stage: Stage) -> None:
    with closing(stage.connect(REPLICA)) as copy, pytest.raises(StepFailed, match=r"cannot be written to: .*read-only"):
        ledgertable.ensure(copy)


def test_the_table_of_the_ledger_is_made_where_it_is_missing(stage: Stage) -> None:
    with closing(stage.connect(staging.INSTANCE, *staging.MASTER)) as admin:
        session.execute(admin, ["DROP DATABASE ftchaos"])

        assert 1 == survivors.next_writer(admin, ["mysql"])
        assert [True, False] == [ledgertable.ensure(admin), ledgertable.ensure(admin)]
        assert 0 == ledgertable.newest(admin)
