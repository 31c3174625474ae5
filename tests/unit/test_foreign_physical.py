"""Data files say what they are; a stream gives them back exactly, says where it is damaged, stays in its folder."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from zlib import crc32

import pytest

from ftchaos.errors import Unusable
from ftchaos.mysql.foreign import kinds, physical, xbstream

INFO = """uuid = a88ae1c3-e754-11f1-be3b-02fc00000001
name =
tool_name = mariadb-backup
tool_version = 10.11.19-MariaDB
server_version = 10.11.19-MariaDB-0+deb12u1-log
start_time = 2026-11-23 15:43:40
end_time = 2026-11-23 15:43:41
binlog_pos = filename 'binlog.000001', position '2500', GTID of the last change '0-1-10'
incremental = N
"""
CONFIGURATION = """[mysqld]
innodb_data_file_path=ibdata1:12M:autoextend
innodb_page_size=16384
innodb_undo_directory=/var/lib/elsewhere
innodb_undo_tablespaces=0
plugin_load=evil.so
"""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A folder as mariadb-backup leaves it."""
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "xtrabackup_info").write_text(INFO)
    (folder / "xtrabackup_checkpoints").write_text("backup_type = full-backuped\nto_lsn = 7\nlast_lsn = 8\n")
    (folder / "xtrabackup_binlog_info").write_text("binlog.000001\t2500\t0-1-10\n")
    (folder / "backup-my.cnf").write_text(CONFIGURATION)
    (folder / "ibdata1").write_bytes(bytes(100))
    return folder


def chunk(kind: bytes, path: str, data: bytes = b"", offset: int = 0, checksum: int | None = None) -> bytes:
    head = struct.pack("<8sBcI", xbstream.MAGIC, 0, kind, len(path.encode())) + path.encode()
    if kind == b"E":
        return head
    return head + struct.pack("<QQI", len(data), offset, crc32(data) if checksum is None else checksum) + data


def unpacked(stream: bytes, folder: Path) -> int:
    return xbstream.unpack(BytesIO(stream).read, folder, lambda: None)


def test_a_folder_says_its_server_its_state_and_where_the_log_goes_on(backup: Path) -> None:
    about = kinds.inspect(backup)

    assert (about.kind, about.flavour, about.version) == ("folder", "mariadb", (10, 11, 19))
    assert about.method == "mariadb-backup folder, not prepared"
    assert (about.gtid, about.log_file, about.log_position) == ("0-1-10", "binlog.000001", 2500)


def test_the_names_of_newer_mariadb_versions_are_known(backup: Path) -> None:
    for name in ("info", "checkpoints", "binlog_info"):
        (backup / f"xtrabackup_{name}").rename(backup / f"mariadb_backup_{name}")

    assert kinds.inspect(backup).gtid == "0-1-10"


def test_xtrabackup_of_mysql_has_its_gtids_in_the_info(backup: Path) -> None:
    (backup / "xtrabackup_binlog_info").unlink()
    info = INFO.replace("mariadb-backup", "xtrabackup").replace("10.11.19-MariaDB-0+deb12u1-log", "8.0.36")
    info = info.replace("10.11.19-MariaDB", "8.0.35-30").replace("0-1-10", "a91f63c5-e754-11f1-ab8d-02fc00000001:1-5")
    (backup / "xtrabackup_info").write_text(info)
    (backup / "xtrabackup_checkpoints").write_text("backup_type = full-prepared\n")

    about = kinds.inspect(backup)

    assert (about.method, about.flavour, about.version) == ("XtraBackup folder, prepared", "mysql", (8, 0, 36))
    assert about.gtid == "a91f63c5-e754-11f1-ab8d-02fc00000001:1-5"


def test_only_settings_of_the_layout_reach_the_server(backup: Path) -> None:
    assert physical.server_options(backup, "mariadb") == {
        "innodb_data_file_path": "ibdata1:12M:autoextend",
        "innodb_page_size": "16384",
        "innodb_undo_tablespaces": "0",
    }


