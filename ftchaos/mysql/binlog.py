"""Reads the binary log of MariaDB and MySQL as bytes: events, checksums, transactions; pure.

Only what a recovery must know is decoded: where each transaction begins and ends, which id it
has, when it was committed, and what the log's head says had gone before. Rows are never decoded.

Source: the event layouts in MariaDB's ``sql/log_event.h`` and in MySQL's
``libs/mysql/binlog/event/control_events.h``, checked against logs of 10.11 and 9.7.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple
from uuid import UUID
from zlib import crc32

from ftchaos.errors import Unusable
from ftchaos.mysql.gtidset import GtidSet

MAGIC = b"\xfebin"
_ENCRYPTED_MAGIC = b"\xfdbin"
_HEADER = struct.Struct("<IBIIIH")  # timestamp, type, server id, size, end position, flags
_HEADER_BYTES = _HEADER.size
_WALK = struct.Struct("<xxxxBxxxxII").unpack_from  # the same without what a walk does not need
_CRC = struct.Struct("<I").unpack_from
_CRC_BYTES = 4
_IN_USE = 1

_QUERY, _STOP, _ROTATE, _FORMAT, _XID = 2, 3, 4, 15, 16
_INCIDENT, _ANONYMOUS, _PREVIOUS_GTIDS, _XA_PREPARE, _PAYLOAD = 26, 34, 35, 38, 40
_MYSQL_GTID, _MYSQL_TAGGED_GTID = 33, 42
_MARIADB_GTID, _MARIADB_GTID_LIST, _START_ENCRYPTION, _MARIADB_QUERY_COMPRESSED = 162, 163, 164, 165
_GTIDS = frozenset({_MYSQL_GTID, _MYSQL_TAGGED_GTID, _MARIADB_GTID, _ANONYMOUS})
_QUERIES = frozenset({_QUERY, _MARIADB_QUERY_COMPRESSED})
_BODY = frozenset({*range(19, 26), *range(29, 33), 39, 160, *range(166, 172)})  # table maps, rows, their statements
_PREFIXES = frozenset({5, 13, 14})  # variables that stand before a statement
_ENDS = frozenset({_XID, _XA_PREPARE, _PAYLOAD})
_STANDALONE = 1  # MariaDB: one statement that commits itself
_END_WORDS = (b"COMMIT", b"ROLLBACK", b"XA COMMIT", b"XA ROLLBACK")
_BEGIN_WORDS = (b"BEGIN", b"XA START")

Data = memoryview


class Damaged(Unusable):
    """The bytes are not a whole log.

    Attributes:
        offset: where reading had to end.
    """

    def __init__(self, fact: str, offset: int) -> None:
        super().__init__(f"{fact} at byte {offset}", "fetch this log again, or restore up to it with --to")
        self.offset = offset


class Torn(Damaged):
    """The log only ends in the middle of an event or transaction, as after a crash; nothing before is wrong."""


Event = tuple[int, int, int]  # its type, and the bytes "begin" to "end" of the log; no class, for speed


class Transaction(NamedTuple):
    """One transaction of a log.

    Attributes:
        source: MariaDB's domain, or MySQL's uuid (with a tag ``uuid:tag``); empty where the server had GTIDs off.
        number: the sequence number within the source.
        server_id: who wrote it first.
        begin: offset of its first byte.
        end: offset after its last byte.
        at_s: commit time in seconds since the epoch; whole seconds on MariaDB, microseconds on MySQL.
    """

    source: str
    number: int
    server_id: int
    begin: int
    end: int
    at_s: float

    @property
    def gtid(self) -> str:
        """The id as the server writes it."""
        middle = f"-{self.server_id}-" if self.source.isdigit() else ":"
        return f"{self.source}{middle}{self.number}" if self.source else "anonymous"


@dataclass(frozen=True)
class Head:
    """What a log says about itself before its first transaction.

    Attributes:
        server_id: the server that wrote the log.
        checksums: whether each event carries a CRC32.
        before: all that had gone before this log.
        body: offset of the first event that is not part of the head.
    """

    flavour: Literal["mariadb", "mysql"]
    server_version: str
    server_id: int
    checksums: bool
    before: GtidSet
    body: int


@dataclass
class Tail:
    """Where a reading of :func:`transactions` got to; filled while it goes on.

    Attributes:
        whole: offset after the last whole transaction or event between transactions.
        closed: the log says that it ended: the server shut down or went on to the next log.
        next_name: the log that it went on to, where it says so.
        last_event_at_s: time stamp of the newest event.
    """

    whole: int = 0
    closed: bool = False
    next_name: str = ""
    last_event_at_s: float = 0.0


def head(data: Data) -> Head:
    """What the log says about itself.

    Raises:
        Damaged: it is no binary log, it is encrypted, or it ends within its head (then :class:`Torn`).
    """
    magic = bytes(data[:4])
    if magic == _ENCRYPTED_MAGIC:
        raise Damaged("the log is encrypted", 0)
    if magic != MAGIC[: len(magic)] or not magic:
        raise Damaged("not a binary log", 0) if magic else Torn("the log is empty", 0)
    kind, begin, end = next(events(data, len(MAGIC), checksums=True), (0, 0, 0))  # itself it is always checksummed
    if kind != _FORMAT:
        raise Damaged("the log does not begin with a format description", len(MAGIC)) if kind else _torn_head(data)
    text = bytes(data[begin + _HEADER_BYTES + 2 :][:50]).rstrip(b"\0").decode("ascii", "replace")
    flavour: Literal["mariadb", "mysql"] = "mariadb" if "MariaDB" in text else "mysql"
    checksums = data[end - 5] == 1  # its last five bytes are the algorithm (1 is CRC32) and its own checksum
    second = next(events(data, end, checksums=checksums), None)
    if second is None:
        raise _torn_head(data)
    before, body = GtidSet(), end
    if second[0] in (_MARIADB_GTID_LIST, _PREVIOUS_GTIDS):
        before = _gtid_list(data, second) if second[0] == _MARIADB_GTID_LIST else _previous_gtids(data, second)
        body = second[2]
    return Head(flavour, text, _HEADER.unpack_from(data, begin)[2], checksums, before, body)


def _torn_head(data: Data) -> Torn:
    return Torn("the log ends within its head", len(data))


def events(data: Data, begin: int, *, checksums: bool, skip: Set[int] = frozenset()) -> Iterator[Event]:
    """All events from an offset on.

    Args:
        checksums: whether to recompute each event's CRC32.
        skip: types that are looked at like all others, but not given.

    Raises:
        Torn: the log merely ends too early.
        Damaged: something within it is wrong.
    """
    size, at = len(data), begin
    while at + _HEADER_BYTES <= size:  # the hot loop: a fifth of a microsecond an event, with its checksum a half
        kind, length, position = _WALK(data, at)
        end = at + length
        # The size alone cannot be trusted to say "torn": a flipped bit in it also points past the end.
        # From 11.4 on MariaDB leaves the position out of events within a transaction, unless it is told otherwise.
        if position not in (0, end & 0xFFFFFFFF) or length < _HEADER_BYTES:
            if any(data[at:]):
                raise Damaged("an event is not where it says", at)
            raise Torn("the log ends in zeros", at)  # as a file system leaves them where the last write was lost
        if end > size:
            break
        if checksums and crc32(data[at : end - _CRC_BYTES]) != _CRC(data, end - _CRC_BYTES)[0]:
            _ensure_in_use(data, kind, at, end)
        if kind not in skip:
            yield kind, at, end
        at = end
    if at < size:
        raise Torn("the log ends within an event", at)


def transactions(data: Data, about: Head, tail: Tail, *, verify: bool = True) -> Generator[Transaction, None, None]:
    """All whole transactions of a log, in its order; ``tail`` says afterwards how the log ended.

    Args:
        verify: recompute the checksums where the log has them.

    Raises:
        Damaged: after the last whole transaction; see there.
    """
    open_: Transaction | None = None
    standalone = first = False
    begin = tail.whole = about.body
    try:
        for kind, begin, end in events(data, about.body, checksums=verify and about.checksums, skip=_BODY):
            if kind in _GTIDS:
                if open_:
                    raise Damaged(f"transaction {open_.gtid} was never completed", open_.begin)
                open_, standalone = _opened(data, kind, begin, end)
                first = True
            elif open_ is None:
                _between(data, kind, begin, end, about, tail)
                tail.whole = end
            elif kind in _ENDS or (kind in _QUERIES and _ends(data, kind, begin, standalone, first, about.flavour)):
                tail.whole = end
                yield open_._replace(end=end)
                open_ = None
            elif kind in (_ROTATE, _STOP):
                raise Damaged(f"transaction {open_.gtid} was never completed", open_.begin)
            else:
                first = first and kind in _PREFIXES
    finally:
        tail.last_event_at_s = float(int.from_bytes(data[begin : begin + 4], "little"))
    if open_:
        raise Torn(f"the log ends within transaction {open_.gtid}", open_.begin)


def next_transaction(data: Data, about: Head, offset: int) -> Transaction | None:
    """The first transaction at an offset between two transactions or after, None where the log ends.

    Raises:
        Damaged: no event begins at the offset, or one within a transaction.
    """
    for kind, begin, end in events(data, max(offset, about.body), checksums=about.checksums):
        if kind in _GTIDS:
            return _opened(data, kind, begin, end)[0]
        if kind in _BODY or kind in _ENDS or kind in _QUERIES:
            raise Damaged("a transaction has begun already", begin)
    return None


def _between(data: Data, kind: int, begin: int, end: int, about: Head, tail: Tail) -> None:
    if kind == _INCIDENT:
        raise Damaged("the server says that it lost events here (an incident event)", begin)
    if kind == _START_ENCRYPTION:
        raise Damaged("the log is encrypted", begin)
    if kind == _STOP:
        tail.closed = True
    elif kind == _ROTATE:
        tail.closed = True
        name = data[begin + _HEADER_BYTES + 8 : end - (_CRC_BYTES if about.checksums else 0)]
        tail.next_name = bytes(name).decode("utf-8", "replace")


def _ensure_in_use(data: Data, kind: int, begin: int, end: int) -> None:
    """Allow the one event whose checksum may differ: its "in use" flag is set in place while the log is open."""
    event = bytearray(data[begin : end - _CRC_BYTES])
    flags = int.from_bytes(event[17:19], "little")
    event[17:19] = (flags & ~_IN_USE).to_bytes(2, "little")
    if kind != _FORMAT or crc32(event) != _CRC(data, end - _CRC_BYTES)[0]:
        raise Damaged("an event does not match its checksum", begin)


def _gtid_list(data: Data, event: Event) -> GtidSet:
    body = data[event[1] + _HEADER_BYTES : event[2]]
    newest: dict[str, tuple[int, int]] = {}
    for index in range(int.from_bytes(body[:4], "little") & 0x0FFFFFFF):
        domain, server_id, number = struct.unpack_from("<IIQ", body, 4 + 16 * index)
        newest[str(domain)] = max(newest.get(str(domain), (0, 0)), (number, server_id))
    return GtidSet({d: ((1, n),) for d, (n, _) in newest.items()}, {d: s for d, (_, s) in newest.items()})


def _previous_gtids(data: Data, event: Event) -> GtidSet:
    body = data[event[1] + _HEADER_BYTES : event[2]]
    count = int.from_bytes(body[:8], "little")
    tagged = body[7] == 1  # since 8.3: the format stands in the first and the last byte, the count between
    if tagged:
        count = (count >> 8) & 0xFFFFFFFFFFFF
    found = GtidSet()
    at = 8
    for _ in range(count):
        source, at = _uuid(bytes(body[at : at + 16])), at + 16
        if tagged:
            length, at = _varlen(body, at)
            if length:
                source += ":" + bytes(body[at : at + length]).decode("ascii")
            at += length
        intervals, at = int.from_bytes(body[at : at + 8], "little"), at + 8
        for _ in range(intervals):
            low, beyond = struct.unpack_from("<qq", body, at)
            found, at = found.plus(source, low, beyond - 1), at + 16
    return found


def _opened(data: Data, kind: int, begin: int, end: int) -> tuple[Transaction, bool]:
    at_s, _, server_id, _, _, _ = _HEADER.unpack_from(data, begin)
    at = begin + _HEADER_BYTES
    if kind == _MARIADB_GTID:
        number, domain, flags = struct.unpack_from("<QIB", data, at)
        return Transaction(str(domain), number, server_id, begin, end, float(at_s)), bool(flags & _STANDALONE)
    if kind == _MYSQL_TAGGED_GTID:
        source, number, committed_us = _tagged(data[at:end])
        return Transaction(source, number, server_id, begin, end, committed_us / 1e6), False
    source = "" if kind == _ANONYMOUS else _uuid(bytes(data[at + 1 : at + 17]))
    number = int.from_bytes(data[at + 17 : at + 25], "little", signed=True)
    # Flags, uuid, number, the logical clock (1 + 8 + 8), then 7 bytes of commit time; its top bit says that
    # this is a copy by a replica and the time of the original commit follows.
    time_at = at + 42
    committed_us = int.from_bytes(data[time_at : time_at + 7], "little")
    if committed_us >> 55:
        committed_us = int.from_bytes(data[time_at + 7 : time_at + 14], "little")
    return Transaction(source, number, server_id, begin, end, committed_us / 1e6), False


@lru_cache(maxsize=16)
def _uuid(raw: bytes) -> str:
    return str(UUID(bytes=raw))


def _tagged(body: Data) -> tuple[str, int, int]:
    """Source, number and original commit time in microseconds of a tagged GTID event."""
    at = 0
    for _ in range(3):  # version of the format, size of the message, last field that may not be skipped
        _, at = _varlen(body, at)
    source, tag, number, committed_us = "", "", 0, 0
    while True:
        name, at = _varlen(body, at)
        if name == 1:
            raw = bytearray()
            for _ in range(16):
                value, at = _varlen(body, at)
                raw.append(value)
            source = _uuid(bytes(raw))
        elif name == 3:
            length, at = _varlen(body, at)
            tag, at = bytes(body[at : at + length]).decode("ascii"), at + length
        elif name >= 8:  # its length and what follows it are of no use here
            return f"{source}:{tag}" if tag else source, number, committed_us
        else:
            value, at = _varlen(body, at)
            if name == 2:
                number = value >> 1  # signed: the lowest bit is the sign
            elif name in (6, 7):  # time of this commit; time of the original one where it differs
                committed_us = value


def _varlen(body: Data, at: int) -> tuple[int, int]:
    """A number of MySQL's serialization, and the offset after it: the trailing ones say how many bytes follow."""
    first = body[at]
    extra = 0
    while extra < 8 and first >> extra & 1:
        extra += 1
    raw = int.from_bytes(body[at : at + 1 + extra], "little")
    return raw >> (extra + 1 if extra < 8 else 8), at + 1 + extra


def _ends(data: Data, kind: int, begin: int, standalone: bool, first: bool, flavour: str) -> bool:
    """Whether a statement event completes the transaction that is open."""
    if standalone:
        return True
    if kind == _MARIADB_QUERY_COMPRESSED:
        return False
    at = begin + _HEADER_BYTES
    schema_bytes = data[at + 8]
    status_bytes = int.from_bytes(data[at + 11 : at + 13], "little")
    query_at = at + 13 + status_bytes + schema_bytes + 1
    query = bytes(data[query_at : query_at + 12]).upper()
    if flavour == "mysql" and first:
        return not query.startswith(_BEGIN_WORDS)
    return query.startswith(_END_WORDS) and (query[:8] != b"ROLLBACK" or b" TO" not in query)
