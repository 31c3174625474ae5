"""Every planted flaw makes the restore drill fail or inconclusive, never passed; and the lab is whole afterwards.

One lab a flavour serves them all, so each drill also proves that the heal of the one before was good.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stages import Hooks, Stage, edit_json, flip_a_byte, reasons, restored, unlogged

from ftchaos import conclusion, run
from ftchaos.ledger import Outcome
from ftchaos.mysql import chain, replay
from ftchaos.mysql.backup import backups_in
from ftchaos.mysql.binlog import Tail, Torn, Transaction, events, head, transactions
from ftchaos.mysql.chain import Boundary, Part, Reach
from ftchaos.mysql.server import Server
from ftchaos.platforms.lab.backups import KEPT
from ftchaos.platforms.lab.recovery import LabRecovery
from ftchaos.record import RunRecord
from ftchaos.survivors import kept
from ftchaos.traffic import LEDGER, SURVIVORS_FILE
from ftchaos.workload import book

# For flaws that no flavour sees differently, or whose difference `lab/test_replay` and the unit tests of chains and
# logs show on both: from there on, a drill only passes the words on.
HEADER_BYTES, POSITION_AT = 19, 13  # of an event of the binary log
ROWS = {23, 30}  # the types of an event that holds inserted rows
once = pytest.mark.parametrize("build", ["mariadb"], indirect=True)


# Backups


@once
def test_without_any_sound_backup_nothing_is_concluded_and_everything_is_put_back(stage: Stage, hooks: Hooks) -> None:
    def damage(recovery: LabRecovery) -> None:
        newest, *older = backups_in(recovery.backups.folder)[0]
        os.truncate(_table(newest.data), _table(newest.data).stat().st_size - 1)
        for backup in older:
            flip_a_byte(_table(backup.data))

    hooks.before("destroy", damage)
    result = stage.drill()

    assert result.evidence.verdict == "inconclusive"
    assert "no usable backup" in reasons(result)
    assert "thumbnails.ibd has 4,194,303 of 4,194,304 bytes" in reasons(result)
    assert "is damaged: its checksum differs" in reasons(result)
    stage.ensure_whole(result)
    shutil.rmtree(stage.lab.folder / "backups")


def _table(data: Path) -> Path:
    return data / "filetransfer" / "thumbnails.ibd"


# The archive of the binary log


@once
def test_a_log_missing_in_the_middle_of_the_archive_is_named(stage: Stage, hooks: Hooks, tmp_path: Path) -> None:
    logs: list[Path] = []

    def lose_one(recovery: LabRecovery) -> None:
        logs.extend(stage.archived()[-3:])
        shutil.move(logs[1], tmp_path)

    hooks.before("destroy", lambda _: stage.rotate_logs(3))
    hooks.before("decide", lose_one)
    result = stage.drill()
    shutil.move(tmp_path / logs[1].name, logs[1])

    assert result.evidence.verdict == "inconclusive"
    assert f"gap in the archive between {logs[0].name} and {logs[2].name}: " in reasons(result)
    assert "is missing" in reasons(result)
    stage.ensure_whole(result)


@once
@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("a flipped byte of a row", "the replay ended early"),  # by the server's own checksum
        ("a flipped byte of a position", "{log}: an event is not where it says"),
        ("a missing transaction", "{log}: an event is not where it says"),
    ],
)
def test_an_archive_that_is_not_as_it_was_written_is_not_replayed(
    flaw: str, words: str, stage: Stage, hooks: Hooks, tmp_path: Path
) -> None:
    logs: list[Path] = []

    def damage(recovery: LabRecovery) -> None:
        logs.append(stage.archived()[-1])
        shutil.copy(logs[0], tmp_path)
        if flaw == "a missing transaction":
            _cut_out(logs[0], logs[0])
        else:
            _flip_in_a_row(logs[0], position=flaw == "a flipped byte of a position")

    hooks.before("destroy", lambda _: stage.rotate_logs(1))
    hooks.before("decide", damage)
    result = stage.drill()
    shutil.copy(tmp_path / logs[0].name, logs[0])

    assert result.evidence.verdict == "inconclusive"
    assert f"replay the archived log: {words.format(log=logs[0].name)}" in reasons(result)
    stage.ensure_whole(result)


def _cut_out(log: Path, target: Path, begin: int = 0) -> None:
    """Leave one write of the ledger out of a log, from the middle of what lies behind an offset."""
    data = log.read_bytes()
    skipped = _a_write(data, begin)
    target.write_bytes(data[: skipped.begin] + data[skipped.end :])


def _flip_in_a_row(log: Path, *, position: bool) -> None:
    """Change one bit in an event of rows of one write of the ledger: in what it holds, or in where it says to end."""
    data = bytearray(log.read_bytes())
    write = _a_write(bytes(data))
    view = memoryview(bytes(data))
    begin, end = next((at, end) for kind, at, end in events(view, write.begin, checksums=False) if kind in ROWS)
    data[begin + POSITION_AT if position else (begin + HEADER_BYTES + end) // 2] ^= 1
    log.write_bytes(data)


def _a_write(data: bytes, begin: int = 0) -> Transaction:
    """A write of the ledger, from the middle of what lies behind an offset of a log."""
    view, found = memoryview(data), list[Transaction]()
    with suppress(Torn):  # the archive ends where its server was killed
        for one in transactions(view, head(view), Tail()):
            if one.begin >= begin and b"ledger_writes" in data[one.begin : one.end]:
                found.append(one)
    return found[len(found) // 2]


# The restored data


def test_rows_that_are_not_as_they_were_fail_the_drill_each_with_its_own_reason(stage: Stage, hooks: Hooks) -> None:
    """Dropped and changed before the replay, then dropped, changed and doubled after it."""

    def damage_restored(recovery: LabRecovery) -> None:
        unlogged(restored(recovery), "DELETE FROM filetransfer.transfer_events ORDER BY id LIMIT 1")
        flipped = "INSERT(image, 9, 1, CHAR(ORD(SUBSTRING(image, 9, 1)) ^ 1))"
        unlogged(restored(recovery), f"UPDATE filetransfer.thumbnails SET image = {flipped} ORDER BY file_id LIMIT 1")

    def damage_replayed(recovery: LabRecovery) -> None:
        server, ours = restored(recovery), _first_id()
        first = f"WHERE id >= {ours} ORDER BY id LIMIT 1"
        unlogged(server, f"DELETE FROM ftchaos.ledger_writes {first}")
        unlogged(server, f"UPDATE ftchaos.ledger_writes SET content = CONCAT(content, ' ') {first}")
        unlogged(
            server,
            "INSERT INTO filetransfer.transfers (file_id, status, created_at) SELECT id, 'completed', created_at"
            f" FROM filetransfer.files WHERE upload_key >= {ours} ORDER BY id LIMIT 1",
        )

    hooks.before("verify_restored", damage_restored)
    hooks.after("verify_replayed", damage_replayed)
    result = stage.drill()

    data, why = result.evidence.data, reasons(result)
    assert result.evidence.verdict == "failed"
    assert "transfer_events: rows and checksum: filetransfer.transfer_events has" in why
    assert "thumbnails: rows and checksum: filetransfer.thumbnails has the checksum" in why
    assert "1 of the lost writes are missing from the middle of what survived" in why
    assert (data.corrupt, data.duplicate, data.unexpected) == (1, 1, 0)
    assert data.data_loss_s is not None
    assert data.data_loss_s < result.evidence.objectives.rpo_s
    stage.ensure_whole(result)


def _first_id() -> int:
    """The lowest id of this run's writes."""
    return min(one.writer for one in book.read(run.current().folder / LEDGER, live=True).writers) << 40


