"""A server with data of every sort, backups of it by the real programs, and the logs that go on from them."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pymysql.err import MySQLError

from ftchaos.config import Config, Restore
from ftchaos.errors import FtchaosError
from ftchaos.mysql import session
from ftchaos.mysql.flavour import Flavour, find
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.template import copy, template
from ftchaos.options import Options
from ftchaos.platforms.base import Step
from ftchaos.platforms.bench import Bench
from ftchaos.undo import UndoLog

SIZE_BYTES = 8 << 20
BEATS = 60  # heartbeats after the backups, in three logs
SHOP = [
    "CREATE DATABASE shop DEFAULT CHARACTER SET latin1",
    "CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(40) CHARACTER SET utf8mb4, photo BLOB)",
    "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, customer INT, at DATETIME(6),"
    " CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES shop.customers (id))",
    "CREATE TABLE shop.`odd; name` (a INT) ENGINE=MyISAM",
    "INSERT INTO shop.customers VALUES (1, 'Zoë; `x` ''y''', 0x00275C0AFF3B), (2, 'line\\nbreak \\\\', NULL)",
    "INSERT INTO shop.orders (customer, at) VALUES (1, UTC_TIMESTAMP(6)), (2, UTC_TIMESTAMP(6))",
    "INSERT INTO shop.`odd; name` VALUES (7)",
    "CREATE VIEW shop.v AS SELECT name FROM shop.customers",
    "USE shop",  # MariaDB keeps a trigger as it was written: with a schema in it, it fits no other
    "CREATE TRIGGER tr BEFORE INSERT ON customers FOR EACH ROW BEGIN -- don't;\n"
    " SET NEW.name = CONCAT(NEW.name, ';'); END",
    "CREATE PROCEDURE shop.pr() BEGIN SELECT 1; SELECT 2; END",
    "CREATE FUNCTION shop.fn() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE EVENT shop.ev ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.orders (customer) VALUES (1)",
    "CREATE TABLE shop.beat (id INT PRIMARY KEY, at DATETIME(6))",
    "INSERT INTO shop.beat VALUES (0, UTC_TIMESTAMP(6))",
]
HEARTBEAT = "SELECT MAX(at) FROM shop.beat"


@dataclass
class Source:
    """Backups of one server.

    Attributes:
        folder: where they lie, by name.
        logs: its binary logs, of which the newest is whole.
        middle_at: UTC time between two heartbeats in the logs.
        before_middle: heartbeats up to then.
    """

    flavour: Flavour
    folder: Path
    logs: Path
    middle_at: str = ""
    before_middle: int = 0

    def copy(self, name: str, to: Path) -> Path:
        """A copy of a backup that a test may damage."""
        source = self.folder / name
        if source.is_dir():
            return shutil.copytree(source, to / name)
        return Path(shutil.copy2(source, to / name))


_taken: dict[str, Source] = {}


def taken(flavour_name: str, factory: pytest.TempPathFactory) -> Source:
    """The backups of a server of this flavour; taken once for all tests."""
    if flavour_name not in _taken:
        _taken[flavour_name] = _take(find(flavour_name), factory.mktemp(f"foreign-{flavour_name}"))
    return _taken[flavour_name]


def _take(flavour: Flavour, folder: Path) -> Source:
    """Begin a server, take its backups, write on, and stop it."""
    data = folder / "data"
    copy(template(flavour, SIZE_BYTES, lambda text: None), data)
    source = Source(flavour, folder / "backups", folder / "logs")
    source.folder.mkdir()
    source.logs.mkdir()
    with start_plain(flavour, data, options={"event-scheduler": "OFF"}) as server, server.connect() as connection:
        session.execute(connection, SHOP)
        _dumps(source, server)
        _newer_mydumper(source, connection)
        if flavour.name == "mariadb":
            _mariadb_backup(source, server)
        else:
            _xtrabackup(source, connection)
        _write_on(source, connection)
    for log in sorted(data.glob("binlog.0*")):
        shutil.copy2(log, source.logs)
    return source


@contextmanager
def on_the_bench(backup: Path, folder: Path) -> Iterator[Bench]:
    """A bench that has looked at a backup and is provisioned for it, and is healed at the end."""
    undo = UndoLog(folder / "undo.jsonl")
    bench = Bench(Config(), Options(backup=backup))
    try:
        bench.begin(f"run-{folder.name}", undo, lambda text: None)
        bench.recovery().decide("last")
        bench.recovery().provision()
        yield bench
    finally:
        assert undo.heal(bench.heal).failed == []
        bench.end()


def rehearse(
    backup: Path,
    folder: Path,
    *,
    binlogs: Path | None = None,
    to: str = "last",
    restore: Mapping[str, Any] | None = None,
) -> Rehearsal:
    """All steps of the drill on one backup, as far as they go."""
    rehearsal = Rehearsal()
    undo = UndoLog(folder / "undo.jsonl")
    options = Options(backup=backup, binlogs=binlogs, to=to)
    bench = Bench(Config(restore=Restore.model_validate(restore or {})), options)
    try:
        bench.begin(f"run-{folder.name}", undo, lambda text: None)
        recovery = bench.recovery()
        for name, act in {
            "decide": lambda: recovery.decide(to),
            "provision": recovery.provision,
            "restore": lambda: recovery.restore(lambda done, total: rehearsal.progress.append((done, total))),
            "verify_restored": recovery.verify_restored,
            "replay": lambda: recovery.replay(lambda done, total: None),
            "verify_replayed": recovery.verify_replayed,
        }.items():
            rehearsal.steps[name] = act()
        # Damaged data may have killed the server, and not every dump has a shop.
        with suppress(session.Unreachable, MySQLError), bench.survivors() as connection:
            rehearsal.orders = int(session.value(connection, "SELECT COUNT(*) FROM shop.orders"))
    except FtchaosError as error:
        rehearsal.error = error
    finally:
        rehearsal.healing = [record.why for record in undo.heal(bench.heal).healed]
        bench.end()
    return rehearsal


@dataclass
class Rehearsal:
    """What came of a drill on one backup.

    Attributes:
        error: what ended it early.
        orders: rows of ``shop.orders`` at the end; an event would add to them each second.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    progress: list[tuple[int, int]] = field(default_factory=list)
    error: FtchaosError | None = None
    orders: int | None = None
    healing: list[str] = field(default_factory=list)

    def checks(self, step: str = "verify_restored") -> dict[str, bool | None]:
        """What each check came to."""
        return {check["name"]: check["passed"] for check in self.steps[step].facts["checks"]}

    def detail(self, check: str, step: str = "verify_restored") -> str:
        """What a check found."""
        return next(one["actual"] for one in self.steps[step].facts["checks"] if one["name"] == check)

    def flaws(self) -> list[str]:
        """The names of all checks that failed."""
        steps = [step for step in self.steps if "checks" in self.steps[step].facts]
        return [name for step in steps for name, passed in self.checks(step).items() if passed is False]


