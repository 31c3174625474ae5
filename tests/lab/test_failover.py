"""The failover manager with real servers: it promotes without loss, fences, rejoins, and says when nothing is left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trio import Trio, Writer, insert, trio, until

from ftchaos.errors import StepFailed
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import replication, session
from ftchaos.platforms.lab import failover
from ftchaos.platforms.lab.decisions import Facts, Folder, Place


class Managed:
    """A trio and the manager that watches it."""

    def __init__(self, made: Trio, lab: Path) -> None:
        self.made = made
        self.lab = lab
        self.folder = Folder.of(lab)
        secret = lab / "secret"
        secret.write_text(made.password + "\n")
        places = {name: Place(server.address, server.port) for name, server in made.servers.items()}
        [self.spec] = failover.prepare(lab, made.flavour.name, places, "mysql-a", secret, balance=False)
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Begin the manager and wait until it watches."""
        before = len(self.events("begun"))
        with Path(self.spec.log).open("ab") as log:
            argv = ["setpriv", "--pdeathsig", "KILL", *self.spec.argv]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until(lambda: len(self.events("begun")) > before)

    def end(self) -> None:
        """Kill the manager; it must not have died by itself."""
        assert self.process is not None
        assert self.process.poll() is None, Path(self.spec.log).read_text()
        self.process.kill()
        self.process.wait()

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Its decisions of these kinds, or all."""
        return [event for event in self.folder.events() if not kinds or event["event"] in kinds]

    def event(self, kind: str, timeout_s: float = 15) -> dict[str, Any]:
        """The first decision of a kind, waited for."""
        found = until(lambda: self.events(kind), timeout_s, f"{kind} in {self.events()}")
        return dict(found[0])

    def primary(self) -> str:
        """Who is the primary."""
        decided = self.folder.primary()
        assert decided is not None
        return str(decided["primary"])


@contextmanager
def managed(flavour_name: str, lab: Path) -> Iterator[Managed]:
    """A primary, two replicas and their manager."""
    with trio(flavour_name) as made:
        made.replicate()
        watched = Managed(made, lab)
        watched.begin()
        try:
            yield watched
        finally:
            watched.end()


@pytest.fixture(params=flavours.NAMES)
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Managed]:
    """The same, once for each flavour."""
    with managed(request.param, tmp_path) as made:
        yield made


def test_a_killed_primary_is_replaced_nothing_is_lost_and_it_comes_back_as_a_replica(watched: Managed) -> None:
    made = watched.made
    writer = Writer(made, watched.primary)
    writer.start()
    until(lambda: len(writer.acknowledged) > 100)

    killed_at = failover.now()
    made.kill("mysql-a")
    promoted = watched.event("promoted")
    until(lambda: any(at > promoted["at"] for at in writer.acknowledged.values()), what="a write after the promotion")
    first_write_s = min(at for at in writer.acknowledged.values() if at > promoted["at"]) - killed_at
    until(lambda: sum(at > promoted["at"] for at in writer.acknowledged.values()) > 50)
    writer.end()

    new, other = promoted["server"], ({"mysql-b", "mysql-c"} - {promoted["server"]}).pop()
    order = [event["event"] for event in watched.events() if event["event"] not in ("begun", "pointed")]
    assert order[:5] == ["suspected", "detected", "chosen", "promoted", "repointed"]
    assert watched.primary() == new
    assert first_write_s < 5
    assert set(writer.acknowledged) <= made.ledger_ids(new)
    made.caught_up(new, other)
    assert made.checksums(new) == made.checksums(other)

    # Without its unacknowledged tail it may follow; with one it must be refused, and rebuilt.
    made.begin("mysql-a", options=made.flavour.rejoin_options())
    outcome = until(lambda: [one for one in watched.events("rejoined", "diverged") if one["server"] == "mysql-a"])[0]
    if outcome["event"] == "diverged":
        made.kill("mysql-a")
        replication.rebuild(made.servers[new], made.servers["mysql-a"].datadir)
        made.begin("mysql-a")
        replication.attach(made.servers["mysql-a"], made.servers[new], made.password)
    made.caught_up(new, "mysql-a")
    assert made.checksums(new) == made.checksums("mysql-a")


def test_after_a_disaster_servers_that_come_back_wait_until_somebody_tells(tmp_path: Path) -> None:
    with managed("mariadb", tmp_path) as watched:
        made = watched.made
        with made.app("mysql-a", answer_timeout_s=10) as connection:
            insert(connection, 1)
        made.kill(*made.servers)
        watched.event("disaster")
        made.begin(*made.servers)
        with pytest.raises(AssertionError, match="not within"):
            until(lambda: watched.events("promoted"), timeout_s=1)

        watched.folder.tell(watched.folder.facts())
        watched.event("promoted")
        with made.app(until(lambda: watched.primary()), answer_timeout_s=10) as connection:
            insert(connection, 2)
        for name in made.servers:
            until(lambda name=name: made.ledger_ids(name) == {1, 2}, what=f"{name} follows")


def test_a_killed_replica_changes_no_role_and_is_let_in_again(watched: Managed) -> None:
    made = watched.made
    made.kill("mysql-b")
    with made.app("mysql-a", answer_timeout_s=10) as connection:
        insert(connection, 1)
    made.begin("mysql-b")

    made.caught_up("mysql-a", "mysql-b", "mysql-c")
    assert made.ledger_ids("mysql-b") == {1}
    # It confirms again, or without the other one no commit would ever end.
    with made.servers["mysql-b"].connect() as connection:
        assert until(lambda: made.flavour.confirms(connection))
    with made.servers["mysql-a"].connect() as connection:
        assert until(lambda: made.flavour.semi_sync_replicas(connection) == 2)
    assert watched.primary() == "mysql-a"
    assert not watched.events("suspected", "promoted", "disaster")


def test_when_no_candidate_is_left_it_says_disaster_and_obeys_who_restores(watched: Managed) -> None:
    made = watched.made
    made.kill(*made.servers)
    disaster = watched.event("disaster")
    assert disaster["unreachable"] == sorted(made.servers)

    # What a restore drill does: one server comes back under another role, and is told to everybody.
    made.begin("mysql-c")
    restored = made.servers["mysql-c"]
    with restored.connect() as connection:
        session.execute(connection, made.flavour.forget_replication())
        replication.lead(made.flavour, connection, semi_sync=False)
    watched.folder.tell(Facts("mysql-c", {"mysql-c": Place(restored.address, restored.port)}))
    until(lambda: watched.primary() == "mysql-c")
    with made.app("mysql-c", answer_timeout_s=10) as connection:
        insert(connection, 1)
    assert len(watched.events("disaster")) == 1
    assert not watched.events("promoted")


def test_a_primary_that_only_restarted_is_followed_by_one_that_takes_writes(tmp_path: Path) -> None:
    with managed("mariadb", tmp_path) as watched:
        made = watched.made
        made.kill("mysql-a")
        made.begin("mysql-a")  # read-only, as every server begins

        chosen = watched.event("promoted")["server"]
        until(lambda: watched.primary() == chosen)
        with made.app(chosen, answer_timeout_s=10) as connection:
            insert(connection, 1)
        for name in made.servers:
            until(lambda name=name: made.ledger_ids(name) == {1}, what=f"{name} follows")


def test_a_cut_primary_that_still_takes_writes_is_fenced_and_none_of_them_was_acknowledged(tmp_path: Path) -> None:
    """A stopped process stands for a cut: it does not answer, and goes on as the primary when it comes back."""
    with managed("mariadb", tmp_path) as watched:
        made = watched.made
        writer = Writer(made, lambda: "mysql-a")
        writer.start()
        until(lambda: len(writer.acknowledged) > 20)
        subprocess.run(["kill", "-STOP", str(made.processes["mysql-a"].pid)], check=True)
        promoted = watched.event("promoted")
        subprocess.run(["kill", "-CONT", str(made.processes["mysql-a"].pid)], check=True)
        watched.event("fenced")
        writer.end()

        assert set(writer.acknowledged) <= made.ledger_ids(promoted["server"])
        assert until(lambda: watched.events("rejoined", "diverged"))


def test_a_paused_manager_decides_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    with managed("mariadb", tmp_path) as watched:
        assert watched.folder.pause()
        watched.made.kill("mysql-a")
        with pytest.raises(AssertionError, match="not within"):
            until(lambda: watched.events("suspected", "promoted"), timeout_s=1)

        watched.folder.resume()
        assert watched.event("promoted")


def test_a_manager_that_is_killed_goes_on_with_the_primary_it_had_chosen(tmp_path: Path) -> None:
    with managed("mariadb", tmp_path) as watched:
        watched.made.kill("mysql-a")
        chosen = watched.event("promoted")["server"]
        until(lambda: watched.primary() == chosen)
        watched.end()
        watched.begin()

        assert watched.events("begun")[-1]["primary"] == chosen
        with watched.made.app(chosen, answer_timeout_s=10) as connection:
            insert(connection, 1)
        assert json.loads((watched.folder.path / "primary.json").read_text())["primary"] == chosen


def test_a_manager_that_is_asked_hands_the_lead_over_without_a_loss(watched: Managed) -> None:
    made = watched.made
    writer = Writer(made, watched.primary)
    writer.start()
    until(lambda: len(writer.acknowledged) > 50)

    chosen = watched.folder.switch("mysql-a")
    switched_at = watched.event("switched")["at"]
    until(lambda: sum(at > switched_at for at in writer.acknowledged.values()) > 50)
    writer.end()

    assert chosen == watched.primary() != "mysql-a"
    assert watched.folder.switch_wanted() is None
    order = [event["event"] for event in watched.events() if event["event"] not in ("begun", "pointed", "rejoined")]
    assert order[:3] == ["asked", "fenced", "promoted"]
    assert not watched.events("detected", "diverged", "disaster")
    assert set(writer.acknowledged) <= made.ledger_ids(chosen)
    made.caught_up(chosen, *(name for name in made.servers if name != chosen))
    assert made.checksums("mysql-a") == made.checksums(chosen)


def test_a_manager_that_is_asked_for_the_impossible_leaves_everything_as_it_is(tmp_path: Path) -> None:
    with managed("mariadb", tmp_path) as watched:
        with pytest.raises(StepFailed, match="mysql-a is the primary"):
            watched.folder.switch("mysql-b")
        watched.made.kill("mysql-b", "mysql-c")
        with pytest.raises(StepFailed, match="no replica follows"):
            watched.folder.switch("mysql-a")

        assert watched.primary() == "mysql-a"
        assert not watched.events("fenced", "promoted")
