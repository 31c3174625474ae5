"""Three real database servers on loopback addresses, equal at first, for tests of replication and failover."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql

from ftchaos.errors import FtchaosError
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import replication, session, template
from ftchaos.mysql.flavour import Options
from ftchaos.mysql.server import Server, wait_ready

SIZE_BYTES = 8 * 2**20


_kept: list[socket.socket] = []


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody else is given while the tests run.

    It stays bound: a server that sets SO_REUSEADDR, as all of ours do, can listen there nevertheless.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _kept.append(kept)
    return int(kept.getsockname()[1])


def until(condition: Callable[[], Any], timeout_s: float = 60, what: str = "") -> Any:
    """The first true answer of a condition; fails after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what or condition}"
        time.sleep(0.02)
    return answer


class Trio:
    """Servers ``mysql-a``, ``mysql-b`` and ``mysql-c`` of one flavour, made from one template."""

    def __init__(self, flavour_name: str, folder: Path) -> None:
        self.flavour = flavours.find(flavour_name)
        self.folder = folder
        self.template = template.template(self.flavour, SIZE_BYTES, lambda _: None)
        self.password = template.secret(self.template)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: dict[str, Server] = {}
        for number, name in enumerate(("mysql-a", "mysql-b", "mysql-c"), 1):
            datadir = folder / name
            template.copy(self.template, datadir)
            self.servers[name] = Server(name, self.flavour, datadir, "127.0.0.1", free_port(), number)

    def spawn(self, name: str, options: Options | None = None) -> None:
        """Begin a server without waiting for it."""
        server = self.servers[name]
        argv = self.flavour.server_argv(
            server.datadir, server_id=server.server_id, bind=server.address, port=server.port, options=options
        )
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv], cwd=server.datadir, stdout=log, stderr=log
            )

    def begin(self, *names: str, options: Options | None = None) -> None:
        """Begin servers and wait until they answer."""
        for name in names:
            self.spawn(name, options)
        for name in names:
            wait_ready(self.servers[name], 30, self.processes[name])

    def replicate(self) -> None:
        """Begin all three, with ``mysql-a`` as the primary."""
        self.begin(*self.servers)
        a, b, c = self.servers.values()
        replication.begin(a, [b, c], self.password)

    def kill(self, *names: str) -> None:
        """SIGKILL."""
        for name in names:
            self.processes[name].send_signal(signal.SIGKILL)
        for name in names:
            self.processes[name].wait()

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def app(self, name: str, answer_timeout_s: float | None = None) -> session.Session:
        """A connection as the ledger's writers make it."""
        server = self.servers[name]
        return session.reach(
            server.address,
            server.port,
            user="ftchaos",
            password=self.password,
            database="ftchaos",
            timeout_s=2,
            answer_timeout_s=answer_timeout_s,
        )

    def caught_up(self, source: str, *replicas: str) -> None:
        """Wait until replicas have applied all that a server has."""
        with self.servers[source].connect() as upstream:
            position = self.flavour.gtid_executed(upstream)
        for name in replicas:
            with self.servers[name].connect() as connection:
                assert self.flavour.wait_for_gtid(connection, position, 10), f"{name} did not reach {position}"

    def checksums(self, name: str) -> dict[str, int]:
        """CHECKSUM TABLE of every table."""
        with self.servers[name].connect() as connection:
            return checksums(connection)

    def ledger_ids(self, name: str) -> set[int]:
        """Ids in the ledger's table."""
        with self.servers[name].connect() as connection:
            return {row["id"] for row in session.rows(connection, "SELECT id FROM ftchaos.ledger_writes")}


def checksums(connection: session.Session) -> dict[str, int]:
    """CHECKSUM TABLE of every table of a template."""
    found = session.rows(connection, f"CHECKSUM TABLE {', '.join(template.TABLES)}")
    return {row["Table"]: row["Checksum"] for row in found}


def insert(connection: session.Session, write_id: int) -> None:
    """One acknowledged write of the ledger."""
    session.rows(connection, "INSERT INTO ftchaos.ledger_writes (id, content) VALUES (%s, 'x')", (write_id,))


@contextmanager
def trio(flavour_name: str) -> Iterator[Trio]:
    """A trio whose processes and files are gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-trio-"))
    made = Trio(flavour_name, folder)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)


class Writer(threading.Thread):
    """A small write load that keeps what was acknowledged, and when."""

    def __init__(self, made: Trio, primary: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self.made = made
        self.primary = primary
        self.acknowledged: dict[int, float] = {}
        self.ending = threading.Event()
        self.next_id = 1

    def run(self) -> None:
        while not self.ending.is_set():
            with (
                suppress(pymysql.err.MySQLError, FtchaosError, OSError),
                self.made.app(self.primary(), answer_timeout_s=2) as connection,
            ):
                while not self.ending.is_set():
                    write_id, self.next_id = self.next_id, self.next_id + 1
                    insert(connection, write_id)
                    self.acknowledged[write_id] = time.monotonic()
                    time.sleep(0.002)
            time.sleep(0.02)

    def end(self) -> None:
        """End the load and wait for its last answer."""
        self.ending.set()
        self.join(10)
        assert not self.is_alive()


def alive(pid: int) -> bool:
    """Whether a process is there."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
