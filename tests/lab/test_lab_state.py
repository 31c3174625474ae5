"""How a lab stands, in words: without waiting for dead and hung servers, and only what differs is told."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_labs import bring_up, bring_up_bare, wait_until, whole

from ftchaos.conclusion.parts import differences
from ftchaos.mysql import session
from ftchaos.platforms.lab import database
from ftchaos.platforms.lab import state as states
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import QUEUE_REDIS_PORT


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def lab(request: pytest.FixtureRequest, state: Path) -> Iterator[Lab]:
    lab = bring_up(f"state-{request.param}", request.param)
    yield lab
    lab.down()


def test_two_looks_at_a_lab_that_nothing_happened_to_do_not_differ(lab: Lab) -> None:
    before = whole(lab)

    assert differences(before, states.state(lab)) == []
    assert before["mysql-a"] == "primary"
    assert before["mysql-b"] == "replica of mysql-a"
    assert before["commits of mysql-a"] == "wait for a replica"
    assert before["clock of mysql-c"] == "right"
    assert before["redis-cluster-b2"] == "replica of redis-cluster-a1"
    assert before["sentinel-c"] == "names redis-queue-a"
    assert before["way to api-b"] == before["reading from mysql-b"] == "open"


def test_a_dead_and_a_hung_server_are_told_of_without_being_asked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before, connect, call = whole(lab), session.connect, Lab.call
    asked: list[Path | tuple[str, int]] = []

    def connect_told(datadir: Path, **how: float) -> session.Session:
        asked.append(datadir)
        return connect(datadir, **how)

    def call_told(self: Lab, name: str, /, **args: Any) -> Any:
        asked.extend((place, port) for place, port, _ in args.get("questions", ()))
        return call(self, name, **args)

    lab.call("kill_service", name="worker-b")
    lab.call("kill_service", name="mysql-c", signal=int(signal.SIGSTOP))
    lab.call("kill_service", name="redis-queue-c", signal=int(signal.SIGSTOP))
    try:
        assert wait_until(lambda: {"T"} == {_process_state(lab, name) for name in ("mysql-c", "redis-queue-c")}, 10)
        with monkeypatch.context() as patch:
            patch.setattr(session, "connect", connect_told)
            patch.setattr(Lab, "call", call_told)
            told = differences(before, states.state(lab))
    finally:
        for name in ("mysql-c", "redis-queue-c"):
            lab.call("kill_service", name=name, signal=int(signal.SIGCONT))
        lab.call("begin_service", name="worker-b")

    servers = {name: server.datadir for name, server in database.servers(lab.facts).items()}
    assert {servers["mysql-a"], servers["mysql-b"], ("zone-b", QUEUE_REDIS_PORT)} <= set(asked)
    assert {servers["mysql-c"], ("zone-c", QUEUE_REDIS_PORT)}.isdisjoint(asked)
    assert "worker-b: runs before, does not run after" in told
    assert "mysql-c: replica of mysql-a before, is stopped after" in told
    assert "redis-queue-c: replica of redis-queue-a before, is stopped after" in told
    assert wait_until(lambda: differences(before, states.state(lab)) == [], 60)


def test_an_answer_that_was_late_once_is_no_difference(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before, connect, call = whole(lab), session.connect, Lab.call
    late: set[object] = set()

    def connect_late(datadir: Path, **how: float) -> session.Session:
        if datadir not in late:
            late.add(datadir)
            raise TimeoutError("timed out")
        return connect(datadir, **how)

    def call_late(self: Lab, name: str, /, **args: Any) -> Any:
        replies = call(self, name, **args)
        if name == "ask" and name not in late:
            late.add(name)
            return ["", *replies[1:-1], ""]
        return replies

    monkeypatch.setattr(session, "connect", connect_late)
    monkeypatch.setattr(Lab, "call", call_late)

    assert [] == differences(before, states.state(lab))
    assert {"ask", *(server.datadir for server in database.servers(lab.facts).values())} == late


def _process_state(lab: Lab, name: str) -> str:
    """The letter by which the kernel says whether it runs; a stop arrives when the process has its turn."""
    stat = Path("/proc") / str(lab.status()["services"][name]["pid"]) / "stat"
    return stat.read_text().rpartition(")")[2].split()[0]


def test_each_change_of_a_setting_or_a_role_is_one_clause(lab: Lab) -> None:
    before = whole(lab)
    server = database.servers(lab.facts)["mysql-b"]
    with server.connect() as connection:
        session.execute(connection, [server.flavour.stop_applying(), "SET GLOBAL sync_binlog = 0"])
    try:
        told = differences(before, states.state(lab))
    finally:
        with server.connect() as connection:
            session.execute(connection, [server.flavour.begin_applying(), "SET GLOBAL sync_binlog = 1"])

    settings = "innodb_flush_log_at_trx_commit 1"
    assert told == [
        f"durability of mysql-b: sync_binlog 1, {settings} before, sync_binlog 0, {settings} after",
        "mysql-b: replica of mysql-a before, replica of mysql-a, does not apply after",
    ]


def test_a_place_that_is_cut_off_hides_none_of_its_servers(lab: Lab) -> None:
    before = whole(lab)
    lab.call("cut_zone", zone="zone-c")
    try:
        told = differences(before, states.state(lab))
    finally:
        lab.call("mend_zone", zone="zone-c")

    assert "zone-c: alive before, alive, cut off after" in told
    assert not any(clause.startswith("durability") for clause in told)


def test_a_lab_of_nothing_but_places_has_a_state_too(state: Path) -> None:
    bare = bring_up_bare("state-bare")
    try:
        assert states.state(bare)["zone-a"] == "alive"
    finally:
        bare.down()
