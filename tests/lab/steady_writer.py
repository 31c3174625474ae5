"""One client that writes to a MySQL server of a lab as fast as it is answered, and remembers what was acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pymysql
from pymysql.err import MySQLError
from small_labs import wait_until

from ftchaos.errors import Inconclusive
from ftchaos.mysql import session
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier


class SteadyWriter(threading.Thread):
    """Writes to whoever leads; a write whose answer did not come is not tried again."""

    def __init__(self, lab: Lab, first_id: int) -> None:
        super().__init__(daemon=True)
        self.tier = Tier(lab)
        self._secret = lab.secret
        self.acknowledged: list[int] = []
        self.ended = threading.Event()
        self._next_id = first_id

    def run(self) -> None:
        while not self.ended.is_set():
            with suppress(Inconclusive, MySQLError, OSError):
                self._write_on()
            time.sleep(0.02)

    def _write_on(self) -> None:
        server = self.tier.primary
        # Not as root, who writes to a read-only server as well.
        login = {"user": "ftchaos", "password": self._secret, "database": "ftchaos", "connect_timeout": 1}
        with session.socket_path(server.datadir) as path:
            opened: session.Session = pymysql.connect(unix_socket=path, autocommit=True, **login)
        with closing(opened) as connection:
            while not self.ended.is_set():
                self._next_id += 1
                written = f"INSERT INTO ledger_writes (id, content) VALUES ({self._next_id}, '{self._next_id}')"
                session.execute(connection, [written])
                self.acknowledged.append(self._next_id)
                time.sleep(0.005)

    def goes_on(self, timeout_s: float = 30) -> bool:
        """Whether something more is acknowledged within the time."""
        before = len(self.acknowledged)
        return wait_until(lambda: len(self.acknowledged) > before, timeout_s)

    def lost(self, name: str) -> set[int]:
        """What was acknowledged and a server of the lab has not got, after it had the time to apply all."""

        def missing() -> set[int]:
            with self.tier.servers[name].connect() as connection:
                found = session.rows(connection, "SELECT id FROM ftchaos.ledger_writes")
            return set(self.acknowledged) - {row["id"] for row in found}

        wait_until(lambda: not missing(), 60)
        return missing()


@contextmanager
def writing(lab: Lab) -> Iterator[SteadyWriter]:
    """A writer under way, whose first write was acknowledged."""
    writer = SteadyWriter(lab, time.monotonic_ns())
    writer.start()
    try:
        assert writer.goes_on()
        yield writer
    finally:
        writer.ended.set()
        writer.join(30)  # what it is about to write is acknowledged, or never will be, before anybody looks for it
