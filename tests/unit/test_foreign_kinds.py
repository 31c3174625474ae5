"""A backup is known by what is in it, says how far it goes, and is never taken for whole when it is not."""

from __future__ import annotations

import gzip
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from ftchaos.errors import Invalid, Unusable
from ftchaos.mysql.foreign import dump, kinds, mydumper
from ftchaos.mysql.foreign.about import taken
from ftchaos.mysql.foreign.stream import opened

SAMPLES = Path(__file__).parent / "foreign"
UUID = "a91f63c5-e754-11f1-ab8d-02fc00000001"
DUMPED_AT = datetime(2026, 11, 23, 15, 43, 40, tzinfo=UTC)

NEW_METADATA = f"""# Started dump at: 2026-11-23 15:43:40
[config]
quote-character = BACKTICK

[myloader_session_variables]
SQL_MODE='NO_AUTO_VALUE_ON_ZERO' /*!40101

[source]
# Channel_Name = ''
File = binlog.000003
Position = 157
Executed_Gtid_Set = {UUID}:1-5,
{UUID[:-1]}2:1-3

[`shop`.`orders`]
real_table_name=orders
rows = 2

[`shop`.`mydumper_0`]
real_table_name=odd.name
rows = 0
# Finished dump at: 2026-11-23 15:43:41
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mydumper folder of a newer version."""
    path = tmp_path / "nightly"
    path.mkdir()
    (path / "metadata").write_text(NEW_METADATA)
    (path / "shop-schema-create.sql").write_text("CREATE DATABASE `shop`;\n")
    (path / "shop.orders-schema.sql").write_text("CREATE TABLE `orders` (`id` int);\n")
    (path / "shop.orders.00000.sql.gz").write_bytes(gzip.compress(b"INSERT INTO `orders` VALUES (1),(2);\n"))
    (path / "shop.mydumper_0-schema.sql").write_text("CREATE TABLE `odd.name` (`id` int);\n")
    return path


def test_a_mysqldump_says_its_server_and_where_the_log_goes_on() -> None:
    about = kinds.inspect(SAMPLES / "mysqldump.sql")

    assert (about.kind, about.method, about.flavour) == ("dump", "mysqldump file", "mysql")
    assert (about.server_version, about.version, about.schema) == ("9.7.4-2", (9, 7, 4), "extra")
    assert about.gtid == f"{UUID}:1-10"
    assert about.whole == "passed"


def test_a_mariadb_dump_says_its_position_in_the_head_and_its_gtid_at_the_end() -> None:
    about = kinds.inspect(SAMPLES / "mariadb-dump.sql")

    assert (about.method, about.flavour, about.version) == ("mariadb-dump file", "mariadb", (10, 11, 19))
    assert (about.gtid, about.log_file, about.log_position) == ("0-1-10", "binlog.000001", 2500)


@pytest.mark.parametrize("name", ["mysqldump.sql", "mariadb-dump.sql"])
@pytest.mark.parametrize("cut", [1, 60, 2000])
def test_a_truncated_dump_is_unusable(name: str, cut: int, tmp_path: Path) -> None:
    whole = (SAMPLES / name).read_bytes().rstrip()
    trailer = whole.rindex(b"-- Dump completed")
    (path := tmp_path / "dump.sql").write_bytes(whole[: trailer - cut])

    with pytest.raises(Unusable, match="does not end with '-- Dump completed'"):
        kinds.inspect(path)


def test_a_dump_without_comments_has_no_trailer_and_says_so(tmp_path: Path) -> None:
    (path := tmp_path / "compact.sql").write_text("CREATE TABLE `t` (`a` int);\nINSERT INTO `t` VALUES (1);\n")

    about = kinds.inspect(path)

    assert about.whole == "unknown"
    assert "no trailer" in about.whole_detail


def test_a_trailer_within_a_row_does_not_make_a_dump_whole(tmp_path: Path) -> None:
    head = (SAMPLES / "mysqldump.sql").read_bytes().partition(b"INSERT INTO")[0]
    (path := tmp_path / "dump.sql").write_bytes(
        head + b"INSERT INTO `t` VALUES ('-- Dump completed on 2026-11-23 1:02:03');\n"
    )

    with pytest.raises(Unusable, match="incomplete"):
        kinds.inspect(path)


def test_a_position_within_a_row_is_not_taken_for_the_dumps_own(tmp_path: Path) -> None:
    row = "SET @@GLOBAL.GTID_PURGED=''x:1''; CHANGE MASTER TO MASTER_LOG_FILE=''l'', MASTER_LOG_POS=4"
    (path := tmp_path / "dump.sql").write_text(f"CREATE TABLE `t` (`a` text);\nINSERT INTO `t` VALUES ('{row}');\n")

    assert not kinds.inspect(path).has_position


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packing_is_seen_through_whatever_the_name(packing: str, tmp_path: Path) -> None:
    plain = (SAMPLES / "mysqldump.sql").read_bytes()
    packed = gzip.compress(plain) if packing == "gz" else zstandard.compress(plain)
    (path := tmp_path / "backup.txt").write_bytes(packed)

    about = kinds.inspect(path)

    assert (about.kind, about.method, about.size_bytes) == ("dump", f"mysqldump file, {packing}", len(packed))
    assert about.gtid == f"{UUID}:1-10"


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("flaw", ["truncated", "flipped"])
def test_a_damaged_packed_file_cannot_be_read_to_its_end(packing: str, flaw: str, tmp_path: Path) -> None:
    plain = (SAMPLES / "mysqldump.sql").read_bytes() * 50
    data = gzip.compress(plain) if packing == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress(plain)
    damaged = data[:-20] if flaw == "truncated" else data[:400] + bytes([data[400] ^ 4]) + data[401:]
    (path := tmp_path / f"dump.sql.{packing}").write_bytes(damaged)

    with opened(path) as stream, pytest.raises(Unusable, match="truncated or damaged"):
        list(iter(stream.read, b""))


