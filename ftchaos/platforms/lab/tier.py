"""The lab's database tier as one thing that can be lost, put back, or grown again around a restored primary."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from pymysql.err import MySQLError

from ftchaos.clock import now
from ftchaos.errors import HealFailed, Inconclusive, StepFailed
from ftchaos.mysql import replication
from ftchaos.mysql.server import Server
from ftchaos.mysql.session import execute, value
from ftchaos.platforms.lab import database
from ftchaos.platforms.lab.decisions import Facts, Folder, Place
from ftchaos.platforms.lab.lab import Lab

# What the failover manager says while it misses the primary, and what it says at the end of that.
_UNDECIDED = {"suspected", "detected", "disaster", "chosen", "not promoted", "promoted", "not pointed"}
_DECIDED = {"answers again", "pointed"}


class Tier:
    """The database servers of one lab, and who is their primary.

    A lost volume is moved aside, where no server finds it, so that it can be put back.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.manager = Folder.of(lab.folder)

    @property
    def servers(self) -> dict[str, Server]:
        """All servers of the tier by name, alive or not."""
        return database.servers(self.lab.facts)

    @property
    def primary(self) -> Server:
        """The primary of the moment, by the failover manager's last decision.

        Raises:
            StepFailed: it has not decided yet.
        """
        decided = self.manager.primary()
        if decided is None:
            raise StepFailed("the failover manager has not decided who is the primary", f"read {self.manager.log}")
        return self.servers[decided["primary"]]

    def zone(self, server: Server) -> str:
        """The zone of a server."""
        return str(self.lab.facts["mysql"]["servers"][server.name]["place"])

    def replicas(self) -> list[Server]:
        """The servers that follow the primary, or should."""
        primary = self.primary.name
        return [server for name, server in self.servers.items() if name != primary and name in self.told().servers]

    def told(self) -> Facts:
        """The servers that the failover manager knows."""
        return self.manager.facts()

    def wait_healthy(self, timeout_s: float) -> None:
        """Return as soon as every replica receives from the primary and applies.

        Raises:
            StepFailed: one does not within the time.
        """
        deadline = now() + timeout_s
        primary = self.primary
        for replica in self.replicas():
            _wake(replica)
            while not _follows(replica, primary):
                if now() > deadline:
                    raise StepFailed(
                        f"{replica.name} does not follow {primary.name}", f"read {replica.datadir.parent}/error.log"
                    )
                time.sleep(0.05)

    def wake(self, replica: Server) -> None:
        """Let a replica apply again that rests without an error; harmless where it applies, or does not answer."""
        _wake(replica)

    def wait_caught_up(self, server: Server, timeout_s: float) -> None:
        """Return as soon as a server has applied all that the primary has at this moment; the primary itself has.

        Raises:
            StepFailed: it has not within the time.
        """
        primary = self.primary
        if server.name == primary.name:
            return
        with primary.connect() as session:
            position = primary.flavour.gtid_executed(session)
        with server.connect() as session:
            if not server.flavour.wait_for_gtid(session, position, timeout_s):
                raise StepFailed(f"{server.name} has not got what {primary.name} has within {timeout_s:g} s")

    def destroy(self, run_id: str) -> None:
        """Kill every server, and take its volume out of reach."""
        servers = self.servers.values()
        # One call: between two of them the failover manager may promote a replica that is still to be killed.
        self.lab.call("kill_services", names=[server.name for server in servers])
        for server in servers:
            server.datadir.rename(_aside(server, run_id))

    def fresh(self, zone: str) -> Server:
        """A server of that zone whose data folder is still missing, with an id that no server of the tier ever had.

        A server skips replayed transactions that carry its own id.
        """
        highest = max(server.server_id for server in self.servers.values())
        lab = self.lab
        flavour = next(iter(self.servers.values())).flavour
        return database.server(flavour, lab.layout, lab.folder, zone, highest + 1)

    def begin(self, server: Server, zone: str) -> None:
        """Begin a server whose data folder is ready; the failover manager is not told of it."""
        self.lab.call("begin_service", spec=database.spec(server, zone).to_json())
        # MySQL opens its port a moment before the socket that an administrator needs.
        server.wait_ready(timeout_s=database.READY_TIMEOUT_S)
        self._remember(server, zone)

    def lead(self, server: Server) -> None:
        """Let a server without replicas take the writes of everybody, under the tier's unchanged address."""
        from ftchaos.platforms.lab import balancer

        with server.connect() as session:
            replication.lead(server.flavour, session, semi_sync=False)
        balancer.point_writer(self.lab.folder, server.address, server.port)
        self.manager.tell(Facts(server.name, {server.name: Place(server.address, server.port)}))
        self.lab.call("remember", facts={"mysql": {"primary": server.name}})

    def grow(self, run_id: str) -> str:
        """Give a primary without replicas fresh ones in the other zones, in the place of those that were lost."""
        primary = self.primary
        self._revive(primary)
        others = [server for server in self.servers.values() if server.name != primary.name]
        for server in others:
            if not _follows(server, primary):
                self._rebuild(server, primary)
        with primary.connect() as session:  # begun anew, it takes no writes yet
            replication.lead(primary.flavour, session)
        # Told last: until then a repeated heal grows, after it there is nothing left to put back.
        self._discard(run_id)
        self._tell(primary)
        return f"{primary.name} leads, with fresh replicas {', '.join(server.name for server in others)}"

    def put_back(self, run_id: str, facts: dict[str, Any]) -> str:
        """Bring the lost volumes back and begin the servers on them as they were.

        Who led before leads again, unless a replica outlived it and was promoted: that one took writes since.

        Args:
            facts: what ``lab.json`` said of the servers before.
        """
        self.manager.pause()
        try:
            self.lab.call("remember", facts={"mysql": {"servers": facts}})
            for server in self.servers.values():
                if (aside := _aside(server, run_id)).exists():
                    self.lab.call("forget_service", name=server.name)
                    shutil.rmtree(server.datadir, ignore_errors=True)
                    aside.rename(server.datadir)
                self._revive(server)
            leader = self.primary
            for server in self.servers.values():
                if server.name != leader.name:
                    self._follow(server, leader)
            with leader.connect() as session:
                replication.lead(leader.flavour, session)
            self.lab.call("remember", facts={"mysql": {"primary": leader.name}})
            self._tell(leader)
        finally:
            self.manager.resume()
        return f"{leader.name} leads, with its replicas and all volumes as before"

    def whole(self) -> bool:
        """Whether the primary takes writes, all others follow it, and the failover manager watches them."""
        primary = self.primary
        if self.manager.paused() or set(self.told().servers) != set(self.servers) or not _answers(primary):
            return False
        with primary.connect() as session:
            if value(session, "SELECT @@GLOBAL.read_only"):
                return False
        return all(_follows(server, primary) for server in self.servers.values() if server.name != primary.name)

    def mend(self, timeout_s: float) -> list[str]:
        """Return as soon as one server leads and all others follow it, as the failover manager alone decides.

        A server that is dead is begun. One that holds what the leader never had is made anew, as the manager cannot
        help it: that one only fences it and says so.

        Returns:
            Names of the servers that were made anew.

        Raises:
            StepFailed: it was not so within the time.
        """
        deadline, renewed = now() + timeout_s, list[str]()
        while trouble := self._mend_once(renewed):
            if now() > deadline:
                raise StepFailed(
                    f"{trouble}, {timeout_s:g} s after the heal began", f"read {self.manager.log} and the error logs"
                )
            time.sleep(0.1)
        return renewed

    def _mend_once(self, renewed: list[str]) -> str:
        """Do what can be done at this moment; what is wrong still, empty when nothing is."""
        try:
            leader = self.primary
            for server in self.servers.values():
                if not _answers(server) and (trouble := self._begin_again(server, leader, renewed)):
                    return trouble
            with leader.connect(timeout_s=2) as session:
                if value(session, "SELECT @@GLOBAL.read_only"):
                    self._let_decide()
                    return f"{leader.name} leads, but takes no writes"
            for server in self.servers.values():
                if server.name == leader.name or _follows(server, leader):
                    continue
                if not self._diverged(server, leader):
                    return f"{server.name} does not follow {leader.name}"
                self._rebuild(server, leader)
                renewed.append(server.name)
            if trouble := self._unconfirmed(leader):
                return trouble
        except (MySQLError, OSError, Inconclusive) as error:  # roles may be changing at this moment
            return str(getattr(error, "fact", error))
        if self.primary.name != leader.name or self._deciding():
            return "the failover manager has not made up its mind"
        return ""

    def _unconfirmed(self, leader: Server) -> str:
        """Let the leader wait for its replicas, unless the lab is to be weaker; what keeps them from confirming."""
        if self.manager.asynchronous():
            return ""
        with leader.connect(timeout_s=2) as session:
            if leader.flavour.semi_sync_replicas(session) >= len(self.servers) - 1:
                return ""
            execute(session, leader.flavour.semi_sync_source(True))
        return f"not all replicas confirm what {leader.name} writes"

    def _deciding(self) -> bool:
        """Whether the manager misses the primary, or is about to change roles."""
        said = [event["event"] for event in self.manager.events() if event["event"] in _UNDECIDED | _DECIDED]
        return bool(said) and said[-1] in _UNDECIDED

    def _begin_again(self, server: Server, leader: Server, renewed: list[str]) -> str:
        """Begin a dead server, on a copy of the leader where its own data was lost on the way."""
        try:
            if not server.datadir.is_dir():
                raise StepFailed(f"{server.name} has no data")
            self._revive(server)
        except StepFailed as error:
            if server.name == leader.name or not _answers(leader):
                return error.fact
            self._rebuild(server, leader)
            renewed.append(server.name)
        return ""

    def _let_decide(self) -> None:
        """After a disaster the manager waits to be told."""
        said = [event["event"] for event in self.manager.events()]
        last = next((word for word in reversed(said) if word in ("disaster", "told", "promoted", "answers again")), "")
        if last == "disaster":
            self.manager.tell(self.told())

    def _diverged(self, server: Server, leader: Server) -> bool:
        """Whether the manager's last word on a server is that it holds what the leader never had, and that is so."""
        words = [event["event"] for event in self.manager.events() if event.get("server") == server.name]
        if not words or words[-1] != "diverged":
            return False
        with server.connect() as session, leader.connect() as upstream:
            status = server.flavour.replica_status(session)
            if status is not None and status.error_code in replication.CUT_OFF:
                return True
            try:
                replication.ensure_can_follow(server.flavour, session, upstream, server.name)
            except replication.Diverged:
                return True
        return False

    def _revive(self, server: Server) -> None:
        """Begin a server anew if it does not answer."""
        if not _answers(server):
            self.lab.call("forget_service", name=server.name)
            self.begin(server, self.zone(server))

    def _follow(self, server: Server, leader: Server) -> None:
        """Let a server follow; one that has what the leader never had is made anew."""
        try:
            replication.attach(server, leader, self.lab.secret, semi_sync=False)
        except replication.Diverged:
            self._rebuild(server, leader)

    def _rebuild(self, server: Server, leader: Server) -> None:
        zone = self.zone(server)
        self.lab.call("forget_service", name=server.name)
        replication.rebuild(leader, server.datadir)
        self.begin(server, zone)
        replication.attach(server, leader, self.lab.secret, semi_sync=not self.manager.asynchronous())

    def _tell(self, primary: Server) -> None:
        places = {server.name: Place(server.address, server.port) for server in self.servers.values()}
        self.manager.tell(Facts(primary.name, places))

    def _remember(self, server: Server, zone: str) -> None:
        known = database.facts(server, [server], {server.name: zone})["servers"]
        self.lab.call("remember", facts={"mysql": {"servers": known}})

    def _discard(self, run_id: str) -> None:
        for server in self.servers.values():
            shutil.rmtree(_aside(server, run_id), ignore_errors=True)


