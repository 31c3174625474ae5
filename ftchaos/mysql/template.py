"""Ready data folders: made once for each flavour, version and size, kept in the cache, and copied for each server.

Layout of the cache: ``templates/<key>/data`` is a data folder after a clean shutdown, without binary logs and GTIDs,
``templates/<key>/secret`` the one password of its accounts. A template appears whole, by a rename, or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ftchaos import state
from ftchaos.errors import StepFailed
from ftchaos.mysql import seed, session
from ftchaos.mysql.flavour import Flavour, Options, quoted, run
from ftchaos.mysql.server import Server, start_plain

SCHEMA = Path(__file__).with_name("schema.sql")
TABLES = (
    "filetransfer.users",
    "filetransfer.files",
    "filetransfer.transfers",
    "filetransfer.transfer_events",
    "filetransfer.thumbnails",
    "ftchaos.ledger_writes",
)
_LAYOUT = 1  # raised when a template of the same SQL would come out different
_OWN_TO_A_SERVER = ("auto.cnf", "mysql.pid", "mysql.sock", "mysql.sock.lock", "#innodb_temp", "ibtmp1")


def template(flavour: Flavour, size_bytes: int, progress: Callable[[str], None]) -> Path:
    """A data folder with the application's schema, its accounts, and about so many bytes of rows; made if missing.

    Two who ask at once get the same one: the second waits for the first.

    Args:
        flavour: which server it is for.
        size_bytes: size of the application's tables on disk, indexes included.
        progress: called with a sentence as the work goes on.

    Returns:
        The data folder; :func:`copy` it, never run a server on it. :func:`secret` knows its password.

    Raises:
        Invalid: the size is too small to prove anything.
        StepFailed: a program or a server failed on the way.
    """
    count = seed.units(size_bytes)
    folder = state.cache() / "templates" / _key(flavour, size_bytes)
    if not folder.is_dir():
        with _locked(folder):
            if not folder.is_dir():
                _build(flavour, count, folder, progress)
    return folder / "data"


def secret(template: Path) -> str:
    """The password that all accounts of a template share."""
    return (template.parent / "secret").read_text().strip()


def copy(template: Path, datadir: Path) -> None:
    """Make a server's data folder from a template; the server gives itself a new identity when it begins.

    Holes stay holes, and where the file system can share blocks nothing is copied at all.

    Args:
        template: what :func:`template` returned.
        datadir: must not exist; its parent must.

    Raises:
        StepFailed: the folder exists, or there is no room.
    """
    if datadir.exists():
        raise StepFailed(f"{datadir} exists already", "take the lab down first")
    run(["cp", "-a", "--sparse=always", "--reflink=auto", str(template), str(datadir)], f"copying {template}")


def accounts(flavour: Flavour, password: str) -> list[str]:
    """The statements that make the accounts, each with no more rights than its work needs."""
    mariadb = flavour.name == "mariadb"
    rights = {
        "app": ["SELECT, INSERT, UPDATE, DELETE ON filetransfer.*"],
        "ftchaos": ["SELECT ON filetransfer.*", "SELECT, INSERT, UPDATE, DELETE ON ftchaos.*"],
        "replication": ["REPLICATION SLAVE, REPLICATION CLIENT ON *.*"],
        "monitor": [f"{'SLAVE MONITOR, ' if mariadb else ''}REPLICATION CLIENT ON *.*"],
        "failover": [_FAILOVER_RIGHTS[flavour.name] + " ON *.*"],
    }
    return [
        statement
        for account, grants in rights.items()
        for statement in (
            f"CREATE USER {account}@'%' IDENTIFIED BY {quoted(password)}",
            *(f"GRANT {grant} TO {account}@'%'" for grant in grants),
        )
    ]


_FAILOVER_RIGHTS = {
    "mariadb": "SUPER, RELOAD, PROCESS, CONNECTION ADMIN, READ_ONLY ADMIN, REPLICATION MASTER ADMIN,"
    " REPLICATION SLAVE ADMIN, REPLICATION SLAVE, REPLICATION CLIENT, SLAVE MONITOR, BINLOG MONITOR",
    "mysql": "RELOAD, PROCESS, CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN, REPLICATION_SLAVE_ADMIN,"
    " REPLICATION SLAVE, REPLICATION CLIENT",
}


def _key(flavour: Flavour, size_bytes: int) -> str:
    """What a template depends on, so that a change of any of it makes another one."""
    made_of = [str(_LAYOUT), SCHEMA.read_text(), *accounts(flavour, ""), *_rows(seed.units(size_bytes))]
    fingerprint = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:12]
    version = re.sub(r"[^0-9A-Za-z.]+", "-", flavour.version_text)
    return f"{flavour.name}-{version}-{size_bytes}-{fingerprint}"


def _rows(count: int) -> Iterator[str]:
    for batches in seed.batches(count).values():
        yield from (batch.sql for batch in batches)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(flavour: Flavour, count: int, folder: Path, progress: Callable[[str], None]) -> None:
    for abandoned in folder.parent.glob(folder.name + ".new-*"):  # of a build that was killed; we hold its lock
        shutil.rmtree(abandoned)
    work = Path(tempfile.mkdtemp(prefix=folder.name + ".new-", dir=folder.parent))
    try:
        progress(f"making a {flavour.name} {flavour.version_text} template with {count} files")
        password = secrets.token_urlsafe(24)
        descriptor = os.open(work / "secret", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password + "\n")
        datadir = work / "data"
        flavour.initialize(datadir)
        with start_plain(flavour, datadir, name="template", options=_haste(flavour, count)) as server:
            with server.connect() as connection:
                session.execute(connection, schema_statements() + accounts(flavour, password) + seed.numbers())
            _fill(server, count, progress)
            with server.connect() as connection:
                session.execute(connection, seed.end())
        # Once more as the lab will run it: the redo log gets its final size, and the template is known to start.
        with start_plain(flavour, datadir, name="template", options={"skip-log-bin": None}):
            pass
        for name in _OWN_TO_A_SERVER:
            path = datadir / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def schema_statements() -> list[str]:
    """The statements of schema.sql, without its comments."""
    text = "\n".join(line for line in SCHEMA.read_text().splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]


def ledger_statements() -> list[str]:
    """The statements that make the ledger's schema and its table in a database that lacks them, and change no other."""
    ours = [statement for statement in schema_statements() if statement.split()[2].startswith("ftchaos")]
    return [re.sub(r"^CREATE (DATABASE|TABLE) ", r"CREATE \1 IF NOT EXISTS ", statement) for statement in ours]


