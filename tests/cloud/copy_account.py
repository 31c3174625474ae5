"""An account with a source and a place for drills: copies made there by steps that may die, and its whole state."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standin import staging
from standin.server import Standin
from standin.staging import Staging

from ftchaos.config import Environment
from ftchaos.mysql import session
from ftchaos.platforms.aws import copies
from ftchaos.platforms.aws.access import Access, Call, Place
from ftchaos.platforms.aws.copies import Chosen, Copy, Opened, removal
from ftchaos.undo import Record, UndoLog

LONGEST_S = 30.0
RUN_ID = "20261123T061500Z-restore-7f3a"
ZONES = ("us-east-1a", "us-east-1b")


class Killed(BaseException):
    """Stands for the end of the process; nothing that catches errors catches it."""


@dataclass
class Deaths:
    """Counts the calls of an access, and ends the process at one of them.

    A read that is repeated until its answer will do counts once.

    Attributes:
        after: die once so many calls have taken effect, before their answer is known; 0 for never.
        before: die before such an operation leaves, after its undo was written; empty for never.
        answered: die once such an operation has taken effect, before its answer is known; empty for never.
        look: is told the operation of each call that was answered.
        made: the calls that count.
    """

    after: int = 0
    before: str = ""
    answered: str = ""
    look: Callable[[str], object] = field(default=lambda _: None, repr=False)
    made: list[str] = field(default_factory=list)

    def leaves(self, operation: str) -> None:
        if operation == self.before:
            raise Killed(f"before {operation}")

    def ended(self, call: Call) -> None:
        self.look(call.operation)
        if call.operation == self.answered:
            raise Killed(f"after {call.operation}")
        reads = call.operation.startswith(("Describe", "List", "Get"))
        if not (reads and self.made[-1:] == [call.operation]):
            self.made.append(call.operation)
            if len(self.made) == self.after:
                raise Killed(f"after {call.operation}")


class _Hook:
    """Leads the calls of an access that is used again, as its sessions are dear to make, to whoever counts them now."""

    def __init__(self) -> None:
        self.deaths = Deaths()

    def __call__(self, call: Call) -> None:
        if call.operation != "GetCallerIdentity":
            self.deaths.ended(call)

    def leaves(self, request: Any, event_name: str, **_: Any) -> None:
        self.deaths.leaves(event_name.rpartition(".")[2])


_hook = _Hook()


@functools.cache
def _access(endpoint: str, account: str, region: str) -> Access:
    made = Access(Place("staging", account, region, endpoint=endpoint), _hook)
    made._session.events.register("before-send", _hook.leaves)
    return made


def reach(standin: Standin, deaths: Deaths | None = None) -> Access:
    """Access to the stand-in; the same one each time."""
    _hook.deaths = deaths or Deaths()
    return _access(standin.endpoint, standin.account, standin.region)


def ground(standin: Standin, region: str = staging.REGION) -> tuple[str, list[str]]:
    """A VPC for drills, and its subnets in two zones."""
    ec2 = standin.client("ec2", region)
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.40.{number}.0/24", AvailabilityZone=f"{region}{zone}")
        for number, zone in enumerate("ab")
    ]
    return vpc, [one["Subnet"]["SubnetId"] for one in subnets]


def settings(standin: Standin, drill: Mapping[str, Any], **more: Any) -> Environment:
    """The environment of the staging, as a configuration would give it."""
    return Environment.model_validate(
        {
            "platform": "aws", "account": standin.account, "region": standin.region, "endpoint": standin.endpoint,
            "mysql": {"instance": staging.INSTANCE}, "backup": {"vault": "staging"}, "drill": drill, **more,
        }
    )  # fmt: skip


@dataclass
class Drill:
    """One copy that is made from the source of a staging, and healed from its log.

    Attributes:
        log: the file of the undo log.
        environment: as configured.
    """

    made: Staging
    log: Path
    environment: Environment
    method: str = "point-in-time"
    run_id: str = RUN_ID

    @property
    def standin(self) -> Standin:
        return self.made.standin

    def choose(self, to: str | datetime = "last") -> Chosen:
        return copies.find(self.method).choose(reach(self.standin), self.environment, to)

    def copy(self, chosen: Chosen, deaths: Deaths | None = None) -> Copy:
        expires_at = datetime.now(UTC) + timedelta(hours=4)
        return Copy(reach(self.standin, deaths), chosen, UndoLog(self.log), self.run_id, expires_at)

    def build(self, chosen: Chosen, deaths: Deaths | None = None) -> Opened:
        """All steps of a copy."""
        told: list[str] = []
        copy = self.copy(chosen, deaths)
        copy.isolate()
        copy.create(told.append)
        copy.await_available(told.append)
        return copy.open()

    def heal(self, deaths: Deaths | None = None) -> list[str]:
        """Heal the log in reverse, as another process does; what each heal said."""
        reach(self.standin, deaths)
        healing = UndoLog(self.log).heal(mend)

        assert [] == healing.failed
        return [str(one.detail) for one in reversed(UndoLog(self.log).records())]

    def records(self) -> list[Record]:
        return UndoLog(self.log).records()


def mend(record: Record) -> str:
    """One heal, from what the log has kept and nothing else."""
    kept = json.loads(json.dumps(dict(record.arguments)))
    kind = record.heal.removeprefix(removal.HEAL)
    if kind == "password":
        return removal.forget_password(kept)
    place = Place.from_json(kept["place"])
    with pytest.MonkeyPatch.context() as patch:  # what cannot be removed fails one test, and does not stop them all
        patch.setattr(removal, "USUAL_S", LONGEST_S)
        patch.setattr(removal, "LONGEST_S", {})
        return removal.heal(_access(place.endpoint, place.account, place.region), kind, kept, record.recorded_at)


def ids(opened: Opened) -> list[int]:
    """The ledger's rows that a copy holds."""
    how = {"user": opened.user, "password": opened.password.read_text(), "ca": opened.ca}
    with session.reach(opened.host, opened.port, timeout_s=5, **how) as connection:  # type: ignore[arg-type]
        return [row["id"] for row in session.rows(connection, "SELECT id FROM ftchaos.ledger_writes ORDER BY id")]


