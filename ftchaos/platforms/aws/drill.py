"""A restore drill on AWS: a copy is built beside its source, read, held against the ledger, and removed again.

Nothing is destroyed, the disaster is assumed. The source gets no more than the rows of the ledger; that it stood still
otherwise is found out at the end. The copy is never put in the source's place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymysql.err import MySQLError

from ftchaos.clock import iso, now
from ftchaos.errors import FtchaosError, Inconclusive, StepFailed
from ftchaos.mysql import session as sessions
from ftchaos.mysql.foreign.verify import Check
from ftchaos.mysql.session import Session
from ftchaos.platforms import answers, looks
from ftchaos.platforms.aws import copies, cost
from ftchaos.platforms.aws.copies import source
from ftchaos.platforms.aws.copies.chosen import Chosen, Opened
from ftchaos.platforms.base import Address, Progress, Step
from ftchaos.units import human_duration

if TYPE_CHECKING:
    from ftchaos.config import Environment, Restore
    from ftchaos.platforms.aws.access import Access
    from ftchaos.undo import UndoLog

KEPT = timedelta(hours=24)
"""Who finds a copy that is older removes it; see ``ftchaos recover --environment``."""
CONNECT_S = 10.0
RESTORABLE_S = 1800.0
"""RDS ships its log about every 5 minutes; one that is further behind says so by the loss that it causes."""
SCHEMA = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY FROM information_schema.COLUMNS"
    " WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'innodb')"
    " ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
)
# What a source says of itself that nothing of a drill may change.
STILL = (
    "AllocatedStorage", "BackupRetentionPeriod", "DBClusterMembers", "DBInstanceClass", "DBParameterGroups",
    "DBSubnetGroup", "DeletionProtection", "Endpoint", "EngineVersion", "IAMDatabaseAuthenticationEnabled",
    "KmsKeyId", "MasterUsername", "MultiAZ", "PubliclyAccessible", "ReaderEndpoint",
    "ReadReplicaDBInstanceIdentifiers", "StorageEncrypted", "StorageType", "TagList", "VpcSecurityGroups",
)  # fmt: skip


class AwsDrill:
    """See :class:`ftchaos.platforms.base.Recovery`.

    Args:
        judged: how a restored database is judged beside the ledger.
        method: one of :data:`ftchaos.platforms.aws.copies.METHODS`.
        to: ``last``, or a UTC time.
        promised_s: the RTO, for which the cost is estimated.
    """

    def __init__(
        self, access: Access, settings: Environment, judged: Restore, method: str, to: str, promised_s: float
    ) -> None:
        self._promised_s = promised_s
        self._cost: cost.Cost | None = None
        self._access, self._settings, self._judged = access, settings, judged
        self._method, self._to = copies.find(method), to
        self._source = source.read(access, settings)
        self._before = _stillness(self._source)
        self._begun: tuple[str, UndoLog, Progress, Callable[[], Session]] | None = None
        self._fault_at = datetime.now(UTC)
        self._copy: copies.Copy | None = None
        self._opened: Opened | None = None
        self.is_cut_over = False

    @property
    def writer(self) -> Address:
        """The source's own address."""
        about = self._source.about
        endpoint = about["Endpoint"]
        if isinstance(endpoint, str):
            return Address(endpoint, int(about["Port"]))
        return Address(endpoint["Address"], int(endpoint["Port"]))

    def makes(self) -> list[str]:
        """What would be made, in words.

        Raises:
            Refused: it cannot be.
        """
        chosen = self._method.choose(self._access, self._settings, self._to)
        self._cost = self._priced(chosen)
        return [
            f"a copy of {chosen.source} in {chosen.region}: {chosen.instance_class}, as of {iso(chosen.taken_at)},"
            f" in {', '.join(chosen.ground.subnets)}",
            f"for it alone: a security group that lets in {', '.join(chosen.ground.clients)}, a subnet group and"
            " parameter groups",
            f"costs, if it is there for the whole RTO: {self._cost.words()}",
        ]

    def _priced(self, chosen: Chosen) -> cost.Cost:
        storage, size_gib = chosen.storage, chosen.pick.size_gib
        far = chosen.region != self._access.place.region
        spec = cost.Spec(
            chosen.engine, chosen.instance_class, chosen.region,
            deployment=cost.STANDBYS if chosen.is_cluster and not chosen.is_aurora else cost.SINGLE,
            storage_type=str(storage.get("StorageType", "aurora" if chosen.is_aurora else "gp2")),
            storage_gib=None if chosen.is_aurora else size_gib, iops=int(storage.get("Iops", 0)),
            throughput_mib_s=int(storage.get("StorageThroughput", 0)), snapshot_gib=size_gib if far else 0,
            copied_gib=size_gib if far else 0, copied_from=self._access.place.region if far else "",
        )  # fmt: skip
        return cost.estimate(self._access, spec, self._promised_s)

    def begin(self, run_id: str, undo: UndoLog, progress: Progress, connect: Callable[[], Session]) -> None:
        """Know the run.

        Args:
            connect: opens a connection to the source.
        """
        self._begun = run_id, undo, progress, connect

    def await_restorable(self, progress: Progress) -> None:
        """Wait until what clients of this run have written could be restored, so that the ledger can tell the loss.

        Where that is not so in time, the loss will be larger than the ledger can tell, and nothing will pass for it.
        """
        if self._method.name != "point-in-time" or self._to != "last":
            return
        wanted = datetime.now(UTC) + timedelta(seconds=1)
        progress("waiting until what is written now could be restored: RDS ships its log every few minutes")
        began_at = now()

        def latest() -> datetime:
            at: datetime = source.read(self._access, self._settings).about["LatestRestorableTime"]
            return at.astimezone(UTC)

        try:
            self._access.until(latest, lambda at: at > wanted, RESTORABLE_S, f"restorable to {iso(wanted)}", 2.0)
            progress(f"restorable to {iso(wanted)} after {human_duration(now() - began_at)}")
        except Inconclusive as error:
            progress(f"{error.fact}; the loss will reach back further than this run's ledger")

    def problem(self) -> str:
        """Empty when a copy could be made of it now, else what is wrong."""
        try:
            self._method.choose(self._access, self._settings, self._to)
        except FtchaosError as error:
            return error.fact
        return ""

    def describe(self) -> dict[str, Any]:
        """The source, for the evidence."""
        about, writer = self._source.about, self._source.writer
        version = f"{about['Engine']} {about['EngineVersion']}"
        server = {
            "name": writer["DBInstanceIdentifier"],
            "place": writer.get("AvailabilityZone", ""),
            "version": version,
        }
        settings = {
            "source": self._source.arn, "method": self._method.name, "class": writer["DBInstanceClass"],
            "backup_retention_days": about.get("BackupRetentionPeriod", 0),
        }  # fmt: skip
        return {"mode": "aws", "zones": [server["place"]], "servers": [server], "mysql": version, "settings": settings}

    # The recovery, step by step -----------------------------------------------------------------------------------

    def destroy_targets(self) -> Sequence[str]:
        return ()

    def destroy(self, undo: UndoLog, run_id: str, begin: Callable[[], None]) -> Step:
        raise StepFailed("a database on AWS is not destroyed to be restored", "its disaster is assumed")

    def detect(self, fault_at: float) -> Step:
        self._fault_at = datetime.now(UTC) - timedelta(seconds=now() - fault_at)
        return Step("a disaster that is assumed is known at once")

    def decide(self, to: str) -> Step:
        run_id, undo, _, _ = self._known()
        chosen = self._method.choose(self._access, self._settings, to)
        self._copy = copies.Copy(self._access, chosen, undo, run_id, datetime.now(UTC) + KEPT)
        return Step(
            f"{chosen.source} by {chosen.method}, as of {iso(chosen.taken_at)}",
            facts={"backup": _backup(chosen), **({"cost": self._cost.to_json()} if self._cost else {})},
        )

    def provision(self) -> Step:
        isolated = self._made().isolate()
        ground = self._made().chosen.ground
        return Step(
            f"{isolated.security_group} and {isolated.subnet_group} in {ground.vpc}, closed but to"
            f" {', '.join(ground.clients)}"
        )

    def restore(self, progress: Callable[[int, int], None]) -> Step:
        copy, (_, _, tell, _) = self._made(), self._known()
        called_at = now()
        copy.create(tell)
        copy.await_available(tell)
        available_at = now()
        chosen = copy.chosen
        facts = {
            "backup": _backup(chosen), "available_at": available_at,
            "log_gap_s": max(0.0, (self._fault_at - chosen.restorable_at).total_seconds()),
        }  # fmt: skip
        took = human_duration(available_at - called_at)
        return Step(f"{copy.name} was available {took} after it was asked for", chosen.pick.size_gib << 30, facts)

    def verify_restored(self) -> Step:
        """The first answer, then everything that can be looked at; all of the data is read by that."""
        self._opened = self._made().open()
        _, _, _, connect = self._known()
        with connect() as session:
            wanted = _schema(session)
        with self.connect() as session:
            found = _schema(session)
        answered_at = now()
        differing = sorted({f"{row[0]}.{row[1]}" for row in set(wanted) ^ set(found)})
        shown = ", ".join(differing[:5])
        schema = Check("schema", "failed" if differing else "passed", shown or "as in the source")
        checks, counted = looks.look(self.connect, None, {})
        facts = {"tables": len(counted), "rows": sum(counted.values()), "answered_at": answered_at}
        return looks.judged("the copy", [schema, *checks], facts)

    def replay(self, progress: Callable[[int, int], None]) -> Step:
        chosen = self._made().chosen
        if chosen.method != "point-in-time":
            return Step(f"no log: the copy is as of {iso(chosen.taken_at)}")
        done = {"target": self._to, "until_at": iso(chosen.taken_at)}
        gap_s = max(0.0, (self._fault_at - chosen.restorable_at).total_seconds())
        return Step(f"RDS applied its log up to {iso(chosen.taken_at)}", facts={"replay": done, "log_gap_s": gap_s})

    def verify_replayed(self) -> Step:
        """What the configuration asks of the data, and whether the source is as it was."""
        chosen = self._made().chosen
        with self.connect() as session:
            checks = answers.answers(session, self._judged.checks)
        changed = _changes(self._before, _stillness(source.read(self._access, self._settings)))
        still = Check("source", "failed" if changed else "passed", "; ".join(changed) or "as it was before")
        age_s = max(0.0, (self._fault_at - chosen.taken_at).total_seconds())
        return looks.judged("the copy", [*checks, still], {"backup_age_s": age_s})

    def cut_over(self) -> Step:
        self.is_cut_over = True
        return Step("the copy stays beside the source, which serves on; clients of this run alone read it")

    @property
    def opened(self) -> Opened:
        """How the copy is reached.

        Raises:
            StepFailed: there is none.
        """
        if self._opened is None:
            raise StepFailed("there is no copy that could be read", "see the step that restores")
        return self._opened

    def connect(self) -> Session:
        """A connection to the copy, with its certificate verified."""
        opened = self.opened
        return sessions.reach(
            opened.host, opened.port, user=opened.user, password=opened.password.read_text().strip(), ca=opened.ca,
            timeout_s=CONNECT_S,
        )  # fmt: skip

    def problem_of_writer(self) -> str:
        """Empty when the copy takes writes, else what is wrong."""
        try:
            with self.connect() as session:
                if sessions.value(session, "SELECT @@GLOBAL.read_only OR @@GLOBAL.innodb_read_only"):
                    return "the copy takes no writes"
        except (FtchaosError, MySQLError) as error:
            return f"the copy does not answer: {error}"
        return ""

    def _known(self) -> tuple[str, UndoLog, Progress, Callable[[], Session]]:
        if self._begun is None:
            raise StepFailed("the drill was not begun", "see the begin of the run")
        return self._begun

    def _made(self) -> copies.Copy:
        if self._copy is None:
            raise StepFailed("nothing was chosen to be restored", "see the step that decides")
        return self._copy


def _backup(chosen: Chosen) -> dict[str, Any]:
    return {
        "id": chosen.pick.origin or chosen.arn, "method": chosen.method, "flavour": chosen.engine,
        "server_version": chosen.version, "taken_at": iso(chosen.taken_at),
        "bytes": chosen.pick.size_gib << 30 or None,
    }  # fmt: skip


def _schema(session: Session) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sessions.rows(session, SCHEMA)]


def _stillness(found: source.Source) -> dict[str, str]:
    """What the source says of itself, without what changes by itself."""
    return {key: json.dumps(found.about[key], sort_keys=True, default=str) for key in STILL if key in found.about}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [
        f"{key} was {before.get(key, 'not there')} and is {after.get(key, 'not there')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
