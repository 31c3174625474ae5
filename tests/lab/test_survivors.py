"""Survivors read by SQL from both flavours: exactly what is there, at a cost that follows the gaps."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from array import array
from collections.abc import Callable, Iterator, Sequence

import pytest
from pymysql.cursors import Cursor
from trio import Trio, trio

from ftchaos import survivors
from ftchaos.audit import Surviving, classify, self_test
from ftchaos.errors import Inconclusive
from ftchaos.ledger import Ledger, WriterLedger, content, write_id
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import session
from ftchaos.survivors import sql
from ftchaos.survivors.intervals import merged

FIRST = 5


@pytest.fixture(scope="module", params=flavours.NAMES)
def servers(request: pytest.FixtureRequest) -> Iterator[Trio]:
    """One server of each flavour that takes writes."""
    with trio(request.param) as made:
        made.begin("mysql-a", options={"read-only": 0})
        yield made


@pytest.fixture
def connect(servers: Trio) -> Iterator[Callable[[], session.Session]]:
    """Opens connections to a server without any writes."""

    def opened() -> session.Session:
        return servers.servers["mysql-a"].connect()

    with opened() as connection:
        yield opened
        uploaded = "SELECT id FROM filetransfer.files WHERE upload_key IS NOT NULL"
        session.execute(connection, [
            "DELETE FROM ftchaos.ledger_writes",
            f"DELETE FROM filetransfer.transfers WHERE file_id IN ({uploaded})",
            "DELETE FROM filetransfer.files WHERE upload_key IS NOT NULL",
        ])  # fmt: skip


def ledger_of(*attempted: int, kind: str = "mysql") -> Ledger:
    """Writers from FIRST on that had all their writes acknowledged."""
    return Ledger(
        tuple(
            WriterLedger(kind, FIRST + index, 0.0, b"\2" * count, array("I", [20, 20]) * count)
            for index, count in enumerate(attempted)
        )
    )


def insert(connection: session.Session, writer: int, sequences: Sequence[int], wrong: Sequence[int] = ()) -> None:
    rows = [(write_id(writer, seq), content(write_id(writer, seq))) for seq in sequences if seq not in wrong]
    rows += [(write_id(writer, seq), "something else") for seq in wrong]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO ftchaos.ledger_writes (id, content) VALUES (%s, %s)", rows)


def upload(connection: session.Session, seq: int, *, transfers: int = 1, **columns: object) -> None:
    key = write_id(FIRST, seq)
    data = content(key).encode()
    row = {"owner_id": 1, "name": "a", "size_bytes": len(data), "checksum": hashlib.sha256(data).hexdigest()}
    row |= {"content": data, "upload_key": key, "created_at": "2026-01-01", **columns}
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO filetransfer.files ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
            tuple(row.values()),
        )
        file_id = cursor.lastrowid
        for _ in range(transfers):
            cursor.execute(
                "INSERT INTO filetransfer.transfers (file_id, status, created_at) VALUES (%s, 'queued', NOW(6))",
                (file_id,),
            )


Connect = Callable[[], session.Session]


def test_whole_ledger_survives(connect: Connect) -> None:
    with connect() as connection:
        insert(connection, FIRST, range(1, 101))
        insert(connection, FIRST + 1, range(1, 51))

    (found,) = survivors.read(connect, ledger_of(100, 50))

    assert {FIRST: Surviving(((1, 100),)), FIRST + 1: Surviving(((1, 50),))} == found.writers
    assert 0 == found.strangers


def test_nothing_survives(connect: Connect) -> None:
    (found,) = survivors.read(connect, ledger_of(100))

    assert {FIRST: Surviving()} == found.writers


def intervals(sequences: set[int]) -> tuple[tuple[int, int], ...]:
    return tuple(merged((seq, seq) for seq in sorted(sequences)))


@pytest.mark.parametrize("seed", range(12))
def test_gaps_and_corrupt_rows_are_those_that_were_planted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Small stretches, so that every path from whole to blocks to islands is taken, on two connections."""
    chance = random.Random(seed)
    monkeypatch.setattr(sql, "STRETCH", chance.choice([7, 50, 1000]))
    monkeypatch.setattr(sql, "BLOCK_BITS", chance.choice([0, 2, 5]))
    monkeypatch.setattr(sql, "PARALLEL_FROM", 1)
    attempted = chance.randint(1, 300)
    present = {seq for seq in range(1, attempted + 1) if chance.random() < chance.choice([0.1, 0.9, 0.99])}
    wrong = {seq for seq in present if chance.random() < 0.05}
    with connect() as connection:
        insert(connection, FIRST, sorted(present), sorted(wrong))
        insert(connection, FIRST, [attempted + 1, attempted + 9])

    (found,) = survivors.read(connect, ledger_of(attempted))

    assert Surviving(intervals(present), intervals(wrong)) == found.writers[FIRST]
    assert 2 == found.strangers


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("content = CONCAT(content, ' ')", id="a space more"),
        pytest.param("content = CONCAT('0', content)", id="a zero more"),
        pytest.param("content = ''", id="empty"),
        pytest.param("content = CONCAT(LEFT(content, 5), 'X', SUBSTR(content, 7))", id="another byte"),
        pytest.param("content = id + 1", id="another row's content"),
    ],
)
def test_row_with_another_content_is_corrupt(connect: Connect, damage: str) -> None:
    with connect() as connection:
        insert(connection, FIRST, range(1, 11))
        session.execute(connection, [f"UPDATE ftchaos.ledger_writes SET {damage} WHERE id = {write_id(FIRST, 4)}"])

    ledger = ledger_of(10)
    found = survivors.read(connect, ledger)

    assert Surviving(((1, 10),), ((4, 4),)) == found[0].writers[FIRST]
    assert "" == self_test(ledger, found)


