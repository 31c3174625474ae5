"""Records the small binary logs beside this file from the real servers: python -m tests.unit.binlogs.record

Each folder holds four logs of one server with every shape of transaction that a log can have. They are
recorded once and kept, so that reading them needs no server.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from ftchaos.mysql.flavour import Flavour, found
from ftchaos.mysql.server import start_plain
from ftchaos.mysql.session import Session, execute, value

HERE = Path(__file__).parent
SCHEMA = [
    "CREATE DATABASE d",
    "CREATE TABLE d.t (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40) CHARACTER SET utf8mb4)",
]
ROW = "INSERT INTO d.t (v) VALUES ('Bericht 測試')"
SAVEPOINT = ["BEGIN", ROW, "SAVEPOINT s", ROW, "ROLLBACK TO s", "SAVEPOINT s2", ROW, "COMMIT"]
XA = ["XA START 'x'", ROW, "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"]
COPY = "CREATE TABLE d.copy AS SELECT * FROM d.t"
TAGGED = ["SET gtid_next = 'AUTOMATIC:drill'", ROW, ROW, "SET gtid_next = 'AUTOMATIC'"]


def main() -> None:
    for flavour in found():
        with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
            datadir = Path(scratch, "data")
            flavour.initialize(datadir)
            record(flavour, datadir)
            target = HERE / flavour.name
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for log in sorted(datadir.glob("binlog.0*")):
                shutil.copy(log, target)


def record(flavour: Flavour, datadir: Path) -> None:
    options = {"default-time-zone": "+00:00"}
    with start_plain(flavour, datadir, server_id=7, options=options) as server, server.connect() as session:
        execute(session, [flavour.empty_binlog()])
        flush = "FLUSH BINARY LOGS"
        statements = [*SCHEMA, ROW, flush, ROW, *SAVEPOINT, flush, *XA, COPY, "DROP TABLE d.copy", flush]
        statements += compressed(session)
        if flavour.name == "mysql":
            statements += TAGGED
        for statement in [*statements, ROW]:
            execute(session, [statement])
            if statement == ROW:
                time.sleep(1.1)  # so that each commit has a second of its own


def compressed(session: Session) -> list[str]:
    """One transaction whose events are compressed, as the flavour can."""
    if "MariaDB" in str(value(session, "SELECT VERSION()")):
        on, off = (f"SET GLOBAL log_bin_compress = {x}, log_bin_compress_min_len = 10" for x in ("ON", "OFF"))
    else:
        on, off = (f"SET binlog_transaction_compression = {x}" for x in ("ON", "OFF"))
    return [on, "INSERT INTO d.t (v) VALUES (REPEAT('a', 40))", "ALTER TABLE d.t COMMENT 'a long enough comment'", off]


if __name__ == "__main__":
    main()
