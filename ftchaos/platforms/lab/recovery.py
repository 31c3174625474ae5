"""The recovery of the lab's database tier from backup, step by step, as its owner would do it in production."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pymysql.err import MySQLError

from ftchaos.clock import Clock, iso, now
from ftchaos.errors import StepFailed, Unusable
from ftchaos.mysql import replay, restore, session, verify
from ftchaos.mysql.backup import Rejected
from ftchaos.mysql.chain import Boundary, Reach
from ftchaos.mysql.reading import Reading
from ftchaos.mysql.restore import Choice
from ftchaos.mysql.server import Server
from ftchaos.options import Options
from ftchaos.platforms.base import Step
from ftchaos.platforms.lab import heals
from ftchaos.platforms.lab.backups import Backups
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ZONES
from ftchaos.platforms.lab.tier import Tier
from ftchaos.undo import UndoLog
from ftchaos.units import human_size

DETECT_TIMEOUT_S = 30.0
# What the application asks of its database, in small.
QUERIES = {
    "a user's files": "SELECT f.id, f.name, t.status FROM filetransfer.files f JOIN filetransfer.transfers t"
    " ON t.file_id = f.id WHERE f.owner_id = 1 ORDER BY f.id DESC LIMIT 20",
    # The newest first, joined afterwards: without statistics an optimizer may join everything and sort then.
    "the newest transfers": "SELECT t.id, u.display_name"
    " FROM (SELECT id, file_id FROM filetransfer.transfers ORDER BY id DESC LIMIT 20) t"
    " JOIN filetransfer.files f ON f.id = t.file_id JOIN filetransfer.users u ON u.id = f.owner_id",
}


class LabRecovery:
    """What is known between the steps of one recovery."""

    def __init__(self, lab: Lab, tier: Tier, backups: Backups, options: Options) -> None:
        self.lab = lab
        self.tier = tier
        self.backups = backups
        self.options = options
        self.server: Server | None = None
        self.zone = ""
        self.fault_at = 0.0
        self.choice: Choice | None = None
        self.reach: Reach | None = None
        self._reading: Reading | None = None

    def destroy_targets(self) -> Sequence[str]:
        return sorted(self.tier.servers)

    def destroy(self, undo: UndoLog, run_id: str, begin: Callable[[], None]) -> Step:
        facts = self.lab.facts
        primary = self.tier.primary
        undo.record(
            "lab",
            heals.TIER,
            {
                "lab": self.lab.name,
                "ephemeral": facts["ephemeral"],
                "run_id": run_id,
                "primary": primary.name,
                "servers": facts["mysql"]["servers"],
            },
            "the database tier of the lab and all its volumes",
        )
        begin()
        self.tier.destroy(run_id)
        return Step(f"{primary.name}, its replicas and all their volumes are gone", facts={"primary": primary.name})

    def detect(self, fault_at: float) -> Step:
        self.fault_at = fault_at
        deadline = now() + DETECT_TIMEOUT_S
        while True:
            for event in self.tier.manager.events(fault_at):
                if event["event"] == "disaster":
                    return Step("the failover manager found no server to turn to", facts={"detected_at": event["at"]})
            if now() > deadline:
                raise StepFailed(
                    f"the failover manager did not notice within {DETECT_TIMEOUT_S:g} s",
                    f"read {self.tier.manager.log}",
                )
            time.sleep(0.01)

    def decide(self, to: str) -> Step:
        choice = self._choose()
        return Step(
            f"backup {choice.backup.id}, then the archive to {'its last event' if to == 'last' else to}",
            facts=self._described(choice),
        )

    def provision(self) -> Step:
        lost = self.tier.zone(self.tier.primary)
        places = self.lab.facts["places"]
        self.zone = next(zone for zone in ZONES if zone != lost and places[zone]["alive"])
        self.server = self.tier.fresh(self.zone)
        return Step(f"a home for {self.server.name} in {self.zone}, server id {self.server.server_id}")

    def restore(self, progress: Callable[[int, int], None]) -> Step:
        server = self._server()
        rejected: list[Rejected] = []
        choice = self._choose()
        while True:
            try:
                restore.lay(choice.backup, server.datadir, server.flavour, progress)
                break
            except Unusable as error:
                rejected.append(Rejected(choice.backup.id, error.fact))
                choice = self._choose(rejected)
        # The archive is read on the other processor while the server begins; its answer is wanted for the replay.
        self._reading = self._read_archive(choice)
        self.tier.begin(server, self.zone)
        restore.load(choice.backup, server, progress)
        self.choice = choice
        passed_over = f", after {len(choice.rejected)} that could not be used" if choice.rejected else ""
        return Step(
            f"backup {choice.backup.id} is on {server.name}{passed_over}",
            choice.backup.size_bytes,
            self._described(choice),
        )

    def verify_restored(self) -> Step:
        server, wanted = self._server(), self._chosen().backup.record
        if wanted is None:
            return Step("the backup carries no record to compare with", facts={"checks": [_unknown("content")]})
        found = verify.record(server.connect)
        flaws = verify.differences(wanted, found)
        rows = sum(table.rows for table in found.tables.values())
        checks = [
            _check(
                "the schema is the one recorded with the backup", [] if wanted.schema == found.schema else ["differs"]
            ),
            *(
                _check(
                    f"{name}: rows and checksum",
                    [flaw for flaw in flaws if flaw.startswith(f"{name} ")],
                    expected=f"{table.rows:,} rows, {table.checksum}",
                )
                for name, table in wanted.tables.items()
            ),
            _check("no table beside them", [flaw for flaw in flaws if flaw.endswith("should not be there")]),
        ]
        return Step(
            f"{len(found.tables)} tables with {rows:,} rows are as recorded" if not flaws else "; ".join(flaws),
            self._chosen().backup.size_bytes,
            {
                "checks": checks,
                "tables": len(found.tables),
                "rows": rows,
                "bytes": self._chosen().backup.size_bytes,
            },
        )

    def replay(self, progress: Callable[[int, int], None]) -> Step:
        assert self._reading is not None
        reach = self._reading.result()
        self.reach = reach
        done = replay.replay(self._server(), reach, progress)
        newest = _iso(reach.newest_at_s) if reach.newest_at_s else None
        until = f" to {reach.last.gtid} of {_iso(reach.last.at_s)}" if reach.last else ""
        return Step(
            f"{done.count:,} transactions, {human_size(done.size_bytes)} of log{until}",
            done.size_bytes,
            {
                "replay": {
                    "target": self.options.to,
                    "until_gtid": reach.last.gtid if reach.last else "",
                    "until_at": _iso(reach.last.at_s) if reach.last else None,
                    "reached_gtid": done.executed,
                    "transactions": done.count,
                    "bytes": done.size_bytes,
                    "files": len(reach.parts),
                },
                "newest_at": newest,
                "torn": reach.torn,
                "log_gap_s": max(0.0, self._fault_utc_s() - reach.newest_at_s),
            },
        )

    def verify_replayed(self) -> Step:
        server, reach = self._server(), self.reach
        assert reach is not None
        with server.connect() as connection:
            executed = server.flavour.gtid_executed(connection)
            answers = [_ask(connection, name, sql) for name, sql in QUERIES.items()]
        beyond = f"{reach.following.gtid} of {_iso(reach.following.at_s)}" if reach.following else "nothing"
        checks = [
            _check(
                "the replay ended exactly at the point wanted",
                verify.gtid_reached(executed, reach.after),
                expected=f"{reach.after}; the first not wanted is {beyond}",
                actual=executed,
            ),
            _check("foreign keys are whole", verify.foreign_keys_whole(server.connect)),
            _check("tables and indexes are sound", verify.check_tables(server.connect)),
            *answers,
        ]
        failed = [check["name"] for check in checks if not check["passed"]]
        return Step(
            f"damaged: {', '.join(failed)}"
            if failed
            else "the point wanted, foreign keys, tables and queries are right",
            facts={"checks": checks},
        )

    def cut_over(self) -> Step:
        server = self._server()
        self.tier.lead(server)
        return Step(f"{server.name} in {self.zone} takes the writes under the unchanged address")

    def _server(self) -> Server:
        if self.server is None:
            raise StepFailed("no server was provisioned", "see that step")
        return self.server

    def _chosen(self) -> Choice:
        if self.choice is None:
            raise StepFailed("no backup was restored", "see that step")
        return self.choice

    def _choose(self, unusable: Sequence[Rejected] = ()) -> Choice:
        target = self.options.target_time()
        return restore.choose(
            self.backups.folder,
            self.backups.archive,
            flavour=self.lab.flavour,
            before_at_s=target.timestamp() if target else None,
            exclude=unusable,
        )

    def _read_archive(self, choice: Choice) -> Reading:
        if choice.logs is None:
            raise StepFailed("there is no archive to replay", f"look into {self.backups.archive}")
        target = self.options.target_time()
        boundary = Boundary(at_s=target.timestamp()) if target else None
        return Reading(choice.logs, choice.backup.position, boundary)

    def _described(self, choice: Choice) -> dict[str, Any]:
        backup = choice.backup
        considered = [{"id": one.id, "chosen": False, "why": one.why} for one in choice.rejected]
        chosen = {"id": backup.id, "chosen": True, "method": backup.method, "taken_at": backup.consistent_at,
                  "bytes": backup.size_bytes, "why": "the newest that can be used"}  # fmt: skip
        age_s = self._fault_utc_s() - datetime.fromisoformat(backup.consistent_at).timestamp()
        return {
            "backup": {
                "id": backup.id,
                "method": backup.method,
                "flavour": backup.flavour,
                "server_version": backup.server_version,
                "taken_at": backup.consistent_at,
                "gtid": backup.gtid,
                "bytes": backup.size_bytes,
                "considered": [*considered, chosen],
            },
            "backup_age_s": max(0.0, age_s),
        }

    def _fault_utc_s(self) -> float:
        return Clock.anchored().utc(self.fault_at).timestamp()


def _iso(utc_s: float) -> str:
    return iso(datetime.fromtimestamp(utc_s, UTC))


def _check(name: str, flaws: Sequence[str], *, expected: str = "", actual: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "passed": not flaws,
        "expected": expected,
        "actual": "; ".join(flaws) or actual or "as expected",
    }


def _unknown(name: str) -> dict[str, Any]:
    return {"name": name, "passed": None, "actual": "there is nothing to compare with"}


def _ask(connection: session.Session, name: str, sql: str) -> dict[str, Any]:
    """Ask what the application asks; an empty answer or an error is a flaw."""
    try:
        found = session.rows(connection, sql)
    except MySQLError as error:
        return _check(name, [f"it failed: {error}"])
    return _check(name, [] if found else ["no rows"], actual=f"{len(found)} rows")
