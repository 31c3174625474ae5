"""Replays archived logs onto a restored server, up to one exact transaction, as fast as the server can.

The server gets the logs as its own relay log and applies them as a replica would, which is several times faster than
reading them as statements. The logs are cut at the wanted transaction before the server sees them, so that it cannot
go beyond. While it replays, the server does not wait for its disk: it serves nobody yet, and a crash only costs a new
beginning. On MariaDB it applies one after the other, because given logs with parallel threads crash it; MySQL's own
default of four workers is the fastest there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pymysql

from ftchaos.errors import StepFailed, Unusable
from ftchaos.mysql.chain import Part, Reach
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.haste import hasty
from ftchaos.mysql.server import Server
from ftchaos.mysql.session import Session, execute, rows, value
from ftchaos.mysql.verify import gtid_reached

Progress = Callable[[int, int], None]  # bytes done, bytes in all
_NOBODY = 4_000_000_002  # a replication id that no server has
_UNREADABLE = frozenset({1594, 1595, 13121, 13117})  # the relay log cannot be read, by the numbers of both flavours
_POLL_S = 0.02
_PROGRESS_S = 0.25


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes:
        count: transactions applied.
        size_bytes: of log applied.
        executed: the position afterwards, as the server writes it.
    """

    count: int
    size_bytes: int
    executed: str


def replay(server: Server, reach: Reach, progress: Progress | None = None, *, stall_s: float = 120) -> Replayed:
    """Apply what a :class:`Reach` wants, exactly, and nothing beyond.

    Args:
        server: restored, at the position of its backup; it follows nobody.
        reach: what to apply; its logs are only read.
        progress: told how many bytes of log are applied, and of how many.
        stall_s: how long it may get nowhere.

    Raises:
        Unusable: an event does not match its checksum, which the server itself recomputes for each.
        StepFailed: the server refused a transaction, got nowhere, or died; or it is not exactly at the point wanted.
    """
    size_bytes = sum(part.end - part.begin for part in reach.parts)
    try:
        with server.connect() as session:
            if reach.parts:
                with hasty(server.flavour, session):
                    _apply(server, session, reach, progress or (lambda done, total: None), stall_s)
            executed = server.flavour.gtid_executed(session)
    except pymysql.err.MySQLError as error:
        raise StepFailed(
            f"{server.name} failed during the replay: {error.args[-1] if error.args else error}", "read its error log"
        ) from error
    if flaws := gtid_reached(executed, reach.after):
        raise StepFailed(f"the replay did not end where it should: {'; '.join(flaws)}")
    return Replayed(reach.count, size_bytes, executed)


def _apply(server: Server, session: Session, reach: Reach, progress: Progress, stall_s: float) -> None:
    mariadb = server.flavour.name == "mariadb"
    execute(session, server.flavour.forget_replication())
    own_id = value(session, "SELECT @@GLOBAL.server_id")
    # A server passes over whatever it wrote itself, and counts it as done: it must not have the id of the lost one.
    execute(session, [f"SET GLOBAL server_id = {_NOBODY}"])
    try:
        names = _RelayLog(server, session).fill(reach.parts)
        execute(session, _given(mariadb, names[0], reach.parts[0].begin))
        execute(session, [server.flavour.begin_applying()])
        _wait(session, mariadb, names, reach, progress, stall_s)
    finally:
        if session.open:  # a server that died meanwhile needs none of that
            execute(session, [*server.flavour.forget_replication(), f"SET GLOBAL server_id = {own_id}"])


