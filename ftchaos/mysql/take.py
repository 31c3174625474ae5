"""Takes backups, from a replica that holds still: its applier rests, and it goes on acknowledging what it receives.

So the primary never waits for a backup, and schema, row counts and checksums are measured on the source at exactly
the position of the backup. A server that follows nobody cannot hold still; its backup is as consistent as the tool
makes it, and carries no such record.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ftchaos.clock import iso
from ftchaos.errors import StepFailed
from ftchaos.mysql import trace
from ftchaos.mysql.backup import ACCOUNTS, DATA, DUMP, Backup, File, Method, Origin, file_checksum
from ftchaos.mysql.flavour import quoted
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.session import SOCKET, Session, execute, rows, value
from ftchaos.mysql.verify import SYSTEM_SCHEMAS, Record, record

LEASH = ("setpriv", "--pdeathsig", "KILL")  # a copy that nobody waits for any more must not go on
Progress = Callable[[str], None]
_LOGS = ("binlog.", "log/", "relay", "ib_logfile", "#innodb_redo", "#innodb_temp", "ibtmp", "mysql.sock", "undo")
_OWN_TO_A_SERVER = ("auto.cnf", "mysql.pid", "mysql.sock", "mysql.sock.lock", "#innodb_temp", "ibtmp1")
_SPARE_BYTES = 64 << 20
_SYSTEM_ACCOUNTS = ("root", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC", "")


def take(source: Server, backups: Path, method: Method = "physical", progress: Progress | None = None) -> Backup:
    """Take a backup of a running server; a folder that is not complete never looks like one.

    Args:
        source: best a replica; a server that follows nobody works as well.
        backups: gets a folder for the backup; made if missing.
        method: ``physical`` copies the data folder, ``logical`` dumps statements.
        progress: called with a sentence as the work goes on.

    Raises:
        StepFailed: there is no room, the replica does not apply, or a program failed; nothing is left behind.
    """
    say = progress or (lambda _: None)
    with _locked(backups):
        for abandoned in backups.glob(".*.partial"):  # of one who was killed; we hold the lock
            shutil.rmtree(abandoned)
        began = datetime.now(UTC)
        backup_id = f"{began:%Y%m%dT%H%M%SZ}-{method}-{secrets.token_hex(2)}"
        work = backups / f".{backup_id}.partial"
        try:
            (work / DATA).parent.mkdir()
            _ensure_room(source, backups, method)
            with source.connect() as session:
                backup = _take(source, session, work, method, began, say)
            backup.write()
            work.rename(backups / backup_id)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        say(f"backup {backup_id} is complete")
        return Backup.read(backups / backup_id)


def _take(source: Server, session: Session, work: Path, method: Method, began: datetime, say: Progress) -> Backup:
    flavour = source.flavour
    follows = flavour.replica_status(session) is not None
    copy = _physical if method == "physical" else _logical
    with _still(source, session) as origin, ThreadPoolExecutor(1) as pool:
        consistent = datetime.now(UTC)
        before = flavour.gtid_executed(session)
        say(f"copying {source.name} at {before or 'its empty position'}")
        measured = pool.submit(record, source.connect) if follows else None
        copied = copy(source, work / DATA)
        content: Record | None = measured.result() if measured else None
        after = flavour.gtid_executed(session)
    if follows and before != after:
        raise StepFailed(f"{source.name} went on from {before} to {after} while it was copied")
    if method == "physical":
        say("preparing the copy")
        copied = _prepare(source, work / DATA) or copied
    if follows and copied and GtidSet.parse(copied) != GtidSet.parse(before):
        raise StepFailed(f"{source.name} rested at {before}, but its copy is at {copied}")
    say("summing the copy up")
    return Backup(
        folder=work,
        id=work.name[1:].removesuffix(".partial"),
        flavour=flavour.name,
        server_version=flavour.version_text,
        method=method,
        gtid=before if follows else copied or before,
        origin=origin,
        began_at=iso(began),
        consistent_at=iso(consistent),
        ended_at=iso(datetime.now(UTC)),
        files=_files(work / DATA),
        record=content,
    )


@contextmanager
def _locked(backups: Path) -> Iterator[None]:
    backups.mkdir(parents=True, exist_ok=True)
    with (backups / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _still(source: Server, session: Session) -> Iterator[Origin | None]:
    """Let a replica's applier rest, and say where in its primary's log that is."""
    flavour = source.flavour
    status = flavour.replica_status(session)
    if status is None:
        yield None
        return
    if status.error_code:
        raise StepFailed(f"{source.name} does not apply what it receives: {status.error}")
    # An applier that rests without an error is one that a killed backup left behind, for we hold the lock.
    execute(session, [flavour.stop_applying()])
    try:
        row = rows(session, "SHOW REPLICA STATUS" if flavour.name == "mysql" else "SHOW SLAVE STATUS")[0]
        word = "Source" if flavour.name == "mysql" else "Master"
        position = int(row[f"Exec_{word}_Log_Pos"])
        relay = source.datadir / str(row["Relay_Log_File"])
        yield Origin(
            server_id=int(row[f"{word}_Server_Id"]),
            server_uuid=str(row.get("Source_UUID") or ""),
            file=str(row[f"Relay_{word}_Log_File"]),
            position=position,
            before=trace.of_relay_log(relay, int(row["Relay_Log_Pos"]), position),
        )
    finally:
        execute(session, [flavour.begin_applying()])


def _physical(source: Server, target: Path) -> str:
    """Copy the data folder of a running server; the position it has by the tool's account, where that gives one."""
    if source.flavour.name == "mysql":
        with source.connect() as session:
            execute(session, [f"CLONE LOCAL DATA DIRECTORY = {quoted(str(target))}"])
        return ""
    _run(
        [
            *source.flavour.program("backup"),
            *("--backup", f"--target-dir={target}", f"--socket={SOCKET}", "--user=root", "--parallel=2"),
        ],
        source.datadir,
        "mariadb-backup",
    )
    for name in ("mariadb_backup_binlog_info", "xtrabackup_binlog_info"):
        if (target / name).exists():
            fields = (target / name).read_text().split()
            return fields[2] if len(fields) > 2 else ""
    return ""


