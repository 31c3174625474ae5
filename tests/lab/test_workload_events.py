"""Subscribers to the application's events, through the deaths of what they are connected to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_stack import Stack, prepare_mysql
from trio import until
from writers import Workload

from ftchaos.ledger import Outcome, write_id
from ftchaos.mysql import session as sessions
from ftchaos.platforms.lab import balancer, redis
from ftchaos.platforms.lab.app import services
from ftchaos.platforms.lab.layout import EDGE, WRITER_PORT, ZONES
from ftchaos.survivors import completions, next_writer, queued
from ftchaos.workload import events

USERS = 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole application."""
    stack = Stack(tmp_path_factory.mktemp("lab"))
    try:
        databases, stack.secret_file = prepare_mysql(stack, ZONES[:1], "mariadb")
        stack.begin(
            [
                *redis.prepare(stack.layout, stack.folder),
                *databases,
                *balancer.prepare(stack.layout, stack.folder),
                *services.prepare(stack.layout, stack.folder, stack.secret_file),
            ]
        )
        redis.wait_ready(stack.layout)
        until(lambda: balancer.command(stack.folder, "show stat").count(",UP,") >= 3, 60, "the APIs are healthy")
        yield stack
    finally:
        stack.end()


class Listening:
    """Uploads under way that subscribers hear of."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.file = folder / "heard.jsonl"
        with connect(stack) as connection:
            first = next_writer(connection)
        self.workload = Workload(
            folder,
            first_writer=first,
            uploads={"url": stack.public, "owners": USERS},
            events={"url": stack.public, "users": USERS, "file": str(self.file)},
        )
        until(lambda: len(self.heard()) > 10, 60, "events are heard")

    def heard(self) -> list[float]:
        return (
            sorted(min(one) for one in events.read(self.file, live=True).heard.values()) if self.file.exists() else []
        )

    def connections(self, since: float = 0.0) -> list[tuple[float, int, bool]]:
        return [one for one in events.read(self.file, live=True).connections if one[0] > since]


def connect(stack: Stack) -> sessions.Session:
    password = stack.secret_file.read_text().strip()
    return sessions.reach(stack.layout.address(EDGE), WRITER_PORT, user="ftchaos", password=password)


def test_every_completed_upload_is_heard_by_its_owner(stack: Stack, tmp_path: Path) -> None:
    listening = Listening(stack, tmp_path)
    subscribed_at = max(at for at, _, _ in listening.connections())
    listening.workload.wait_attempted(listening.workload.attempted() + 100)
    ledger = listening.workload.end()

    (writer,) = ledger.of("uploads")
    found = events.read(listening.file)
    assert [(user, True) for user in range(1, USERS + 1)] == sorted((user, up) for _, user, up in found.connections)
    for seq in range(1, writer.attempted + 1):
        if writer.outcome(seq) is Outcome.ACKNOWLEDGED and writer.sent_at(seq) > subscribed_at:
            (at, *again) = found.heard[write_id(writer.writer, seq)]
            assert writer.sent_at(seq) < at < writer.known_at(seq) + 3
            assert not again
    lines = [json.loads(line) for line in listening.file.read_text().splitlines()]
    assert all(one["user"] == one["upload_key"] % 2**40 % USERS + 1 for one in lines if "upload_key" in one)


def test_completions_are_those_of_the_ledgers_uploads(stack: Stack, tmp_path: Path) -> None:
    listening = Listening(stack, tmp_path)
    ledger = listening.workload.end()
    (writer,) = ledger.of("uploads")
    with connect(stack) as connection:
        until(lambda: queued(connection) == 0, 60, "all work is done")
        found = completions(connection, ledger)

    assert writer.attempted == len(found) == writer.count(Outcome.ACKNOWLEDGED)
    utc_s = time.time() - time.monotonic()
    for seq, one in enumerate(found, 1):
        assert (write_id(writer.writer, seq), 1) == (one.upload_key, one.times)
        assert one.completed_at is not None
        assert writer.sent_at(seq) + utc_s - 0.01 < one.created_at <= one.completed_at
        assert one.created_at < writer.known_at(seq) + utc_s + 0.01


@pytest.mark.parametrize("harm", ["kill", "pause"])
def test_subscribers_come_back_by_themselves_and_hear_again(stack: Stack, tmp_path: Path, harm: str) -> None:
    listening = Listening(stack, tmp_path)
    apis = [f"api-{zone[-1]}" for zone in ZONES]
    for name in apis:  # whichever they are connected to, it is hit
        harmed_at = time.monotonic()
        getattr(stack, harm)(name)
        try:
            until(lambda at=harmed_at: len(after(listening.heard(), at + 1)) > 20, 60, "events are heard")
        finally:
            stack.begin_again(name) if harm == "kill" else stack.resume(name)
    lost = [one for one in listening.connections() if not one[2]]
    until(lambda: up(listening) == USERS, 60, "all are connected again")
    back_at = time.monotonic()
    until(lambda: len(after(listening.heard(), back_at)) > 20, 60, "events are heard")
    listening.workload.end()

    assert {user for _, user, _ in lost} == set(range(1, USERS + 1))


def test_subscribers_outlive_the_whole_service(stack: Stack, tmp_path: Path) -> None:
    listening = Listening(stack, tmp_path)
    names = ["haproxy", *(f"api-{zone[-1]}" for zone in ZONES)]
    killed_at = time.monotonic()
    for name in names:
        stack.kill(name)
    until(lambda: up(listening) == 0, 60, "nobody is connected")
    until(lambda: time.monotonic() > killed_at + 1)
    for name in reversed(names):
        stack.begin_again(name)
    until(lambda: up(listening) == USERS, 60, "all are connected again")
    back_at = time.monotonic()
    until(lambda: len(after(listening.heard(), back_at)) > 20, 60, "events are heard")
    listening.workload.end()

    assert 2 * USERS == len(listening.connections(killed_at))


@pytest.mark.parametrize("_", range(8))  # one in a few met a message that came in just then, and went on for ever
def test_what_cannot_be_written_down_ends_the_workload_with_an_error(stack: Stack, tmp_path: Path, _: int) -> None:
    workload = Workload(
        tmp_path,
        uploads={"url": "http://127.0.0.1:9"},
        events={"url": stack.public, "users": USERS, "file": "/dev/full"},
    )

    _, errors = workload.process.communicate(timeout=60)

    assert 1 == workload.process.returncode
    assert b"No space left" in errors


def after(instants: list[float], at: float) -> list[float]:
    return [one for one in instants if one > at]


def up(listening: Listening) -> int:
    state: dict[int, Any] = {user: connected for _, user, connected in listening.connections()}
    return sum(state.values())
