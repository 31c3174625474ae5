"""Backups by the real programs are restored on the bench of both flavours, and the logs take them to the last event."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_backups import BEATS, HEARTBEAT, Source, rehearse, taken


@pytest.fixture
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """For what is the same on both."""
    return taken("mariadb", tmp_path_factory)


@pytest.fixture(params=["mariadb", "mysql"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return taken(request.param, tmp_path_factory)


@pytest.mark.parametrize("name", ["all.sql.gz", "all.sql.zst"])
def test_a_packed_dump_is_restored_whole(mariadb: Source, state: Path, name: str, tmp_path: Path) -> None:
    found = rehearse(mariadb.folder / name, tmp_path)

    assert found.error is None
    assert set(found.checks().values()) == {True}
    assert {"complete", "statements", "schema", "rows", "check table", "foreign keys"} <= set(found.checks())
    assert found.progress[-1][0] == found.progress[-1][1] == (mariadb.folder / name).stat().st_size


def test_a_dump_is_restored_whole_and_its_events_never_fire(source: Source, state: Path, tmp_path: Path) -> None:
    query = {"name": "the event is there", "sql": "SELECT COUNT(*) FROM information_schema.EVENTS", "expect": 1}
    slow = {"name": "two seconds pass", "sql": "SELECT SLEEP(2)", "expect": 0}

    found = rehearse(source.folder / "all.sql", tmp_path, restore={"checks": [query, slow]})

    assert found.error is None
    assert set(found.checks().values()) == {True}
    assert found.flaws() == []
    assert found.orders == 2


def test_a_dump_without_a_trailer_is_not_known_to_be_whole(mariadb: Source, state: Path, tmp_path: Path) -> None:
    found = rehearse(mariadb.folder / "compact.sql", tmp_path)

    assert found.error is None
    assert found.checks()["complete"] is None
    assert found.flaws() == []


def test_a_mydumper_folder_is_restored_with_its_odd_names(source: Source, state: Path, tmp_path: Path) -> None:
    names = {
        "name": "bytes survive",
        "sql": "SELECT HEX(photo) FROM shop.customers WHERE id = 1",
        "expect": "00275C0AFF3B",
    }

    found = rehearse(source.folder / "mydumper", tmp_path, restore={"checks": [names]})

    assert found.error is None
    assert found.flaws() == []
    assert set(found.checks().values()) == {True}


def test_data_files_are_restored_and_every_page_is_looked_at(source: Source, state: Path, tmp_path: Path) -> None:
    names = ["prepared"] if source.flavour.name == "mysql" else ["prepared", "full", "full.xb", "full.xb.zst"]
    for name in names:
        (folder := tmp_path / name).mkdir()
        found = rehearse(source.folder / name, folder)

        assert found.error is None, name
        assert set(found.checks().values()) == {True}, name
        assert "pages" in found.checks()


def test_the_backup_itself_is_never_written(mariadb: Source, state: Path, tmp_path: Path) -> None:
    path = mariadb.folder / "prepared"
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}

    rehearse(path, tmp_path)

    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


@pytest.mark.parametrize("name", ["all.sql", "mydumper", "data files"])
def test_logs_take_a_backup_to_the_last_event(source: Source, state: Path, name: str, tmp_path: Path) -> None:
    if name == "data files":
        name = "full" if source.flavour.name == "mariadb" else "prepared"
    last = {"name": "last", "sql": "SELECT MAX(id) FROM shop.beat", "expect": BEATS}

    found = rehearse(
        source.folder / name, tmp_path, binlogs=source.logs, restore={"checks": [last], "heartbeat": HEARTBEAT}
    )

    assert found.error is None
    assert found.flaws() == []
    after = found.steps["verify_replayed"].facts
    assert after["source"] == "heartbeat"
    assert 0 < after["data_loss_s"] < 3600
    assert found.checks("verify_replayed")["point reached"] is True


def test_a_time_to_restore_to_is_met_from_both_sides(source: Source, state: Path, tmp_path: Path) -> None:
    last = {"name": "last", "sql": "SELECT MAX(id) FROM shop.beat", "expect": source.before_middle}

    found = rehearse(
        source.folder / "all.sql", tmp_path, binlogs=source.logs, to=source.middle_at, restore={"checks": [last]}
    )

    assert found.error is None
    assert found.flaws() == []


def test_the_original_logs_are_never_written(mariadb: Source, state: Path, tmp_path: Path) -> None:
    before = {
        file: (file.stat().st_mtime_ns, file.stat().st_uid, file.stat().st_nlink) for file in mariadb.logs.iterdir()
    }

    rehearse(mariadb.folder / "all.sql", tmp_path, binlogs=mariadb.logs)

    after = {
        file: (file.stat().st_mtime_ns, file.stat().st_uid, file.stat().st_nlink) for file in mariadb.logs.iterdir()
    }
    assert after == before
