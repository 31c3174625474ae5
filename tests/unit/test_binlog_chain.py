"""An archive as one chain: what a replay would apply, and every way in which an archive can be unfit for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from zlib import crc32

import pytest

from ftchaos.errors import Invalid, Unusable
from ftchaos.mysql.binlog import head
from ftchaos.mysql.chain import Boundary, Reach, reach
from ftchaos.mysql.gtidset import GtidSet

LOGS = Path(__file__).parent / "binlogs"
MYSQL_UUID = "8a0e4f40-e753-11f1-99de-02fc00000001"
FLAVOURS = ("mariadb", "mysql")


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def archive(flavour: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(LOGS / flavour, tmp_path / "archive"))


def up_to(flavour: str, number: int) -> GtidSet:
    if number == 0:
        return GtidSet()
    return GtidSet.parse(f"0-7-{number}" if flavour == "mariadb" else f"{MYSQL_UUID}:1-{number}")


def gtid(flavour: str, number: int) -> str:
    return f"0-7-{number}" if flavour == "mariadb" else f"{MYSQL_UUID}:{number}"


def flipped(whole: bytes) -> bytes:
    """The log with one bit wrong, in the middle of its last transaction's rows."""
    at = whole.rindex("測試".encode())
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


def ends(found: Reach) -> tuple[int, int]:
    assert found.first is not None
    assert found.last is not None
    return found.first.number, found.last.number


def test_replay_begins_right_after_the_backup_and_ends_with_the_archive(archive: Path, flavour: str) -> None:
    found = reach(archive, up_to(flavour, 4))

    assert ends(found) == (5, 12)
    assert [part.path.name for part in found.parts] == ["binlog.000002", "binlog.000003", "binlog.000004"]
    assert (found.following, found.torn) == (None, "")
    assert up_to(flavour, 12).within(found.after)


def test_logs_wholly_in_the_backup_are_not_even_read(archive: Path, flavour: str) -> None:
    whole = (archive / "binlog.000001").read_bytes()
    (archive / "binlog.000001").write_bytes(whole[:-3] + bytes(3))

    assert ends(reach(archive, up_to(flavour, 4))) == (5, 12)


def test_nothing_is_to_be_applied_when_the_backup_has_all_of_it(archive: Path, flavour: str) -> None:
    everything = reach(archive, up_to(flavour, 4)).after
    found = reach(archive, everything)

    assert (found.count, found.parts, found.after) == (0, (), everything)


def test_boundary_by_id_ends_exactly_there_and_names_what_follows(archive: Path, flavour: str) -> None:
    for last in range(5, 12):
        found = reach(archive, up_to(flavour, 4), Boundary(gtid=gtid(flavour, last)))

        assert ends(found) == (5, last)
        assert found.following is not None
        if flavour == "mariadb" or last not in (11,):  # there the tagged ones follow
            assert found.following.number == last + 1
        assert found.after == up_to(flavour, last) or "drill" in str(found.after)


def test_boundary_by_time_excludes_what_may_have_been_committed_later(archive: Path, flavour: str) -> None:
    everything = reach(archive, up_to(flavour, 0))
    assert everything.first is not None
    fifth = reach(archive, up_to(flavour, 4)).first
    assert fifth is not None
    # MariaDB stamps whole seconds, so the fifth is only surely before the end of its second.
    surely_at_s = fifth.at_s + (1 if flavour == "mariadb" else 0)

    with_it = reach(archive, up_to(flavour, 3), Boundary(at_s=surely_at_s))
    without = reach(archive, up_to(flavour, 3), Boundary(at_s=surely_at_s - 0.001))

    assert ends(with_it)[1] == 5
    assert ends(without)[1] == 4
    assert without.following == fifth


def test_boundary_before_the_backup_or_after_the_archive_is_refused(archive: Path, flavour: str) -> None:
    with pytest.raises(Invalid, match="before the backup"):
        reach(archive, up_to(flavour, 4), Boundary(gtid=gtid(flavour, 4)))
    with pytest.raises(Invalid, match="before the backup"):
        reach(archive, up_to(flavour, 4), Boundary(at_s=1795448130.0))
    with pytest.raises(Invalid, match="not in the archive"):
        reach(archive, up_to(flavour, 4), Boundary(gtid=gtid(flavour, 13)))
    with pytest.raises(Invalid, match="after the archive's last event") as caught:
        reach(archive, up_to(flavour, 4), Boundary(at_s=1795449000.0))
    assert "the archive ends at 2026-11-23T15:3" in str(caught.value)


def test_missing_log_is_a_gap_that_names_what_is_lost(archive: Path, flavour: str) -> None:
    (archive / "binlog.000003").unlink()
    with pytest.raises(Unusable, match=r"gap in the archive between binlog.000002 and binlog.000004") as caught:
        reach(archive, up_to(flavour, 4))
    assert gtid(flavour, 9) in str(caught.value) or "6-9" in str(caught.value)

    assert ends(reach(archive, up_to(flavour, 3), Boundary(gtid=gtid(flavour, 4)))) == (4, 4)


