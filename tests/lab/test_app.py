"""The application stand-in, whole: three APIs and three workers over real MySQL, Redis, Sentinel and HAProxy."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pymysql
import pytest
import socketio
from app_stack import Stack, prepare_mysql, upload, wait_until

from ftchaos.mysql import session as sessions
from ftchaos.platforms.lab import balancer, redis
from ftchaos.platforms.lab.app import services
from ftchaos.platforms.lab.app.database import Pool
from ftchaos.platforms.lab.app.worker import complete
from ftchaos.platforms.lab.layout import API_PORT, EDGE, MYSQL_PORT, WRITER_PORT, ZONES

KEYS = itertools.count(1)
RATE = 40  # uploads a second
LATE = 2  # uploads that a busy machine may answer too late, whatever the application does
Answer = tuple[int, str | None, Any]


both_flavours = pytest.mark.parametrize("stack", ["mariadb", "mysql"], indirect=True, scope="module")
any_flavour = pytest.mark.parametrize("stack", ["mariadb"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("lab"))
    try:
        databases, stack.secret_file = prepare_mysql(stack, ZONES[:2], request.param)
        stack.begin(
            [
                *redis.prepare(stack.layout, stack.folder),
                *databases,
                *balancer.prepare(stack.layout, stack.folder),
                *services.prepare(stack.layout, stack.folder, stack.secret_file),
            ]
        )
        redis.wait_ready(stack.layout)
        yield stack
    finally:
        stack.end()


@pytest.fixture(autouse=True)
def _whole(stack: Stack) -> None:
    """Each test begins with every process running and every API healthy."""
    balancer.point_writer(stack.folder, stack.layout.address(ZONES[0]), MYSQL_PORT)
    wait_until(lambda: healthy(stack) == 3, 10, "all APIs are healthy")


def healthy(stack: Stack) -> int:
    lines = balancer.command(stack.folder, "show stat").splitlines()
    fields = [line.split(",") for line in lines if line.startswith("api,api-")]
    return sum(field[17] == "UP" for field in fields)


def query(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    password = stack.secret_file.read_text().strip()
    with (
        pymysql.connect(
            host=stack.layout.address(EDGE), port=WRITER_PORT, user="app", password=password, database="filetransfer"
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return list(cursor.fetchall())


def queued(stack: Stack) -> int:
    return int(query(stack, "SELECT COUNT(*) FROM transfers WHERE status = 'queued'")[0][0])


def one_upload(stack: Stack, key: int, owner: int = 1, url: str | None = None) -> Answer:
    async def send() -> Answer:
        async with aiohttp.ClientSession() as session:
            return await upload(session, url or stack.public, key, owner)

    return asyncio.run(send())


async def steadily(stack: Stack, duration_s: float, harm: Callable[[], None]) -> list[Answer]:
    """The answers to uploads at a steady rate, with harm done in a thread after a quarter of the time."""
    began_at = time.monotonic()
    tasks: list[Awaitable[Answer]] = []
    async with aiohttp.ClientSession() as session:
        harmed: Awaitable[None] | None = None
        while (elapsed_s := time.monotonic() - began_at) < duration_s:
            if harmed is None and elapsed_s > duration_s / 4:
                harmed = asyncio.ensure_future(asyncio.to_thread(harm))
            tasks.append(asyncio.create_task(upload(session, stack.public, next(KEYS), owner=len(tasks) % 50 + 1)))
            await asyncio.sleep(1 / RATE)
        assert harmed is not None
        await harmed
        return await asyncio.gather(*tasks)


def failed(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer[0] != 201]


@both_flavours
def test_an_upload_is_stored_completed_and_heard_of(stack: Stack) -> None:
    key = next(KEYS)

    async def send_and_hear() -> tuple[Answer, dict[str, Any]]:
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        client = socketio.AsyncClient()
        client.on("transfer", heard.put)
        await client.connect(stack.public, auth={"user": 7})
        async with aiohttp.ClientSession() as session:
            answer = await upload(session, stack.public, key, owner=7)
        event = await asyncio.wait_for(heard.get(), 5)
        await client.disconnect()
        return answer, event

    (status, _, body), event = asyncio.run(send_and_hear())

    assert status == 201
    assert event == {**body, "upload_key": key, "status": "completed"}
    assert query(stack, f"SELECT status FROM transfers WHERE id = {body['transfer_id']}") == [("completed",)]
    kinds = query(stack, f"SELECT kind FROM transfer_events WHERE transfer_id = {body['transfer_id']} ORDER BY id")
    assert kinds == [("queued",), ("completed",)]


@both_flavours
def test_the_same_key_is_stored_once(stack: Stack) -> None:
    key = next(KEYS)
    first, second = one_upload(stack, key), one_upload(stack, key)

    assert (first[0], second[0]) == (201, 200)
    assert first[2] == second[2]
    assert query(stack, f"SELECT COUNT(*) FROM files WHERE upload_key = {key}") == [(1,)]


@both_flavours
def test_an_upload_can_be_read_back(stack: Stack) -> None:
    key = next(KEYS)
    one_upload(stack, key, owner=9)

    async def read() -> tuple[dict[str, Any], dict[str, Any], int]:
        async with aiohttp.ClientSession(stack.public) as session:
            async with session.get(f"/api/files/{key}") as answer:
                file = await answer.json()
            async with session.get("/api/users/9/files") as answer:
                files = await answer.json()
            async with session.get("/api/files/999999999") as answer:
                return file, files, answer.status

    file, files, missing = asyncio.run(read())

    assert (file["name"], file["content"]) == (f"Übertragung-{key}.txt", f"content of {key}")
    assert files["files"][0]["file_id"] == file["file_id"]
    assert missing == 404


@both_flavours
def test_a_wrong_request_is_rejected_and_leaves_nothing(stack: Stack) -> None:
    status, outcome, _ = one_upload(stack, next(KEYS), owner=4_000_000)

    assert (status, outcome) == (422, "not-committed")


@any_flavour
def test_a_killed_api_costs_only_the_requests_it_held(stack: Stack) -> None:
    answers = asyncio.run(steadily(stack, 2, lambda: stack.kill("api-b")))
    stack.begin_again("api-b")

    assert len(failed(answers)) <= 1 + LATE, failed(answers)


@any_flavour
def test_a_hanging_api_never_makes_an_upload_look_uncommitted(stack: Stack) -> None:
    answers = asyncio.run(steadily(stack, 3, lambda: stack.pause("api-c")))
    stack.resume("api-c")
    wait_until(lambda: healthy(stack) == 3, 5, "the API is back")

    # What it had received it commits when it goes on, so nobody may have been told that it is not committed.
    assert all(outcome != "not-committed" for _, outcome, _ in answers)
    assert len(failed(answers)) < RATE


@any_flavour
def test_a_killed_worker_leaves_no_transfer_behind(stack: Stack) -> None:
    asyncio.run(steadily(stack, 2, lambda: stack.kill("worker-a")))
    wait_until(lambda: queued(stack) == 0, 8, "every transfer is completed")
    stack.begin_again("worker-a")


@any_flavour
def test_a_killed_cluster_master_stops_nobody(stack: Stack) -> None:
    answers = asyncio.run(steadily(stack, 6, lambda: stack.kill("redis-cluster-b1")))
    stack.begin_again("redis-cluster-b1")

    assert len(failed(answers)) <= LATE, failed(answers)


@any_flavour
def test_a_killed_queue_master_loses_no_transfer(stack: Stack) -> None:
    def master() -> str:
        query = f"SENTINEL GET-MASTER-ADDR-BY-NAME {redis.QUEUE_MASTER}"
        said = redis.ask(*redis.sentinel_addresses(stack.layout, ZONES[0])[0], query)
        return next(line for line in said.split() if line.startswith("127."))

    dead = master()
    (name,) = (
        name
        for name, spec in stack.specs.items()
        if name.startswith("redis-queue-") and stack.layout.address(spec.place) == dead
    )
    answers = asyncio.run(steadily(stack, 5, lambda: stack.kill(name)))

    assert master() != dead
    assert len(failed(answers)) <= LATE, failed(answers)
    wait_until(lambda: queued(stack) == 0, 8, "the sweepers found what the queue did not take")
    key = next(KEYS)
    began_at = time.monotonic()
    one_upload(stack, key)
    wait_until(lambda: queued(stack) == 0, 1, "the queue works again")
    assert time.monotonic() - began_at < 1
    stack.begin_again(name)


@both_flavours
def test_a_new_writer_is_used_without_a_restart(stack: Stack) -> None:
    def move() -> None:
        stack.kill("mysql-a")
        time.sleep(0.5)
        balancer.point_writer(stack.folder, stack.layout.address(ZONES[1]), MYSQL_PORT)

    answers = asyncio.run(steadily(stack, 3, move))
    stack.begin_again("mysql-a")

    failures = failed(answers)
    # Half a second without any writer, and what the pools and the health checks add to it.
    assert 0.3 < len(failures) / RATE < 1, Counter(answer[:2] for answer in failures)
    assert all(outcome == "not-committed" for status, outcome, _ in failures if status == 503)
    assert all(answer[0] == 201 for answer in answers[-RATE // 2 :])


@both_flavours
def test_a_read_only_writer_is_left_as_soon_as_there_is_another(stack: Stack) -> None:
    def set_read_only(on: bool) -> None:
        with sessions.connect(stack.folder / ZONES[0] / "mysql-a" / "data") as admin:
            sessions.execute(admin, [f"SET GLOBAL read_only = {int(on)}"])

    set_read_only(True)
    try:
        status, outcome, _ = one_upload(stack, next(KEYS))
        assert (status, outcome) == (503, "not-committed")
        wait_until(lambda: healthy(stack) == 0, 2, "the health checks notice")
        balancer.point_writer(stack.folder, stack.layout.address(ZONES[1]), MYSQL_PORT)
        wait_until(lambda: one_upload(stack, next(KEYS))[0] == 201, 1, "uploads succeed")
    finally:
        set_read_only(False)


@any_flavour
def test_a_commit_that_hangs_is_unknown_and_not_called_uncommitted(stack: Stack) -> None:
    def wait_for_replicas(on: bool) -> None:
        # Nobody replicates from it, so that a commit is durable and yet never ends.
        with sessions.connect(stack.folder / ZONES[0] / "mysql-a" / "data") as admin:
            sessions.execute(admin, stack.flavour.semi_sync_source(on))

    key = next(KEYS)
    wait_for_replicas(True)
    try:
        # Past the balancer, which on a busy machine may say that it has no server.
        status, outcome, said = one_upload(stack, key, url=f"http://{stack.layout.address(ZONES[1])}:{API_PORT}")
    finally:
        wait_for_replicas(False)

    assert (status, outcome) == (502, None), said
    assert query(stack, f"SELECT COUNT(*) FROM files WHERE upload_key = {key}") == [(1,)]
    wait_until(lambda: queued(stack) == 0, 5, "the sweeper completes what the API could not enqueue")


@both_flavours
def test_a_transfer_is_completed_only_once(stack: Stack) -> None:
    async def complete_again(transfer_id: int) -> bool:
        config = services.config_of(stack.layout, ZONES[0], stack.secret_file)
        return await complete(Pool(config.mysql, 1), transfer_id)

    transfer_id = one_upload(stack, next(KEYS))[2]["transfer_id"]
    wait_until(lambda: queued(stack) == 0, 3, "the worker completes it")

    assert asyncio.run(complete_again(transfer_id)) is False
    events = query(stack, f"SELECT COUNT(*) FROM transfer_events WHERE transfer_id = {transfer_id}")
    assert events == [(2,)]


@any_flavour
def test_an_api_that_reaches_no_redis_is_not_healthy(stack: Stack) -> None:
    names = [name for name in stack.specs if name.startswith("redis-cluster-")]
    for name in names:
        stack.pause(name)
    try:
        wait_until(lambda: healthy(stack) == 0, 5, "the health checks notice")
    finally:
        for name in names:
            stack.resume(name)