def test_bytes_consumed_of_a_packed_file_reach_its_size(tmp_path: Path) -> None:
    (path := tmp_path / "dump.sql.gz").write_bytes(gzip.compress(b"x" * 5_000_000))

    with opened(path) as stream:
        assert sum(len(block) for block in iter(stream.read, b"")) == 5_000_000
        assert stream.done_bytes == stream.size_bytes


def test_a_mydumper_folder_of_version_0_10_is_understood() -> None:
    folder = mydumper.read(SAMPLES / "mydumper-0.10")

    assert (folder.about.gtid, folder.about.log_file, folder.about.log_position) == ("0-1-10", "binlog.000001", 2500)
    assert folder.about.flavour == "mariadb"
    assert sorted(folder.tables) == [("extra", "c"), ("extra", "p"), ("extra", "v")]
    assert folder.tables["extra", "v"].view is not None
    assert [file.name for file in folder.tables["extra", "p"].triggers] == ["extra.p-schema-triggers.sql"]
    assert [file.name for _, file in folder.posts] == ["extra-schema-post.sql"]


def test_a_newer_mydumper_folder_has_counts_and_real_names(folder: Path) -> None:
    found = mydumper.read(folder)

    assert found.about.gtid == f"{UUID}:1-5,{UUID[:-1]}2:1-3"
    assert (found.about.flavour, found.about.log_file, found.about.log_position) == ("mysql", "binlog.000003", 157)
    assert found.tables["shop", "orders"].rows == 2
    assert found.tables["shop", "mydumper_0"].name == "odd.name"
    assert found.about.whole == "passed"


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (lambda path: (path / "metadata").rename(path / "metadata.partial"), "did not finish"),
        (lambda path: (path / "metadata").write_text("# Started dump at: 2026-11-23 15:43:40\n"), "when it finished"),
        (lambda path: (path / "shop.orders.00000.sql.gz").unlink(), "the rows of shop.orders are missing"),
        (lambda path: (path / "shop.orders-schema.sql").unlink(), "the definition of shop.orders is missing"),
        (lambda path: (path / "shop.orders.00000.dat").touch(), "LOAD DATA"),
        (lambda path: (path / "shop.orders.00001.sql").symlink_to("/etc/passwd"), "symbolic link"),
    ],
)
def test_a_mydumper_folder_with_a_flaw_is_unusable(flaw: object, message: str, folder: Path) -> None:
    flaw(folder)  # type: ignore[operator]

    with pytest.raises(Unusable, match=message):
        kinds.inspect(folder)


def test_a_table_without_rows_and_without_a_count_may_be_a_lost_one(tmp_path: Path) -> None:
    path = shutil.copytree(SAMPLES / "mydumper-0.10", tmp_path / "old")
    (path / "extra.c.sql").unlink()

    about = kinds.inspect(path)

    assert about.whole == "unknown"
    assert "extra.c" in about.whole_detail


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"PK\x03\x04", "zip"),
        (b"\xfebin" + bytes(40), "a binary log, not a backup"),
        (bytes(257) + b"ustar", "tar archive"),
        (b"\x7fELF" + bytes(100), "no known kind"),
        (b"Dear colleague, the backup is attached.", "no known kind"),
    ],
)
def test_another_kind_of_file_is_named_with_what_to_do(content: bytes, message: str, tmp_path: Path) -> None:
    (path := tmp_path / "backup.sql").write_bytes(content)

    with pytest.raises(Invalid, match=message) as caught:
        kinds.inspect(path)
    assert caught.value.hint


def test_nothing_and_an_empty_file_and_an_empty_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.sql").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(Invalid, match="nothing at"):
        kinds.inspect(tmp_path / "missing")
    with pytest.raises(Unusable, match="is empty"):
        kinds.inspect(tmp_path / "empty.sql")
    with pytest.raises(Invalid, match="empty folder"):
        kinds.inspect(tmp_path / "folder")


@pytest.mark.parametrize("offset_s", [0, 3600, -5 * 3600, 5 * 3600 + 1800])
def test_the_zone_of_a_local_time_is_told_by_when_the_file_was_written(offset_s: int, tmp_path: Path) -> None:
    (path := tmp_path / "dump.sql").touch()
    os.utime(path, (0, DUMPED_AT.timestamp() - offset_s + 1))

    found = taken("2026-11-23 15:43:40", path)

    assert found is not None
    assert found.sure
    assert found.at.timestamp() == DUMPED_AT.timestamp() - offset_s


def test_an_hour_that_is_padded_with_a_blank_is_read(tmp_path: Path) -> None:
    at = datetime(2026, 11, 29, 4, 33, 2, tzinfo=UTC)
    (path := tmp_path / "dump.sql").touch()
    os.utime(path, (0, at.timestamp()))

    found = taken("2026-11-29  4:33:02", path)

    assert found is not None
    assert (at, True) == (found.at, found.sure)


def test_a_copy_without_its_time_leaves_the_zone_unknown(tmp_path: Path) -> None:
    (path := tmp_path / "dump.sql").touch()
    os.utime(path, (0, DUMPED_AT.timestamp() + 400))

    found = taken("2026-11-23 15:43:40", path)

    assert found is not None
    assert not found.sure


def test_sql_is_told_from_other_text_by_its_first_words() -> None:
    assert dump.looks_like_sql(b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump")
    assert dump.looks_like_sql(b"/*!40101 SET NAMES utf8mb4 */;\n")
    assert not dump.looks_like_sql(b"Hello")