def test_renamed_logs_do_not_hide_a_missing_one(archive: Path, flavour: str) -> None:
    (archive / "binlog.000004").replace(archive / "binlog.000003")
    with pytest.raises(Unusable, match="gap in the archive"):
        reach(archive, up_to(flavour, 4))


def test_archive_that_begins_after_the_backup_is_a_gap(archive: Path, flavour: str) -> None:
    (archive / "binlog.000001").unlink()
    (archive / "binlog.000002").unlink()
    with pytest.raises(Unusable, match="begins after the backup"):
        reach(archive, up_to(flavour, 4))


def test_server_that_counts_on_from_an_unknown_past_is_a_gap(archive: Path, flavour: str) -> None:
    """The first log of a restored server names nothing before it, yet its first id is not the first."""
    second = (archive / "binlog.000002").read_bytes()
    first = (archive / "binlog.000001").read_bytes()
    body = second[head(memoryview(second)).body :]
    shutil.rmtree(archive)
    archive.mkdir()
    (archive / "binlog.000001").write_bytes(moved(body, first[: head(memoryview(first)).body]))

    assert ends(reach(archive, up_to(flavour, 3))) == (4, 5)
    with pytest.raises(Unusable, match="gap between the backup"):
        reach(archive, up_to(flavour, 2))


def moved(body: bytes, onto: bytes) -> bytes:
    """The events of a log behind another head: each says anew where it ends."""
    done = onto
    while body:
        size = int.from_bytes(body[9:13], "little")
        event = body[:13] + (len(done) + size).to_bytes(4, "little") + body[17 : size - 4]
        done += event + crc32(event).to_bytes(4, "little")
        body = body[size:]
    return done


def test_truncated_log_in_the_middle_is_a_gap_and_at_the_end_a_torn_tail(archive: Path, flavour: str) -> None:
    for name in ("binlog.000004", "binlog.000003"):
        path = archive / name
        path.write_bytes(path.read_bytes()[:-300])
        if name == "binlog.000004":
            found = reach(archive, up_to(flavour, 4))
            assert found.last is not None
            assert "binlog.000004: the log ends within" in found.torn
            assert found.parts[-1].end == found.last.end
        else:
            with pytest.raises(Unusable, match="gap in the archive"):
                reach(archive, up_to(flavour, 4))


def test_middle_log_without_its_rotate_event_is_whole_when_the_next_one_says_so(archive: Path, flavour: str) -> None:
    """A server that is killed never writes the end of its log; what matters is that no transaction is missing."""
    path = archive / "binlog.000003"
    path.write_bytes(path.read_bytes()[:-10])

    assert ends(reach(archive, up_to(flavour, 4))) == (5, 12)


def test_newest_log_that_has_no_head_yet_is_left_out(archive: Path, flavour: str) -> None:
    path = archive / "binlog.000004"
    for size in (0, 3, 50, 130):
        path.write_bytes((LOGS / flavour / path.name).read_bytes()[:size])
        assert ends(reach(archive, up_to(flavour, 4))) == (5, 9)


def test_flipped_byte_in_any_needed_log_is_damage(archive: Path, flavour: str) -> None:
    for name in ("binlog.000002", "binlog.000004"):
        path = archive / name
        whole = path.read_bytes()
        path.write_bytes(flipped(whole))
        with pytest.raises(Unusable, match=f"{name}: an event does not match its checksum"):
            reach(archive, up_to(flavour, 4))
        path.write_bytes(whole)


def test_damage_beyond_the_boundary_is_of_no_interest(archive: Path, flavour: str) -> None:
    path = archive / "binlog.000003"
    path.write_bytes(path.read_bytes()[:-30] + b"!" + path.read_bytes()[-29:])

    assert ends(reach(archive, up_to(flavour, 4), Boundary(gtid=gtid(flavour, 6)))) == (5, 6)


def test_logs_of_another_server_are_refused(archive: Path, flavour: str) -> None:
    other = next(name for name in FLAVOURS if name != flavour)
    shutil.copy(LOGS / other / "binlog.000004", archive / "binlog.000004")
    with pytest.raises(Unusable, match=f"binlog.000004 was written by {other} server 7"):
        reach(archive, up_to(flavour, 4))


def test_logs_under_two_names_are_refused(archive: Path, flavour: str) -> None:
    shutil.copy(LOGS / flavour / "binlog.000004", archive / "mysql-bin.000001")
    with pytest.raises(Unusable, match="binlog, mysql-bin"):
        reach(archive, up_to(flavour, 4))


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no binary log"):
        reach(tmp_path, GtidSet())