def _run(argv: list[str], output: Path | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    if output is not None:
        output.write_bytes(done.stdout)


def _dumps(source: Source, server: Server) -> None:
    flavour, folder = source.flavour, source.folder
    dump = [*flavour.program("dump"), f"--socket={server.datadir}/mysql.sock", "--user=root"]
    position = ["--master-data=2", "--gtid"] if flavour.name == "mariadb" else ["--source-data=2"]
    everything = ["--all-databases", "--single-transaction", "--routines", "--events", "--triggers", *position]
    _run([*dump, *everything], folder / "all.sql")
    _run([*dump, "--compact", "--skip-comments", "shop"], folder / "compact.sql")
    plain = (folder / "all.sql").read_bytes()
    (folder / "all.sql.gz").write_bytes(gzip.compress(plain, 1))
    (folder / "all.sql.zst").write_bytes(zstandard.ZstdCompressor(1, write_checksum=True).compress(plain))


def _newer_mydumper(source: Source, connection: session.Session) -> None:
    """A folder as mydumper 0.19 writes it; Debian only has 0.10, of which the unit tests keep one."""
    folder = source.folder / "mydumper"
    folder.mkdir()
    metadata = ["# Started dump at: 2026-11-23 06:15:00", "[config]", "quote-character = BACKTICK", ""]
    metadata += ["[myloader_session_variables]", "SQL_MODE='NO_AUTO_VALUE_ON_ZERO' /*!40101", "", "[source]"]
    file, offset = source.flavour.binlog_position(connection)
    gtid = source.flavour.gtid_executed(connection)
    metadata += [f"File = {file}", f"Position = {offset}", f"Executed_Gtid_Set = {gtid}", ""]
    head = "/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40103 SET TIME_ZONE='+00:00' */;\n"
    made = session.rows(connection, "SHOW CREATE DATABASE IF NOT EXISTS shop")[0]["Create Database"]
    (folder / "shop-schema-create.sql").write_text(f"{head}{made};\n")
    for number, (name, columns) in enumerate(
        {"customers": "id, name, photo", "odd; name": "a", "beat": "id, at"}.items()
    ):
        alias = f"mydumper_{number}" if ";" in name else name
        made = session.rows(connection, f"SHOW CREATE TABLE shop.`{name}`")[0]["Create Table"]
        (folder / f"shop.{alias}-schema.sql").write_text(f"{head}{made};\n")
        rows = session.rows(connection, f"SELECT {columns} FROM shop.`{name}`")
        values = ",\n".join("(" + ",".join(_literal(value) for value in row.values()) + ")" for row in rows)
        rows_text = f"{head}INSERT INTO `{name}` VALUES {values};\n"
        (folder / f"shop.{alias}.00000.sql.gz").write_bytes(gzip.compress(rows_text.encode()))
        metadata += [f"[`shop`.`{alias}`]", f"real_table_name={name}", f"rows = {len(rows)}", ""]
    trigger = session.rows(connection, "SHOW CREATE TRIGGER shop.tr")[0]["SQL Original Statement"]
    (folder / "shop.customers-schema-triggers.sql").write_text(head + trigger.replace(";\n", "; \n") + ";\n")
    (folder / "metadata").write_text("\n".join(metadata) + "\n# Finished dump at: 2026-11-23 06:15:01\n")


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _mariadb_backup(source: Source, server: Server) -> None:
    program = [*source.flavour.program("backup"), f"--socket={server.datadir}/mysql.sock", "--user=root"]
    target = source.folder / "full"
    _run([*program, "--backup", f"--target-dir={target}"])
    _run(
        [*program, "--backup", "--stream=xbstream", f"--target-dir={source.folder / 'none'}"], source.folder / "full.xb"
    )
    packed = zstandard.ZstdCompressor(1, write_checksum=True).compress((source.folder / "full.xb").read_bytes())
    (source.folder / "full.xb.zst").write_bytes(packed)
    shutil.copytree(target, source.folder / "prepared")
    _run([*source.flavour.program("backup"), "--prepare", f"--target-dir={source.folder / 'prepared'}"])


def _xtrabackup(source: Source, connection: session.Session) -> None:
    """A folder as XtraBackup leaves it, copied by the clone plugin: Debian has no XtraBackup."""
    target = source.folder / "prepared"
    session.execute(connection, [f"CLONE LOCAL DATA DIRECTORY = '{target}'"])
    file, offset = source.flavour.binlog_position(connection)
    gtid = source.flavour.gtid_executed(connection)
    (target / "xtrabackup_binlog_info").write_text(f"{file}\t{offset}\t{gtid}\n")
    (target / "xtrabackup_info").write_text(
        f"tool_name = xtrabackup\nserver_version = {source.flavour.version_text}\nincremental = N\n"
    )
    (target / "xtrabackup_checkpoints").write_text("backup_type = full-prepared\nto_lsn = 1\n")
    (target / "backup-my.cnf").write_text("[mysqld]\ninnodb_data_file_path=ibdata1:12M:autoextend\n")


def _write_on(source: Source, connection: session.Session) -> None:
    """Heartbeats in three logs, and accounts that no dump restores."""
    for number in range(1, BEATS + 1):
        session.execute(connection, [f"INSERT INTO shop.beat VALUES ({number}, UTC_TIMESTAMP(6))"])
        if number in (BEATS // 3, 2 * BEATS // 3):
            session.execute(connection, ["FLUSH BINARY LOGS"])
        if number == BEATS // 2:
            # MariaDB stamps whole seconds, so the boundary needs room on both sides.
            session.execute(connection, ["DO SLEEP(1.1)"])
            source.middle_at = str(
                session.value(connection, "SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%H:%i:%sZ')")
            )
            source.before_middle = number
            session.execute(connection, ["DO SLEEP(1.1)"])
    session.execute(connection, ["CREATE USER late@localhost", "GRANT SELECT ON shop.* TO app@'%'"])
