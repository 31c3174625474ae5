"""Servers of both flavours: begun, reached, seeded from templates, replicated, fenced, rebuilt."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from trio import SIZE_BYTES, Trio, checksums, insert, trio, until

from ftchaos import state
from ftchaos.errors import StepFailed
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import replication, session, template
from ftchaos.mysql.flavour import Options
from ftchaos.mysql.server import start_plain

BUILD = (
    "import sys; from ftchaos.mysql import flavour, template;"
    " print(template.template(flavour.find(sys.argv[1]), int(sys.argv[2]), lambda said: print(said, file=sys.stderr)))"
)


@pytest.fixture(scope="module", params=flavours.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each flavour in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def made(name: str) -> Iterator[Trio]:
    """A primary with two replicas."""
    with trio(name) as servers:
        servers.replicate()
        yield servers


@pytest.fixture(scope="module")
def fresh_cache(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache; only the unpacked MySQL stays where it is."""
    home = os.environ.get("FTCHAOS_MYSQL_HOME") or str(state.cache() / "mysql")
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCHAOS_MYSQL_HOME", home)
        patch.setenv("FTCHAOS_CACHE", str(folder))
        yield folder


def test_nothing_of_another_servers_temporary_tables_is_removed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that begins removes whatever in its folder for temporary files looks like a table.
    flavour, shared = flavours.find(name), tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("TMPDIR", str(shared))
    others = [shared / f"#sql-temptable-1-1-1.{end}" for end in ("MAI", "MAD")]
    for one in others:
        one.touch()
    flavour.initialize(tmp_path / "data")
    with start_plain(flavour, tmp_path / "data"):
        pass

    assert [] == [one for one in others if not one.exists()]


def test_a_throw_away_server_is_writable_closed_and_stops_cleanly_under_a_very_long_path(
    name: str, tmp_path: Path
) -> None:
    flavour = flavours.find(name)
    source = template.template(flavour, SIZE_BYTES, lambda _: None)
    datadir = tmp_path / ("x" * 100) / ("y" * 100) / "data"
    datadir.parent.mkdir(parents=True)
    template.copy(source, datadir)

    with start_plain(flavour, datadir) as server, server.connect() as connection:
        insert(connection, 1)
        row = session.rows(
            connection,
            "SELECT @@skip_networking AS closed, @@event_scheduler AS events, @@local_infile AS loading,"
            " @@secure_file_priv AS files, @@sync_binlog AS synced, @@innodb_flush_log_at_trx_commit AS flushed,"
            " @@binlog_checksum AS checksum, @@binlog_format AS format, @@datadir AS datadir",
        )[0]
        root_hosts = session.rows(connection, "SELECT Host AS host FROM mysql.user WHERE User = 'root'")
        pid = int((datadir / "mysql.pid").read_text())

    assert (row["closed"], row["events"], row["loading"]) == (1, "DISABLED", 0)
    assert (row["synced"], row["flushed"], row["checksum"], row["format"]) == (1, 1, "CRC32", "ROW")
    assert row["files"] == "NULL" or row["files"].endswith("/closed/")
    assert [found["host"] for found in root_hosts] == ["localhost"]
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_cannot_begin_says_its_last_words(name: str, tmp_path: Path) -> None:
    flavour = flavours.find(name)
    datadir = tmp_path / "data"
    template.copy(template.template(flavour, SIZE_BYTES, lambda _: None), datadir)

    with (
        pytest.raises(StepFailed, match=r"died with .*no-such-option"),
        start_plain(flavour, datadir, options={"no-such-option": 1}),
    ):
        pass


def test_two_who_build_a_template_at_once_get_one_and_the_same(name: str, fresh_cache: Path) -> None:
    argv = [sys.executable, "-c", BUILD, name, str(SIZE_BYTES)]
    builds = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [build.communicate(timeout=120) for build in builds]

    assert [build.returncode for build in builds] == [0, 0], answers
    assert len({out for out, _ in answers}) == 1
    assert sum("making a" in said for _, said in answers) == 1
    folders = [path for path in (fresh_cache / "templates").iterdir() if path.is_dir()]
    assert [str(folder / "data") for folder in folders] == [answers[0][0].strip()]


