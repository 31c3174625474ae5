"""Every flaw that is planted in a backup or its logs is found: an error that says what to do, or a check that fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from foreign_backups import HEARTBEAT, Rehearsal, Source, on_the_bench, rehearse, taken

from ftchaos.errors import Invalid, StepFailed, Unusable
from ftchaos.mysql import session
from ftchaos.platforms.bench import scratch


@pytest.fixture
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """For what is the same on both."""
    return taken("mariadb", tmp_path_factory)


@pytest.fixture(params=["mariadb", "mysql"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return taken(request.param, tmp_path_factory)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def failed(found: Rehearsal, kind: type[Exception]) -> str:
    assert isinstance(found.error, kind), found.steps
    assert found.error.hint  # type: ignore[attr-defined]
    return str(found.error)


@pytest.mark.parametrize("name", ["all.sql", "all.sql.gz", "all.sql.zst"])
def test_a_truncated_dump_is_unusable(mariadb: Source, state: Path, name: str, tmp_path: Path) -> None:
    path = mariadb.copy(name, tmp_path)
    os.truncate(path, path.stat().st_size * 2 // 3)

    assert re.search("incomplete|truncated", failed(rehearse(path, tmp_path), Unusable))


@pytest.mark.parametrize("name", ["all.sql.gz", "all.sql.zst"])
def test_a_flipped_byte_in_a_packed_dump_is_found(mariadb: Source, state: Path, name: str, tmp_path: Path) -> None:
    path = mariadb.copy(name, tmp_path)
    flip(path, path.stat().st_size * 2 // 3)

    failed(rehearse(path, tmp_path), Unusable)


def test_a_statement_lost_in_the_middle_is_found(mariadb: Source, state: Path, tmp_path: Path) -> None:
    path = mariadb.copy("all.sql", tmp_path)
    text = path.read_bytes()
    begin = text.index(b"CREATE TABLE `customers`")
    path.write_bytes(text[:begin] + text[text.index(b";", begin) + 2 :])

    assert "customers" in failed(rehearse(path, tmp_path), Unusable)


def test_a_row_that_refers_to_none_is_found(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("all.sql", tmp_path)
    text, count = re.subn(rb"(INSERT INTO `orders` VALUES\s*\(1,)1,", rb"\g<1>99,", path.read_bytes())
    assert count == 1
    path.write_bytes(text)

    found = rehearse(path, tmp_path)

    assert found.flaws() == ["foreign keys"]
    assert "1 rows of shop.orders" in found.detail("foreign keys")


def test_a_value_that_does_not_fit_is_found(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("all.sql", tmp_path)
    path.write_bytes(path.read_bytes().replace(b"`name` varchar(40)", b"`name` varchar(4)"))

    assert rehearse(path, tmp_path).flaws() == ["values"]


def test_a_table_in_another_engine_than_the_dump_says_is_found(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("all.sql", tmp_path)
    path.write_bytes(path.read_bytes().replace(b"ENGINE=MyISAM", b"ENGINE=FEDERATED"))

    assert rehearse(path, tmp_path).flaws() == ["schema"]


def test_a_dump_of_empty_tables_saved_nothing(state: Path, tmp_path: Path) -> None:
    (path := tmp_path / "empty.sql").write_text("CREATE TABLE `t` (`a` int);\nCREATE TABLE `u` (`a` int);\n")

    found = rehearse(path, tmp_path)

    assert found.flaws() == ["rows"]
    assert "not one row" in found.detail("rows")


def test_a_dump_of_no_table_saved_nothing(state: Path, tmp_path: Path) -> None:
    (path := tmp_path / "empty.sql").write_text("CREATE DATABASE `shop`;\nUSE `shop`;\n")

    assert "tables" in rehearse(path, tmp_path).flaws()


def test_rows_that_mydumper_counted_and_did_not_keep_are_found(mariadb: Source, state: Path, tmp_path: Path) -> None:
    path = mariadb.copy("mydumper", tmp_path)
    metadata = (path / "metadata").read_text()
    (path / "metadata").write_text(metadata.replace("real_table_name=beat\nrows = 1", "real_table_name=beat\nrows = 2"))

    found = rehearse(path, tmp_path)

    assert found.flaws() == ["rows"]
    assert "the backup counted 2" in found.detail("rows")


def test_a_missing_file_of_a_mydumper_folder_is_found(mariadb: Source, state: Path, tmp_path: Path) -> None:
    path = mariadb.copy("mydumper", tmp_path)
    (path / "shop.beat.00000.sql.gz").unlink()

    assert "the rows of shop.beat are missing" in failed(rehearse(path, tmp_path), Unusable)


def test_a_flipped_byte_in_a_table_is_found(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("prepared", tmp_path)
    table = path / "filetransfer/users.ibd"
    flip(table, table.read_bytes().index(b"@example.com"))

    found = rehearse(path, tmp_path)

    assert found.error is None
    assert "pages" in found.flaws()
    assert "users.ibd" in found.detail("pages")


def test_a_flipped_byte_in_the_systems_tablespace_is_found(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("prepared", tmp_path)
    flip(path / "ibdata1", 5 * 16384 + 60)

    failed(rehearse(path, tmp_path), Unusable)


def test_a_missing_table_file_is_found(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("prepared", tmp_path)
    (path / "filetransfer/files.ibd").unlink()

    found = rehearse(path, tmp_path)

    assert found.error is not None or found.flaws()


def test_a_stream_with_a_flaw_is_unusable(mariadb: Source, state: Path, tmp_path: Path) -> None:
    for name, damage in {
        "truncated": lambda path: os.truncate(path, path.stat().st_size - 1000),
        "flipped": lambda path: flip(path, path.stat().st_size // 2),
    }.items():
        (folder := tmp_path / name).mkdir()
        path = mariadb.copy("full.xb", folder)
        damage(path)

        failed(rehearse(path, folder), Unusable)


def test_data_files_from_a_newer_server_are_refused(source: Source, state: Path, tmp_path: Path) -> None:
    path = source.copy("prepared", tmp_path)
    info = (path / "xtrabackup_info").read_text()
    (path / "xtrabackup_info").write_text(
        info.replace(source.flavour.version_text, "99.1.0" + "-MariaDB" * (source.flavour.name == "mariadb"))
    )

    assert "newer than the" in failed(rehearse(path, tmp_path), Unusable)


def test_data_files_that_nobody_here_can_prepare_are_refused_at_once(
    source: Source, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = source.copy("prepared", tmp_path)
    (path / "xtrabackup_checkpoints").write_text("backup_type = full-backuped\n")
    if source.flavour.name == "mariadb":
        monkeypatch.setattr("ftchaos.platforms.bench.physical.which", lambda name: None)

    found = rehearse(path, tmp_path)

    assert "is not prepared, and this machine has no" in failed(found, Unusable)
    assert found.steps == {}


# Logs ---------------------------------------------------------------------------------------------------------------


def without(name: str) -> Callable[[Path], None]:
    return lambda logs: (logs / name).unlink()


@pytest.mark.parametrize(
    ("flaw", "kind", "message"),
    [
        (without("binlog.000002"), Unusable, "gap in the archive"),
        (without("binlog.000001"), Unusable, "begins after the backup|gap between|not in"),
        (lambda logs: flip(logs / "binlog.000002", 1000), Unusable, "checksum|damaged|not where it says"),
        (lambda logs: [file.unlink() for file in logs.iterdir()], Unusable, "no binary log"),
        (lambda logs: (logs / "other.000009").write_bytes(b"\xfebin"), Unusable, "different names"),
    ],
)
def test_logs_with_a_flaw_are_not_replayed(
    mariadb: Source, state: Path, tmp_path: Path, flaw: Callable[[Path], object], kind: type[Exception], message: str
) -> None:
    logs = shutil.copytree(mariadb.logs, tmp_path / "logs")
    flaw(logs)

    found = rehearse(mariadb.folder / "all.sql", tmp_path, binlogs=logs)

    assert re.search(message, failed(found, kind))
    assert "replay" not in found.steps


def test_a_torn_tail_ends_the_replay_at_the_last_whole_transaction(source: Source, state: Path, tmp_path: Path) -> None:
    logs = shutil.copytree(source.logs, tmp_path / "logs")
    newest = max(logs.iterdir())
    os.truncate(newest, newest.stat().st_size - 10)

    found = rehearse(source.folder / "all.sql", tmp_path, binlogs=logs)

    assert found.error is None
    assert found.flaws() == []
    assert "left out at the end" in found.steps["replay"].summary


@pytest.mark.parametrize(
    ("to", "message"), [("2001-01-01T00:00:00Z", "before the backup"), ("2101-01-01T00:00:00Z", "after the archive")]
)
def test_a_time_outside_of_what_is_there_is_refused(
    mariadb: Source, state: Path, tmp_path: Path, to: str, message: str
) -> None:
    assert message in failed(rehearse(mariadb.folder / "all.sql", tmp_path, binlogs=mariadb.logs, to=to), Invalid)


def test_a_dump_without_a_position_cannot_be_brought_forward(mariadb: Source, state: Path, tmp_path: Path) -> None:
    path = mariadb.copy("all.sql", tmp_path)
    text = re.sub(
        rb"(?m)^(-- )?(CHANGE |SET @@GLOBAL.GTID_PURGED|SET GLOBAL gtid_slave_pos)[^;]*;", b"", path.read_bytes()
    )
    path.write_bytes(text)

    found = rehearse(path, tmp_path, binlogs=mariadb.logs)

    assert "does not say where in the binary log" in failed(found, Unusable)
    assert found.steps == {}


def test_a_time_without_logs_is_a_mistake(mariadb: Source, state: Path, tmp_path: Path) -> None:
    found = rehearse(mariadb.folder / "all.sql", tmp_path, to="2026-11-23T06:15:00Z")

    assert "--binlogs" in failed(found, Invalid)


# Queries ------------------------------------------------------------------------------------------------------------


def test_a_query_with_another_answer_is_a_flaw(mariadb: Source, state: Path, tmp_path: Path) -> None:
    checks = [
        {"name": "right", "sql": "SELECT COUNT(*) FROM shop.customers", "expect": 2},
        {"name": "wrong", "sql": "SELECT COUNT(*) FROM shop.customers", "expect": 3},
        {"name": "broken", "sql": "SELECT * FROM nothing.here"},
        {"name": "no row", "sql": "SELECT 1 FROM shop.customers WHERE id = 9"},
        {"name": "writes", "sql": "DELETE FROM shop.beat"},
    ]

    found = rehearse(mariadb.folder / "all.sql", tmp_path, restore={"checks": checks, "heartbeat": HEARTBEAT})

    assert found.flaws() == ["wrong", "broken", "no row", "writes"]
    assert found.checks("verify_replayed")["heartbeat"] is True


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT MAX(at) FROM shop.beat WHERE id > 9", "gives no time"),
        ("SELECT name FROM shop.customers", "no time in UTC"),
        ("SELECT '2101-01-01 00:00:00'", "lies in the future"),
    ],
)
def test_a_heartbeat_that_is_no_time_is_a_flaw(
    mariadb: Source, state: Path, tmp_path: Path, sql: str, message: str
) -> None:
    found = rehearse(mariadb.folder / "all.sql", tmp_path, restore={"heartbeat": sql})

    assert found.flaws() == ["heartbeat"]
    assert message in found.detail("heartbeat", "verify_replayed")
    assert found.steps["verify_replayed"].facts["data_loss_s"] is None


# Disk ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder on a disk of its own of 400 MB."""
    (folder := tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", folder], check=True)
    monkeypatch.setenv("FTCHAOS_STATE", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_restore_that_cannot_fit_is_not_begun(mariadb: Source, small_disk: Path, tmp_path: Path) -> None:
    found = rehearse(mariadb.folder / "all.sql", tmp_path)

    assert re.search("are needed in .* are free", failed(found, StepFailed))
    assert list(found.steps) == ["decide"]
    assert list((small_disk / "bench").iterdir()) == []


def test_a_disk_that_fills_up_ends_the_restore(
    source: Source, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "RESERVE_BYTES", 8 << 20)
    with on_the_bench(source.folder / "all.sql", tmp_path) as bench:
        with (small_disk / "others").open("wb", buffering=0) as others:
            while shutil.disk_usage(small_disk).free > 6 << 20:
                others.write(bytes(1 << 20))

        with pytest.raises(StepFailed, match="space"):
            bench.recovery().restore(lambda done, total: None)

    assert list((small_disk / "bench").iterdir()) == []


def test_a_server_that_dies_in_the_middle_is_said_to_have_died(mariadb: Source, state: Path, tmp_path: Path) -> None:
    with on_the_bench(mariadb.folder / "all.sql", tmp_path) as bench:
        server = bench.recovery().server
        assert server is not None

        def kill(done: int, total: int) -> None:
            if done > total // 2:
                server.discard()

        with pytest.raises(StepFailed, match="died"):
            bench.recovery().restore(kill)
        with pytest.raises(session.Unreachable):
            server.connect()