def _prepare(source: Server, data: Path) -> str:
    """Do now what would else cost time in a recovery; the position of the data where it is known only now."""
    if source.flavour.name == "mariadb":
        argv = [*source.flavour.program("backup"), "--prepare", f"--target-dir={data}", "--use-memory=512M"]
        _run(argv, data, "mariadb-backup --prepare")
        return ""
    # A clone recovers when it is first begun, and it is a replica of the same primary as its source.
    with (
        start_plain(
            source.flavour, data, name="clone", options={"skip-log-bin": None, "skip-replica-start": None}
        ) as clone,
        clone.connect() as session,
    ):
        position = source.flavour.gtid_executed(session)
        execute(session, source.flavour.forget_replication())
    for name in _OWN_TO_A_SERVER:
        path = data / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return position


def _logical(source: Server, target: Path) -> str:
    """Dump all that is not the system's own, and the accounts; the position by the dump's account."""
    target.mkdir()
    with source.connect() as session:
        (target / ACCOUNTS).write_text("".join(f"{line};\n" for line in _accounts(source, session)))
        names = [row["n"] for row in rows(session, "SELECT SCHEMA_NAME AS n FROM information_schema.SCHEMATA")]
    argv = [
        *source.flavour.program("dump"),
        *(f"--socket={SOCKET}", "--user=root", "--default-character-set=utf8mb4", "--single-transaction", "--quick"),
        *("--routines", "--events", "--triggers", "--hex-blob", "--max-allowed-packet=1G", *_position_options(source)),
        *("--databases", *sorted(name for name in names if name not in SYSTEM_SCHEMAS)),
    ]
    return _dumped_position(_dump(argv, source.datadir, target / DUMP))


