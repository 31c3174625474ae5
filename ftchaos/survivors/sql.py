"""Which of the ledger's writes a database holds, asked in SQL so that the rows stay where they are.

A stretch of consecutive ids is whole when as many sound rows are counted in it as it has ids: one range scan that reads
nothing to the client. Only a stretch that falls short is looked into: counted by blocks in one more pass, and in the
blocks that fall short told apart by gaps and islands. So what it costs beyond the scan follows the gaps, not the rows.

Every connection has a consistent snapshot, begun together before anything is read, and each write is judged in exactly
one of them. Works on MariaDB from 10.6 and MySQL from 8.0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from queue import SimpleQueue
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from ftchaos.audit import Interval, Surviving, Survivors
from ftchaos.errors import Inconclusive
from ftchaos.ledger import SEQUENCE_BITS, Ledger, write_id
from ftchaos.survivors.intervals import merged
from ftchaos.workload.cluster import lies_in_redis

Connect = Callable[[], "Connection[Any]"]

# Large enough that round trips cost nothing, small enough that both connections end together and one gap costs little.
STRETCH = 50_000
# Where a stretch falls short, it is counted again by blocks of 512 ids.
BLOCK_BITS = 9
# A second connection is worth its time from here on.
PARALLEL_FROM = 100_000
MAX_ID = 2**64 - 1
# The table is not there, or MySQL has not even its schema.
ABSENT = (ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR)


@dataclass(frozen=True)
class Source:
    """Where the writes of one kind lie, and how a row shows that it is the one that was written.

    Attributes:
        table: the table, as ``w``.
        id: the column with the write's id; unique.
        sound: holds for a row that is as written and there once.
        corrupt: holds, or is unknown, for a row with another content.
        duplicate: holds for a row that is there more than once.
    """

    table: str
    id: str
    sound: str
    corrupt: str
    duplicate: str = "FALSE"


# Cast to binary, bytes are compared: no case, no padding, no conversion. It is also the quickest on both flavours.
_UPLOADED = (
    "w.content = CAST(w.upload_key AS BINARY) AND w.size_bytes = LENGTH(w.content)"
    " AND w.checksum = CAST(SHA2(w.content, 256) AS BINARY)"
)
_TRANSFERS = "(SELECT COUNT(*) FROM filetransfer.transfers t WHERE t.file_id = w.id)"
# By the first word of the kind: clients inside a zone that was cut off, ``mysql-inside``, write where all others do.
SOURCES = {
    "mysql": Source(
        "ftchaos.ledger_writes w", "w.id", "w.content = CAST(w.id AS BINARY)", "w.content <> CAST(w.id AS BINARY)"
    ),
    # An upload is a file with one transfer: one without is half a transaction, one with two was stored twice.
    "uploads": Source(
        "filetransfer.files w",
        "w.upload_key",
        f"{_UPLOADED} AND {_TRANSFERS} = 1",
        f"NOT ({_UPLOADED}) OR {_TRANSFERS} = 0",
        f"{_TRANSFERS} > 1",
    ),
}


def read(connect: Connect, ledger: Ledger, *, connections: int = 2) -> list[Survivors]:
    """What the database holds of each kind of writer's writes; those that lie in Redis are passed over.

    Ids below those of the ledger's first writer belong to earlier runs and are passed over; see :func:`next_writer`.

    Args:
        connect: opens a connection that may read the tables; called up to ``connections`` times.
        ledger: says which ids may be there; its writers must have ended. All that wrote since its first writer must
            be in it, or their rows are taken for strangers.
        connections: how many to read with; one suffices for a short ledger.

    Raises:
        Inconclusive: the database did not answer to the end.
    """
    kinds = [kind for kind in ledger.kinds() if not lies_in_redis(kind)]
    if unknown := {kind for kind in kinds if _where(kind) not in SOURCES}:
        raise Inconclusive(f"nobody knows where writes of the kind {', '.join(sorted(unknown))} lie")
    count = connections if sum(writer.attempted for writer in ledger.writers) >= PARALLEL_FROM else 1
    try:
        with _snapshots(connect, count) as (readers, read_at):
            return [_read_kind(readers, ledger, kind, read_at) for kind in kinds]
    except (MySQLError, OSError) as error:
        raise Inconclusive(
            f"the survivors could not be read: {error}", "look at the log of the server that was asked"
        ) from error


def next_writer(connection: Connection[Any], stores: Collection[str] = tuple(SOURCES)) -> int:
    """The lowest writer number that no earlier run has left rows of; a run's writers begin there.

    Args:
        stores: what is written to; a table that does not exist yet has no rows, and others are not looked at.
    """
    newest = 0
    with connection.cursor(Cursor) as cursor:
        for source in (SOURCES[name] for name in stores if name in SOURCES):
            try:
                cursor.execute(f"SELECT MAX({source.id}) FROM {source.table}")
            except MySQLError as error:
                if error.args[0] not in ABSENT:
                    raise
                continue
            newest = max(newest, int((cursor.fetchone() or (0,))[0] or 0))
    return (newest >> SEQUENCE_BITS) + 1


class _Readers:
    """Connections that share the work on many stretches."""

    def __init__(self, connections: Sequence[Connection[Any]]) -> None:
        self._idle: SimpleQueue[Connection[Any]] = SimpleQueue()
        for connection in connections:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(len(connections))

    def map(self, work: Callable[..., Any], stretches: Iterable[Interval], source: Source) -> Iterator[Any]:
        """The results of some work on each stretch, in their order."""
        return self._threads.map(lambda stretch: self._with_connection(work, source, stretch), stretches)

    def _with_connection(self, work: Callable[..., Any], source: Source, stretch: Interval) -> Any:
        connection = self._idle.get()
        try:
            with connection.cursor(Cursor) as cursor:
                return work(cursor, source, *stretch)
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


@contextmanager
def _snapshots(connect: Connect, count: int) -> Iterator[tuple[_Readers, float]]:
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect())) for _ in range(count)]
        read_at = time.monotonic()
        for connection in connections:
            with connection.cursor(Cursor) as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        readers = _Readers(connections)
        # Threads end before their connections are closed.
        stack.callback(readers.close)
        yield readers, read_at


def _read_kind(readers: _Readers, ledger: Ledger, kind: str, read_at: float) -> Survivors:
    source, writers = SOURCES[_where(kind)], ledger.of(kind)
    stretches = [stretch for writer in writers for stretch in _stretches(writer.writer, writer.attempted)]
    found: dict[int, list[Surviving]] = {writer.writer: [] for writer in writers}
    for (first, _), surviving in zip(stretches, readers.map(_survey, stretches, source), strict=True):
        found[first >> SEQUENCE_BITS].append(surviving)
    # A stranger in a table is nobody's; the first of the kinds that share the table tells of it.
    alike = [one for one in ledger.kinds() if _where(one) == _where(kind)]
    strangers = sum(readers.map(_count, _unattempted(ledger, alike), source)) if kind == alike[0] else 0
    return Survivors(kind, read_at, {writer: _joined(parts) for writer, parts in found.items()}, strangers)


def _where(kind: str) -> str:
    return kind.partition("-")[0]


def _unattempted(ledger: Ledger, kinds: Sequence[str]) -> Iterator[Interval]:
    """Where no id of writers of these kinds should be, from the ledger's first writer on."""
    floor = write_id(min(writer.writer for writer in ledger.writers), 0)
    writers = sorted((one for kind in kinds for one in ledger.of(kind)), key=lambda one: one.writer)
    attempted = [(write_id(one.writer, 1), write_id(one.writer, one.attempted)) for one in writers if one.attempted]
    return _between(attempted, floor)