def test_ids_of_nobody_are_strangers_but_those_of_earlier_runs_are_not(connect: Connect) -> None:
    with connect() as connection:
        insert(connection, FIRST - 1, [1, 2, 3])
        insert(connection, FIRST, [1, 2, 4])
        insert(connection, FIRST + 1, [7])
        insert(connection, 2**24 - 1, [2**40 - 1])

    ledger = ledger_of(2)
    found = survivors.read(connect, ledger)

    assert 3 == found[0].strangers
    assert 3 == classify(ledger, found, None).total.unexpected


def test_next_run_begins_after_the_writers_of_all_before(connect: Connect) -> None:
    with connect() as connection:
        assert 1 == survivors.next_writer(connection)
        insert(connection, FIRST, [1])
        assert FIRST + 1 == survivors.next_writer(connection)
        upload(connection, 1)
        insert(connection, FIRST - 1, [1])
        assert FIRST + 1 == survivors.next_writer(connection)


def test_upload_survives_as_file_and_transfer(connect: Connect) -> None:
    with connect() as connection:
        for seq in (1, 2, 4):
            upload(connection, seq)

    (found,) = survivors.read(connect, ledger_of(4, kind="uploads"))

    assert Surviving(((1, 2), (4, 4))) == found.writers[FIRST]
    assert 0 == found.strangers


@pytest.mark.parametrize(
    "columns",
    [{"content": b"x"}, {"content": None}, {"checksum": "A" * 64}, {"size_bytes": 1}, {"transfers": 0}],
    ids=str,
)
def test_upload_that_is_not_whole_is_corrupt(connect: Connect, columns: dict[str, object]) -> None:
    with connect() as connection:
        upload(connection, 1)
        upload(connection, 2, **columns)  # type: ignore[arg-type]

    (found,) = survivors.read(connect, ledger_of(2, kind="uploads"))

    assert Surviving(((1, 2),), ((2, 2),)) == found.writers[FIRST]


def test_upload_with_two_transfers_is_duplicate(connect: Connect) -> None:
    with connect() as connection:
        upload(connection, 1)
        upload(connection, 2, transfers=2)

    (found,) = survivors.read(connect, ledger_of(2, kind="uploads"))

    assert Surviving(((1, 2),), (), ((2, 2),)) == found.writers[FIRST]


