"""MariaDB 10.6 or newer, as the distribution installs it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ftchaos.errors import MissingProgram
from ftchaos.mysql import gtid
from ftchaos.mysql.flavour import (
    SEMI_SYNC_TIMEOUT_MS,
    Flavour,
    Options,
    ReplicaStatus,
    option_argv,
    quoted,
    run,
    version_of,
    which,
)
from ftchaos.mysql.session import Session, rows, value

OLDEST = (10, 6, 0)
_INSTALL = "apt-get install mariadb-server mariadb-backup"
_PROGRAMS = {
    "client": "mariadb",
    "dump": "mariadb-dump",
    "binlog": "mariadb-binlog",
    "admin": "mariadb-admin",
    "import": "mariadb-import",
    "backup": "mariadb-backup",
}
_DURABLE: Options = {
    "log-bin": "binlog",
    "log-slave-updates": 1,
    "binlog-format": "ROW",
    "binlog-checksum": "CRC32",
    "loose-binlog-legacy-event-pos": 1,  # from 11.4 on; with it a flipped bit in an event's size shows as damage
    "max-binlog-size": "128M",
    "sync-binlog": 1,
    "innodb-flush-log-at-trx-commit": 1,
    "gtid-strict-mode": 1,
    "relay-log": "relay",
    "relay-log-recovery": 1,
    "slave-net-timeout": 4,  # a cut source is noticed in seconds, not in the usual minute
    "innodb-use-native-aio": 0,  # a page whose io_uring completion never came was waited for by 386 sessions, for ever
}
_SMALL: Options = {
    "innodb-log-file-size": "16M",
    "innodb-buffer-pool-size": "32M",
    "innodb-buffer-pool-dump-at-shutdown": 0,
    "innodb-buffer-pool-load-at-startup": 0,
    "aria-pagecache-buffer-size": "1M",
    "key-buffer-size": "1M",
    "performance-schema": 0,
    "max-connections": 400,
}
_QUIET: Options = {
    "user": "root",  # without it root's server refuses to run; anybody else's only says that it ignores this
    "socket": "mysql.sock",
    "pid-file": "mysql.pid",
    "read-only": 1,
    "skip-name-resolve": None,
    "local-infile": 0,
    "event-scheduler": "OFF",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_unicode_ci",
}


@dataclass(frozen=True)
class MariaDB:
    """See :class:`ftchaos.mysql.flavour.Flavour`."""

    server: str
    version: tuple[int, int, int]
    version_text: str
    name: str = "mariadb"

    def program(self, name: str) -> list[str]:
        path = self.server if name == "server" else which(_PROGRAMS.get(name, name))
        if path is None:
            raise MissingProgram(f"no {_PROGRAMS.get(name, name)} on this machine", _INSTALL)
        return [path, "--no-defaults", *(["--skip-innodb-use-native-aio"] if name == "backup" else [])]

    def server_argv(
        self, datadir: Path, *, server_id: int, bind: str | None, port: int, options: Options | None = None
    ) -> list[str]:
        where: Options = {"datadir": str(datadir), "tmpdir": str(datadir), "server-id": server_id}
        network: Options = {"skip-networking": None} if bind is None else {"bind-address": bind, "port": port}
        return self.program("server") + option_argv(_QUIET, _DURABLE, _SMALL, where, network, options or {})

    def initialize(self, datadir: Path) -> None:
        maker = which("mariadb-install-db")
        if maker is None:
            raise MissingProgram("no mariadb-install-db on this machine", _INSTALL)
        datadir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = option_argv(
            {
                "datadir": str(datadir),
                # In a folder of several servers each removes the temporary tables of the others.
                "tmpdir": str(datadir),
                "auth-root-authentication-method": "normal",
                "skip-test-db": None,
                "skip-name-resolve": None,
                "innodb-log-file-size": _SMALL["innodb-log-file-size"],
            },
            {"user": "root"} if os.geteuid() == 0 else {},  # anybody else would fail to give the files to root
        )
        run([maker, "--no-defaults", *fresh], "mariadb-install-db")
        # It also lets a password-less root in by TCP from 127.0.0.1, where loopback labs listen.
        run(
            [
                *self.server_argv(
                    datadir, server_id=1, bind=None, port=0, options={"bootstrap": None, "skip-log-bin": None}
                )
            ],
            "mariadbd --bootstrap",
            given="DELETE FROM mysql.global_priv WHERE Host <> 'localhost';\n",
        )

    def rejoin_options(self) -> Options:
        return {"init-rpl-role": "SLAVE"} if self.version >= (10, 6, 19) else {"rpl-semi-sync-slave-enabled": 1}

    def replicate_from(self, address: str, port: int, user: str, password: str) -> list[str]:
        return [
            *self.forget_replication(),
            "SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos",  # counts what an old primary wrote itself
            f"CHANGE MASTER TO MASTER_HOST = {quoted(address)}, MASTER_PORT = {port}, MASTER_USER = {quoted(user)},"
            f" MASTER_PASSWORD = {quoted(password)}, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1,"
            " MASTER_USE_GTID = slave_pos",
            self.begin_replication(),
        ]

    def begin_replication(self) -> str:
        return "START SLAVE"

    def stop_replication(self) -> str:
        return "STOP SLAVE"

    def begin_applying(self) -> str:
        return "START SLAVE SQL_THREAD"

    def stop_applying(self) -> str:
        return "STOP SLAVE SQL_THREAD"

    def begin_receiving(self) -> str:
        return "START SLAVE IO_THREAD"

    def stop_receiving(self) -> str:
        return "STOP SLAVE IO_THREAD"

    def forget_replication(self) -> list[str]:
        return ["STOP SLAVE", "RESET SLAVE ALL"]

    def set_gtid_position(self, position: str, *, logged: bool = True) -> list[str]:
        return [*([self.empty_binlog()] if logged else []), f"SET GLOBAL gtid_slave_pos = {quoted(position)}"]

    def empty_binlog(self) -> str:
        return "RESET MASTER"

    def semi_sync_source(self, on: bool, timeout_ms: int = SEMI_SYNC_TIMEOUT_MS) -> list[str]:
        if not on:
            return ["SET GLOBAL rpl_semi_sync_master_enabled = 0"]
        return [
            "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC",
            f"SET GLOBAL rpl_semi_sync_master_timeout = {timeout_ms}",
            "SET GLOBAL rpl_semi_sync_master_enabled = 1",
        ]

    def semi_sync_replica(self, on: bool) -> list[str]:
        return [f"SET GLOBAL rpl_semi_sync_slave_enabled = {int(on)}"]

    def read_only(self, on: bool) -> list[str]:
        return [f"SET GLOBAL read_only = {int(on)}"]

    def gtid_executed(self, session: Session) -> str:
        return str(value(session, "SELECT @@GLOBAL.gtid_current_pos") or "")

    def gtid_binlog(self, session: Session) -> str:
        return str(value(session, "SELECT @@GLOBAL.gtid_binlog_pos") or "")

    def gtid_received(self, session: Session) -> str:
        executed = self.gtid_executed(session)
        status = self.replica_status(session)
        received = status.received if status else ""
        return max(executed, received, key=self.progress)

    def history(self, session: Session) -> str:
        row = rows(session, "SELECT @@GLOBAL.gtid_binlog_state AS a, @@GLOBAL.gtid_slave_pos AS b")[0]
        return ",".join(filter(None, (row["a"], row["b"])))

    def purged(self, session: Session) -> str:
        for log in rows(session, "SHOW BINARY LOGS"):
            for event in rows(session, "SHOW BINLOG EVENTS IN %s LIMIT 8", (log["Log_name"],)):
                if event["Event_type"] == "Gtid_list" and event["Info"] != "[]":
                    return str(event["Info"]).strip("[]")
                if event["Event_type"] == "Gtid":
                    # A restored server was told its position: that is in no list, but its first own event counts on.
                    domain, server, sequence = event["Info"].rpartition("GTID ")[2].split()[0].split("-")
                    return f"{domain}-{server}-{int(sequence) - 1}" if int(sequence) > 1 else ""
        return self.gtid_executed(session)

    def binlog_position(self, session: Session) -> tuple[str, int]:
        row = rows(session, "SHOW MASTER STATUS")[0]
        return str(row["File"]), int(row["Position"])

    def replica_status(self, session: Session) -> ReplicaStatus | None:
        found = rows(session, "SHOW SLAVE STATUS")
        if not found:
            return None
        row = found[0]
        return ReplicaStatus(
            receiving=row["Slave_IO_Running"] == "Yes",
            applying=row["Slave_SQL_Running"] == "Yes",
            source=str(row["Master_Host"]),
            port=int(row["Master_Port"]),
            received=str(row["Gtid_IO_Pos"] or ""),
            behind_s=row["Seconds_Behind_Master"],
            error_code=int(row["Last_IO_Errno"] or row["Last_SQL_Errno"] or 0),
            error=str(row["Last_IO_Error"] or row["Last_SQL_Error"] or ""),
        )

    def semi_sync_replicas(self, session: Session) -> int:
        if not value(session, "SELECT @@GLOBAL.rpl_semi_sync_master_enabled"):
            return 0
        return int(rows(session, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_clients'")[0]["Value"])

    def confirms(self, session: Session) -> bool:
        return bool(value(session, "SELECT @@GLOBAL.rpl_semi_sync_slave_enabled"))

    def wait_for_gtid(self, session: Session, position: str, timeout_s: float) -> bool:
        return int(value(session, "SELECT MASTER_GTID_WAIT(%s, %s)", (position, timeout_s))) == 0

    def progress(self, position: str) -> int:
        return gtid.mariadb_progress(position)

    def contains(self, history: str, position: str) -> bool:
        return gtid.mariadb_contains(history, position)


@cache
def find() -> Flavour:
    """The MariaDB of this machine.

    Raises:
        MissingProgram: there is none, or it is too old.
    """
    for path in filter(None, (which("mariadbd"), which("mysqld"))):
        known = version_of((path,))
        if known and known[2]:
            if known[0] < OLDEST:
                raise MissingProgram(f"MariaDB {known[1]} is too old: 10.6 or newer is needed", _INSTALL)
            return MariaDB(path, known[0], known[1])
    raise MissingProgram("no MariaDB on this machine", _INSTALL)
