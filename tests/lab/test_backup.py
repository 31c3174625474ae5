"""Backups of both flavours: taken under load without harm, complete or not there, chosen only when they are sound."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from disaster import Disaster, disaster
from trio import Trio, Writer, trio, until

from ftchaos.errors import Invalid, StepFailed, Unusable
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import restore, session, take, verify
from ftchaos.mysql.backup import Backup, Origin, Rejected, backups_in


@pytest.fixture(scope="module", params=flavours.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each flavour in turn."""
    return str(request.param)


@pytest.fixture
def lost(name: str, tmp_path: Path) -> Disaster:
    """A disaster whose files may be damaged."""
    return disaster(name).copy(tmp_path)


def chosen(lost: Disaster, *exclude: Rejected) -> restore.Choice:
    return restore.choose(lost.backups, lost.archive, flavour=lost.flavour.name, exclude=exclude)


def biggest(backup: Backup) -> str:
    return max(backup.files, key=lambda file: file.size_bytes * file.name.endswith("ibd")).name


def flip(path: Path, offset: int = -5000) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def rewrite(backup: Backup, **changes: object) -> None:
    dataclasses.replace(backup, **changes).write()  # type: ignore[arg-type]


def test_newest_backup_is_chosen_with_the_logs_that_continue_it(name: str) -> None:
    lost = disaster(name)
    choice = chosen(lost)

    assert (choice.backup, choice.logs, choice.rejected) == (lost.logical, lost.logs, ())


def test_physical_backup_is_restored_exactly_and_stays_as_it_was(name: str, tmp_path: Path) -> None:
    lost = disaster(name)
    told: list[tuple[int, int]] = []
    restore.lay(lost.newer, tmp_path / "probe", lost.flavour, lambda done, total: told.append((done, total)))
    with lost.restored(lost.newer, tmp_path) as server:
        found = verify.record(server.connect)
        with server.connect() as connection:
            follows = lost.flavour.replica_status(connection)

    assert lost.newer.record is not None
    assert verify.differences(lost.newer.record, found) == []
    assert follows is None  # it has forgotten whose replica its source was
    assert told[-1] == (lost.newer.size_bytes, lost.newer.size_bytes)
    assert all((lost.newer.data / file.name).stat().st_size == file.size_bytes for file in lost.newer.files)
    restore.lay(lost.newer, tmp_path / "again", lost.flavour)  # checks every byte


def test_logical_backup_is_restored_exactly_with_accounts_and_routines(name: str, tmp_path: Path) -> None:
    lost = disaster(name)
    with lost.restored(lost.logical, tmp_path) as server:
        found = verify.record(server.connect)
        with server.connect() as connection:
            accounts = {row["u"] for row in session.rows(connection, "SELECT User AS u FROM mysql.user")}
            events = session.rows(connection, "SHOW GRANTS FOR ftchaos@'%'")

    assert lost.logical.record is not None
    assert verify.differences(lost.logical.record, found) == []
    assert {"app", "ftchaos", "replication", "monitor", "failover"} <= accounts
    assert len(events) == 3


def test_flipped_bit_in_a_file_is_found_as_it_is_copied_and_leaves_nothing(lost: Disaster, tmp_path: Path) -> None:
    file = biggest(lost.newer)
    flip(lost.newer.data / file)
    with pytest.raises(Unusable, match=f"file {file} of backup {lost.newer.id} is damaged"):
        restore.lay(lost.newer, tmp_path / "data", lost.flavour)

    assert not (tmp_path / "data").exists()
    damaged = [Rejected(one.id, "damaged") for one in (lost.logical, lost.newer)]
    assert chosen(lost, *damaged).backup == lost.older


def test_flipped_bit_in_a_dump_is_found_as_it_is_loaded(tmp_path: Path) -> None:
    lost = disaster("mariadb").copy(tmp_path)
    flip(lost.logical.data / "dump.sql.zst")
    with (
        pytest.raises(Unusable, match=r"file dump.sql.zst of backup \S+ is damaged"),
        lost.restored(lost.logical, tmp_path),
    ):
        pass


def test_truncated_or_missing_file_is_found_before_anything_is_copied(lost: Disaster) -> None:
    (lost.logical.data / "dump.sql.zst").unlink()
    path = lost.newer.data / biggest(lost.newer)
    path.write_bytes(path.read_bytes()[:-1])
    choice = chosen(lost)

    assert choice.backup == lost.older
    whys = [one.why for one in choice.rejected]
    assert "dump.sql.zst is missing" in whys[0]
    assert biggest(lost.newer) in whys[1]