# The replay


def test_a_replay_that_stops_early_fails_the_drill(stage: Stage, hooks: Hooks) -> None:
    def early(server: Server, reach: Reach, progress: Any) -> Any:
        recovery = run.current().platform.recovery()
        assert isinstance(recovery, LabRecovery)
        assert recovery.choice is not None
        assert reach.last is not None
        boundary = Boundary(gtid=reach.last._replace(number=reach.last.number - 50).gtid)
        logs = reach.parts[0].path.parent
        return real(server, chain.reach(logs, recovery.choice.backup.position, boundary), progress)

    real = replay.replay
    hooks.patch.setattr(replay, "replay", early)
    result = stage.drill()

    assert result.evidence.verdict == "failed"
    assert "the replay ended exactly at the point wanted: the server lacks" in reasons(result)
    stage.ensure_whole(result)


@once
def test_a_write_skipped_in_the_replay_is_missed_by_the_audit(stage: Stage, hooks: Hooks, tmp_path: Path) -> None:
    """MariaDB's position names only the last transaction, so nothing but the ledger can tell."""

    def skip(server: Server, reach: Reach, progress: Any) -> Any:
        *before, last = reach.parts
        _cut_out(last.path, log := tmp_path / last.path.name, last.begin)
        cut_bytes = last.path.stat().st_size - log.stat().st_size
        parts = (*before, Part(log, last.begin, last.end - cut_bytes))
        return real(server, dataclasses.replace(reach, parts=parts), progress)

    real = replay.replay
    hooks.patch.setattr(replay, "replay", skip)
    result = stage.drill()

    assert result.evidence.verdict == "failed"
    assert "1 of the lost writes are missing from the middle of what survived" in reasons(result)
    stage.ensure_whole(result)