def _stretches(writer: int, attempted: int) -> Iterator[Interval]:
    for first in range(1, attempted + 1, STRETCH):
        yield write_id(writer, first), write_id(writer, min(first + STRETCH - 1, attempted))


def _between(ranges: Sequence[Interval], floor: int) -> Iterator[Interval]:
    """Where no id should be: from the floor to the highest id, without the ranges, which are in order."""
    for first, last in ranges:
        if first > floor:
            yield floor, first - 1
        floor = last + 1
    yield floor, MAX_ID


def _survey(cursor: Cursor, source: Source, first: int, last: int) -> Surviving:
    """What is there between two ids."""
    if _count(cursor, source, first, last, source.sound) == last - first + 1:
        return Surviving(present=((first, last),))
    present: list[Interval] = []
    corrupt: list[Interval] = []
    duplicate: list[Interval] = []
    for begin, end, there, sound in _runs(_blocks(cursor, source, first, last)):
        if there == end - begin + 1:
            present.append((begin, end))
        elif there:
            present.extend(_islands(cursor, source, begin, end))
        if sound < there:
            corrupt.extend(_which(cursor, source, begin, end, f"({source.corrupt}) IS NOT FALSE"))
            duplicate.extend(_which(cursor, source, begin, end, source.duplicate))
    return Surviving(tuple(present), tuple(corrupt), tuple(duplicate))


