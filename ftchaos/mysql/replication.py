"""Who follows whom: attach replicas by GTID, promote the best, fence the old primary, rebuild what has diverged.

The primary of the moment waits for a replica to have each transaction (semi-sync, AFTER_SYNC), and only it does: on a
replica the same setting deadlocks its applier. It waits as long as it takes, because a primary that stops waiting
acknowledges writes which nobody else has.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pymysql

from ftchaos.errors import StepFailed
from ftchaos.mysql.flavour import Flavour, ReplicaStatus, quoted, run
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.session import SOCKET, Session, Unreachable, connect, execute, rows, value

ACCOUNT = "replication"
_POLL_S = 0.02
_REBUILD = "rebuild it from the primary"
CUT_OFF = {1236, 13114}  # the source lacks what this replica has, or no longer has what it lacks


class Diverged(StepFailed):
    """A server that holds transactions which its source never had; only a rebuild helps."""


def begin(primary: Server, replicas: Sequence[Server], password: str, *, timeout_s: float = 30) -> None:
    """Make equal servers a primary and its replicas; the primary takes writes when this returns.

    Args:
        primary: who takes writes.
        replicas: who follow; none is allowed, and then no commit waits for anybody.
        password: of the account ``replication``.
        timeout_s: how long all may take to attach.

    Raises:
        StepFailed: a replica did not attach in time.
    """
    with ExitStack() as open_sessions:
        for replica in replicas:
            session = open_sessions.enter_context(replica.connect())
            follow(replica.flavour, session, primary.address, primary.port, password)
        deadline = time.monotonic() + timeout_s
        for replica in replicas:
            with replica.connect() as session:
                wait_attached(replica.flavour, session, max(deadline - time.monotonic(), _POLL_S), replica.name)
        lead(primary.flavour, open_sessions.enter_context(primary.connect()), semi_sync=bool(replicas))


def attach(replica: Server, source: Server, password: str, *, semi_sync: bool = True, timeout_s: float = 30) -> None:
    """Let a server follow a running one.

    Args:
        replica: who follows; its data must be a part of the source's history.
        source: the primary of the moment.
        password: of the account ``replication``.
        semi_sync: whether the source waits for replicas from then on.
        timeout_s: how long it may take until it receives and applies.

    Raises:
        Diverged: the replica holds what the source never had, or lacks what the source no longer has.
        StepFailed: it did not attach in time.
    """
    flavour = replica.flavour
    with replica.connect() as session, source.connect() as upstream:
        ensure_can_follow(flavour, session, upstream, replica.name)
        follow(flavour, session, source.address, source.port, password)
        wait_attached(flavour, session, timeout_s, replica.name)
        if semi_sync:
            execute(upstream, flavour.semi_sync_source(True))


def follow(flavour: Flavour, session: Session, address: str, port: int, password: str) -> None:
    """Make a server a read-only replica that acknowledges what it receives; returns before it is connected."""
    execute(
        session,
        [
            *flavour.read_only(True),
            *flavour.semi_sync_source(False),
            *flavour.semi_sync_replica(True),
            *flavour.replicate_from(address, port, ACCOUNT, password),
        ],
    )


def lead(flavour: Flavour, session: Session, *, semi_sync: bool = True) -> None:
    """Let a server take writes; with semi-sync it waits for a replica from its first commit on."""
    execute(session, [*flavour.semi_sync_source(semi_sync), *flavour.read_only(False)])


def wait_attached(flavour: Flavour, session: Session, timeout_s: float, name: str = "the replica") -> None:
    """Return as soon as a replica receives and applies.

    Raises:
        Diverged: its source cannot serve it from where it is.
        StepFailed: it did not within the timeout, or its applier failed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        status = flavour.replica_status(session)
        if status and status.receiving and status.applying:
            return
        if status and status.error_code in CUT_OFF:
            raise Diverged(f"{name} cannot follow {status.source}: {status.error}", _REBUILD)
        if time.monotonic() > deadline:
            raise StepFailed(f"{name} not attached after {timeout_s:g} s: {_state(status)}")
        time.sleep(_POLL_S)