def _aside(server: Server, run_id: str) -> Path:
    return server.datadir.with_name(f"data.destroyed-{run_id}")


def _answers(server: Server) -> bool:
    try:
        server.wait_ready(timeout_s=0.5)
    except StepFailed:
        return False
    return True


def _wake(replica: Server) -> None:
    """Let an applier go on that rests without an error, as after a backup that was killed."""
    if not _answers(replica):
        return
    with replica.connect() as session:
        status = replica.flavour.replica_status(session)
        if status is not None and not status.applying and not status.error:
            session.cursor().execute(replica.flavour.begin_applying())


def _follows(server: Server, primary: Server) -> bool:
    if not _answers(server):
        return False
    with server.connect() as session:
        status = server.flavour.replica_status(session)
    return status is not None and status.applying and status.source == primary.address


def heal(lab: Lab, run_id: str, servers: dict[str, Any]) -> str:
    """Heal a destroyed tier: grow it around the restored primary when that took over, else put everything back.

    Raises:
        HealFailed: neither was possible.
    """
    tier = Tier(lab)
    try:
        if len(tier.told().servers) < len(servers):
            return tier.grow(run_id)
        # Also without a volume to put back: an earlier heal may have died half way.
        if any(_aside(server, run_id).exists() for server in tier.servers.values()) or not tier.whole():
            return tier.put_back(run_id, servers)
        return "nothing of it was lost"
    except (Inconclusive, MySQLError, OSError) as error:
        raise HealFailed(
            f"the database tier of the lab '{lab.name}' is not whole: {getattr(error, 'fact', error)}",
            f"`ftchaos lab down --name {lab.name}` and bring it up anew",
        ) from error
