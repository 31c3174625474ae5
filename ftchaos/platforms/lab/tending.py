"""How the failover manager looks after the servers that are not the primary, in a thread beside its watching.

A former primary that comes back is fenced before anything else; whoever follows nobody, or the wrong one, follows the
primary again, if its data allows it. Roles never change while it acts on them: it holds the manager's lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pymysql

from ftchaos.errors import StepFailed
from ftchaos.mysql import replication
from ftchaos.mysql.session import Session, Unreachable, execute, value

if TYPE_CHECKING:
    from ftchaos.platforms.lab.decisions import Place
    from ftchaos.platforms.lab.failover import Manager

ANSWER_TIMEOUT_S = 3.0
FENCE_TIMEOUT_S = 10.0
LOST = (Unreachable, pymysql.err.MySQLError, OSError)


class Tender:
    """Tends the servers of one manager."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.diverged: dict[str, tuple[int, int]] = {}  # by name, and what had been told then

    def tend(self) -> None:
        """Look at one server after the other for ever, while all is well with the primary."""
        manager = self.manager
        while True:
            time.sleep(manager.config.tend_interval_s)
            if manager.folder.paused() or manager.strikes or manager.disaster:
                continue
            if not manager.pointed:
                with manager.deciding:
                    manager.point()
            for name in sorted(manager.facts.servers):
                with suppress(*LOST, StepFailed, KeyError):  # the next round tries again
                    self._look_at(name)

    def _look_at(self, name: str) -> None:
        manager, flavour = self.manager, self.manager.flavour
        primary = manager.primary
        if name == primary:
            return
        place = manager.facts.servers[primary]
        with closing(manager.reach(name, ANSWER_TIMEOUT_S)) as session:
            if not value(session, "SELECT @@GLOBAL.read_only"):
                self._fence(name, session)
            status = flavour.replica_status(session)
            follows = status is not None and (status.source, status.port) == (place.address, place.port)
            # A replica that died and came back follows by itself, but confirms nothing: with none that does, no commit
            # would ever end.
            if status and follows and not status.error_code and flavour.confirms(session):
                self.diverged.pop(name, None)  # somebody rebuilt it
            elif self.diverged.get(name) != manager.told:
                self._let_follow(name, session, primary, place)

    def _let_follow(self, name: str, session: Session, primary: str, place: Place) -> None:
        manager, flavour = self.manager, self.manager.flavour
        try:
            with self._leading(primary) as upstream:
                replication.ensure_can_follow(flavour, session, upstream, name)
                replication.follow(flavour, session, place.address, place.port, manager.password)
            replication.wait_attached(flavour, session, ANSWER_TIMEOUT_S, name)
        except replication.Diverged as error:
            self.diverged[name] = manager.told
            manager.tell("diverged", server=name, error=error.fact)
            return
        if manager.semi_sync:
            with self._leading(primary) as upstream:
                execute(upstream, flavour.semi_sync_source(True))
        manager.tell("rejoined", server=name)

    @contextmanager
    def _leading(self, primary: str) -> Iterator[Session]:
        """A session to the primary, who stays that while the block runs.

        Raises:
            Unreachable: it is no longer the primary, or it is in trouble.
        """
        manager = self.manager
        with manager.deciding:
            if manager.primary != primary or manager.strikes:
                raise Unreachable(f"{primary} is not the primary any more")
            with closing(manager.reach(primary, ANSWER_TIMEOUT_S)) as session:
                yield session

    def _fence(self, name: str, session: Session) -> None:
        manager = self.manager
        with manager.deciding:
            if name == manager.primary:
                return
            with closing(manager.reach(name, FENCE_TIMEOUT_S)) as second:
                replication.fence(manager.flavour, session, second)
        manager.tell("fenced", server=name)