def test_a_template_built_anew_has_the_same_rows_about_the_size_asked_for_and_no_binary_log(
    name: str, fresh_cache: Path, tmp_path: Path
) -> None:
    flavour = flavours.find(name)
    anew = template.template(flavour, SIZE_BYTES, lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FTCHAOS_CACHE")
        usual = template.template(flavour, SIZE_BYTES, lambda _: None)

    assert anew != usual
    assert template.secret(anew) != template.secret(usual)
    assert stat.S_IMODE((anew.parent / "secret").stat().st_mode) == 0o600
    assert not list(anew.glob("binlog*"))
    assert not (anew / "auto.cnf").exists()
    data_bytes = sum(path.stat().st_size for path in (anew / "filetransfer").glob("*.ibd"))
    assert SIZE_BYTES * 0.8 < data_bytes < SIZE_BYTES + 32 * 2**20  # small tables have room to grow beforehand
    found = []
    for number, source in enumerate((anew, usual)):
        template.copy(source, tmp_path / str(number))
        with start_plain(flavour, tmp_path / str(number)) as server, server.connect() as connection:
            found.append(checksums(connection))
            orphans = session.value(
                connection,
                "SELECT (SELECT COUNT(*) FROM filetransfer.files f LEFT JOIN filetransfer.users u ON u.id = f.owner_id"
                " WHERE u.id IS NULL) + (SELECT COUNT(*) FROM filetransfer.transfers t LEFT JOIN filetransfer.files f"
                " ON f.id = t.file_id WHERE f.id IS NULL) + (SELECT COUNT(*) FROM filetransfer.transfer_events e"
                " LEFT JOIN filetransfer.transfers t ON t.id = e.transfer_id WHERE t.id IS NULL)",
            )
            assert orphans == 0
            assert flavour.gtid_executed(connection) == ""
    assert found[0] == found[1]
    assert all(checksum for table, checksum in found[0].items() if table != "ftchaos.ledger_writes")


def test_replicas_begin_equal_and_stay_equal(made: Trio) -> None:
    with made.app("mysql-a") as connection:
        for write_id in range(1, 101):
            insert(connection, write_id)
    made.caught_up("mysql-a", "mysql-b", "mysql-c")

    assert made.checksums("mysql-a") == made.checksums("mysql-b") == made.checksums("mysql-c")


def test_only_the_primary_takes_writes_and_waits_for_replicas(made: Trio) -> None:
    with made.servers["mysql-a"].connect() as connection:
        assert made.flavour.semi_sync_replicas(connection) == 2
    for replica in ("mysql-b", "mysql-c"):
        with made.servers[replica].connect() as connection:
            assert made.flavour.semi_sync_replicas(connection) == 0
        with made.app(replica) as connection, pytest.raises(pymysql.err.OperationalError, match=r"read.only"):
            insert(connection, 999)


def test_a_commit_waits_until_a_replica_has_it(made: Trio) -> None:
    replicas = [made.servers[name].connect() for name in ("mysql-b", "mysql-c")]
    for connection in replicas:
        session.execute(connection, [made.flavour.stop_receiving()])
    acknowledged_at: list[float] = []

    def write() -> None:
        with made.app("mysql-a") as connection:
            insert(connection, 2000)
            acknowledged_at.append(time.monotonic())

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(1)
    assert not acknowledged_at

    mended_at = time.monotonic()
    session.execute(replicas[0], [made.flavour.begin_receiving()])
    writer.join(10)
    assert acknowledged_at
    assert acknowledged_at[0] > mended_at
    session.execute(replicas[1], [made.flavour.begin_receiving()])
    for connection in replicas:
        replication.wait_attached(made.flavour, connection, 10)
        connection.close()


def test_a_server_that_lacks_what_the_logs_no_longer_have_is_not_attached_but_rebuilt(made: Trio) -> None:
    a, c = made.servers["mysql-a"], made.servers["mysql-c"]
    with made.app("mysql-a") as connection:
        insert(connection, 3000)
    made.caught_up("mysql-a", "mysql-b", "mysql-c")
    made.kill("mysql-c")
    subprocess.run(["rm", "-r", str(c.datadir)], check=True)
    template.copy(made.template, c.datadir)
    with a.connect() as connection:
        session.execute(connection, ["FLUSH BINARY LOGS"])
        until(lambda: purged(made, connection), what="no dump of the old logs is under way any more")
    made.begin("mysql-c")
    with pytest.raises(replication.Diverged):
        replication.attach(c, a, made.password)
    with pytest.raises(StepFailed, match="still runs"):
        replication.rebuild(a, c.datadir)

    made.kill("mysql-c")
    replication.rebuild(a, c.datadir)
    with made.app("mysql-a") as connection:
        insert(connection, 3001)
    made.begin("mysql-c")
    replication.attach(c, a, made.password)
    made.caught_up("mysql-a", "mysql-c")

    assert made.checksums("mysql-a") == made.checksums("mysql-c")
    with a.connect() as connection:
        assert until(lambda: made.flavour.semi_sync_replicas(connection) == 2)


def purged(made: Trio, connection: session.Session) -> bool:
    session.execute(connection, [f"PURGE BINARY LOGS TO '{made.flavour.binlog_position(connection)[0]}'"])
    return len(session.rows(connection, "SHOW BINARY LOGS")) == 1


def test_an_empty_server_does_not_follow_one_that_was_restored_to_a_position(made: Trio, tmp_path: Path) -> None:
    flavour = made.flavour
    position = "0-1-500" if flavour.name == "mariadb" else "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-500"
    for which in ("restored", "empty"):
        template.copy(made.template, tmp_path / which)
    with (
        start_plain(flavour, tmp_path / "restored") as restored,
        start_plain(flavour, tmp_path / "empty") as empty,
        restored.connect() as upstream,
        empty.connect() as connection,
    ):
        replication.ensure_can_follow(flavour, connection, upstream, "empty")
        session.execute(upstream, flavour.set_gtid_position(position))
        insert(upstream, 1)
        with pytest.raises(replication.Diverged, match="no position"):
            replication.ensure_can_follow(flavour, connection, upstream, "empty")


def test_fencing_acknowledges_no_commit_that_nobody_else_has_and_shows_the_divergence(name: str) -> None:
    with trio(name) as servers:
        servers.begin("mysql-a", "mysql-b")
        a, b = servers.servers["mysql-a"], servers.servers["mysql-b"]
        replication.begin(a, [b], servers.password)
        with servers.app("mysql-a") as connection:
            insert(connection, 1)
        servers.kill("mysql-b")
        outcomes: list[str] = []

        def write(write_id: int) -> None:
            try:
                with servers.app("mysql-a") as connection:
                    insert(connection, write_id)
                outcomes.append("acknowledged")
            except pymysql.err.OperationalError:
                outcomes.append("cut off")

        writers = [threading.Thread(target=write, args=(write_id,), daemon=True) for write_id in range(2, 6)]
        for writer in writers:
            writer.start()
        time.sleep(0.5)
        assert outcomes == []
        with a.connect() as connection, a.connect() as second:
            replication.fence(servers.flavour, connection, second)
        for writer in writers:
            writer.join(5)

        assert outcomes == ["cut off"] * 4
        alone: Options = {"skip-slave-start" if name == "mariadb" else "skip-replica-start": None}
        servers.begin("mysql-b", options=alone)  # else it would fetch from the old primary what that could not commit
        with b.connect() as connection:
            replication.promote(servers.flavour, connection, semi_sync=False)
        with pytest.raises(replication.Diverged):
            replication.attach(a, b, servers.password)


def test_fetching_mysql_where_it_is_already_does_nothing() -> None:
    script = Path(__file__).parents[2] / "scripts" / "fetch-mysql"
    done = subprocess.run(
        [script], capture_output=True, text=True, timeout=20, env=os.environ | {"PATH": "/bin:/usr/bin"}
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"MySQL {'.'.join(map(str, flavours.find('mysql').version))} is in ")
