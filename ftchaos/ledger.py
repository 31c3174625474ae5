"""The ledger of attempted writes: its format, and views over what a workload recorded. Pure.

A ledger is a folder. ``ledger.json`` names its writers; each writer has two files, named by its kind and number:

``uploads-1.outcomes``
    a header, then one byte a write: its :class:`Outcome`. Zero: never attempted.
``uploads-1.times``
    a header, then two native 32-bit numbers a write: when it was sent, in ticks since the ledger's anchor and
    never zero, and after how many ticks its outcome was known.

The write with sequence 1 stands first. That makes 9 bytes a write. :mod:`ftchaos.workload.book` maps both files and
stores the time, then *attempted*, before a write is sent, and its latency, then its outcome, after; so kill -9 at any
instant leaves at worst one write more that counts as indeterminate. Everything here works on whole files at the speed
of ``bytes``: what it costs beyond that follows the number of exceptions, never the number of writes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

from ftchaos.errors import Inconclusive

SCHEMA: Final = "ftchaos.ledger/1"
TICK_S: Final = 50e-6
MAX_TICKS: Final = 2**32 - 1
MAX_DURATION_S: Final = MAX_TICKS * TICK_S

SEQUENCE_BITS: Final = 40
MAX_WRITER: Final = 2 ** (64 - SEQUENCE_BITS) - 1
# Files grow by this many writes at once; one that was not closed ends with unused ones.
CHUNK_WRITES: Final = 1 << 16
TIMES_BYTES: Final = 8

KIND_BYTES: Final = 16
_HEADER = struct.Struct(f"=8s16sII{KIND_BYTES}sQQ")
HEADER_BYTES: Final = _HEADER.size
_BYTE_ORDER: Final = 0x01020304
_MAGIC = {"outcomes": b"FTCHAOSo", "times": b"FTCHAOSt"}
# One time in each 512 bytes of the file: what a disk may lose is never smaller.
_SECTOR = slice((512 - HEADER_BYTES) // 4, None, 512 // 4)


class Outcome(IntEnum):
    """What the client knows of a write; *attempted* that stays is as good as indeterminate."""

    NEVER = 0
    ATTEMPTED = 1
    ACKNOWLEDGED = 2
    FAILED = 3
    INDETERMINATE = 4


class TornLedger(Inconclusive):
    """A ledger that is damaged, incomplete or foreign, so that nothing can be concluded from it."""

    def __init__(self, fact: str) -> None:
        super().__init__(f"the ledger cannot be used: {fact}", "take it whole from the run's folder, or run again")


def write_id(writer: int, seq: int) -> int:
    """The id under which a write lies in the database."""
    return writer << SEQUENCE_BITS | seq


def content(write: int) -> str:
    """The content of a write, which its id alone decides, so that a database can check it row by row.

    Just the decimal id: of the contents that bind every byte to the id, it is the cheapest to compare in SQL.
    """
    return str(write)


@dataclass(frozen=True)
class Header:
    """What stands before the writes of one file.

    Attributes:
        ledger: the ledger that the file belongs to, 16 random bytes.
        writer: the writer's number.
        kind: what the writer does: ``uploads``, ``mysql``, ``redis-a``; the first word says where its writes lie.
        capacity: for how many writes the file has room.
        closed: the number of writes when the book was closed, else None.
    """

    ledger: bytes
    writer: int
    kind: str
    capacity: int
    closed: int | None = None

    def pack(self, part: str) -> bytes:
        closed = 0 if self.closed is None else self.closed + 1
        return _HEADER.pack(
            _MAGIC[part], self.ledger, _BYTE_ORDER, self.writer, self.kind.encode(), self.capacity, closed
        )

    @classmethod
    def parse(cls, part: str, name: str, file: memoryview) -> Header:
        """The header of a file.

        Raises:
            TornLedger: this is no such file, or it is shorter than it says.
        """
        if len(file) < HEADER_BYTES:
            raise TornLedger(f"{name} is cut off")
        magic, ledger, order, writer, kind, capacity, closed = _HEADER.unpack_from(file)
        if magic != _MAGIC[part] or order != _BYTE_ORDER:
            raise TornLedger(f"{name} is not a file of a ledger of this kind of machine")
        header = cls(
            ledger, writer, kind.rstrip(b"\0").decode("ascii", "replace"), capacity, closed - 1 if closed else None
        )
        width = 1 if part == "outcomes" else TIMES_BYTES
        if len(file) < HEADER_BYTES + width * capacity:
            raise TornLedger(f"{name} is cut off")
        return header


@dataclass(frozen=True)
class WriterLedger:
    """What one writer attempted, whole and checked.

    Attributes:
        kind: what it does.
        writer: its number.
        anchor_at: the instant that ticks count from.
        outcomes: one byte for each attempted write, none of them zero.
        times: two numbers for each attempted write: sent, and latency, in ticks.
    """

    kind: str
    writer: int
    anchor_at: float
    outcomes: bytes
    times: memoryview | Sequence[int]

    @property
    def attempted(self) -> int:
        return len(self.outcomes)

    def count(self, outcome: Outcome) -> int:
        """How many writes have an outcome."""
        return self.outcomes.count(outcome)

    def outcome(self, seq: int) -> Outcome:
        """What is known of a write; *never* beyond those that were attempted."""
        return Outcome(self.outcomes[seq - 1]) if 1 <= seq <= self.attempted else Outcome.NEVER

    def acknowledged(self, first: int = 1, last: int | None = None) -> Iterator[tuple[int, int]]:
        """The intervals of consecutive acknowledged writes between two sequences, both included."""
        end = self.attempted if last is None else min(last, self.attempted)
        for match in _ACKNOWLEDGED.finditer(self.outcomes, first - 1, max(end, 0)):
            yield match.start() + 1, match.end()

    def sent_at(self, seq: int) -> float:
        """When a write was sent."""
        return self.anchor_at + self.times[2 * seq - 2] * TICK_S

    def known_at(self, seq: int) -> float:
        """When the outcome of a write was known; when it was sent, where it never was."""
        return self.anchor_at + (self.times[2 * seq - 2] + self.times[2 * seq - 1]) * TICK_S

    def earliest_known_at(self, first: int, last: int) -> float:
        """The earliest instant at which the outcome of one of these consecutive writes was known.

        Writes are sent in order but need not be answered in order. Once a write was sent after the
        earliest answer so far, no later one can have been answered before: the search ends there.
        """
        earliest = self.known_at(first)
        for seq in range(first + 1, last + 1):
            if self.sent_at(seq) >= earliest:
                break
            earliest = min(earliest, self.known_at(seq))
        return earliest


_ACKNOWLEDGED = re.compile(b"[%c]+" % Outcome.ACKNOWLEDGED)


@dataclass(frozen=True)
class Ledger:
    """All writers of one run."""

    writers: tuple[WriterLedger, ...]

    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(writer.kind for writer in self.writers))

    def of(self, kind: str) -> tuple[WriterLedger, ...]:
        """The writers of a kind, by number."""
        return tuple(sorted((w for w in self.writers if w.kind == kind), key=lambda w: w.writer))


def parse(
    name: str, outcomes: memoryview, times: memoryview, ledger: bytes, anchor_at: float, *, live: bool = False
) -> WriterLedger:
    """A writer's view over its two whole files, or an error: never silently fewer writes than there were.

    Args:
        name: ``kind-writer``, as the files are called.
        outcomes: the bytes of its file of outcomes, read before those of the times; they are copied.
        times: the bytes of its file of times; they are not.
        ledger: the id in ``ledger.json``.
        anchor_at: the anchor in ``ledger.json``.
        live: the writer may be at work, so that the times may be ahead of the outcomes.

    Raises:
        TornLedger: a file is damaged, cut off, or of another ledger or writer.
    """
    headers = Header.parse("outcomes", f"{name}.outcomes", outcomes), Header.parse("times", f"{name}.times", times)
    for header in headers:
        if header.ledger != ledger or f"{header.kind}-{header.writer}" != name:
            raise TornLedger(f"a file of {name} belongs to another ledger or writer")
    attempted = bytes(outcomes[HEADER_BYTES:]).rstrip(b"\0")
    ticks = times[HEADER_BYTES : len(times) - (len(times) - HEADER_BYTES) % TIMES_BYTES].cast("I")
    _ensure_outcomes(name, attempted)
    _ensure_times(name, len(attempted), ticks)
    if not live:
        _ensure_end(name, len(attempted), ticks, headers)
    return WriterLedger(headers[0].kind, headers[0].writer, anchor_at, attempted, ticks[: 2 * len(attempted)])


def _ensure_outcomes(name: str, outcomes: bytes) -> None:
    if 0 in outcomes:
        raise TornLedger(f"{name} lacks the outcome of write {outcomes.index(0) + 1}")
    if outcomes.translate(None, bytes(Outcome)):
        raise TornLedger(f"{name} has outcomes that do not exist")


def _ensure_times(name: str, attempted: int, ticks: memoryview) -> None:
    if len(ticks) < 2 * attempted:
        raise TornLedger(f"{name} has fewer times than outcomes")
    # Writes are sent one after the other: lost sectors show as zeros, foreign ones as time that goes backwards.
    sent = ticks[: 2 * attempted]
    samples = [*sent[:1], *sent[_SECTOR], *sent[-2:][:1]]
    if 0 in samples or any(later < earlier for earlier, later in pairwise(samples)):
        raise TornLedger(f"{name} lacks times")


def _ensure_end(name: str, attempted: int, ticks: memoryview, headers: Sequence[Header]) -> None:
    """Both files agree on where the writes end; kill -9 leaves at most one that was timed but never attempted."""
    for header in headers:
        if header.closed not in (None, attempted):
            raise TornLedger(f"{name} has {attempted:,} writes, but was closed with {header.closed:,}")
    unused = ticks[2 * attempted + 2 :].tobytes()
    if unused.count(0) != len(unused):
        raise TornLedger(f"{name} has {attempted:,} outcomes, but more times")
