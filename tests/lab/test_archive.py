"""The continuous archive: complete whatever dies, and apart for each server that was the primary."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from trio import Trio, Writer, insert, trio, until

from ftchaos.errors import Unusable
from ftchaos.mysql import archive, replication
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql.chain import Reach, logs_in, reach
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.session import execute


@pytest.fixture(scope="module", params=flavours.NAMES)
def made(request: pytest.FixtureRequest) -> Iterator[Trio]:
    """A primary with two replicas."""
    with trio(str(request.param)) as servers:
        servers.replicate()
        yield servers


@contextmanager
def archiver(made: Trio, folder: Path, primary: str) -> Iterator[subprocess.Popen[bytes]]:
    """An archiver of a server, killed at the end."""
    server = made.servers[primary]
    secret = folder.parent / "secret"
    secret.write_text(made.password)
    config = archive.Config(made.flavour.name, server.address, server.port, "replication", str(secret), str(folder))
    process = subprocess.Popen(config.write(folder.parent / "archiver.json"), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def executed(made: Trio, name: str) -> GtidSet:
    with made.servers[name].connect() as session:
        return GtidSet.parse(made.flavour.gtid_executed(session))


def archived(folder: Path) -> Reach | None:
    try:
        return reach(archive.logs_for(folder, GtidSet()), GtidSet())
    except (Unusable, FileNotFoundError):
        return None


def holds(folder: Path, wanted: GtidSet) -> bool:
    found = archived(folder)
    return found is not None and found.after == wanted


def test_archive_has_every_transaction_after_any_number_of_kills(made: Trio, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    writer = Writer(made, lambda: "mysql-a")
    writer.start()
    sizes = []
    try:
        for _ in range(4):
            with archiver(made, folder, "mysql-a"):
                before = archive.newest(folder)
                until(lambda before=before: archive.newest(folder) not in (None, before), what="the archive grows")
                with made.servers["mysql-a"].connect() as session:
                    execute(session, ["FLUSH BINARY LOGS"])
                until(lambda: len(writer.acknowledged) % 50 == 0)
            sizes.append({path.name: path.stat().st_size for path in logs_in(archive.lineages(folder)[0].folder)})
    finally:
        writer.end()
    with archiver(made, folder, "mysql-a"):
        until(lambda: holds(folder, executed(made, "mysql-a")), what="the archive has all")

    assert len(archive.lineages(folder)) == 1
    for earlier, later in pairwise(sizes):  # nothing archived ever became less
        assert all(later.get(name, 0) >= size for name, size in earlier.items())


def test_password_is_on_no_command_line(made: Trio, tmp_path: Path) -> None:
    with archiver(made, tmp_path / "archive", "mysql-a") as process:
        until(lambda: archive.newest(tmp_path / "archive"))
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]

    assert any(str(process.args[-1]).encode() in line for line in lines)
    assert not any(made.password.encode() in line for line in lines)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_reading_program_dies_with_its_archiver(made: Trio, tmp_path: Path) -> None:
    with archiver(made, tmp_path / "archive", "mysql-a") as process:
        until(lambda: archive.newest(tmp_path / "archive"))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_fetched_again_log_of_another_server_never_replaces_what_is_archived(tmp_path: Path) -> None:
    logs = Path(__file__).parents[1] / "unit/binlogs/mariadb"
    incoming = tmp_path / archive.INCOMING
    incoming.mkdir()
    whole = (logs / "binlog.000002").read_bytes()
    (tmp_path / "binlog.000001").write_bytes((logs / "binlog.000001").read_bytes())
    (incoming / "binlog.000001").write_bytes(whole)

    with pytest.raises(Unusable, match="another log"):
        archive.settle(tmp_path)

    assert (tmp_path / "binlog.000001").read_bytes() == (logs / "binlog.000001").read_bytes()


def test_new_primary_begins_a_lineage_of_its_own_that_continues_every_backup(made: Trio, tmp_path: Path) -> None:
    """Last in this module, because it kills the primary."""
    folder = tmp_path / "archive"
    with archiver(made, folder, "mysql-a"):
        until(lambda: holds(folder, executed(made, "mysql-a")))
    early = executed(made, "mysql-a")
    made.caught_up("mysql-a", "mysql-b", "mysql-c")
    made.kill("mysql-a")
    b, c = made.servers["mysql-b"], made.servers["mysql-c"]
    with b.connect() as session:
        replication.promote(made.flavour, session)
    replication.attach(c, b, made.password)
    with made.app("mysql-b") as session:
        insert(session, 1 << 50)

    with archiver(made, folder, "mysql-b"):
        until(lambda: len(archive.lineages(folder)) == 2 and holds(folder, executed(made, "mysql-b")))

    assert [lineage.server_id for lineage in archive.lineages(folder)] == [1, 2]
    assert archive.logs_for(folder, early) == archive.lineages(folder)[1].folder
    found = reach(archive.logs_for(folder, early), early)
    assert found.count == 1


def test_lineage_that_has_only_begun_does_not_hide_what_the_one_before_has(tmp_path: Path) -> None:
    logs = Path(__file__).parents[1] / "unit/binlogs/mariadb"
    for number, names in ((1, (1, 2, 3, 4)), (2, (1, 2))):
        folder = tmp_path / f"000{number}-server-{number}"
        folder.mkdir()
        facts = {"flavour": "mariadb", "server_id": number, "server_uuid": "", "begun_at": ""}
        (folder / archive.DESCRIPTION).write_text(json.dumps(facts))
        for name in names:
            shutil.copy(logs / f"binlog.00000{name}", folder)
    one, two = (lineage.folder for lineage in archive.lineages(tmp_path))
    since = GtidSet.parse("0-7-4")

    assert archive.logs_for(tmp_path, since) == one
    assert archive.logs_for(tmp_path, since, (2, "")) == two
    for number in (3, 4):
        shutil.copy(logs / f"binlog.00000{number}", two)
    assert archive.logs_for(tmp_path, since) == two