def _given(mariadb: bool, name: str, offset: int) -> list[str]:
    """The statements that make the logs the relay log of a source that is never asked."""
    where = f"RELAY_LOG_FILE = '{name}', RELAY_LOG_POS = {offset}"
    if mariadb:
        return [
            "SET GLOBAL slave_parallel_threads = 0",
            f"CHANGE MASTER TO MASTER_HOST = 'archive', MASTER_USE_GTID = no, {where}",
        ]
    return [f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'archive', SOURCE_AUTO_POSITION = 0, {where}"]


def _wait(session: Session, mariadb: bool, names: list[str], reach: Reach, progress: Progress, stall_s: float) -> None:
    """Return when everything was applied.

    Raises:
        StepFailed: the applier ended with an error or before the end, or got nowhere for too long.
    """
    sizes = [part.end - part.begin for part in reach.parts]
    total, moved_at, told_at, last = sum(sizes), time.monotonic(), 0.0, ""
    while True:
        executed = _executed(session, mariadb)
        if executed != last:
            last, moved_at = executed, time.monotonic()
            if reach.after.within(GtidSet.parse(executed)):
                progress(total, total)
                return
        now = time.monotonic()
        if now > told_at:
            told_at = now + _PROGRESS_S
            progress(_done(_status(session, mariadb), names, reach.parts, sizes), total)
        elif now > moved_at + stall_s:
            raise StepFailed(f"the replay got nowhere for {stall_s:g} s: it is at {executed}")
        time.sleep(_POLL_S)


def _executed(session: Session, mariadb: bool) -> str:
    variable = "gtid_slave_pos" if mariadb else "gtid_executed"
    return str(value(session, f"SELECT @@GLOBAL.{variable}") or "")


@dataclass(frozen=True)
class _Status:
    file: str
    position: int


def _status(session: Session, mariadb: bool) -> _Status:
    """Where the applier is.

    Raises:
        StepFailed: it ended.
        Unusable: it ended because it cannot read on.
    """
    row = rows(session, "SHOW SLAVE STATUS" if mariadb else "SHOW REPLICA STATUS")[0]
    if row["Slave_SQL_Running" if mariadb else "Replica_SQL_Running"] != "Yes":
        # With several workers the coordinator only says that one of them failed.
        words = str(row["Last_SQL_Error"] or "it was stopped")
        fact = f"the replay ended early, in {row['Relay_Log_File']} at {row['Relay_Log_Pos']}: {words}"
        if int(row["Last_SQL_Errno"]) in _UNREADABLE:
            raise Unusable(fact, "the archive is damaged there; restore up to it with --to, or fetch that log again")
        raise StepFailed(fact)
    return _Status(str(row["Relay_Log_File"]).rpartition("/")[2], int(row["Relay_Log_Pos"]))


def _done(status: _Status, names: list[str], parts: tuple[Part, ...], sizes: list[int]) -> int:
    if status.file not in names:
        return sum(sizes) if status.position else 0
    index = names.index(status.file)
    return sum(sizes[:index]) + max(min(status.position, parts[index].end) - parts[index].begin, 0)


class _RelayLog:
    """The relay log of a server that follows nobody, to be filled by hand."""

    def __init__(self, server: Server, session: Session) -> None:
        row = rows(session, "SELECT @@GLOBAL.relay_log AS base, @@GLOBAL.relay_log_index AS listing")[0]
        base = str(row["base"] or "relay")
        self.base = server.datadir / base
        self.listing = server.datadir / (str(row["listing"]) if row["listing"] else f"{base}.index")

    def fill(self, parts: tuple[Part, ...]) -> list[str]:
        """Put the logs in place, cut where they are wanted to end; their names."""
        for left in self.base.parent.glob(f"{self.base.name}.[0-9]*"):
            left.unlink()
        names = []
        for number, part in enumerate(parts, 1):
            target = self.base.with_name(f"{self.base.name}.{number:06}")
            _place(part, target, last=number == len(parts))
            names.append(target.name)
        self.listing.write_text("".join(f"./{name}\n" for name in names))
        return names


def _place(part: Part, target: Path, *, last: bool) -> None:
    """Give a server a log: the archived file itself where it only reads it, a copy where it may write or is cut."""
    if not last and part.path.stat().st_size == part.end:
        try:
            os.link(part.path, target)
            return
        except OSError:
            pass  # another file system, or not ours to link
    with part.path.open("rb") as archived, target.open("xb") as copy:
        left = part.end
        while left:
            count = os.sendfile(copy.fileno(), archived.fileno(), None, left)
            if not count:
                raise Unusable(f"{part.path} became shorter while it was copied")
            left -= count
    shutil.copymode(part.path, target)
