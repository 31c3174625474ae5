"""A hostile backup harms nothing and does not pass; each wall around it holds without the others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ordinary
import pytest
from foreign_backups import on_the_bench, rehearse
from pymysql.err import MySQLError

from ftchaos.mysql import session
from ftchaos.mysql.flavour import find
from ftchaos.mysql.foreign.load import ACCOUNT, allow
from ftchaos.mysql.server import Server
from ftchaos.platforms.bench import Bench, jail, scratch
from ftchaos.process import alive
from ftchaos.undo import Record

FLAVOURS = ["mariadb", "mysql"]
HEADS = {
    "mariadb": "-- MariaDB dump 10.19  Distrib 10.6.12-MariaDB, for Linux (x86_64)\n",
    "mysql": "-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n",
}
TRAILER = "-- Dump completed on 2026-11-23  6:15:00\n"
GOOD = [
    "CREATE DATABASE `victim`",
    "USE `victim`",
    "CREATE TABLE `t` (`id` bigint unsigned NOT NULL PRIMARY KEY, `v` text)",
    "INSERT INTO `t` VALUES (1,'one'),(2,'two')",
]
# FOLDER is one that everybody may write.
HOSTILE = [
    "\\! touch FOLDER/shell\n",
    "system touch FOLDER/system\n",
    "source FOLDER/secret\n",
    "tee FOLDER/tee\n",
    "SELECT 'x' INTO OUTFILE 'FOLDER/outfile'",
    "SELECT 'x' INTO DUMPFILE 'FOLDER/dumpfile'",
    "LOAD DATA INFILE 'FOLDER/secret' INTO TABLE `t` (`v`)",
    "LOAD DATA LOCAL INFILE 'FOLDER/secret' INTO TABLE `t` (`v`)",
    "CREATE USER hacker@localhost IDENTIFIED BY 'x'",
    "GRANT ALL ON *.* TO restore@localhost",
    "SET PASSWORD FOR root@localhost = 'x'",
    "INSTALL PLUGIN x SONAME 'semisync_source.so'",
    "CREATE FUNCTION sys_exec RETURNS INTEGER SONAME 'udf.so'",
    "SET GLOBAL general_log_file = 'FOLDER/log'",
    "SET GLOBAL event_scheduler = ON",
    "SET GLOBAL local_infile = ON",
    "DELETE FROM mysql.user",
    "DROP TABLE mysql.db",
    "CREATE TABLE mysql.owned (a int)",
    "INSERT INTO mysql.func VALUES ('x', 0, 'x.so', 'function')",
    "CREATE DEFINER=`root`@`localhost` PROCEDURE `up`() GRANT ALL ON *.* TO restore@localhost",
    "CREATE TABLE `far` (`a` int) ENGINE=InnoDB DATA DIRECTORY='FOLDER'",
    "SHUTDOWN",
    "BINLOG 'AAAA'",
    "FLUSH PRIVILEGES",
]
READS = "INSERT INTO `t` VALUES (3, LOAD_FILE('FOLDER/secret'))"
EVENT = (
    "CREATE DEFINER=`root`@`localhost` EVENT `tick` ON SCHEDULE EVERY 1 SECOND"
    " DO INSERT INTO `t` VALUES (UUID_SHORT(), 'fired')"
)


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder that everybody may write, with a file that nobody should read."""
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-out-"))
    folder.chmod(0o777)
    (folder / "secret").write_text("do not tell\n")
    (folder / "secret").chmod(0o644)
    yield folder
    shutil.rmtree(folder)


def untouched(out: Path) -> bool:
    return [path.name for path in out.iterdir()] == ["secret"]


def written(path: Path, flavour: str, statements: list[str], out: Path) -> Path:
    text = ";\n".join(statements).replace("FOLDER", str(out))
    path.write_text(f"{HEADS[flavour]}{text};\n{TRAILER}")
    return path


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_hostile_dump_harms_nothing_and_fails(flavour: str, state: Path, tmp_path: Path, out: Path) -> None:
    path = written(
        tmp_path / "evil.sql", flavour, [*GOOD, EVENT, READS, *HOSTILE, "USE mysql", "DELETE FROM user"], out
    )
    checks = [
        {"name": "no event has fired", "sql": "SELECT COUNT(*), SLEEP(2) FROM victim.t", "expect": 2},
        {"name": "no account was made", "sql": "SELECT COUNT(*) FROM mysql.user WHERE User = 'hacker'", "expect": 0},
        {"name": "root is still there", "sql": "SELECT COUNT(*) FROM mysql.user WHERE User = 'root'", "expect": 1},
        {"name": "nothing was read", "sql": "SELECT COUNT(*) FROM victim.t WHERE v LIKE '%tell%'", "expect": 0},
    ]

    found = rehearse(path, tmp_path, restore={"checks": checks})

    assert found.error is None
    assert untouched(out)
    assert found.flaws() == ["statements"]
    refused = found.steps["restore"].facts["refused"]
    for words in ("\\! touch", "system touch", "INTO OUTFILE", "LOAD_FILE", "INSTALL PLUGIN", "mysql.user", "SHUTDOWN"):
        assert any(words in line for line in refused), words
    assert all("IDENTIFIED" not in line for line in refused)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_account_alone_stops_every_statement(flavour: str, state: Path, tmp_path: Path, out: Path) -> None:
    path = written(tmp_path / "good.sql", flavour, GOOD, out)
    with on_the_bench(path, tmp_path) as bench:
        server = running(bench)
        with session.connect(server.datadir) as admin:
            session.execute(admin, GOOD)
            allow(admin, "victim")
        with session.connect(server.datadir, user=ACCOUNT, database="victim") as connection:
            for statement in HOSTILE:
                try:
                    session.execute(connection, [statement.replace("FOLDER", str(out))])
                except MySQLError:
                    continue
                # What is not an error must still have done nothing.
                assert "DATA DIRECTORY" in statement, statement
            session.execute(connection, [READS.replace("FOLDER", str(out))])
            assert session.value(connection, "SELECT v FROM t WHERE id = 3") is None
        assert untouched(out)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_jail_alone_keeps_an_administrator_in(flavour: str, state: Path, tmp_path: Path, out: Path) -> None:
    path = written(tmp_path / "good.sql", flavour, GOOD, out)
    with on_the_bench(path, tmp_path) as bench:
        server = running(bench)
        pid = inner(server)
        assert Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[0] == str(jail.NOBODY)
        assert set(capabilities(pid).values()) == {0}
        interfaces = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        root = Path(f"/proc/{pid}/root")
        assert not (root / str(out).lstrip("/")).exists()
        assert not (root / "home").exists()
        with server.connect() as admin:
            assert session.value(admin, "SELECT LOAD_FILE('/etc/passwd')") is None
            for target in (out / "outfile", Path("/tmp/outfile"), server.datadir / "outfile"):
                with pytest.raises(MySQLError):
                    session.execute(admin, [f"SELECT 'x' INTO OUTFILE '{target}'"])
            with suppress(MySQLError):  # MariaDB takes the name and does not mind that it cannot write there
                session.execute(admin, [f"SET GLOBAL general_log_file = '{out}/log'", "SET GLOBAL general_log = ON"])
        assert untouched(out)