@once
def test_a_server_that_dies_in_the_middle_of_the_replay_is_put_away(stage: Stage, hooks: Hooks) -> None:
    def die(server: Server, reach: Reach, progress: Any) -> Any:
        return real(server, reach, lambda done, total: stage.lab.call("kill_service", name=server.name))

    real = replay.replay
    hooks.patch.setattr(replay, "replay", die)
    result = stage.drill()

    assert result.evidence.verdict == "inconclusive"
    assert "failed during the replay" in reasons(result)
    stage.ensure_whole(result)


def test_a_restore_to_a_time_keeps_all_before_it_and_nothing_after(stage: Stage, hooks: Hooks) -> None:
    to_at: list[float] = []

    def choose_a_time(recovery: LabRecovery) -> None:
        time.sleep(2.5 - time.time() % 1)  # MariaDB's log has whole seconds
        to_at.append(float(int(time.time()) - 1))
        to = datetime.fromtimestamp(to_at[0], UTC).isoformat()
        recovery.options = dataclasses.replace(recovery.options, to=to)

    hooks.before("destroy", choose_a_time)
    result = stage.drill(rpo=0.5)

    assert result.evidence.verdict == "failed"
    assert "more than the RPO of 0.5 s" in reasons(result)
    record = RunRecord.read(result.folder)
    boundary_at = record.clock.at(datetime.fromtimestamp(to_at[0], UTC))
    assert record.fault_at is not None
    oldest_lost_at = _assert_boundary(result.folder, boundary_at)
    assert result.evidence.data.data_loss_s == pytest.approx(record.fault_at - oldest_lost_at, abs=0.001)
    assert conclusion.conclude(_with_rpo(result.folder, 900.0)).verdict == "passed"
    stage.ensure_whole(result)


def _assert_boundary(folder: Path, boundary_at: float) -> float:
    """All that was acknowledged before survives, nothing that was sent after; when the oldest lost was acknowledged."""
    survivors = kept(folder / SURVIVORS_FILE)
    fault_at = RunRecord.read(folder).fault_at
    assert survivors is not None
    assert fault_at is not None
    present = {
        (one.kind, writer): {seq for first, last in there.present for seq in range(first, last + 1)}
        for one in survivors
        for writer, there in one.writers.items()
    }
    before, after, lost_at = 0, 0, [fault_at]
    for writer in book.read(folder / LEDGER).writers:
        there = present[writer.kind, writer.writer]
        for seq in range(1, writer.attempted + 1):
            if writer.outcome(seq) == Outcome.ACKNOWLEDGED and writer.known_at(seq) < boundary_at:
                assert seq in there
                before += 1
            elif writer.sent_at(seq) > boundary_at and writer.known_at(seq) < fault_at:
                assert seq not in there
                after += 1
            if writer.outcome(seq) == Outcome.ACKNOWLEDGED and seq not in there:
                lost_at.append(writer.known_at(seq))
    assert before > 50
    assert after > 50
    return min(lost_at)


def _with_rpo(folder: Path, rpo_s: float) -> Path:
    """The same run with another promise."""
    copy = folder.parent.parent / f"promised-otherwise-{folder.name}"
    shutil.copytree(folder, copy)
    edit_json(copy / "run.json", lambda record: record["objectives"].update(rpo_s=rpo_s))
    return copy


@once
def test_a_time_after_the_last_event_cannot_be_restored_to(stage: Stage) -> None:
    result = stage.drill(to="2099-01-01T00:00:00Z")

    assert result.evidence.verdict == "inconclusive"
    assert "the target 2099-01-01T00:00:00.000Z lies after the archive's last event" in reasons(result)
    stage.ensure_whole(result)


# Last, as it passes: after all of the above the lab is sound, and so is a drill with it.


def test_a_damaged_newest_backup_is_reported_and_the_one_before_is_taken(stage: Stage, hooks: Hooks) -> None:
    hooks.before("destroy", lambda recovery: flip_a_byte(_table(backups_in(recovery.backups.folder)[0][0].data)))
    result = stage.drill()

    assert result.evidence.verdict == "passed", result.evidence.reasons
    assert result.evidence.backup is not None
    rejected, taken = result.evidence.backup.considered
    assert (rejected.chosen, taken.chosen) == (False, True)
    assert "thumbnails.ibd" in rejected.why
    assert "is damaged" in rejected.why
    assert result.evidence.backup.id == taken.id
    assert len(backups_in(stage.lab.folder / "backups")[0]) == KEPT  # after all these drills
    stage.ensure_whole(result)
