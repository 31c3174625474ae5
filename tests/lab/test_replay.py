"""Replays of the archive: exactly to the point wanted, on both flavours, and never a lie about how far."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import xxhash
from disaster import Disaster, disaster
from trio import insert, until

from ftchaos.errors import Invalid, StepFailed, Unusable
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import replay, restore, session, verify
from ftchaos.mysql.chain import Boundary, Reach, logs_in, reach
from ftchaos.mysql.reading import Reading
from ftchaos.mysql.server import Server
from ftchaos.mysql.session import Unreachable


@pytest.fixture(scope="module", params=flavours.NAMES)
def lost(request: pytest.FixtureRequest) -> Disaster:
    """The disaster of each flavour."""
    return disaster(str(request.param))


@pytest.fixture
def restored(lost: Disaster, tmp_path: Path) -> Iterator[Server]:
    """A server with the newer physical backup, which the log continues."""
    with suppress(StepFailed, Unreachable), lost.restored(lost.newer, tmp_path / "restored") as server:
        yield server  # a test may have killed it, so its end need not be clean


def survey(lost: Disaster, boundary: Boundary | None = None) -> Reach:
    return Reading(lost.logs, lost.newer.position, boundary).result()


def content(server: Server) -> verify.Record:
    return verify.record(server.connect)


def sums(folder: Path) -> dict[str, str]:
    return {path.name: xxhash.xxh3_64_hexdigest(path.read_bytes()) for path in logs_in(folder)}


def test_replay_of_everything_is_exact_and_leaves_the_archive_alone(lost: Disaster, restored: Server) -> None:
    """The server has, as here, the very id of the one that was lost: it must not take the log for its own."""
    before = sums(lost.logs)
    told: list[tuple[int, int]] = []
    found = survey(lost)
    done = replay.replay(restored, found, lambda done, total: told.append((done, total)))
    with restored.connect() as connection:
        own_id = session.value(connection, "SELECT @@GLOBAL.server_id")
        durable = session.value(connection, "SELECT @@GLOBAL.sync_binlog * @@GLOBAL.innodb_flush_log_at_trx_commit")
        follows = lost.flavour.replica_status(connection)
        goes_on = lost.flavour.gtid_executed(connection)

    assert len(found.parts) >= 3
    assert verify.gtid_reached(done.executed, found.after) == []
    assert done.count == found.count > 100
    assert told[-1] == (done.size_bytes, done.size_bytes)
    assert sums(lost.logs) == before
    assert (own_id, durable, follows) == (1, 1, None)
    assert verify.gtid_reached(goes_on, found.after) == []
    assert verify.differences(lost.end.content, content(restored)) == []
    assert verify.foreign_keys_whole(restored.connect) == []
    assert verify.check_tables(restored.connect) == []


def test_replay_to_a_time_has_all_before_and_nothing_after(lost: Disaster, restored: Server) -> None:
    found = survey(lost, Boundary(at_s=lost.between.at_s))
    assert found.following is not None
    done = replay.replay(restored, found)

    assert verify.gtid_reached(lost.between.gtid, found.after) == []
    assert verify.gtid_reached(done.executed, found.after) == []
    assert verify.differences(lost.between.content, content(restored)) == []


def test_log_of_a_restored_server_continues_its_history(lost: Disaster, restored: Server, tmp_path: Path) -> None:
    found = survey(lost)
    replay.replay(restored, found)
    with restored.connect() as connection:
        insert(connection, 1 << 50)
        session.execute(connection, ["FLUSH BINARY LOGS"])
        insert(connection, (1 << 50) + 1)
        executed = lost.flavour.gtid_executed(connection)
    for log in restored.datadir.glob("binlog.0*"):
        shutil.copy(log, tmp_path)
    own = reach(tmp_path, lost.newer.position)

    assert own.count == found.count + 2
    assert verify.gtid_reached(executed, own.after) == []
    with pytest.raises(Unusable, match=r"gap between the backup|begins after the backup"):
        reach(tmp_path, lost.older.position)


def test_skipped_log_is_found_before_anything_is_replayed(lost: Disaster, tmp_path: Path) -> None:
    damaged = lost.copy(tmp_path)
    logs_in(damaged.logs)[1].unlink()
    with pytest.raises(Unusable, match="gap in the archive"):
        survey(damaged)


def test_flipped_bit_in_a_log_is_found_by_the_server_before_it_is_applied(
    lost: Disaster, restored: Server, tmp_path: Path
) -> None:
    damaged = lost.copy(tmp_path)
    log = logs_in(damaged.logs)[1]
    whole = bytearray(log.read_bytes())
    whole[whole.index(b"written_at" if b"written_at" in whole else b"ledger_writes", len(whole) // 2) + 40] ^= 4
    log.write_bytes(whole)
    with pytest.raises(Unusable, match="checksum"):
        reach(damaged.logs, damaged.newer.position)
    with pytest.raises(Unusable, match="ended early"):
        replay.replay(restored, survey(damaged))


def test_target_after_the_last_event_is_refused_by_the_survey_too(lost: Disaster) -> None:
    with pytest.raises(Invalid, match="after the archive's last event"):
        survey(lost, Boundary(at_s=time.time() + 3600))


def test_replay_that_the_server_stops_early_is_no_success(lost: Disaster, restored: Server) -> None:
    """A row that is not there any more: the server refuses the transaction that changes it."""
    with restored.connect() as connection:
        session.execute(connection, ["SET SESSION sql_log_bin = 0", "DELETE FROM ftchaos.ledger_writes"])
        session.execute(connection, ["DELETE FROM filetransfer.audit", "DELETE FROM filetransfer.transfers"])
        session.execute(connection, ["SET foreign_key_checks = 0", "DELETE FROM filetransfer.files"])
    with pytest.raises(StepFailed, match=r"ended early, in relay\.\d+"):
        replay.replay(restored, survey(lost))


def test_replay_that_somebody_stops_is_no_success(lost: Disaster, restored: Server) -> None:
    found = survey(lost)

    def stop() -> None:
        with restored.connect() as connection:
            until(lambda: (status := lost.flavour.replica_status(connection)) and status.applying)
            release.start()
            session.execute(connection, [lost.flavour.stop_applying()])

    # A lock on a table that every second transaction writes holds the replay, until somebody is about to stop it.
    with restored.connect() as connection:
        session.execute(connection, ["LOCK TABLES ftchaos.ledger_writes WRITE"])
        release = threading.Timer(1.5, lambda: session.execute(connection, ["UNLOCK TABLES"]))
        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(StepFailed, match="ended early"):
            replay.replay(restored, found)
        stopper.join()
        release.join()


def test_replay_that_gets_nowhere_ends(lost: Disaster, restored: Server) -> None:
    found = survey(lost)
    with restored.connect() as connection:
        session.execute(connection, ["LOCK TABLES ftchaos.ledger_writes WRITE, filetransfer.files WRITE"])
        release = threading.Timer(3, lambda: session.execute(connection, ["UNLOCK TABLES"]))

        def hold(done: int, total: int) -> None:
            if release.ident is None:
                release.start()

        with pytest.raises(StepFailed, match="got nowhere for 1 s"):
            replay.replay(restored, found, hold, stall_s=1)
        release.join()


def test_server_that_dies_in_the_middle_is_a_failed_step(lost: Disaster, restored: Server) -> None:
    pid = int((restored.datadir / "mysql.pid").read_text())

    def kill(done: int, total: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(StepFailed, match="failed during the replay"):
        replay.replay(restored, survey(lost), kill)


def test_empty_replay_is_exact_too(lost: Disaster, restored: Server) -> None:
    everything = survey(lost)
    replay.replay(restored, everything)
    again = reach(lost.logs, everything.after)
    done = replay.replay(restored, again)

    assert (again.count, done.count, done.size_bytes) == (0, 0, 0)
    assert verify.gtid_reached(done.executed, everything.after) == []


def test_backup_with_a_torn_archive_reaches_its_last_whole_transaction(lost: Disaster, tmp_path: Path) -> None:
    damaged = lost.copy(tmp_path)
    last = logs_in(damaged.logs)[-1]
    last.write_bytes(last.read_bytes()[:-40])
    found = survey(damaged)
    with damaged.restored(damaged.newer, tmp_path) as server:
        done = replay.replay(server, found)

    assert "the log ends within" in found.torn
    assert verify.gtid_reached(done.executed, found.after) == []
    assert found.count == survey(lost).count - 1


def test_logical_backup_is_continued_by_the_log(lost: Disaster, tmp_path: Path) -> None:
    choice = restore.choose(lost.backups, lost.archive)
    assert choice.backup == lost.logical
    with lost.restored(lost.logical, tmp_path) as server:
        replay.replay(server, reach(choice.logs or tmp_path, lost.logical.position))
        found = content(server)

    assert verify.differences(lost.end.content, found) == []