def test_killing_the_run_leaves_no_process_and_its_record_removes_the_rest(
    state: Path, tmp_path: Path, out: Path
) -> None:
    path = written(tmp_path / "good.sql", "mariadb", GOOD, out)
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path; from foreign_backups import on_the_bench\n"
        "with on_the_bench(Path(sys.argv[1]), Path(sys.argv[2])) as bench:\n"
        "    print(bench.recovery().server.server.datadir, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(tmp_path), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    datadir = Path(process.stdout.readline().strip())
    pid = inner(Server("it", find("mariadb"), datadir))

    process.kill()
    process.wait()

    assert gone(pid)
    record = json.loads((tmp_path / "undo.jsonl").read_text().splitlines()[0])
    assert record["heal"] == scratch.HEAL
    again = Record(1, record["platform"], record["heal"], record["arguments"], record["why"])
    assert "removed" in scratch.heal(again)
    assert scratch.heal(again) == "nothing was left"
    assert not datadir.exists()


def test_a_heal_kills_a_server_that_lives_on_and_spares_who_only_reads_its_log(
    state: Path, tmp_path: Path, out: Path
) -> None:
    path = written(tmp_path / "good.sql", "mariadb", GOOD, out)
    with on_the_bench(path, tmp_path) as bench:
        server = running(bench)
        pid = inner(server)
        folder = server.datadir.parents[1]
        reader = subprocess.Popen(["tail", "-f", str(folder / "error.log")], stdout=subprocess.DEVNULL)

        assert scratch.kill(folder) >= 1

        assert gone(pid)
        assert reader.poll() is None
        reader.send_signal(signal.SIGTERM)
        reader.wait()


def test_an_ordinary_user_has_the_same_walls(tmp_path: Path, out: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="ftchaos-user-"))
    place.chmod(0o755)
    path = written(place / "good.sql", "mariadb", [*GOOD, "SELECT 'x' INTO OUTFILE 'FOLDER/outfile'"], out)
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path; from foreign_backups import rehearse\n"
        "from ftchaos.platforms.bench import jail\n"
        "found = rehearse(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(jail.strongest().walls, found.error, found.flaws())\n"
    )
    argv = [sys.executable, "-c", code, str(path), str(place), str(Path(__file__).parent)]
    environment = {**os.environ, "FTCHAOS_STATE": str(place / "state"), "FTCHAOS_CACHE": str(place / "cache")}

    done = subprocess.run(ordinary.argv(argv, place), env=environment, capture_output=True, text=True)

    assert done.stdout.split("\n")[0] == "True None ['statements']", done.stderr[-2000:]
    assert untouched(out)
    shutil.rmtree(place)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_namespaces_the_account_and_the_user_still_hold(
    flavour: str, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(tempfile.mkdtemp(prefix="ftchaos-bare-"))
    place.chmod(0o755)
    monkeypatch.setenv("FTCHAOS_STATE", str(place))
    if flavour == "mysql" and not reachable(find("mysql").program("server")[0]):
        shutil.rmtree(place)  # the unpacked MySQL lies in a home folder that nobody else may enter
        return
    monkeypatch.setattr(jail, "strongest", lambda: jail.Jail(False, jail.NOBODY))
    path = written(tmp_path / "evil.sql", flavour, [*GOOD, "SELECT 'x' INTO OUTFILE 'FOLDER/outfile'"], out)

    found = rehearse(path, tmp_path)

    assert found.error is None
    assert "has no walls" in found.steps["provision"].summary
    assert found.flaws() == ["statements"]
    assert untouched(out)
    shutil.rmtree(place)


def running(bench: Bench) -> Server:
    server = bench.recovery().server
    assert server is not None
    return server.server


def inner(server: Server) -> int:
    """The server's own process, in the jail."""
    wanted = f"--datadir={server.datadir}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if wanted in words and b"--fork" not in words:
                return int(entry.name)
    raise AssertionError("the server does not run")


def capabilities(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1], 16) for line in lines if line.startswith("Cap")}


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def reachable(path: str) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in Path(path).resolve().parents)
