"""The real MariaDB behind an instance: its data folder, its process, and images of both as a block store takes them.

An instance keeps the image that it began from and its binary log, so that any second since can be had again.
"""

from __future__ import annotations

import datetime
import itertools
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import session, template
from ftchaos.mysql.flavour import Options, quoted
from ftchaos.mysql.server import Server, start_plain, wait_ready
from standin import processes

SIZE_BYTES = 8 * 2**20  # of the application's tables, as the tests of the lab have them
_ids = itertools.count(1)
_lock = threading.Lock()


def fresh() -> tuple[Path, str]:
    """The image that every new instance begins from, the application's data, and the password of its accounts."""
    with _lock:
        found = template.template(flavours.find("mariadb"), SIZE_BYTES, lambda _: None)
    return found, template.secret(found)


class Database:
    """One server.

    Args:
        folder: where it keeps its files; made by this.
        image: the data folder that it begins from; copied.
        encryption: options with which it offers TLS.
    """

    def __init__(self, folder: Path, image: Path, encryption: Options | None = None) -> None:
        self._flavour = flavours.find("mariadb")
        self._image = image
        self._encryption: Options = encryption or {}
        self._folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self.port = 0
        self.read_only = False
        self.options: Options = {}
        self.server_id = 0
        folder.mkdir(parents=True)
        template.copy(image, self._data)

    @property
    def pid(self) -> int | None:
        """Of the server, while it should run."""
        return self._process.pid if self._process else None

    @property
    def first_image(self) -> Path:
        """The data that it began from, before anything in its binary log."""
        return self._image

    def begin(self) -> None:
        """Begin the server, as another one of its source's: it has an id of its own each time."""
        with self._lock:
            self.port = processes.free_port()
            self.server_id = next(_ids)
            argv = self._flavour.server_argv(
                self._data, server_id=self.server_id, bind="127.0.0.1", port=self.port,
                options={
                    "read-only": int(self.read_only), "event-scheduler": "ON", "gtid-strict-mode": 0,
                    **self._encryption, **self.options,
                },
            )  # fmt: skip
            self._process = processes.spawn(argv, self._data, self._folder / "log")
            server = Server(self._folder.name, self._flavour, self._data, "127.0.0.1", self.port, self.server_id)
            wait_ready(server, 60, self._process)

    def kill(self) -> None:
        """Let it die, as its machine does."""
        with self._lock:
            processes.end(self._process)
            self._process = None

    def forget(self) -> None:
        """Kill it, and remove its files."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def execute(self, *statements: str) -> None:
        """Run statements as root."""
        with session.connect(self._data) as connection:
            session.execute(connection, statements)

    def account(self, user: str, password: str) -> None:
        """Make the master account, or give it another password; whoever gets in by it has its rights already."""
        name = f"{quoted(user)}@'%'"
        self.execute(
            f"CREATE USER IF NOT EXISTS {name} IDENTIFIED BY {quoted(password)}",
            f"GRANT ALL PRIVILEGES ON *.* TO {name} WITH GRANT OPTION",
            f"ALTER USER {name} IDENTIFIED BY {quoted(password)}",
        )

    def password(self, user: str, password: str) -> None:
        """Give an account another password."""
        self.execute(f"ALTER USER {quoted(user)}@'%' IDENTIFIED BY {quoted(password)}")

    def follow(self, port: int, password: str) -> None:
        """Replicate from the server at a port, from the common image on."""
        self.execute(*self._flavour.replicate_from("127.0.0.1", port, "replication", password))

    def stop_following(self) -> None:
        """Stop to replicate, and take writes."""
        self.read_only = False
        self.execute("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")

    def image(self, target: Path) -> None:
        """Copy the data as a snapshot of the disk holds it: of one instant, without a shutdown; see :meth:`mend`."""
        with self._lock, self._held():
            template.copy(self._data, target)
        (target / session.SOCKET).unlink(missing_ok=True)

    def mend(self, image: Path) -> None:
        """Let a snapshot recover as after a crash, with its binary log, and then do without that log."""
        with start_plain(self._flavour, image, name="snapshot"):
            pass
        for log in image.glob("binlog.*"):
            log.unlink()

    def restore(self, target: Path, until: datetime.datetime | None) -> None:
        """Make a data folder that holds what was committed before a second: the first image, and the binary log since.

        Args:
            target: must not exist.
            until: the second; everything when None.
        """
        logs = target.with_name(target.name + "-logs")
        with self._lock, self._held():
            template.copy(self._image, target)
            logs.mkdir()
            for log in sorted(self._data.glob("binlog.[0-9]*")):
                shutil.copy2(log, logs)
        read = [*self._flavour.program("binlog"), "--skip-gtid-strict-mode", *map(str, sorted(logs.iterdir()))]
        if until is not None:
            # The program reads its local time and knows whole seconds only.
            read.insert(2, f"--stop-datetime={until.astimezone().strftime('%Y-%m-%d %H:%M:%S')}")
        with (
            start_plain(self._flavour, target, name="restore", options={"skip-log-bin": None}),
            session.socket_path(target) as socket,
        ):
            statements = subprocess.run(read, capture_output=True, check=True).stdout
            subprocess.run(
                [*self._flavour.program("client"), "--user=root", f"--socket={socket}", "--binary-mode"],
                input=statements, check=True, capture_output=True,
                pass_fds=(int(socket.split("/")[4]),),
            )  # fmt: skip
        shutil.rmtree(logs)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Nothing is written meanwhile."""
        if self._process is None:
            yield
            return
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)
