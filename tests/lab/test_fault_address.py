"""An address that leads elsewhere: new connections find the new writer, old ones live on and are refused writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_labs import bring_up, wait_until, whole
from steady_writer import writing
from witnessed import sees_nothing, watching

from ftchaos.clock import now
from ftchaos.conclusion.parts import differences
from ftchaos.mysql import session
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import balancer, faults, standing
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.faults import address
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import EDGE, WRITER_PORT
from ftchaos.platforms.lab.tier import Tier

FAULT = "move_address"
# For each line of input: the id of the server behind a connection that is kept, or behind a new one, and if it writes.
CLIENT = """
import pymysql, sys
def connect():
    return pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="ftchaos", password=sys.argv[3],
                           database="ftchaos", autocommit=True, ssl_disabled=True, read_timeout=10)
kept = connect()
print("connected", flush=True)
for number, line in enumerate(sys.stdin):
    try:
        one = kept if line == "kept\\n" else connect()
        cursor = one.cursor()
        cursor.execute("SELECT @@server_id")
        server = cursor.fetchone()[0]
        cursor.execute("INSERT INTO ledger_writes (id, content) VALUES (%s, 'x')", (int(sys.argv[4]) + number,))
        print(server, "written", flush=True)
    except pymysql.err.MySQLError as error:
        print(error.args[0], flush=True)
"""


class Client:
    """A client of the writer's address that keeps one connection."""

    def __init__(self, lab: Lab, first_id: int) -> None:
        where = [lab.layout.address(EDGE), str(WRITER_PORT), lab.secret, str(first_id)]
        argv = lab.client_argv([sys.executable, "-c", CLIENT, *where])
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._said() == "connected"

    def asks(self, connection: str) -> str:
        """What comes of a write over the ``kept`` or a ``new`` connection."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{connection}\n")
        self.process.stdin.flush()
        return self._said()

    def _said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def client(lab: Lab) -> Iterator[Client]:
    one = Client(lab, int(now() * 1000) << 20)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    lab = bring_up(f"address-{request.param}", request.param)
    yield lab
    lab.down()


def planned(lab: Lab) -> Harm:
    return faults.find(FAULT).plan(standing.of(lab))


def test_old_connections_live_on_and_are_refused_writes_until_it_is_healed(lab: Lab, tmp_path: Path) -> None:
    harm = planned(lab)
    old = Tier(lab).servers[harm.undo["server"]]
    undo = json.loads(json.dumps(dict(harm.undo)))
    with writing(lab) as writer, client(lab) as asker:
        assert asker.asks("kept") == asker.asks("new") == f"{old.server_id} written"
        with watching(tmp_path, lab, harm) as seen:
            fault_at = now()
            said = faults.find(FAULT).inject(lab, harm)
            assert seen.beats_until_proven(fault_at) <= 2

        new = Tier(lab).servers[standing.of(lab).primary if wait_until(lambda: moved(lab, old.name), 60) else ""]
        assert new.name in said
        assert asker.asks("kept") in ("1290", "1836")  # --read-only
        assert asker.asks("new") == f"{new.server_id} written"
        assert asker.asks("kept") in ("1290", "1836")
        assert writer.goes_on()

        faults.find(FAULT).heal(lab, undo)
        assert asker.asks("kept") in ("2006", "2013")  # gone: a client that kept it must connect again
        assert asker.asks("new") == f"{new.server_id} written"
        faults.find(FAULT).heal(lab, undo)

    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]
    assert states.state(lab)[old.name] == f"replica of {new.name}"
    assert states.state(lab)[f"commits of {new.name}"] == "wait for a replica"


def moved(lab: Lab, old: str) -> bool:
    return Tier(lab).primary.name != old


def test_nobody_sees_a_plan_and_its_heal_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    harm = planned(lab)
    before = whole(lab)

    assert sees_nothing(tmp_path, lab, harm)
    faults.find(FAULT).heal(lab, harm.undo)

    assert differences(before, states.state(lab)) == []


def _paused(lab: Lab, harm: Harm) -> None:
    assert Folder.of(lab.folder).pause()


def _read_only(lab: Lab, harm: Harm) -> None:
    _paused(lab, harm)
    server = Tier(lab).servers[harm.undo["server"]]
    with server.connect() as connection:
        session.execute(connection, server.flavour.read_only(True))


def _changed(lab: Lab, harm: Harm) -> None:
    _paused(lab, harm)
    address.change_roles(lab, Tier(lab).servers[harm.undo["server"]])


def _moved(lab: Lab, harm: Harm) -> None:
    _paused(lab, harm)
    new = address.change_roles(lab, Tier(lab).servers[harm.undo["server"]])
    balancer.move_writer(lab.folder, new.address, new.port)


@pytest.mark.parametrize("half", [_paused, _read_only, _changed, _moved])
def test_a_heal_after_a_crash_at_any_step_leaves_one_leader_whom_all_follow(
    lab: Lab, half: Callable[[Lab, Harm], None]
) -> None:
    harm = planned(lab)
    with writing(lab) as writer:
        half(lab, harm)
        faults.find(FAULT).heal(lab, harm.undo)
        assert writer.goes_on()

    assert not Folder.of(lab.folder).paused()
    leader = Tier(lab).primary
    assert balancer.current_writer(lab.folder) == (leader.address, leader.port)
    assert [writer.lost(name) for name in Tier(lab).servers] == [set(), set(), set()]
