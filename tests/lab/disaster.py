"""One disaster for each flavour, made once: backups and an archive of a database that is gone, and what it had held."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trio import Trio, Writer, trio, until

from ftchaos.mysql import archive, restore, take, verify
from ftchaos.mysql.backup import Backup
from ftchaos.mysql.chain import reach
from ftchaos.mysql.flavour import Flavour
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.server import Server, start_plain
from ftchaos.mysql.session import Session, execute


@dataclass(frozen=True)
class Moment:
    """The database at one moment while nobody wrote.

    Attributes:
        gtid: its position.
        content: what it held.
        at_s: a UTC time shortly after, a second or more from any commit.
    """

    gtid: str
    content: verify.Record
    at_s: float


@dataclass(frozen=True)
class Disaster:
    """What is left, and what was.

    Attributes:
        older, newer: physical backups, under load.
        logical: a dump, the newest of all.
        between: a moment after all backups and before more was written.
        end: the last moment.
        password: of the accounts.
    """

    folder: Path
    flavour: Flavour
    older: Backup
    newer: Backup
    logical: Backup
    between: Moment
    end: Moment
    password: str

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def logs(self) -> Path:
        """The folder with the logs of the lost primary."""
        return archive.lineages(self.archive)[0].folder

    def copy(self, folder: Path) -> Disaster:
        """The same with backups and an archive of its own, for tests that damage them."""
        for name in ("backups", "archive"):
            shutil.copytree(self.folder / name, folder / name)
        return Disaster(
            folder,
            self.flavour,
            *(Backup.read(folder / "backups" / one.id) for one in (self.older, self.newer, self.logical)),
            self.between,
            self.end,
            self.password,
        )

    @contextmanager
    def restored(self, backup: Backup, folder: Path) -> Iterator[Server]:
        """A server with a backup, as the first half of a recovery leaves it."""
        folder.mkdir(exist_ok=True)
        restore.lay(backup, folder / "data", self.flavour)
        options = {"event-scheduler": "OFF"}  # MariaDB makes no events where it is DISABLED
        with start_plain(
            self.flavour, folder / "data", name="restored", log=folder / "error.log", options=options
        ) as server:
            restore.load(backup, server)
            yield server


@cache
def disaster(flavour_name: str) -> Disaster:
    """The disaster of a flavour; its files go when the tests are over."""
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-disaster-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with trio(flavour_name) as made, _archived(made, folder / "archive"):
        made.replicate()
        _define_more(made)
        backups = [_take(made, folder, method) for method in ("physical", "physical", "logical")]
        with _load(made):
            time.sleep(0.3)
        between = _moment(made)
        with _load(made):
            _flush(made)
            time.sleep(0.3)
            _flush(made)
        end = _moment(made)
        wanted = GtidSet.parse(end.gtid)
        until(lambda: reach(archive.logs_for(folder / "archive", GtidSet()), GtidSet()).after == wanted)
    return Disaster(folder, made.flavour, *backups, between, end, made.password)


@contextmanager
def _archived(made: Trio, folder: Path) -> Iterator[None]:
    primary = made.servers["mysql-a"]
    secret = folder.parent / "secret"
    secret.write_text(made.password)
    config = archive.Config(made.flavour.name, primary.address, primary.port, "replication", str(secret), str(folder))
    process = subprocess.Popen(config.write(folder.parent / "archiver.json"), stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _define_more(made: Trio) -> None:
    """What a dump may forget: a view, a trigger, a routine, an event."""
    with made.servers["mysql-a"].connect("filetransfer") as session:
        execute(
            session,
            [
                "CREATE VIEW recent AS SELECT id, name FROM files WHERE id > 10",
                "CREATE TABLE audit (id INT PRIMARY KEY AUTO_INCREMENT, what TEXT NULL, who TEXT NULL, raw BLOB NULL)",
                "CREATE TRIGGER noted AFTER UPDATE ON files FOR EACH ROW"
                " INSERT INTO audit (what, who, raw) VALUES (NEW.name, NULL, UNHEX('00FF'))",
                "CREATE PROCEDURE rename_file (f BIGINT) UPDATE files SET name = CONCAT(name, ' 改') WHERE id = f",
                "CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM audit WHERE id < 0",
            ],
        )


@contextmanager
def _load(made: Trio) -> Iterator[Writer]:
    """Writers of the ledger, and one that updates and deletes as the application does."""
    writer, application = Writer(made, lambda: "mysql-a"), _Application(made, lambda: "mysql-a")
    # Each load begins far beyond the one before, because ids are unique.
    writer.next_id = int(time.monotonic() * 1e6)
    writer.start()
    application.start()
    try:
        yield writer
    finally:
        writer.end()
        application.end()


class _Application(Writer):
    def run(self) -> None:
        with self.made.servers["mysql-a"].connect("filetransfer") as session:
            while not self.ending.is_set():
                number, self.next_id = self.next_id, self.next_id + 1
                _change(session, number)
                time.sleep(0.01)


def _change(session: Session, number: int) -> None:
    execute(
        session,
        [
            "BEGIN",
            f"CALL rename_file({1 + number % 300})",
            f"INSERT INTO transfers (file_id, status, created_at) VALUES ({1 + number % 300}, 'queued', NOW(6))",
            f"UPDATE thumbnails SET image = CONCAT(UNHEX('00'), image) WHERE file_id = {2 + number % 200 * 2}",
            f"DELETE FROM transfer_events WHERE id = {number}",
            "COMMIT",
        ],
    )


def _take(made: Trio, folder: Path, method: str) -> Backup:
    with _load(made):
        time.sleep(0.2)
        return take.take(made.servers["mysql-c"], folder / "backups", method)  # type: ignore[arg-type]


def _flush(made: Trio) -> None:
    with made.servers["mysql-a"].connect() as session:
        execute(session, ["FLUSH BINARY LOGS"])


def _moment(made: Trio) -> Moment:
    """The state of the primary, and then a time that is more than a second from any commit."""
    made.caught_up("mysql-a", "mysql-b")
    primary = made.servers["mysql-a"]
    with primary.connect() as session:
        gtid = made.flavour.gtid_executed(session)
    content = verify.record(primary.connect)
    time.sleep(1.1)
    at_s = time.time()
    time.sleep(1.1)
    return Moment(gtid, content, at_s)