def test_a_path_in_the_layout_is_not_believed(backup: Path) -> None:
    (backup / "backup-my.cnf").write_text("innodb_data_file_path=ibdata1:12M;/etc/passwd:1M\n")

    assert physical.server_options(backup, "mysql") == {}


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (lambda path: (path / "xtrabackup_checkpoints").unlink(), "did not finish|incomplete"),
        (lambda path: (path / "xtrabackup_checkpoints").write_text("backup_type = incremental\n"), "incremental"),
        (lambda path: (path / "ibdata1").unlink(), "no ibdata1"),
        (lambda path: (path / "t.ibd.qp").touch(), "compressed file by file"),
        (lambda path: (path / "t.ibd.xbcrypt").touch(), "encrypted"),
        (lambda path: (path / "t.ibd").symlink_to("/etc/passwd"), "a link"),
    ],
)
def test_a_folder_that_cannot_be_restored_says_why(flaw: object, message: str, backup: Path) -> None:
    flaw(backup)  # type: ignore[operator]

    with pytest.raises(Unusable, match=message):
        kinds.inspect(backup)


def test_a_stream_gives_its_files_back(tmp_path: Path) -> None:
    stream = b"".join(
        [
            chunk(b"P", "db/t.ibd", b"one"),
            chunk(b"P", "ibdata1", b"system"),
            chunk(b"P", "db/t.ibd", b"two", offset=3),
            chunk(b"E", "ibdata1"),
            chunk(b"E", "db/t.ibd"),
        ]
    )

    assert unpacked(stream, tmp_path) == 2
    assert (tmp_path / "db/t.ibd").read_bytes() == b"onetwo"
    assert (tmp_path / "ibdata1").read_bytes() == b"system"


def test_a_sparse_file_keeps_its_holes(tmp_path: Path) -> None:
    map_ = struct.pack("<IIII", 4096, 2, 8192, 0)
    head = struct.pack("<8sBcI", xbstream.MAGIC, 0, b"S", 1) + b"t"
    body = struct.pack("<I", 2) + struct.pack("<QQI", 2, 0, crc32(map_ + b"ab")) + map_ + b"ab"

    unpacked(head + body + chunk(b"E", "t"), tmp_path)

    assert (tmp_path / "t").read_bytes() == bytes(4096) + b"ab" + bytes(8192)


@pytest.mark.parametrize("path", ["/etc/passwd", "../escaped", "db/../../escaped", ""])
def test_a_path_outside_of_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    (inside := tmp_path / "inside").mkdir()

    with pytest.raises(Unusable, match="a path that no backup has"):
        unpacked(chunk(b"P", path, b"x") + chunk(b"E", path), inside)
    assert list(tmp_path.iterdir()) == [inside]


def test_a_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    (target := tmp_path / "target").write_text("kept")
    (inside := tmp_path / "inside").mkdir()
    (inside / "t").symlink_to(target)

    with pytest.raises(Exception, match=r"unpacked|path"):
        unpacked(chunk(b"P", "t", b"x") + chunk(b"E", "t"), inside)
    assert target.read_text() == "kept"


@pytest.mark.parametrize("cut", [1, 10, 30, 40])
def test_a_truncated_stream_is_unusable(cut: int, tmp_path: Path) -> None:
    stream = chunk(b"P", "ibdata1", b"system") + chunk(b"E", "ibdata1")

    with pytest.raises(Unusable, match="ends within"):
        unpacked(stream[:-cut], tmp_path)


def test_a_flipped_byte_in_a_stream_is_found(tmp_path: Path) -> None:
    stream = bytearray(chunk(b"P", "ibdata1", b"system") + chunk(b"E", "ibdata1"))
    stream[-26] ^= 1

    with pytest.raises(Unusable, match="ibdata1 does not match its checksum"):
        unpacked(bytes(stream), tmp_path)