def test_folder_without_its_manifest_or_with_a_damaged_one_is_no_backup(lost: Disaster) -> None:
    (lost.logical.folder / "backup.json").unlink()
    manifest = lost.newer.folder / "backup.json"
    manifest.write_text(manifest.read_text().replace('"server_id": 1', '"server_id": 2'))
    choice = chosen(lost)

    assert choice.backup == lost.older
    assert sorted(one.why.split(":")[0] for one in choice.rejected) == sorted(
        [
            f"backup {lost.logical.id} was never completed",
            f"the manifest of backup {lost.newer.id} is damaged",
        ]
    )
    manifest.write_text(manifest.read_text()[:200])
    assert "cannot be read" in str(chosen(lost).rejected)


def test_backup_of_another_server_is_refused(lost: Disaster) -> None:
    origin = lost.logical.origin
    assert origin is not None
    rewrite(lost.logical, origin=Origin(77, origin.server_uuid, origin.file, origin.position))
    assert lost.newer.origin is not None
    rewrite(lost.newer, origin=dataclasses.replace(lost.newer.origin, position=lost.newer.origin.position - 31))
    choice = chosen(lost)

    assert choice.backup == lost.older
    assert [one.why.split(":")[0] for one in choice.rejected] == ["it is of another server"] * 2


def test_backup_of_a_server_that_has_lived_the_same_is_refused(lost: Disaster) -> None:
    """Its transactions have the same names and places; the bytes before the backup's own are others."""
    every = (lost.logical, lost.newer, lost.older)
    known = [one.origin.before.length for one in every if one.origin]
    for backup in every[:2]:
        assert backup.origin is not None
        log = lost.archive / backup.origin.file
        rewrite(backup, origin=dataclasses.replace(backup.origin, before=backup.origin.before._replace(checksum="0")))
        assert backup.origin.before.fits(next(lost.archive.rglob(log.name)), backup.origin.position)
    choice = chosen(lost)

    assert 3 == len(known)
    assert all(known)
    assert choice.backup == lost.older
    assert ["it is of another server: what comes before"] * 2 == [one.why[:42] for one in choice.rejected]


def test_backup_of_another_flavour_is_refused(lost: Disaster, tmp_path: Path) -> None:
    other = disaster(next(name for name in flavours.NAMES if name != lost.flavour.name))
    shutil.rmtree(lost.backups)
    shutil.copytree(other.newer.folder, lost.backups / other.newer.id)
    with pytest.raises(Unusable, match=f"it is of {other.flavour.name}, not of {lost.flavour.name}"):
        chosen(lost)


def test_target_before_all_backups_is_invalid_and_between_them_takes_the_older(lost: Disaster) -> None:
    older, newer = (session_at(backup) for backup in (lost.older, lost.newer))
    choice = restore.choose(lost.backups, lost.archive, before_at_s=(older + newer) / 2)
    assert choice.backup == lost.older
    with pytest.raises(Invalid, match="before the oldest backup"):
        restore.choose(lost.backups, lost.archive, before_at_s=older - 60)


def session_at(backup: Backup) -> float:
    from datetime import datetime

    return datetime.fromisoformat(backup.consistent_at).timestamp()


def test_no_backup_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="there is none"):
        restore.choose(tmp_path / "backups", None)


def test_restore_never_writes_over_data(name: str, tmp_path: Path) -> None:
    lost = disaster(name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/precious").touch()
    with pytest.raises(StepFailed, match="exists already"):
        restore.lay(lost.newer, tmp_path / "data", lost.flavour)
    assert (tmp_path / "data/precious").exists()


def test_restore_without_room_says_so_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    """On a file system of 1 MiB, in a mount namespace of its own."""
    lost = disaster(name)
    said = in_a_small_room(
        tmp_path,
        f"""
        from ftchaos.mysql import flavour, restore
        from ftchaos.mysql.backup import Backup
        backup = Backup.read(Path({str(lost.newer.folder)!r}))
        restore._SPARE_BYTES = -backup.size_bytes if sys.argv[1] == "late" else 0
        restore.lay(backup, room / "data", flavour.find({name!r}))
        """,
    )
    for text in said:
        assert "StepFailed" in text
        assert "[]" in text
    assert "no room for" in said[0]
    assert "No space left on device" in said[1]


def in_a_small_room(tmp_path: Path, script: str) -> list[str]:
    """What a script says that has no room for its work: when it looks before, and when it finds out too late."""
    room = tmp_path / "room"
    room.mkdir()
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        f"room = Path({str(room)!r})\ntry:\n"
        + textwrap.indent(textwrap.dedent(script), "    ")
        + "\nexcept Exception as error:\n    print(type(error).__name__, error, os.listdir(room))\n"
    )
    mount = f"mount -t tmpfs -o size=1m tmpfs {room} && exec {sys.executable} - $0"
    return [
        subprocess.run(
            ["unshare", "-Urm", "sh", "-c", mount, when], input=program, capture_output=True, text=True, check=True
        ).stdout
        for when in ("early", "late")
    ]


