"""The continuous archive of the binary log, outside of all zones, so that a restore can reach the last transaction.

Layout: one folder for each server that was the primary, in their order; ``0002-server-3/lineage.json`` says whose logs
lie there, beside them under the server's own names. The server's own program for reading logs writes them; what it
fetches again after a restart grows in ``incoming`` and takes its place only when it has at least as much.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftchaos.clock import iso
from ftchaos.errors import Unusable
from ftchaos.mysql.chain import begins_after, end_of, logs_in
from ftchaos.mysql.gtidset import GtidSet

INCOMING = "incoming"
DESCRIPTION = "lineage.json"
_OUR_SERVER_ID = 4_000_000_001  # as which the archiver registers; no real server has it
_POLL_S = 0.05
_ASK_EVERY_S = 1.0
_AGAIN_S = 0.2
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Lineage:
    """The logs of one server, as long as it was the primary.

    Attributes:
        folder: where they lie.
        flavour: ``mariadb`` or ``mysql``.
        server_id: the server's replication id.
        server_uuid: its uuid; empty on MariaDB, which has none.
        begun_at: UTC time of the first connection.
    """

    folder: Path
    flavour: str
    server_id: int
    server_uuid: str
    begun_at: str


@dataclass(frozen=True)
class Config:
    """What an archiver needs to know; a JSON file, because a password does not belong on a command line.

    Attributes:
        flavour: ``mariadb`` or ``mysql``.
        host: address of the writer of the moment.
        port: its port.
        user: an account that may replicate.
        secret_file: file with its password.
        folder: the archive.
    """

    flavour: str
    host: str
    port: int
    user: str
    secret_file: str
    folder: str

    def write(self, path: Path) -> list[str]:
        """Write it, and give the argv that runs an archiver with it until it is killed."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return [sys.executable, "-m", __name__, str(path)]


def lineages(archive: Path) -> list[Lineage]:
    """The lineages of an archive, the oldest first; none in a plain folder of logs."""
    found = []
    for description in sorted(archive.glob(f"[0-9]*-server-*/{DESCRIPTION}")):
        facts = json.loads(description.read_text())
        found.append(Lineage(description.parent, **{k: facts[k] for k in Lineage.__annotations__ if k != "folder"}))
    return found


def logs_for(archive: Path, since: GtidSet, server: tuple[int, str] | None = None) -> Path:
    """The folder of logs that continues a backup: of the newest lineage that does not begin after the backup.

    A lineage that has only begun may still lack what the one before has; then it is the one before.

    Args:
        archive: an archive, or a plain folder of logs.
        since: what the backup has.
        server: id and uuid of the primary under which it was taken, where they are known.

    Raises:
        Unusable: no lineage begins early enough, or a log is damaged in its head.
    """
    known = lineages(archive)
    if not known:
        return archive
    why: list[str] = []
    fitting: list[Lineage] = []
    for lineage in reversed(known):
        settle(lineage.folder)
        try:
            gap = begins_after(lineage.folder, since)
        except Unusable as error:
            gap = error.fact
        if gap:
            why.append(f"{lineage.folder.name}: {gap}")
            continue
        fitting.append(lineage)
        if (lineage.server_id, lineage.server_uuid) == server:
            break  # what came before this primary is in the backup
    if not fitting:
        raise Unusable(f"no part of the archive continues the backup: {'; '.join(why)}", "take a newer backup")
    best = fitting[0]
    for older in fitting[1:]:
        if not end_of(older.folder).within(end_of(best.folder)) and end_of(best.folder).within(end_of(older.folder)):
            best = older
    return best.folder


def newest(archive: Path) -> tuple[str, int] | None:
    """Name and size of the newest archived log, to see whether the archive grows; None before the first."""
    known = lineages(archive)
    with suppress(Unusable, FileNotFoundError):
        path = logs_in(known[-1].folder if known else archive)[-1]
        return str(path.relative_to(archive)), path.stat().st_size
    return None


def settle(folder: Path) -> None:
    """Give every log that was fetched into ``incoming`` its place, unless what lies there has more.

    Safe beside a running archiver: it writes on into the file wherever that is moved.

    Raises:
        Unusable: a log that was fetched again is not the one that was archived; the server is another one.
    """
    incoming = folder / INCOMING
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(incoming)):
            with suppress(FileNotFoundError):  # another process settled it first
                fetched, archived = incoming / name, folder / name
                if archived.exists():
                    if fetched.stat().st_size < archived.stat().st_size:
                        continue
                    _ensure_continues(archived, fetched)
                fetched.replace(archived)


def _ensure_continues(archived: Path, fetched: Path) -> None:
    with archived.open("rb") as old, fetched.open("rb") as new:
        while block := old.read(_BLOCK_BYTES):
            if new.read(len(block)) != block:
                raise Unusable(f"{archived.name} fetched again is another log than the one archived")


