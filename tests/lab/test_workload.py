"""The workload against real servers that die, refuse, hang and lie: the ledger never claims too much."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from trio import Trio, free_port, trio, until
from writers import Service, Workload, mysql_part

from ftchaos import process
from ftchaos.audit import Audit, classify, self_test
from ftchaos.ledger import Ledger, Outcome, write_id
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import session
from ftchaos.recovery import operations, outages
from ftchaos.survivors import next_writer
from ftchaos.survivors import read as read_survivors
from ftchaos.workload import book

WRITABLE = {"read-only": 0}


@pytest.fixture(scope="module", params=flavours.NAMES)
def servers(request: pytest.FixtureRequest) -> Iterator[Trio]:
    """One server of each flavour that takes writes."""
    with trio(request.param) as made:
        made.begin("mysql-a", options=WRITABLE)
        yield made


def connect(servers: Trio) -> session.Session:
    return servers.servers["mysql-a"].connect()


def first_writer(servers: Trio) -> int:
    with connect(servers) as connection:
        return next_writer(connection)


def audit_of(servers: Trio, ledger: Ledger, fault_at: float | None = None) -> Audit:
    survivors = read_survivors(lambda: connect(servers), ledger)
    assert self_test(ledger, survivors) == ""
    return classify(ledger, survivors, fault_at)


# Uploads ------------------------------------------------------------------------------------------------------


async def reset(service: Service, key: int, request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def store(service: Service, key: int, request: web.Request) -> web.Response:
    return service.store(key)


async def store_and_reset(service: Service, key: int, request: web.Request) -> web.Response:
    service.store(key)
    return await reset(service, key, request)


async def store_too_late(service: Service, key: int, request: web.Request) -> web.Response:
    answer = service.store(key)
    await asyncio.sleep(2)
    return answer


async def break_off_the_answer(service: Service, key: int, request: web.Request) -> web.StreamResponse:
    service.store(key)
    answer = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"file_id": 1')
    assert request.transport is not None
    request.transport.abort()
    return answer


def says(status: int, body: str = "", headers: dict[str, str] | None = None) -> Any:
    async def answer(service: Service, key: int, request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    return answer


A, F, I = Outcome.ACKNOWLEDGED, Outcome.FAILED, Outcome.INDETERMINATE  # noqa: E741
BEHAVIOURS = [
    (store, A),
    (says(200, '{"file_id": 5, "transfer_id": 6}'), A),
    (says(503, '{"error": "read-only"}', {"X-Outcome": "not-committed"}), F),
    (says(503, "<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n"), F),
    (says(422, "no such user"), F),
    (says(200, "<html>welcome</html>"), I),
    (says(201, "{}"), I),
    (says(302, "", {"Location": "/elsewhere"}), I),
    (says(409), I),
    (says(500), I),
    (says(502, '{"error": "lost"}'), I),
    (says(503, "busy"), I),
    (says(504), I),
    (reset, I),
    (store_and_reset, I),
    (store_too_late, I),
    (break_off_the_answer, I),
]


def test_each_answer_is_classed_and_never_for_more_than_it_says(tmp_path: Path) -> None:
    async def misbehave(service: Service, key: int, request: web.Request) -> Any:
        return await BEHAVIOURS[key % 2**40 % len(BEHAVIOURS)][0](service, key, request)

    with Service.answering(misbehave) as service:
        workload = Workload(tmp_path, uploads={"url": service.url, "rate": 200, "timeout_s": 1})
        workload.wait_attempted(4 * len(BEHAVIOURS))
        (writer,) = workload.end().writers

    seen = [writer.outcome(seq) for seq in range(1, writer.attempted + 1)]
    assert [BEHAVIOURS[seq % len(BEHAVIOURS)][1] for seq in range(1, writer.attempted + 1)] == seen
    last = workload.progress()[-1]
    assert (True, writer.attempted, seen.count(A)) == (last["ended"], last["attempted"], last["acknowledged"])


def test_upload_that_found_nobody_has_failed(tmp_path: Path) -> None:
    workload = Workload(tmp_path, uploads={"url": f"http://127.0.0.1:{free_port()}"})
    workload.wait_attempted(20)
    (writer,) = workload.end().writers

    assert writer.attempted == writer.count(F)


def test_uploads_go_on_at_their_rate_while_the_service_hangs(tmp_path: Path) -> None:
    async def hang(service: Service, key: int, request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    with Service.answering(hang) as service:
        workload = Workload(tmp_path, uploads={"url": service.url, "timeout_s": 1})
        workload.wait_attempted(150)
        ledger = workload.end()

    made = operations(ledger.writers)
    assert 0.02 == pytest.approx(statistics.median(after - one for one, after in pairwise(made.sent_at)), abs=0.005)
    assert len(made) == ledger.writers[0].count(I)
    assert pytest.approx(1.0, abs=0.3) == statistics.median(made.latency_s)


def test_upload_carries_what_the_application_wants(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    async def look(service: Service, key: int, request: web.Request) -> web.Response:
        seen.append(await request.json())
        return service.store(key)

    with Service.answering(look) as service:
        workload = Workload(tmp_path, first_writer=9, uploads={"url": service.url, "owners": 3})
        workload.wait_attempted(5)
        workload.end()

    assert write_id(9, 1) == seen[0]["upload_key"]
    assert {1, 2, 3} == {one["owner"] for one in seen}
    assert seen[0]["content"] == str(seen[0]["upload_key"])
    assert len(seen[0]["name"].encode()) > len(seen[0]["name"])


# Database writers ---------------------------------------------------------------------------------------------


def test_every_acknowledged_write_is_there(servers: Trio, tmp_path: Path) -> None:
    workload = Workload(tmp_path, first_writer=first_writer(servers), mysql=mysql_part(servers, rate=400))
    workload.wait_attempted(400)
    audit = audit_of(servers, workload.end())

    assert audit.total.attempted == audit.total.ok
    assert workload.attempted() == audit.total.ok


def test_nothing_is_claimed_across_a_killed_server(servers: Trio, tmp_path: Path) -> None:
    workload = Workload(tmp_path, first_writer=first_writer(servers), mysql=mysql_part(servers))
    workload.wait_attempted(200)
    servers.processes["mysql-a"].kill()
    servers.processes["mysql-a"].wait()
    killed_at = time.monotonic()
    until(lambda: time.monotonic() > killed_at + 0.5)
    servers.begin("mysql-a", options=WRITABLE)
    begun_at = time.monotonic()
    before = workload.attempted()
    workload.wait_attempted(before + 400)
    ledger = workload.end()

    audit = audit_of(servers, ledger, killed_at)
    assert (0, 0, 0, 0.0) == (audit.total.lost, audit.total.unexpected, audit.total.corrupt, audit.data_loss_s)
    assert 4 >= audit.total.indeterminate
    for writer in ledger.writers:
        (outage,) = [one for one in outages(operations([writer])) if one.duration_s > 0.3]
        assert pytest.approx(killed_at, abs=0.3) == outage.began_at
        assert begun_at + 0.5 > outage.ended_at
        # Tries never pause: one each 20 ms, and the little that a refused one takes.
        tries = [at for at in map(writer.sent_at, range(1, writer.attempted + 1)) if killed_at < at < killed_at + 0.5]
        assert 0.02 == pytest.approx(statistics.median(after - one for one, after in pairwise(tries)), abs=0.01)


def test_write_that_a_read_only_server_refuses_has_failed(servers: Trio, tmp_path: Path) -> None:
    workload = Workload(tmp_path, first_writer=first_writer(servers), mysql=mysql_part(servers))
    workload.wait_attempted(100)
    with connect(servers) as connection:
        session.execute(connection, servers.flavour.read_only(True))
        before = workload.attempted()
        workload.wait_attempted(before + 50)
        session.execute(connection, servers.flavour.read_only(False))
    before = workload.attempted()
    workload.wait_attempted(before + 400)
    audit = audit_of(servers, workload.end())

    assert audit.total.failed >= 20
    assert (0, 0, 0) == (audit.total.lost, audit.total.unexpected, audit.total.indeterminate)


def test_row_that_was_there_before_makes_the_write_fail_and_is_unexpected(servers: Trio, tmp_path: Path) -> None:
    number = first_writer(servers)
    with connect(servers) as connection:
        session.execute(
            connection, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({write_id(number, 3)}, 'x')"]
        )
    workload = Workload(tmp_path, first_writer=number, mysql=mysql_part(servers, writers=1, rate=50))
    workload.wait_attempted(10)
    ledger = workload.end()

    audit = audit_of(servers, ledger)
    assert F == ledger.writers[0].outcome(3)
    assert (1, 1, 1) == (audit.total.failed, audit.total.unexpected, audit.total.corrupt)


def test_ledger_survives_kill_at_any_instant(servers: Trio, tmp_path: Path) -> None:
    pauses = random.Random(2)
    for attempt in range(6):
        (folder := tmp_path / str(attempt)).mkdir()
        workload = Workload(folder, first_writer=first_writer(servers), mysql=mysql_part(servers, rate=0))
        workload.wait_attempted(1)
        time.sleep(pauses.uniform(0, 0.3))
        ledger = workload.kill()

        audit = audit_of(servers, ledger)
        assert audit.total.acknowledged > 0 or audit.total.attempted < 10
        assert (0, 0, 0) == (audit.total.lost, audit.total.unexpected, audit.total.failed)
        assert audit.total.indeterminate <= 4


# The process --------------------------------------------------------------------------------------------------


def test_workload_of_both_kinds_ends_together(servers: Trio, tmp_path: Path) -> None:
    with Service.answering(store) as service:
        workload = Workload(
            tmp_path,
            first_writer=first_writer(servers),
            uploads={"url": service.url},
            mysql=mysql_part(servers, writers=2),
        )
        workload.wait_attempted(300)
        ledger = workload.end()

    assert ["uploads", "mysql", "mysql"] == [writer.kind for writer in ledger.writers]
    assert {"uploads", "mysql"} == {line["kind"] for line in workload.progress() if line.get("ended")}
    assert ledger.of("uploads")[0].count(A) == len(service.committed)


BEGIN_AND_WAIT = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()"


def test_workload_dies_with_the_process_that_began_it(tmp_path: Path) -> None:
    mysql = {"host": "127.0.0.1", "port": free_port(), "user": "x", "secret_file": str(tmp_path / "secret")}
    (tmp_path / "secret").write_text("x")
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"folder": str(tmp_path / "ledger"), "mysql": mysql, "uploads": {"url": "http://127.0.0.1:9"}})
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", BEGIN_AND_WAIT, sys.executable, "-m", "ftchaos.workload", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(
        lambda: (
            (tmp_path / "ledger" / book.FILE).exists()
            and book.read(tmp_path / "ledger", live=True).of("uploads")[0].attempted
        )
    )
    children = until(lambda: Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()

    until(lambda: not any(process.alive(int(one)) for one in [pid, *children]), 2, "all dead")


def test_workload_that_is_not_the_child_it_was_to_be_does_nothing(tmp_path: Path) -> None:
    workload = Workload(tmp_path, parent_pid=1, uploads={"url": "http://127.0.0.1:9"})

    workload.process.communicate(timeout=60)

    assert 1 == workload.process.returncode
    assert not workload.folder.exists()


def test_workload_ends_by_itself_after_its_longest_duration(tmp_path: Path) -> None:
    workload = Workload(tmp_path, max_duration_s=0.5, uploads={"url": "http://127.0.0.1:9"})

    workload.process.communicate(timeout=60)

    assert 0 == workload.process.returncode
    assert 25 == pytest.approx(book.read(workload.folder).writers[0].attempted, abs=5)


def test_secret_is_not_in_the_command_nor_in_the_ledger(servers: Trio, tmp_path: Path) -> None:
    workload = Workload(tmp_path, first_writer=first_writer(servers), mysql=mysql_part(servers))
    workload.wait_attempted(10)
    command = Path(f"/proc/{workload.process.pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{workload.process.pid}/environ").read_bytes()
    workload.end()

    secret = servers.password.encode()
    assert not any(secret in one for one in (command, environment, workload.lines))
    assert not any(secret in file.read_bytes() for file in workload.folder.iterdir())


@pytest.mark.parametrize("half", [0, 1])
def test_workload_of_which_a_half_dies_ends_with_an_error(servers: Trio, tmp_path: Path, half: int) -> None:
    workload = Workload(
        tmp_path, first_writer=first_writer(servers), uploads={"url": "http://127.0.0.1:9"}, mysql=mysql_part(servers)
    )
    workload.wait_attempted(50)
    pid = workload.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(children[half]), signal.SIGKILL)

    workload.process.communicate(timeout=60)

    assert 2 == len(children)
    assert 1 == workload.process.returncode
