"""Restore and replay by ftchaos, against a shell script with the fastest raw commands, the habit, and dumps.

    python benchmarks/restore.py [--size 1GiB] [--flavour mariadb|mysql] [--rounds 5] [--habit] [--dumps]

All begin with the same backup and the same archived log of 56,762 transactions, and end when the last one is applied.
The raw script and ftchaos take turns; the medians count. The script is benchmarks/restore_raw.sh.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import replay, restore, take, template, verify
from ftchaos.mysql.backup import Backup
from ftchaos.mysql.flavour import Flavour
from ftchaos.mysql.haste import hasty
from ftchaos.mysql.reading import Reading
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.session import SOCKET, execute, rows, value
from ftchaos.units import size_bytes

TRANSACTIONS = 56_762
THREADS = 4
HERE = Path(__file__).parent
# Of every server; MariaDB shows and makes no events where its scheduler is disabled for good.
POOL: dict[str, str | int | None] = {"innodb-buffer-pool-size": "256M", "event-scheduler": "OFF"}


@dataclass(frozen=True)
class Case:
    """What everybody begins with, and the content that everybody must end with."""

    folder: Path
    flavour: Flavour
    backup: Backup
    logical: Backup | None
    archive: Path
    executed: str
    content: verify.Record


def prepare(flavour: Flavour, size: int, folder: Path, dumps: bool) -> Case:
    """A server with rows, its backups, and then the load whose log is archived."""
    datadir = folder / "source"
    template.copy(template.template(flavour, size, print), datadir)
    with start_plain(flavour, datadir, name="source", options=POOL) as server:
        backup = take.take(server, folder / "backups", "physical")
        logical = take.take(server, folder / "backups", "logical") if dumps else None
        if dumps:
            mydump(server, folder / "mydumper")
        with server.connect() as session, hasty(flavour, session):
            load(server)
        content = verify.record(server.connect)
        with server.connect() as session:
            executed = flavour.gtid_executed(session)
    archive = folder / "archive"
    archive.mkdir()
    for log in datadir.glob("binlog.0*"):
        shutil.move(log, archive)
    shutil.rmtree(datadir)
    return Case(folder, flavour, backup, logical, archive, executed, content)


def load(server: Server) -> None:
    """Uploads as the application makes them, one transaction each."""

    def write(thread: int) -> None:
        with server.connect("filetransfer") as session, session.cursor() as cursor:
            session.autocommit(False)
            for number in range(thread, TRANSACTIONS, THREADS):
                cursor.execute(
                    "INSERT INTO files (owner_id, name, size_bytes, checksum, content, upload_key, created_at)"
                    " VALUES (%s, %s, %s, SHA2(%s, 256), %s, %s, NOW(6))",
                    (1 + number % 100, f"Übersicht {number}.pdf", number, number, f"{number:x}" * 80, number),
                )
                cursor.execute(
                    "INSERT INTO transfers (file_id, status, created_at) VALUES (%s, 'queued', NOW(6))",
                    (cursor.lastrowid,),
                )
                cursor.execute(
                    "INSERT INTO transfer_events (transfer_id, kind, at) VALUES (%s, 'queued', NOW(6))",
                    (cursor.lastrowid,),
                )
                session.commit()

    writers = [threading.Thread(target=write, args=(thread,)) for thread in range(THREADS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def ours(case: Case, datadir: Path) -> dict[str, float]:
    """What a drill does between its decision and its last verification, without the verifications."""
    marks = {"begin": time.monotonic()}
    choice = restore.choose(case.backup.folder.parent, case.archive, exclude=logical_ones(case))
    reading = Reading(case.archive, choice.backup.position)
    restore.lay(choice.backup, datadir, case.flavour)
    marks["restore"] = time.monotonic()
    with start_plain(case.flavour, datadir, options=POOL) as server:
        restore.load(choice.backup, server)
        marks["start"] = time.monotonic()
        replay.replay(server, reading.result())
        marks["replay"] = time.monotonic()
        ensure_right(case, server)
    instants = list(marks.values())
    times = dict(zip(list(marks)[1:], (b - a for a, b in pairwise(instants)), strict=True))
    return {"total": instants[-1] - instants[0], **times}


def logical_ones(case: Case) -> list[restore.Rejected]:
    return [restore.Rejected(case.logical.id, "a dump")] if case.logical else []


def ensure_right(case: Case, server: Server) -> None:
    if flaws := verify.differences(case.content, verify.record(server.connect)):
        raise SystemExit(f"not restored: {flaws}")


def by_script(case: Case, datadir: Path, way: str) -> dict[str, float]:
    """The same work by commands of the shell; it says itself how long it took."""
    flavour = case.flavour
    options = {**POOL, "read-only": 0, "skip-slave-start": None, "relay-log-recovery": 0}
    if flavour.name == "mysql":
        options["skip-replica-start"] = options.pop("skip-slave-start")
    argv = flavour.server_argv(datadir, server_id=9, bind=None, port=0, options=options)
    environment = {
        "FLAVOUR": flavour.name,
        "WAY": way,
        "BACKUP": str(case.backup.data),
        "ARCHIVE": str(case.archive),
        "DATA": str(datadir),
        "SERVER": shlex.join(argv),
        "CLIENT": shlex.join([*flavour.program("client"), f"--socket={SOCKET}", "--user=root"]),
        "BINLOG": shlex.join(flavour.program("binlog")),
        "TOOL": shlex.join(flavour.program("backup")) if flavour.name == "mariadb" else "",
        "LAST": case.executed,
    }
    done = subprocess.run(
        ["bash", str(HERE / "restore_raw.sh")], env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"the {way} script failed: {done.stdout}{done.stderr}")
    times = {name: float(took) for name, took in (line.split() for line in done.stdout.splitlines())}
    try:
        ensure_right(case, Server("raw", flavour, datadir))
    finally:
        with Server("raw", flavour, datadir).connect() as session:
            pid = value(session, "SELECT @@pid_file")
            process = int((datadir / str(pid)).read_text())
            execute(session, ["SHUTDOWN"])
        while Path(f"/proc/{process}").exists():
            time.sleep(0.05)
    return {"total": sum(times.values()), **times}


def mydump(server: Server, folder: Path) -> None:
    folder.mkdir()
    run_at(
        server, ["mydumper", "--threads=2", f"--outputdir={folder}", "--regex=^(filetransfer|ftchaos)\\.", "--no-locks"]
    )


def run_at(server: Server, argv: list[str]) -> None:
    """Run a program of mydumper, which wants a socket under a short path, at a server."""
    with tempfile.TemporaryDirectory() as short:
        link = Path(short, "s")
        link.symlink_to(server.datadir / SOCKET)
        subprocess.run([*argv, "--user=root", f"--socket={link}"], check=True, stdout=subprocess.DEVNULL)


def by_dump(case: Case, datadir: Path, way: str) -> float:
    """Loading a dump into an empty server, without the log."""
    assert case.logical
    began = time.monotonic()
    restore.lay(case.logical, datadir, case.flavour)
    with start_plain(case.flavour, datadir, options=POOL) as server:
        if way == "dump":
            restore.load(case.logical, server)
        else:
            with server.connect() as session, hasty(case.flavour, session, redo=False):
                run_at(server, ["myloader", "--threads=2", f"--directory={case.folder / 'mydumper'}"])
                rows(session, "SELECT COUNT(*) FROM filetransfer.files")
        return time.monotonic() - began


def once(case: Case, work: Callable[[Case, Path], dict[str, float]]) -> dict[str, float]:
    """One measurement on a fresh data folder, after everything before it is on disk."""
    os.sync()
    datadir = case.folder / "restored"
    try:
        return work(case, datadir)
    finally:
        shutil.rmtree(datadir, ignore_errors=True)


def medians(measured: list[dict[str, float]]) -> str:
    names = measured[0]
    return ", ".join(f"{name} {statistics.median(one[name] for one in measured):.2f} s" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1GiB", type=size_bytes)
    parser.add_argument("--flavour", choices=flavours.NAMES, default="mariadb")
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--habit", action="store_true")
    parser.add_argument("--dumps", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-benchmark-", dir="/var/tmp"))
    try:
        case = prepare(flavours.find(given.flavour), given.size, folder, given.dumps)
        log_bytes = sum(log.stat().st_size for log in case.archive.iterdir())
        print(f"{given.flavour} {given.size >> 20} MiB, {TRANSACTIONS} transactions in {log_bytes / 1e6:.0f} MB of log")
        mine, raw = [], []
        for _ in range(given.rounds):
            mine.append(once(case, ours))
            raw.append(once(case, lambda case, datadir: by_script(case, datadir, "raw")))
        print(f"ftchaos: {medians(mine)}")
        print(f"raw:     {medians(raw)}")
        ratio = statistics.median(a["total"] for a in mine) / statistics.median(b["total"] for b in raw)
        each = ", ".join(f"{a['total'] / b['total']:.3f}" for a, b in zip(mine, raw, strict=True))
        print(f"ratio of the medians {ratio:.3f} (by round {each})")
        print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
        median = statistics.median(a["total"] for a in mine)
        if given.habit:
            habit = once(case, lambda case, datadir: by_script(case, datadir, "habit"))
            print(f"habit:   {medians([habit])}: {habit['total'] / median:.1f} times as long")
        if given.dumps:
            for way in ("dump", "myloader"):
                took = once(case, lambda case, datadir, way=way: {"total": by_dump(case, datadir, way)})["total"]
                print(f"{way}: {took:.1f} s to load without the log, against {medians(mine)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