class Archiver:
    """Keeps one program running that reads the log of whoever is the writer, and puts the result in order."""

    def __init__(self, config: Config) -> None:
        from ftchaos.mysql.flavour import find

        self.config = config
        self.flavour = find(config.flavour)
        self.password = Path(config.secret_file).read_text().strip()
        self.archive = Path(config.folder)

    def follow(self) -> str:
        """Archive until the server or the connection is gone; says why it ended."""
        from ftchaos.mysql import session as sessions

        with sessions.reach(
            self.config.host,
            self.config.port,
            user=self.config.user,
            password=self.password,
            timeout_s=2,
            answer_timeout_s=3,
        ) as session:
            identity = self._identity(session)
            on_server = {row["Log_name"]: int(row["File_size"]) for row in sessions.rows(session, "SHOW BINARY LOGS")}
            folder = self._folder(identity, on_server)
            process = self._fetch(folder, _first(folder, on_server))
            try:
                return self._watch(session, identity, folder, process)
            finally:
                process.kill()
                process.wait()
                with suppress(Unusable):
                    settle(folder)

    def _identity(self, session: Any) -> dict[str, Any]:
        from ftchaos.mysql import session as sessions

        uuid = sessions.value(session, "SELECT @@server_uuid") if self.flavour.name == "mysql" else ""
        return {"server_id": int(sessions.value(session, "SELECT @@server_id")), "server_uuid": uuid}

    def _folder(self, identity: dict[str, Any], on_server: dict[str, int]) -> Path:
        """The lineage that the server continues, else a new one."""
        known = lineages(self.archive)
        if known:
            last = known[-1]
            same = {"server_id": last.server_id, "server_uuid": last.server_uuid} == identity
            if same and not (last.folder / "ended").exists() and _continues(last.folder, on_server):
                return last.folder
        number = int(known[-1].folder.name.split("-")[0]) + 1 if known else 1
        folder = self.archive / f"{number:04}-server-{identity['server_id']}"
        (folder / INCOMING).mkdir(parents=True, exist_ok=True)
        facts = {"flavour": self.flavour.name, **identity, "begun_at": iso(datetime.now(UTC))}
        unfinished = folder / (DESCRIPTION + ".new")
        unfinished.write_text(json.dumps(facts) + "\n")
        unfinished.rename(folder / DESCRIPTION)
        return folder

    def _fetch(self, folder: Path, first: str) -> subprocess.Popen[bytes]:
        incoming = folder / INCOMING
        for left in incoming.iterdir():
            left.unlink()
        register = "connection-server-id" if self.flavour.name == "mysql" else "stop-never-slave-server-id"
        argv = [
            *("setpriv", "--pdeathsig", "KILL", *self.flavour.program("binlog")),
            *("--read-from-remote-server", "--raw", "--stop-never", f"--{register}={_OUR_SERVER_ID}"),
            *(f"--host={self.config.host}", f"--port={self.config.port}", f"--user={self.config.user}"),
            *(f"--result-file={incoming}/", first),
        ]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, env={**os.environ, "MYSQL_PWD": self.password})

    def _watch(self, session: Any, identity: dict[str, Any], folder: Path, process: subprocess.Popen[bytes]) -> str:
        ask_at = time.monotonic() + _ASK_EVERY_S
        while process.poll() is None:
            try:
                settle(folder)
            except Unusable as error:
                (folder / "ended").touch()  # its names live on with another server behind them
                return error.fact
            # A program that waits for more does not notice that its server is gone behind a cut network.
            if time.monotonic() > ask_at:
                if self._identity(session) != identity:
                    return "another server is the writer now"
                ask_at = time.monotonic() + _ASK_EVERY_S
            time.sleep(_POLL_S)
        return f"the reading program ended with {process.returncode}"


def _first(folder: Path, on_server: dict[str, int]) -> str:
    """The log to begin with: the newest archived one, because it may have grown, else the server's oldest."""
    with suppress(Unusable):
        return logs_in(folder)[-1].name
    return next(iter(on_server))


def _continues(folder: Path, on_server: dict[str, int]) -> bool:
    """Whether the server still has the newest archived log, with at least as much in it."""
    settle(folder)
    try:
        last = logs_in(folder)[-1]
    except Unusable:
        return True
    return on_server.get(last.name, -1) >= last.stat().st_size


def main(arguments: Sequence[str]) -> int:
    """Archive until killed: ``python -m ftchaos.mysql.archive CONFIG.json``."""
    from pymysql.err import MySQLError

    from ftchaos.errors import FtchaosError

    archiver = Archiver(Config(**json.loads(Path(arguments[0]).read_text())))
    said = ""
    while True:
        try:
            ended = archiver.follow()
        except (FtchaosError, MySQLError, OSError) as error:
            ended = str(error)
        if ended != said:
            print(f"{iso(datetime.now(UTC))} {ended}", file=sys.stderr, flush=True)  # noqa: T201
            said = ended
        time.sleep(_AGAIN_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
