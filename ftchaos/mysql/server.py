"""A running server: who it is, how to reach it, and how to run one for a moment without any network.

Servers of a lab are begun by its supervisor from :meth:`Flavour.server_argv`; only throw-away servers are begun here.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql

from ftchaos.errors import StepFailed
from ftchaos.mysql import session as sessions
from ftchaos.mysql.flavour import Flavour, Options
from ftchaos.mysql.session import Session, Unreachable

_POLL_S = 0.02
_STOP_S = 60.0


@dataclass(frozen=True)
class Server:
    """One server that runs, or should.

    Attributes:
        name: its name in the lab, for example ``mysql-a``.
        flavour: what it is.
        datadir: absolute path of its data folder.
        address: IP address that it listens on; empty without network.
        port: its TCP port; 0 without network.
        server_id: its replication id.
    """

    name: str
    flavour: Flavour
    datadir: Path
    address: str = ""
    port: int = 0
    server_id: int = 1

    def connect(
        self, database: str | None = None, *, timeout_s: float = 10, answer_timeout_s: float | None = None
    ) -> Session:
        """An administrator's connection through the socket, whatever has become of the network.

        Args:
            answer_timeout_s: how long to wait for each answer; forever when None.

        Raises:
            Unreachable: nobody answers there.
        """
        return sessions.connect(self.datadir, database=database, timeout_s=timeout_s, answer_timeout_s=answer_timeout_s)

    def wait_ready(self, timeout_s: float = 30) -> None:
        """Return as soon as it answers a query.

        Raises:
            StepFailed: it did not within the timeout.
        """
        wait_ready(self, timeout_s)


def wait_ready(server: Server, timeout_s: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return as soon as a server answers a query; give up early when its process has died.

    Raises:
        StepFailed: it did not answer within the timeout, or it died.
    """
    deadline = time.monotonic() + timeout_s
    hint = f"read the error log of {server.name}, {server.datadir}"
    while True:
        try:
            with server.connect(timeout_s=max(deadline - time.monotonic(), _POLL_S)) as session:
                sessions.value(session, "SELECT 1")
            return
        except (Unreachable, pymysql.err.MySQLError) as error:
            if process is not None and process.poll() is not None:
                raise StepFailed(f"{server.name} died with {process.returncode} as it began", hint) from error
            if time.monotonic() > deadline:
                raise StepFailed(f"{server.name} not ready after {timeout_s:g} s", hint) from error
        time.sleep(_POLL_S)


@contextmanager
def start_plain(
    flavour: Flavour,
    datadir: Path,
    *,
    name: str = "throw-away",
    server_id: int = 1,
    options: Options | None = None,
    prefix: Sequence[str] = (),
    uid: int | None = None,
    log: Path | None = None,
    ready_timeout_s: float = 60,
) -> Iterator[Server]:
    """Run a server for one purpose, without network, events, or access to files; stop it cleanly at the end.

    It is writable. It dies with the thread that began it, so that nothing is left behind whatever happens.

    Args:
        flavour: what it is.
        datadir: absolute path of an existing data folder.
        name: what errors call it.
        server_id: its replication id.
        options: server options that overrule the usual.
        prefix: argv put before the server's, for example ``unshare -n``.
        uid: the user to run as; this process's own when None.
        log: file that its messages are appended to; kept only in the error when None.
        ready_timeout_s: how long it may take to answer, crash recovery included.

    Raises:
        StepFailed: it did not begin, with its last words; or it did not stop and had to be killed.
    """
    with tempfile.TemporaryDirectory(prefix="ftchaos-") as scratch:
        if uid is not None:
            Path(scratch).chmod(0o755)
        (closed := Path(scratch) / "closed").mkdir(mode=0o555)
        usual: Options = {
            "read-only": 0,
            "event-scheduler": "DISABLED",
            "local-infile": 0,
            "secure-file-priv": str(closed) if flavour.name == "mariadb" else "NULL",
        }
        argv = flavour.server_argv(
            datadir, server_id=server_id, bind=None, port=0, options={**usual, **(options or {})}
        )
        messages = log or Path(scratch) / "error.log"
        with messages.open("ab") as output:
            process = subprocess.Popen(
                # setpriv after the change of user, which would clear the signal.
                ["setpriv", "--pdeathsig", "KILL", *prefix, *argv],
                cwd=datadir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=uid,
                start_new_session=True,
            )
        server = Server(name, flavour, datadir, server_id=server_id)
        try:
            try:
                wait_ready(server, ready_timeout_s, process)
            except StepFailed as error:
                raise StepFailed(f"{error.fact}: {_last_words(messages)}", error.hint if log else "") from error
            yield server
            stop(server, process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def stop(server: Server, process: subprocess.Popen[bytes], timeout_s: float = _STOP_S) -> None:
    """Shut a server down cleanly and wait until its process is gone.

    Raises:
        StepFailed: it still ran after the timeout.
    """
    with server.connect() as session:
        sessions.execute(session, ["SHUTDOWN"])
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise StepFailed(f"{server.name} did not shut down within {timeout_s:g} s") from None


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    telling = [line for line in lines if "ERROR" in line] or lines
    return " / ".join(telling[-3:])