def _state(status: ReplicaStatus | None) -> str:
    if status is None:
        return "it follows nobody"
    return status.error or f"receiving: {status.receiving}, applying: {status.applying}"


def ensure_can_follow(flavour: Flavour, session: Session, upstream: Session, name: str) -> None:
    """Check that a server's data is a part of another's history, and that the other still has the rest in its logs.

    MariaDB itself would let an empty server follow one whose logs begin later, and silently lack all before.

    Args:
        flavour: what both are.
        session: a connection to the server that shall follow.
        upstream: a connection to its source.
        name: name of the server that shall follow.

    Raises:
        Diverged: it cannot follow.
    """
    position, history, purged = flavour.gtid_executed(session), flavour.history(upstream), flavour.purged(upstream)
    if not flavour.contains(history, position):
        raise Diverged(f"{name} is at {position}, where its source never was: that has {history}", _REBUILD)
    if flavour.progress(position) < flavour.progress(purged):
        raise Diverged(
            f"{name} is at {position or 'no position'}, but the logs of its source begin at {purged}", _REBUILD
        )


def most_advanced(flavour: Flavour, received: Mapping[str, str], prefer: str = "") -> str:
    """The name of the server that holds the most transactions; of equals the preferred, else the first by name.

    Args:
        flavour: whose positions they are.
        received: GTID position by server name; at least one.
        prefer: who wins among equals.
    """
    return min(received, key=lambda name: (-flavour.progress(received[name]), name != prefer, name))


def promote(flavour: Flavour, session: Session, *, semi_sync: bool = True, timeout_s: float = 60) -> str:
    """Make a replica the primary, after it has applied all that it had received.

    Point the other replicas at it at once: with semi-sync its first commit waits for one of them.

    Args:
        flavour: what it is.
        session: an administrator's connection to it.
        semi_sync: whether its commits wait for a replica.
        timeout_s: how long the rest of its relay log may take.

    Returns:
        The GTID position at which it begins to take writes.

    Raises:
        StepFailed: it did not apply all that it has.
    """
    if flavour.replica_status(session) is not None:
        execute(session, [flavour.stop_receiving(), flavour.begin_applying()])
        received = flavour.gtid_received(session)
        if not flavour.wait_for_gtid(session, received, timeout_s):
            raise StepFailed(f"the replica did not apply its relay log up to {received} within {timeout_s:g} s")
        execute(session, flavour.forget_replication())
    position = flavour.gtid_executed(session)
    lead(flavour, session, semi_sync=semi_sync)
    return position


def fence(flavour: Flavour, session: Session, second: Session, *, timeout_s: float = 10) -> None:
    """Make a former primary refuse writes, without acknowledging any commit that still waits for a replica.

    Such commits would be acknowledged by switching semi-sync off or by a clean shutdown of MySQL, and nobody else
    has them. So writes are blocked first, then every client loses its connection, and only then the waiting ends.

    Args:
        flavour: what it is.
        session: an administrator's connection to it.
        second: another one; it blocks while commits wait.
        timeout_s: how long it may take.

    Raises:
        StepFailed: it still takes writes.
    """
    own = {value(connection, "SELECT CONNECTION_ID()") for connection in (session, second)}
    blocker = threading.Thread(target=_block_writes, args=(flavour, second), daemon=True)
    blocker.start()
    deadline = time.monotonic() + timeout_s
    blocker.join(_POLL_S)
    while True:
        killed = _kill_clients(session, own)
        # Once writes are blocked no commit waits any more, however many clients come back to find that out.
        if not killed or not blocker.is_alive():
            execute(session, flavour.semi_sync_source(False))
            blocker.join(_POLL_S)
            if value(session, "SELECT @@GLOBAL.read_only"):
                return
        if time.monotonic() > deadline:
            raise StepFailed(f"the old primary still takes writes after {timeout_s:g} s", "stop its server")
        time.sleep(_POLL_S)