def write(made: Staging, write_id: int) -> None:
    """A row of the ledger in the source."""
    endpoint = made.database()["Endpoint"]
    with session.reach(
        endpoint["Address"], endpoint["Port"], user="ftchaos", password=made.password, timeout_s=5
    ) as connection:
        session.execute(connection, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({write_id}, 'x')"])


_MOVES = ("LatestRestorableTime", "EarliestRestorableTime", "ResponseMetadata", "DBInstanceStatus")


def state(standin: Standin, regions: tuple[str, ...] = (staging.REGION,)) -> dict[str, Any]:
    """Every object of RDS and every security group, and all that is said of it, by its name."""
    found: dict[str, Any] = {}
    for region in regions:
        rds, ec2 = standin.client("rds", region), standin.client("ec2", region)
        lists: list[tuple[Callable[..., Any], str, str]] = [
            (rds.describe_db_instances, "DBInstances", "DBInstanceArn"),
            (rds.describe_db_clusters, "DBClusters", "DBClusterArn"),
            (rds.describe_db_snapshots, "DBSnapshots", "DBSnapshotArn"),
            (rds.describe_db_cluster_snapshots, "DBClusterSnapshots", "DBClusterSnapshotArn"),
            (rds.describe_db_subnet_groups, "DBSubnetGroups", "DBSubnetGroupArn"),
            (rds.describe_db_parameter_groups, "DBParameterGroups", "DBParameterGroupArn"),
            (rds.describe_db_cluster_parameter_groups, "DBClusterParameterGroups", "DBClusterParameterGroupArn"),
            (ec2.describe_security_groups, "SecurityGroups", "GroupId"),
        ]
        for call, key, name in lists:
            for one in call()[key]:
                if ":default" not in one[name]:  # made by moto when they are first asked about
                    found[one[name]] = {key: value for key, value in one.items() if key not in _MOVES}
    return found