@pytest.fixture(scope="module")
def made(name: str) -> Iterator[Trio]:
    """A primary with two replicas."""
    with trio(name) as servers:
        servers.replicate()
        yield servers


@pytest.mark.alone
def test_primary_never_waits_for_a_backup_and_the_replica_applies_again(made: Trio, tmp_path: Path) -> None:
    writer = Writer(made, lambda: "mysql-a")
    writer.next_id = int(time.monotonic() * 1e6)
    writer.start()
    try:
        until(lambda: writer.acknowledged)
        began = time.monotonic()
        backup = take.take(made.servers["mysql-c"], tmp_path, "physical")
        ended = time.monotonic()
    finally:
        writer.end()
    instants = [began, *sorted(at for at in writer.acknowledged.values() if began < at < ended), ended]

    # The other replica is killed in no test: whoever acknowledges, nobody waited long.
    assert max(later - earlier for earlier, later in pairwise(instants)) < 1.0
    made.caught_up("mysql-a", "mysql-c")
    assert backup.gtid != ""
    assert backup.record is not None


def test_single_server_is_backed_up_as_consistent_as_its_tool_makes_it(made: Trio, tmp_path: Path) -> None:
    writer = Writer(made, lambda: "mysql-a")
    writer.next_id = int(time.monotonic() * 1e6)
    writer.start()
    try:
        until(lambda: writer.acknowledged)
        taken = [take.take(made.servers["mysql-a"], tmp_path, method) for method in ("physical", "logical")]
    finally:
        writer.end()

    for backup in taken:
        assert (backup.origin, backup.record) == (None, None)
        restore.lay(backup, tmp_path / backup.method, made.flavour)
        from ftchaos.mysql.server import start_plain

        with start_plain(made.flavour, tmp_path / backup.method) as server:
            restore.load(backup, server)
            with server.connect() as connection:
                ids = session.value(connection, "SELECT COUNT(*) FROM ftchaos.ledger_writes")
        # Each acknowledged write is one transaction of this server, so its count is the number of its position.
        assert str(ids) in backup.gtid.replace(":", "-").split("-")


def test_backup_without_room_says_so_leaves_nothing_and_lets_the_replica_apply(made: Trio, tmp_path: Path) -> None:
    server = made.servers["mysql-c"]
    said = in_a_small_room(
        tmp_path,
        f"""
        from ftchaos.mysql import flavour, take
        from ftchaos.mysql.server import Server
        take._ensure_room = take._ensure_room if sys.argv[1] == "early" else lambda *_: None
        server = Server("mysql-c", flavour.find({made.flavour.name!r}), Path({str(server.datadir)!r}))
        take.take(server, room, "logical" if server.flavour.name == "mysql" else "physical")
        """,
    )
    for text in said:
        assert "StepFailed" in text
        assert "['.lock']" in text
    made.caught_up("mysql-a", "mysql-c")
    with server.connect() as connection:
        status = made.flavour.replica_status(connection)
    assert status is not None
    assert status.applying


def test_killed_backup_is_none_and_the_next_one_heals_what_it_left(made: Trio, tmp_path: Path) -> None:
    server = made.servers["mysql-c"]
    script = (
        "import sys; from pathlib import Path; from ftchaos.mysql import flavour, take;"
        " from ftchaos.mysql.server import Server;"
        f" take.take(Server('mysql-c', flavour.find({made.flavour.name!r}), Path({str(server.datadir)!r})),"
        f" Path({str(tmp_path)!r}), progress=lambda said: print(said, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    process.kill()
    process.wait()

    assert backups_in(tmp_path) == ([], [])
    backup = take.take(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == [backup.id]
    with server.connect() as connection:
        status = made.flavour.replica_status(connection)
    assert status is not None
    assert status.applying


def test_manifest_is_readable_by_others(name: str) -> None:
    facts = json.loads((disaster(name).newer.folder / "backup.json").read_text())

    assert facts["schema"] == "ftchaos.backup/1"
    assert facts["record"]["tables"]["filetransfer.files"]["rows"] > 1000