def _position_options(source: Server) -> list[str]:
    with source.connect() as session:
        if source.flavour.replica_status(session) is not None:
            return [] if source.flavour.name == "mariadb" else ["--set-gtid-purged=OFF"]
    if source.flavour.name == "mariadb":
        return ["--master-data=2", "--gtid"]
    return ["--source-data=2", "--set-gtid-purged=COMMENTED"]


def _dump(argv: list[str], cwd: Path, target: Path) -> str:
    """Run a dump into a compressed file; its first and last words, which name its position."""
    import zstandard

    head = tail = b""
    with (
        target.open("wb") as file,
        subprocess.Popen(
            [*LEASH, *argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout
        assert process.stderr
        complaints = pool.submit(process.stderr.read)
        try:
            with zstandard.ZstdCompressor(level=1, threads=2).stream_writer(file, closefd=False) as packed:
                while block := process.stdout.read(1 << 20):
                    head, tail = head or block[:20000], (tail + block)[-20000:]
                    packed.write(block)
        except OSError as error:
            process.kill()
            raise StepFailed(f"the dump cannot be written: {error.strerror}", _room_hint(target.parent)) from error
        if process.wait():
            raise StepFailed(f"the dump failed: {_last(complaints.result())}")
    return (head + b"\n" + tail).decode("utf-8", "replace")


def _dumped_position(text: str) -> str:
    match = re.search(r"gtid_slave_pos='([\d,-]+)'", text) or re.search(r"GTID_PURGED=[^']*'\+?([^']+)'", text)
    return "".join(match[1].split()) if match else ""


def _accounts(source: Server, session: Session) -> Iterator[str]:
    if source.flavour.name == "mysql":
        execute(session, ["SET SESSION print_identified_with_as_hex = ON"])
    for row in rows(session, "SELECT User AS u, Host AS h FROM mysql.user"):
        if row["u"] not in _SYSTEM_ACCOUNTS:
            account = f"{quoted(row['u'])}@{quoted(row['h'])}"
            yield str(value(session, f"SHOW CREATE USER {account}"))
            for grant in rows(session, f"SHOW GRANTS FOR {account}"):
                yield str(next(iter(grant.values())))


def _files(data: Path) -> tuple[File, ...]:
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    with ThreadPoolExecutor(2) as pool:
        sums = list(pool.map(file_checksum, paths))
    return tuple(
        File(str(path.relative_to(data)), path.stat().st_size, digest) for path, digest in zip(paths, sums, strict=True)
    )


def _ensure_room(source: Server, backups: Path, method: Method) -> None:
    needed = 0
    for path in source.datadir.rglob("*"):
        if not str(path.relative_to(source.datadir)).startswith(_LOGS):
            with suppress(FileNotFoundError):  # the server goes on, and removes what it needs no more
                needed += path.lstat().st_blocks * 512
    needed = needed // 4 if method == "logical" else needed + _SPARE_BYTES
    if needed > shutil.disk_usage(backups).free:
        raise StepFailed(f"no room for a backup of {needed >> 20} MiB in {backups}", _room_hint(backups))


def _room_hint(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free >> 20} MiB are free there; make room, or remove old backups"


def _run(argv: list[str], cwd: Path, what: str) -> None:
    """Run a program where the server's socket has a short name."""
    done = subprocess.run(
        [*LEASH, *argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode:
        said = _last(done.stderr)
        full = "No space left" in said or "Errcode: 28" in said or os.strerror(28) in said
        raise StepFailed(f"{what} failed with {done.returncode}: {said}", _room_hint(cwd) if full else "")


def _last(said: bytes) -> str:
    return " / ".join(said.decode("utf-8", "replace").strip().splitlines()[-3:])