def test_write_committed_after_the_snapshot_is_not_seen(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = sql._survey

    def interrupted(cursor: Cursor, *args: object) -> Surviving:
        with connect() as other:
            session.execute(other, [f"DELETE FROM ftchaos.ledger_writes WHERE id >= {write_id(FIRST, 5)}"])
        return survey(cursor, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(sql, "_survey", interrupted)
    with connect() as connection:
        insert(connection, FIRST, range(1, 11))

    (found,) = survivors.read(connect, ledger_of(10))

    assert Surviving(((1, 10),)) == found.writers[FIRST]


def test_cost_follows_the_gaps_and_not_the_rows(connect: Connect) -> None:
    with connect() as connection:
        insert(connection, FIRST, range(1, 20_001))

        def selects() -> int:
            sql = "SHOW GLOBAL STATUS LIKE 'Com_select'"
            before = int(session.rows(connection, sql)[0]["Value"])
            survivors.read(connect, ledger_of(20_000))
            return int(session.rows(connection, sql)[0]["Value"]) - before

        whole = selects()
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM ftchaos.ledger_writes WHERE id IN %s",
                ([write_id(FIRST, seq) for seq in (5, 9000, 15000)],),
            )
        gapped = selects()

    assert whole <= 5
    assert whole + 1 + 3 == gapped


def test_server_that_is_gone_makes_the_audit_inconclusive(connect: Connect) -> None:
    def closed() -> session.Session:
        connection = connect()
        with connect() as other:
            session.execute(other, [f"KILL {connection.thread_id()}"])
        return connection

    with pytest.raises(Inconclusive, match="could not be read"):
        survivors.read(closed, ledger_of(10))


def test_kind_that_nobody_can_read_makes_the_audit_inconclusive(connect: Connect) -> None:
    with pytest.raises(Inconclusive, match="pigeons"):
        survivors.read(connect, ledger_of(10, kind="pigeons"))


def test_rows_of_clients_inside_a_zone_are_those_of_the_database_and_nobodys_strangers(connect: Connect) -> None:
    with connect() as connection:
        insert(connection, FIRST, [1, 2])
        insert(connection, FIRST + 1, [1, 3, 4])
        insert(connection, FIRST + 2, [9])
    one, inside = ledger_of(2, 3).writers
    ledger = Ledger((one, dataclasses.replace(inside, kind="mysql-inside"), WriterLedger("redis-a", 99, 0.0, b"", [])))

    found = survivors.read(connect, ledger)

    assert ["mysql", "mysql-inside"] == [one.kind for one in found]
    assert {FIRST: Surviving(((1, 2),))} == found[0].writers
    assert {FIRST + 1: Surviving(((1, 1), (3, 3)))} == found[1].writers
    assert [2, 0] == [one.strangers for one in found]


def test_completions_are_exact_in_any_time_zone(connect: Connect) -> None:
    with connect() as connection:
        for seq in (1, 2, 4):
            upload(connection, seq, transfers=1 if seq != 4 else 0)
        session.execute(connection, [
            "UPDATE filetransfer.files SET created_at = FROM_UNIXTIME(1800000000.5) WHERE upload_key IS NOT NULL",
            "UPDATE filetransfer.transfers t JOIN filetransfer.files f ON f.id = t.file_id"
            " SET t.created_at = FROM_UNIXTIME(1800000000.123456)"
            f" WHERE f.upload_key = {write_id(FIRST, 1)}",
            "UPDATE filetransfer.transfers t JOIN filetransfer.files f ON f.id = t.file_id"
            " SET t.status = 'completed', t.created_at = FROM_UNIXTIME(1800000001.000001),"
            f" t.completed_at = FROM_UNIXTIME(1800000001.999999) WHERE f.upload_key = {write_id(FIRST, 2)}",
        ] + [
            "INSERT INTO filetransfer.transfer_events (transfer_id, kind, at) SELECT t.id, 'completed', NOW(6)"
            " FROM filetransfer.transfers t JOIN filetransfer.files f ON f.id = t.file_id"
            f" WHERE f.upload_key = {write_id(FIRST, 2)}"
        ] * 2)  # fmt: skip
        # As it is for a connection that was told to speak of another zone.
        session.execute(connection, ["SET SESSION time_zone = '+05:30'"])

        found = survivors.completions(connection, ledger_of(4, kind="uploads"))

    assert [
        (write_id(FIRST, 1), 1800000000.123456, None, 0),
        (write_id(FIRST, 2), 1800000001.000001, 1800000001.999999, 2),
        (write_id(FIRST, 4), 1800000000.5, None, 0),
    ] == found


def test_work_that_has_been_queued_for_long_is_counted(connect: Connect) -> None:
    with connect() as connection:
        for seq in (1, 2):
            upload(connection, seq)
        session.execute(connection, [
            "UPDATE filetransfer.transfers t JOIN filetransfer.files f ON f.id = t.file_id"
            f" SET t.created_at = NOW(6) - INTERVAL 3 SECOND WHERE f.upload_key = {write_id(FIRST, 1)}",
        ])  # fmt: skip

        assert (2, 1, 0) == tuple(survivors.queued(connection, older_s) for older_s in (0, 2.5, 60))