def _block_writes(flavour: Flavour, session: Session) -> None:
    with suppress(pymysql.err.MySQLError):  # fence() sees for itself whether the server is still writable
        execute(session, flavour.read_only(True))


def _kill_clients(session: Session, spared: set[int]) -> int:
    """Cut off everybody who is not replication or an administrator; how many had not been cut off before.

    MariaDB ends all waiting when the one commit that waits at the head is killed, and acknowledges those behind it
    that were not killed yet: so that one comes last.
    """
    clients = [client for client in rows(session, "SHOW PROCESSLIST") if not _spared(client, spared)]
    for client in sorted(clients, key=lambda client: "semi-sync" in (client["State"] or "")):
        with suppress(pymysql.err.MySQLError):  # it left by itself
            execute(session, [f"KILL {client['Id']}"])
    return len(clients)


def _spared(client: Mapping[str, Any], spared: set[int]) -> bool:
    system = client["User"] in ("system user", "event_scheduler", ACCOUNT)
    return system or client["Command"] in ("Daemon", "Killed") or client["Id"] in spared


def rebuild(source: Server, datadir: Path) -> None:
    """Replace the data folder of a stopped server by a physical copy of a running one, ready to :func:`attach`.

    Args:
        source: a running server, which goes on working.
        datadir: the data folder of the stopped server; what is in it is lost.

    Raises:
        StepFailed: a server still runs on the data folder, or the copy failed.
    """
    if _alive(datadir):
        raise StepFailed(f"a server still runs on {datadir}", "stop it before its data folder is replaced")
    fresh = datadir.with_name(datadir.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    copy_running(source, fresh)
    shutil.rmtree(datadir, ignore_errors=True)
    fresh.rename(datadir)


def _alive(datadir: Path) -> bool:
    try:
        connect(datadir, timeout_s=1).close()
    except Unreachable:
        return False
    return True


def copy_running(source: Server, folder: Path) -> None:
    """Make a physical copy of a running server, which a server can be begun on and which knows its GTID position.

    Args:
        source: the running server.
        folder: must not exist; its parent must.

    Raises:
        StepFailed: the copy failed.
    """
    if source.flavour.name == "mysql":
        with source.connect() as session:
            execute(session, [f"CLONE LOCAL DATA DIRECTORY = {quoted(str(folder))}"])
        return
    backup = source.flavour.program("backup")
    socket_folder = os.open(source.datadir, os.O_PATH | os.O_DIRECTORY)
    try:
        run(
            [
                *backup,
                "--backup",
                f"--target-dir={folder}",
                f"--socket=/proc/self/fd/{socket_folder}/{SOCKET}",
                "--user=root",
                "--parallel=2",
                "--log-copy-interval=20",  # ms; with the usual second every commit of the source may wait as long
            ],
            "mariadb-backup",
            fds=(socket_folder,),
        )
    finally:
        os.close(socket_folder)
    run([*backup, "--prepare", f"--target-dir={folder}", "--use-memory=256M"], "mariadb-backup --prepare")
    # The copy's own tables say where it was as a replica; anybody who let it follow from there would repeat the rest.
    position = _recorded_position(folder)
    unlogged = start_plain(
        source.flavour, folder, name="copy", options={"skip-log-bin": None, "skip-slave-start": None}
    )
    with unlogged as server, server.connect() as session:
        forget, tell = source.flavour.forget_replication(), source.flavour.set_gtid_position(position, logged=False)
        execute(session, [*forget, *tell])


def _recorded_position(folder: Path) -> str:
    for name in ("mariadb_backup_binlog_info", "xtrabackup_binlog_info"):
        if (folder / name).exists():
            fields = (folder / name).read_text().split()
            return fields[2] if len(fields) > 2 else ""
    raise StepFailed(f"mariadb-backup left no position in {folder}")
