"""The failover manager: watches the primary and replaces it, as RDS does for a Multi-AZ database cluster.

A process of the lab's edge that knows only what the network lets it see: ``python -m ftchaos.platforms.lab.failover
CONFIG.json``. Three missed probes in a row, and the server that received most becomes the primary. A former primary
that comes back is fenced, and follows again if it holds nothing that the new primary never had.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Invalid, StepFailed
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import replication
from ftchaos.mysql.flavour import Flavour
from ftchaos.mysql.session import Session, execute, reach, value
from ftchaos.platforms.lab.decisions import Facts, Folder, Place
from ftchaos.platforms.lab.layout import EDGE
from ftchaos.platforms.lab.service import ServiceSpec
from ftchaos.platforms.lab.tending import LOST, Tender

ACCOUNT = "failover"
PROMOTION_TIMEOUT_S = 30.0
HAND_OVER_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Config:
    """The manager's configuration file.

    Attributes:
        lab: the lab's folder; the manager's own is in its edge.
        flavour: name of the servers' flavour.
        secret_file: file with the password of the accounts.
        semi_sync: whether a primary waits for replicas, wherever it has any.
        balance: whether to point the lab's writer address at the primary.
        probe_interval_s: time between two probes.
        probe_timeout_s: what a connection, or an answer, may take.
        strikes: missed probes in a row after which the primary is replaced.
        tend_interval_s: time between two looks at the other servers.
    """

    lab: str
    flavour: str
    secret_file: str
    semi_sync: bool = True
    balance: bool = True
    probe_interval_s: float = 0.1
    probe_timeout_s: float = 0.5
    strikes: int = 3
    tend_interval_s: float = 0.5


def prepare(
    lab: Path, flavour: str, servers: Mapping[str, Place], primary: str, secret_file: Path, **options: Any
) -> list[ServiceSpec]:
    """Write the manager's files below a lab's folder and say how to begin it, once the primary takes writes.

    Args:
        lab: the lab's folder.
        flavour: name of the servers' flavour.
        servers: where each server listens, by name.
        primary: name of the primary.
        secret_file: file with the password of the accounts.
        options: more of :class:`Config`.
    """
    folder = Folder.of(lab)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.tell(Facts(primary, dict(servers)))
    config = folder.path / "config.json"
    config.write_text(json.dumps(asdict(Config(str(lab), flavour, str(secret_file), **options))))
    argv = (sys.executable, "-m", "ftchaos.platforms.lab.failover", str(config))
    log = str(folder.path / "manager.log")
    return [ServiceSpec("failover", EDGE, argv, cwd=str(folder.path), log=log, restart=True)]


@dataclass(frozen=True)
class Candidate:
    """A server that answered when a new primary was sought."""

    name: str
    session: Session
    received: str


class Manager:
    """The state of the process: who is the primary, and how often it has not answered."""

    def __init__(self, config: Config, point_writer: Callable[[Place], None]) -> None:
        self.config = config
        self.folder = Folder.of(Path(config.lab))
        self.flavour: Flavour = flavours.find(config.flavour)
        self.point_writer = point_writer
        self.password = Path(config.secret_file).read_text().strip()
        self.told = self.folder.told()
        self.facts = self.folder.facts()
        self.primary = self.facts.primary
        self.strikes = 0
        self.disaster = False
        self.probe_session: Session | None = None
        self.deciding = threading.Lock()  # held while roles change, so that tending never acts on an old role
        self.pointed = False
        self._recall()

    def _recall(self) -> None:
        """Go on where an earlier process of this lab stopped, unless the facts were changed since."""
        decided = self.folder.primary()
        if decided and decided["facts"] == self.facts.fingerprint and decided["primary"] in self.facts.servers:
            self.primary = decided["primary"]
        self._decide(self.primary)
        self.tell("begun", primary=self.primary)

    @property
    def semi_sync(self) -> bool:
        """Whether a primary waits for its replicas at this time."""
        return self.config.semi_sync and not self.folder.asynchronous()

    # Telling ----------------------------------------------------------------------------------------------------

    def tell(self, event: str, **more: Any) -> None:
        """Append a decision to the log."""
        with self.folder.log.open("a") as log:
            log.write(json.dumps({"at": now(), "event": event, **more}) + "\n")

    def _decide(self, primary: str) -> None:
        self.primary = primary
        place = self.facts.servers[primary]
        decision = {"primary": primary, "address": place.address, "port": place.port, "at": now()}
        self.folder.decide({**decision, "facts": self.facts.fingerprint})
        self.pointed = False
        self.point()

    def point(self) -> None:
        """Lead the writer address to the primary; called again until that has worked."""
        try:
            self.point_writer(self.facts.servers[self.primary])
        except (FtchaosError, OSError) as error:
            self.tell("not pointed", primary=self.primary, error=str(error))
            return
        self.pointed = True
        self.tell("pointed", primary=self.primary)

    # Reaching ---------------------------------------------------------------------------------------------------

    def reach(self, name: str, answer_timeout_s: float) -> Session:
        """An administrator's connection to a server, through the network.

        Raises:
            Unreachable: it does not answer.
        """
        place = self.facts.servers[name]
        return reach(
            place.address,
            place.port,
            user=ACCOUNT,
            password=self.password,
            timeout_s=self.config.probe_timeout_s,
            answer_timeout_s=answer_timeout_s,
        )

    # Watching ---------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Probe the primary for ever, and replace it when it does not answer."""
        threading.Thread(target=Tender(self).tend, daemon=True).start()
        paused = False
        while True:
            begun_at = now()
            if self.folder.paused() != paused:
                paused = not paused
                self.tell("paused" if paused else "resumed")
            if paused:
                self.strikes = 0
            else:
                self._obey()
                if wanted := self.folder.switch_wanted():
                    with self.deciding:
                        self._switch(wanted["id"], wanted["demote"])
                    self.folder.forget_switch()
                self._watch_once()
            time.sleep(max(self.config.probe_interval_s - (now() - begun_at), 0.01))

    def _obey(self) -> None:
        """Take over what somebody has told."""
        try:
            if (told := self.folder.told()) == self.told:
                return
            facts = self.folder.facts()
        except Invalid as error:
            self.tell("facts not read", error=str(error))
            return
        with self.deciding:
            self.told = told
            self.facts = facts
            self.strikes, self.disaster = 0, False
            self._forget_probe()
            self.tell("told", primary=facts.primary, servers=sorted(facts.servers))
            self._decide(facts.primary)

    def _watch_once(self) -> None:
        trouble = self._probe()
        if not trouble:
            if self.strikes:
                self.tell("answers again", primary=self.primary, strikes=self.strikes)
            self.strikes, self.disaster = 0, False
            return
        self.strikes += 1
        if self.strikes == 1:
            self.tell("suspected", primary=self.primary, trouble=trouble)
        if self.strikes < self.config.strikes:
            return
        if self.strikes == self.config.strikes:
            self.tell("detected", primary=self.primary, trouble=trouble)
        if not self.disaster:
            with self.deciding:
                self._fail_over()

    def _probe(self) -> str:
        """What is wrong with the primary; empty when it answers and takes writes."""
        try:
            if self.probe_session is None:
                self.probe_session = self.reach(self.primary, self.config.probe_timeout_s)
            if value(self.probe_session, "SELECT @@GLOBAL.read_only"):
                return "it is read-only"  # it crashed and came back
        except LOST as error:
            self._forget_probe()
            return str(error.args[-1] if error.args else error).strip() or str(error)
        return ""

    def _forget_probe(self) -> None:
        if self.probe_session is not None:
            with suppress(*LOST):
                self.probe_session._force_close()  # type: ignore[attr-defined]  # close() would talk to a dead peer
        self.probe_session = None

    # Failing over -----------------------------------------------------------------------------------------------

    def _fail_over(self) -> None:
        with ExitStack() as open_sessions:
            candidates = self._candidates(open_sessions)
            if not candidates:
                self.disaster = True  # until somebody tells what now, or the primary was only out of sight
                self.tell("disaster", primary=self.primary, unreachable=sorted(self.facts.servers))
                return
            received = {candidate.name: candidate.received for candidate in candidates.values()}
            chosen = replication.most_advanced(self.flavour, received, prefer=self.primary)
            unseen = sorted(set(self.facts.servers) - set(received) - {self.primary})
            self.tell("chosen", server=chosen, received=received, unseen=unseen)
            others = [name for name in candidates if name != chosen]
            semi_sync = self.semi_sync and bool(others)
            try:
                position = replication.promote(
                    self.flavour, candidates[chosen].session, semi_sync=semi_sync, timeout_s=PROMOTION_TIMEOUT_S
                )
            except (*LOST, StepFailed) as error:
                self.tell("not promoted", server=chosen, error=str(error))
                return  # the next probe finds the primary still missing, and seeks again
            self.tell("promoted", server=chosen, position=position, semi_sync=semi_sync)
            place = self.facts.servers[chosen]
            for name in others:
                self._repoint(candidates[name], place)
            self.strikes, self.disaster = 0, False
            self._forget_probe()
            self._decide(chosen)

    # Switching over ---------------------------------------------------------------------------------------------

    def _switch(self, request: str, demote: str) -> None:
        """An orderly failover: the primary refuses writes first, so that nothing is lost and nothing diverges."""
        self.tell("asked", id=request, primary=demote)
        if demote != self.primary:
            self.tell("not switched", id=request, error=f"{self.primary} is the primary")
            return
        with ExitStack() as open_sessions:
            try:
                old, second = (self.reach(demote, PROMOTION_TIMEOUT_S) for _ in range(2))
                open_sessions.callback(old.close)
                open_sessions.callback(second.close)
                chosen = self._successor(open_sessions)
                replication.fence(self.flavour, old, second)
                self.tell("fenced", server=demote)
                self._hand_over(request, Candidate(demote, old, ""), chosen)
            except (*LOST, StepFailed) as error:
                self.tell("not switched", id=request, error=str(error))
                self._forget_probe()  # whoever is found read-only now is replaced as usual

    def _successor(self, open_sessions: ExitStack) -> Candidate:
        """The replica that has most; it goes on receiving.

        Raises:
            StepFailed: no replica answers.
        """
        found: dict[str, Candidate] = {}
        for name in sorted(set(self.facts.servers) - {self.primary}):
            with suppress(*LOST):
                session = self.reach(name, PROMOTION_TIMEOUT_S)
                open_sessions.callback(session.close)
                status = self.flavour.replica_status(session)
                if status is not None and status.receiving:
                    found[name] = Candidate(name, session, self.flavour.gtid_received(session))
        if not found:
            raise StepFailed("no replica follows that could lead")
        return found[replication.most_advanced(self.flavour, {name: one.received for name, one in found.items()})]

    def _hand_over(self, request: str, old: Candidate, chosen: Candidate) -> None:
        position = self.flavour.gtid_executed(old.session)
        if not self.flavour.wait_for_gtid(chosen.session, position, HAND_OVER_TIMEOUT_S):
            replication.lead(self.flavour, old.session, semi_sync=self.semi_sync)
            raise StepFailed(f"{chosen.name} has not got all that {old.name} has within {HAND_OVER_TIMEOUT_S:g} s")
        position = replication.promote(self.flavour, chosen.session, semi_sync=self.semi_sync)
        self.tell("promoted", server=chosen.name, position=position, semi_sync=self.semi_sync)
        place = self.facts.servers[chosen.name]
        self._repoint(old, place)
        with ExitStack() as open_sessions:
            for name in sorted(set(self.facts.servers) - {old.name, chosen.name}):
                with suppress(*LOST):  # the tender lets it follow later
                    session = self.reach(name, PROMOTION_TIMEOUT_S)
                    open_sessions.callback(session.close)
                    self._repoint(Candidate(name, session, ""), place)
        self.strikes, self.disaster = 0, False
        self._forget_probe()
        self._decide(chosen.name)
        self.tell("switched", id=request, server=chosen.name)

    def _candidates(self, open_sessions: ExitStack) -> dict[str, Candidate]:
        """All who answer, after they stopped receiving: from now on none acknowledges to the old primary."""

        def ask(name: str) -> Candidate | None:
            try:
                session = self.reach(name, PROMOTION_TIMEOUT_S)
                open_sessions.callback(session.close)
                if self.flavour.replica_status(session) is not None:
                    execute(session, [self.flavour.stop_receiving()])
                return Candidate(name, session, self.flavour.gtid_received(session))
            except LOST:
                return None

        with ThreadPoolExecutor(max_workers=len(self.facts.servers)) as pool:
            answers = pool.map(ask, sorted(self.facts.servers))
            return {answer.name: answer for answer in answers if answer is not None}

    def _repoint(self, candidate: Candidate, place: Place) -> None:
        try:
            replication.follow(self.flavour, candidate.session, place.address, place.port, self.password)
        except LOST as error:
            self.tell("not repointed", server=candidate.name, error=str(error))
            return
        self.tell("repointed", server=candidate.name)


def main(path: str) -> None:
    """Run the manager until it is killed."""
    config = Config(**json.loads(Path(path).read_text()))

    def point(place: Place) -> None:
        if config.balance:
            from ftchaos.platforms.lab import balancer

            balancer.point_writer(Path(config.lab), place.address, place.port)

    Manager(config, point).watch()


if __name__ == "__main__":
    main(sys.argv[1])
