"""Oracle MySQL 8.0.26 or newer: the one that scripts/fetch-mysql unpacked, else the system's own.

The unpacked one brings its own C library, so its programs run through the dynamic loader that came with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ftchaos import state
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

OLDEST = (8, 0, 26)  # the first that says source and replica in all its statements, options and plugins
_INSTALL = "run scripts/fetch-mysql, or on Ubuntu apt-get install mysql-server-core-8.0 mysql-client-core-8.0"
_PROGRAMS = {
    "server": "mysqld",
    "client": "mysql",
    "dump": "mysqldump",
    "binlog": "mysqlbinlog",
    "admin": "mysqladmin",
    "import": "mysqlimport",
}
_PLUGINS = "rpl_semi_sync_source=semisync_source.so;rpl_semi_sync_replica=semisync_replica.so;clone=mysql_clone.so"
_DURABLE: Options = {
    "log-bin": "binlog",
    "binlog-checksum": "CRC32",
    "max-binlog-size": "128M",
    "sync-binlog": 1,
    "innodb-flush-log-at-trx-commit": 1,
    "gtid-mode": "ON",
    "enforce-gtid-consistency": "ON",
    "relay-log": "relay",
    "relay-log-recovery": "ON",
    "replica-net-timeout": 4,  # a cut source is noticed in seconds, not in the usual minute
    "plugin-load-add": _PLUGINS,
}
_SMALL: Options = {
    "innodb-buffer-pool-size": "64M",
    "innodb-log-buffer-size": "4M",
    "innodb-buffer-pool-dump-at-shutdown": 0,
    "innodb-buffer-pool-load-at-startup": 0,
    "key-buffer-size": "1M",
    "performance-schema": "OFF",
    "mysqlx": "OFF",
    "max-connections": 400,
}
_QUIET: Options = {
    "user": "root",  # without it root's server refuses to run; anybody else's only says that it ignores this
    "socket": "mysql.sock",
    "pid-file": "mysql.pid",
    "read-only": 1,
    "skip-name-resolve": None,
    "local-infile": 0,
    "secure-file-priv": "NULL",
    "event-scheduler": "OFF",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_0900_ai_ci",
}


@dataclass(frozen=True)
class OracleMySQL:
    """See :class:`ftchaos.mysql.flavour.Flavour`.

    Attributes:
        runner: what stands before each program: nothing, or the dynamic loader with its library path.
        bins: folders where the programs are looked for.
        places: options that name where the unpacked files lie; empty for the system's own MySQL.
    """

    runner: tuple[str, ...]
    bins: tuple[Path, ...]
    places: Options = field(hash=False)
    version: tuple[int, int, int]
    version_text: str
    name: str = "mysql"

    def program(self, name: str) -> list[str]:
        if name == "backup":
            raise MissingProgram("MySQL has no backup program of its own", "copy it with its clone plugin")
        file = _PROGRAMS.get(name, name)
        path = next((folder / file for folder in self.bins if (folder / file).exists()), None)
        if path is None:
            raise MissingProgram(f"no {file} on this machine", _INSTALL)
        places = {} if name == "server" else {k: v for k, v in self.places.items() if k == "character-sets-dir"}
        return [*self.runner, str(path), "--no-defaults", *option_argv(places)]

    def server_argv(
        self, datadir: Path, *, server_id: int, bind: str | None, port: int, options: Options | None = None
    ) -> list[str]:
        where: Options = {"datadir": str(datadir), "tmpdir": str(datadir), "server-id": server_id}
        network: Options = {"skip-networking": None} if bind is None else {"bind-address": bind, "port": port}
        layers = (self.places, _QUIET, _DURABLE, _SMALL, self._log_size(), where, network, options or {})
        return self.program("server") + option_argv(*layers)

    def initialize(self, datadir: Path) -> None:
        datadir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh: Options = {"datadir": str(datadir), "initialize-insecure": None, "user": "root", "mysqlx": "OFF"}
        # In a folder of several servers each removes the temporary tables of the others.
        own: Options = {"tmpdir": str(datadir), "skip-log-bin": None}
        argv = option_argv(self.places, fresh, self._log_size(), own)
        run([*self.program("server"), *argv], "mysqld --initialize-insecure")

    def _log_size(self) -> Options:
        name = "innodb-redo-log-capacity" if self.version >= (8, 0, 30) else "innodb-log-file-size"
        return {name: "32M"}

    def rejoin_options(self) -> Options:
        return {}

    def replicate_from(self, address: str, port: int, user: str, password: str) -> list[str]:
        return [
            *self.forget_replication(),
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = {quoted(address)}, SOURCE_PORT = {port},"
            f" SOURCE_USER = {quoted(user)}, SOURCE_PASSWORD = {quoted(password)}, SOURCE_CONNECT_RETRY = 1,"
            " SOURCE_RETRY_COUNT = 86400, SOURCE_HEARTBEAT_PERIOD = 1, SOURCE_AUTO_POSITION = 1,"
            " GET_SOURCE_PUBLIC_KEY = 1",
            self.begin_replication(),
        ]

    def begin_replication(self) -> str:
        return "START REPLICA"

    def stop_replication(self) -> str:
        return "STOP REPLICA"

    def begin_applying(self) -> str:
        return "START REPLICA SQL_THREAD"

    def stop_applying(self) -> str:
        return "STOP REPLICA SQL_THREAD"

    def begin_receiving(self) -> str:
        return "START REPLICA IO_THREAD"

    def stop_receiving(self) -> str:
        return "STOP REPLICA IO_THREAD"

    def forget_replication(self) -> list[str]:
        return ["STOP REPLICA", "RESET REPLICA ALL"]

    def set_gtid_position(self, position: str, *, logged: bool = True) -> list[str]:
        return [self.empty_binlog(), f"SET GLOBAL gtid_purged = {quoted(position)}"]

    def empty_binlog(self) -> str:
        return "RESET BINARY LOGS AND GTIDS" if self.version >= (8, 2, 0) else "RESET MASTER"

    def semi_sync_source(self, on: bool, timeout_ms: int = SEMI_SYNC_TIMEOUT_MS) -> list[str]:
        if not on:
            return ["SET GLOBAL rpl_semi_sync_source_enabled = OFF"]
        return [
            "SET GLOBAL rpl_semi_sync_source_wait_point = AFTER_SYNC",
            f"SET GLOBAL rpl_semi_sync_source_timeout = {timeout_ms}",
            "SET GLOBAL rpl_semi_sync_source_enabled = ON",
        ]

    def semi_sync_replica(self, on: bool) -> list[str]:
        return [f"SET GLOBAL rpl_semi_sync_replica_enabled = {int(on)}"]

    def read_only(self, on: bool) -> list[str]:
        return [f"SET GLOBAL read_only = {int(on)}"]

    def gtid_executed(self, session: Session) -> str:
        return "".join(str(value(session, "SELECT @@GLOBAL.gtid_executed") or "").split())

    def gtid_binlog(self, session: Session) -> str:
        return self.gtid_executed(session)

    def gtid_received(self, session: Session) -> str:
        status = self.replica_status(session)
        return gtid.oracle_union(self.gtid_executed(session), status.received if status else "")

    def history(self, session: Session) -> str:
        return self.gtid_executed(session)

    def purged(self, session: Session) -> str:
        return "".join(str(value(session, "SELECT @@GLOBAL.gtid_purged") or "").split())

    def binlog_position(self, session: Session) -> tuple[str, int]:
        words = "BINARY LOG" if self.version >= (8, 2, 0) else "MASTER"
        row = rows(session, f"SHOW {words} STATUS")[0]
        return str(row["File"]), int(row["Position"])

    def replica_status(self, session: Session) -> ReplicaStatus | None:
        found = rows(session, "SHOW REPLICA STATUS")
        if not found:
            return None
        row = found[0]
        return ReplicaStatus(
            receiving=row["Replica_IO_Running"] == "Yes",
            applying=row["Replica_SQL_Running"] == "Yes",
            source=str(row["Source_Host"]),
            port=int(row["Source_Port"]),
            received="".join(str(row["Retrieved_Gtid_Set"] or "").split()),
            behind_s=row["Seconds_Behind_Source"],
            error_code=int(row["Last_IO_Errno"] or row["Last_SQL_Errno"] or 0),
            error=str(row["Last_IO_Error"] or row["Last_SQL_Error"] or ""),
        )

    def semi_sync_replicas(self, session: Session) -> int:
        if not value(session, "SELECT @@GLOBAL.rpl_semi_sync_source_enabled"):
            return 0
        return int(rows(session, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_clients'")[0]["Value"])

    def confirms(self, session: Session) -> bool:
        return bool(value(session, "SELECT @@GLOBAL.rpl_semi_sync_replica_enabled"))

    def wait_for_gtid(self, session: Session, position: str, timeout_s: float) -> bool:
        return int(value(session, "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", (position, timeout_s))) == 0

    def progress(self, position: str) -> int:
        return gtid.oracle_progress(position)

    def contains(self, history: str, position: str) -> bool:
        return gtid.oracle_contains(history, position)


@cache
def find() -> Flavour:
    """The MySQL of this machine.

    Raises:
        MissingProgram: there is none, or it is too old.
    """
    for runner, bins, places in _places():
        server = next((folder / "mysqld" for folder in bins if (folder / "mysqld").exists()), None)
        known = version_of((*runner, str(server))) if server else None
        if known and not known[2]:
            if known[0] < OLDEST:
                raise MissingProgram(f"MySQL {known[1]} is too old: 8.0.26 or newer is needed", _INSTALL)
            return OracleMySQL(runner, bins, places, known[0], known[1])
    raise MissingProgram("no Oracle MySQL on this machine", _INSTALL)


def _places() -> list[tuple[tuple[str, ...], tuple[Path, ...], Options]]:
    """Where a MySQL may be: the unpacked one first, because it was fetched on purpose."""
    home = Path(os.environ.get("FTCHAOS_MYSQL_HOME") or state.cache() / "mysql").absolute()
    system = which("mysqld")
    places: list[tuple[tuple[str, ...], tuple[Path, ...], Options]] = []
    loaders = [
        path
        for pattern in ("usr/lib*/", "lib*/", "usr/lib/*-linux-gnu/")
        for path in home.glob(pattern + "ld-linux-*.so.*")
    ]
    if loaders:
        patterns = ("usr/lib/*-linux-gnu", "usr/lib/*-linux-gnu/private", "usr/lib/mysql/private", "lib/*-linux-gnu")
        libraries = ":".join(str(path) for pattern in patterns for path in sorted(home.glob(pattern)))
        share = home / "usr/share/mysql"
        options: Options = {
            "basedir": str(home / "usr"),
            "plugin-dir": str(home / "usr/lib/mysql/plugin"),
            "lc-messages-dir": str(share),
            "character-sets-dir": str(share / "charsets"),
        }
        runner = (str(loaders[0]), "--library-path", libraries)
        places.append((runner, (home / "usr/sbin", home / "usr/bin"), options))
    if system:
        places.append(((), (Path(system).resolve().parent, Path("/usr/bin")), {}))
    return places
