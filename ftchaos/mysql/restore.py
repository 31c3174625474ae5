"""Brings a backup back: chooses the newest usable one, lays its data down, checked as it is copied, and loads it.

The backup itself is only ever read. Whoever calls begins the server between :func:`lay` and :func:`load`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Lock
from typing import IO

import xxhash

from ftchaos.errors import Invalid, StepFailed, Unusable
from ftchaos.mysql.archive import lineages, logs_for
from ftchaos.mysql.backup import ACCOUNTS, DUMP, Backup, File, Rejected, backups_in, file_checksum
from ftchaos.mysql.chain import continues
from ftchaos.mysql.flavour import Flavour, quoted
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.haste import hasty
from ftchaos.mysql.server import Server
from ftchaos.mysql.session import SOCKET, Session, execute

Progress = Callable[[int, int], None]  # bytes done, bytes in all
THREADS = 2
_BLOCK_BYTES = 256 << 10  # what is read is summed and written while it still is in the processor's cache
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Choice:
    """The backup to restore from.

    Attributes:
        logs: the folder of logs that continues it; None without an archive.
        rejected: newer ones that were passed over, and why.
    """

    backup: Backup
    logs: Path | None
    rejected: tuple[Rejected, ...]


def choose(
    backups: Path,
    archive: Path | None,
    *,
    flavour: str = "",
    before_at_s: float | None = None,
    exclude: Collection[Rejected] = (),
) -> Choice:
    """The newest backup that can be used.

    Args:
        backups: where they lie.
        archive: the archive that continues them, or None.
        flavour: of the server that it is for; empty for any.
        before_at_s: UTC seconds of the target; what was taken later is of no use. None for no target.
        exclude: those that proved unusable, and why.

    Raises:
        Unusable: there is none; says what was wrong with each.
        Invalid: the target lies before all of them.
    """
    found, damaged = backups_in(backups)
    rejected = list(damaged)
    unfit = {one.id: one for one in exclude}
    late = False
    for backup in found:
        why = ""
        if backup.id in unfit:
            why = unfit[backup.id].why
        elif before_at_s is not None and datetime.fromisoformat(backup.consistent_at).timestamp() > before_at_s:
            late = True
            why = f"it was taken at {backup.consistent_at}, after the target"
        logs: Path | None = None
        if not why:
            try:
                _ensure_fits(backup, flavour)
                logs = _ensure_continued(backup, archive) if archive else None
            except Unusable as error:
                why = error.fact
        if not why:
            return Choice(backup, logs, tuple(rejected))
        rejected.append(Rejected(backup.id, why))
    if late and all("after the target" in one.why for one in rejected):
        raise Invalid("the target lies before the oldest backup", f"choose a time after {found[-1].consistent_at}")
    reasons = "; ".join(f"{one.id}: {one.why}" for one in rejected) or "there is none"
    raise Unusable(f"no usable backup in {backups}: {reasons}", "take one with the lab up, or look into its folder")


def lay(backup: Backup, datadir: Path, flavour: Flavour, progress: Progress | None = None) -> None:
    """Make the data folder that the restored server begins on; nothing is left of it when that fails.

    Args:
        backup: it stays as it is.
        datadir: must not exist; its parent must.
        flavour: of the server.
        progress: told how many bytes are copied, and of how many.

    Raises:
        Unusable: a file of the backup is missing, too short, or not what it was; take the backup before.
        StepFailed: there is no room, or the folder exists.
    """
    if datadir.exists():
        raise StepFailed(f"{datadir} exists already", "a restore never writes over data")
    with _unless_whole(datadir):
        if backup.method == "logical":
            flavour.initialize(datadir)
        else:
            _ensure_room(backup.size_bytes, datadir.parent)
            _copy(backup, datadir, progress or (lambda done, total: None))


def load(backup: Backup, server: Server, progress: Progress | None = None) -> None:
    """Give a fresh server, begun on what :func:`lay` made, the rest: a dump's rows, and the position of the backup.

    Raises:
        Unusable: the dump is not what it was, or the server does not have the backup's position.
        StepFailed: the server refused a part of the dump.
    """
    flavour = server.flavour
    with server.connect() as session:
        if backup.method == "logical":
            _load_dump(backup, server, session, progress or (lambda done, total: None))
        if flavour.name == "mariadb":
            # Its copy says what its source had as a replica, not what that wrote itself. And its own log must continue
            # that history, so that it can serve replicas and be archived in its turn. Nothing is logged yet, so the
            # log need not be reset, which would take a second.
            variables = ("gtid_slave_pos", "gtid_binlog_state")
            execute(session, [f"SET GLOBAL {name} = {quoted(backup.gtid)}" for name in variables])
        elif backup.method == "logical":
            execute(session, flavour.set_gtid_position(backup.gtid))
        executed = flavour.gtid_executed(session)
        if GtidSet.parse(executed) != backup.position:
            raise Unusable(f"backup {backup.id} should be at {backup.gtid}, but its data is at {executed}")


def _ensure_fits(backup: Backup, flavour: str) -> None:
    if flavour and backup.flavour != flavour:
        raise Unusable(f"it is of {backup.flavour}, not of {flavour}")
    for file in backup.files:
        try:
            size = (backup.data / file.name).stat().st_size
        except OSError as error:
            raise Unusable(f"its file {file.name} is missing") from error
        if size != file.size_bytes:
            raise Unusable(f"its file {file.name} has {size:,} of {file.size_bytes:,} bytes")


def _ensure_continued(backup: Backup, archive: Path) -> Path:
    """The logs that continue a backup, once it is sure that they are of the same servers."""
    known = lineages(archive)
    origin = backup.origin
    if known and known[-1].flavour != backup.flavour:
        raise Unusable(f"it is of {backup.flavour}, the archive of {known[-1].flavour}")
    if known and origin:
        same = [one for one in known if (one.server_id, one.server_uuid) == (origin.server_id, origin.server_uuid)]
        if not same:
            raise Unusable(f"it is of another server: nothing of server {origin.server_id} is in the archive")
        log = same[-1].folder / origin.file
        consistent_at_s = datetime.fromisoformat(backup.consistent_at).timestamp()
        if log.exists() and not continues(log, origin.position, backup.position, consistent_at_s):
            raise Unusable(f"it is of another server: what follows it in {origin.file} is not its next transaction")
        if log.exists() and not origin.before.fits(log, origin.position):
            raise Unusable(f"it is of another server: what comes before it in {origin.file} are other transactions")
    return logs_for(archive, backup.position, (origin.server_id, origin.server_uuid) if origin else None)


@contextmanager
def _unless_whole(datadir: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(datadir, ignore_errors=True)
        raise


def _ensure_room(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise StepFailed(
            f"no room for {needed >> 20} MiB of restored data in {folder}: {free >> 20} MiB are free", "make room"
        )


def _copy(backup: Backup, datadir: Path, progress: Progress) -> None:
    """Copy all files and sum them up in the same pass, the biggest first."""
    for folder in (backup.data, *(path for path in sorted(backup.data.rglob("*")) if path.is_dir())):
        target = datadir / folder.relative_to(backup.data)
        target.mkdir()
        shutil.copymode(folder, target)
    total, done, failed, lock = backup.size_bytes, 0, Event(), Lock()

    def told(count: int) -> None:
        nonlocal done
        with lock:
            done += count
        progress(done, total)

    def copy(file: File) -> None:
        if failed.is_set():
            return
        try:
            _copy_file(backup, file, datadir, told)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(copy, file) for file in sorted(backup.files, key=lambda file: -file.size_bytes)]
        try:
            for future in futures:
                future.result()
        except BaseException:  # a signal too: the other thread must not copy on
            failed.set()
            raise


def _copy_file(backup: Backup, file: File, datadir: Path, told: Callable[[int], None]) -> None:
    source, target = backup.data / file.name, datadir / file.name
    digest = xxhash.xxh3_64()
    buffer = memoryview(bytearray(_BLOCK_BYTES))
    since_told = 0
    try:
        with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
            os.fchmod(new.fileno(), source.stat().st_mode & 0o777)
            while count := old.readinto(buffer):
                digest.update(buffer[:count])
                _write_all(new, buffer[:count])
                since_told += count
                if since_told >= 8 << 20:
                    told(since_told)
                    since_told = 0
    except OSError as error:
        raise StepFailed(f"{file.name} cannot be copied to {datadir}: {error.strerror}", "make room") from error
    told(since_told)
    _ensure_sum(backup, file, digest.hexdigest())


def _ensure_sum(backup: Backup, file: File, found: str) -> None:
    if found != file.xxh3:
        raise Unusable(f"file {file.name} of backup {backup.id} is damaged: its checksum differs from the one recorded")


def _write_all(file: IO[bytes], block: memoryview) -> None:
    while len(block):
        block = block[file.write(block) :]


def _load_dump(backup: Backup, server: Server, session: Session, progress: Progress) -> None:
    """Run the dump and the accounts in the server, without writing any of it to its binary log."""
    flavour = server.flavour
    expected = {file.name: file for file in backup.files}
    argv = [*flavour.program("client"), f"--socket={SOCKET}", "--user=root", "--default-character-set=utf8mb4"]
    argv += ["--max-allowed-packet=1G", "--init-command=SET SESSION sql_log_bin = 0, foreign_key_checks = 0"]
    with (
        hasty(flavour, session, redo=False),
        subprocess.Popen(
            argv, cwd=server.datadir, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        assert client.stdin
        assert client.stderr
        complaints = pool.submit(client.stderr.read)
        try:
            with suppress(BrokenPipeError):  # the client's own words say why it left
                _unpack(backup, expected[DUMP], client.stdin, progress)
                client.stdin.write((backup.data / ACCOUNTS).read_bytes() + b"FLUSH PRIVILEGES;\n")
            with suppress(BrokenPipeError):
                client.stdin.close()
        except BaseException:
            client.kill()
            raise
        if client.wait():
            for file in backup.files:
                _ensure_sum(backup, file, file_checksum(backup.data / file.name))
            said = complaints.result().decode("utf-8", "replace").strip()
            raise StepFailed(f"{server.name} refused a part of the dump: {said[-300:]}")


def _unpack(backup: Backup, file: File, client: IO[bytes], progress: Progress) -> None:
    import zstandard

    digest, done = xxhash.xxh3_64(), 0
    path = backup.data / file.name
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    try:
        with path.open("rb") as packed:
            while block := packed.read(_BLOCK_BYTES):
                digest.update(block)
                client.write(unpacker.decompress(block))
                done += len(block)
                progress(done, file.size_bytes)
    except zstandard.ZstdError as error:
        raise Unusable(f"file {file.name} of backup {backup.id} is damaged: {error}") from error
    _ensure_sum(backup, file, digest.hexdigest())
