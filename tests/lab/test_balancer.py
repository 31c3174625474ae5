"""HAProxy before two real databases: the writer's address leads where it was pointed last, whatever happens."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from app_stack import Stack, prepare_mysql, wait_until

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab import balancer
from ftchaos.platforms.lab.layout import EDGE, MYSQL_PORT, READER_PORT, WRITER_PORT, ZONES

FIRST, SECOND = ZONES[0], ZONES[1]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # A folder whose paths no unix socket could be named by.
    folder = tmp_path_factory.mktemp("lab") / ("deep-" * 10) / ("down-" * 10)
    folder.mkdir(parents=True)
    stack = Stack(folder)
    try:
        specs, stack.secret_file = prepare_mysql(stack, (FIRST, SECOND))
        stack.begin([*specs, *balancer.prepare(stack.layout, folder)])
        yield stack
    finally:
        stack.end()


@pytest.fixture(autouse=True)
def _writer_leads_to_the_first(stack: Stack) -> None:
    point(stack, FIRST)


def point(stack: Stack, zone: str) -> None:
    balancer.point_writer(stack.folder, stack.layout.address(zone), MYSQL_PORT)


def connect(stack: Stack, port: int = WRITER_PORT) -> pymysql.Connection:
    password = stack.secret_file.read_text().strip()
    address = stack.layout.address(EDGE)
    return pymysql.connect(host=address, port=port, user="app", password=password, connect_timeout=2, read_timeout=2)


def server_id(connection: pymysql.Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@server_id")
        (found,) = cursor.fetchone()
    return int(found)


def test_the_writer_is_the_primary_at_first(stack: Stack) -> None:
    with connect(stack) as connection:
        assert server_id(connection) == 1


def test_pointing_the_writer_moves_new_sessions_and_ends_old_ones(stack: Stack) -> None:
    old = connect(stack)
    point(stack, SECOND)

    with pytest.raises(pymysql.err.OperationalError):
        server_id(old)
    with connect(stack) as connection:
        assert server_id(connection) == 2


def test_being_told_twice_disturbs_nobody(stack: Stack) -> None:
    point(stack, SECOND)
    with connect(stack) as connection:
        point(stack, SECOND)

        assert server_id(connection) == 2


def test_a_balancer_that_began_again_remembers_the_writer(stack: Stack) -> None:
    point(stack, SECOND)
    stack.kill("haproxy")
    stack.begin_again("haproxy")

    assert balancer.current_writer(stack.folder) == (stack.layout.address(SECOND), MYSQL_PORT)
    with connect(stack) as connection:
        assert server_id(connection) == 2


def test_a_dead_balancer_obeys_when_it_is_back(stack: Stack) -> None:
    stack.kill("haproxy")
    with pytest.raises(StepFailed, match="haproxy does not answer"):
        point(stack, SECOND)
    stack.begin_again("haproxy")

    assert balancer.current_writer(stack.folder) == (stack.layout.address(SECOND), MYSQL_PORT)


def test_a_dead_writer_is_refused_at_once(stack: Stack) -> None:
    balancer.point_writer(stack.folder, stack.layout.address(ZONES[2]), MYSQL_PORT)  # nobody listens there

    with pytest.raises(pymysql.err.OperationalError, match=r"Lost connection|2003|2006"):
        connect(stack)


def test_readers_avoid_dead_servers(stack: Stack) -> None:
    def found() -> set[int]:
        ids = set()
        for _ in range(4):
            with connect(stack, READER_PORT) as connection:
                ids.add(server_id(connection))
        return ids

    assert found() == {1, 2}
    stack.kill("mysql-a")
    wait_until(lambda: "mysql-a" in down(stack), 3, "the dead reader is noticed")
    assert found() == {2}
    stack.begin_again("mysql-a")
    wait_until(lambda: "mysql-a" not in down(stack), 5, "the reader is back")


def down(stack: Stack) -> set[str]:
    lines = balancer.command(stack.folder, "show stat").splitlines()
    fields = [line.split(",") for line in lines if line.startswith("mysql_reader,")]
    return {field[1] for field in fields if field[17].startswith("DOWN")}


def test_a_request_that_no_server_got_is_certainly_not_committed(stack: Stack) -> None:
    request = urllib.request.Request(f"{stack.public}/api/files", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(request, timeout=3)

    assert answer.value.code == 503
    assert answer.value.headers["X-Outcome"] == "not-committed"


def test_the_control_socket_is_only_for_its_owner(stack: Stack) -> None:
    assert (Path(balancer.home_of(stack.folder)) / balancer.SOCKET).stat().st_mode & 0o077 == 0