Run = tuple[int, int, int, int]
"""First and last of some consecutive ids, how many of them are there, and how many of those are sound."""


def _blocks(cursor: Cursor, source: Source, first: int, last: int) -> Iterator[Run]:
    """The ids between two, cut into aligned blocks and counted in one pass."""
    cursor.execute(
        f"SELECT {source.id} >> {BLOCK_BITS} AS block, COUNT(*), COUNT(IF({source.sound}, 1, NULL))"
        f" FROM {source.table} WHERE {source.id} BETWEEN %s AND %s GROUP BY block",
        (first, last),
    )
    counts = {int(block): (int(there), int(sound)) for block, there, sound in cursor.fetchall()}
    for block in range(first >> BLOCK_BITS, (last >> BLOCK_BITS) + 1):
        begin, end = max(first, block << BLOCK_BITS), min(last, ((block + 1) << BLOCK_BITS) - 1)
        yield begin, end, *counts.get(block, (0, 0))


def _runs(blocks: Iterable[Run]) -> Iterator[Run]:
    """Consecutive blocks as one where they are alike: all sound, all absent, or neither."""
    for _, alike in groupby(blocks, lambda block: (block[2] == 0, block[3] == block[1] - block[0] + 1)):
        run = list(alike)
        yield run[0][0], run[-1][1], sum(block[2] for block in run), sum(block[3] for block in run)


def _islands(cursor: Cursor, source: Source, first: int, last: int) -> Iterator[Interval]:
    """The intervals of ids that are there."""
    cursor.execute(
        "SELECT MIN(id), MAX(id) FROM"
        f" (SELECT {source.id} AS id, {source.id} - ROW_NUMBER() OVER (ORDER BY {source.id}) AS island"
        f" FROM {source.table} WHERE {source.id} BETWEEN %s AND %s) ids GROUP BY island ORDER BY 1",
        (first, last),
    )
    return ((int(begin), int(end)) for begin, end in cursor.fetchall())


def _count(cursor: Cursor, source: Source, first: int, last: int, condition: str = "TRUE") -> int:
    cursor.execute(
        f"SELECT COUNT(*) FROM {source.table} WHERE {source.id} BETWEEN %s AND %s AND {condition}", (first, last)
    )
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _which(cursor: Cursor, source: Source, first: int, last: int, condition: str) -> Iterator[Interval]:
    """The intervals of ids for which a condition holds."""
    cursor.execute(
        f"SELECT {source.id} FROM {source.table} WHERE {source.id} BETWEEN %s AND %s AND {condition} ORDER BY 1",
        (first, last),
    )
    return merged((int(row[0]), int(row[0])) for row in cursor.fetchall())


def _joined(parts: Sequence[Surviving]) -> Surviving:
    """The stretches of one writer as one, by sequence instead of id."""
    return Surviving(
        *(
            tuple(merged(_sequences(interval for part in parts for interval in getattr(part, which))))
            for which in ("present", "corrupt", "duplicate")
        )
    )


def _sequences(intervals: Iterable[Interval]) -> Iterator[Interval]:
    mask = (1 << SEQUENCE_BITS) - 1
    return ((first & mask, last & mask) for first, last in intervals)