def _haste(flavour: Flavour, count: int) -> Options:
    """Options for a server whose crash would cost nothing but the work."""
    pool_mib = min(max(count * seed.UNIT_BYTES // 2**20, 64), 1024)
    redo = "innodb-log-file-size" if flavour.name == "mariadb" else "innodb-redo-log-capacity"
    if flavour.name == "mysql" and flavour.version < (8, 0, 30):
        redo = "innodb-log-file-size"
    return {
        "skip-log-bin": None,
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-doublewrite": 0,
        "innodb-buffer-pool-size": f"{pool_mib}M",
        redo: f"{min(pool_mib, 512)}M",
    }


def _fill(server: Server, count: int, progress: Callable[[str], None]) -> None:
    """Fill the tables, two at once, the longest first."""
    plan = seed.batches(count)
    total = sum(batch.units for batches in plan.values() for batch in batches)
    done = 0
    told = 0.0

    def fill(table: str) -> None:
        nonlocal done, told
        with server.connect() as connection:
            session.execute(connection, seed.begin())
            for batch in plan[table]:
                session.execute(connection, [batch.sql])
                done += batch.units  # a lost update would only blur the progress
                if done / total >= told + 0.1:
                    told = done / total
                    progress(f"seeded {told:.0%} of {total} rows")

    with ThreadPoolExecutor(max_workers=2) as pool:
        for future in [pool.submit(fill, table) for table in sorted(plan, key=lambda table: -len(plan[table]))]:
            future.result()
