"""The ledger on disk: each writer's book, mapped into memory, and the reading of all books of a folder.

A store into a shared mapping belongs to the kernel at once: kill -9 loses none of it. Only a crash of the whole
machine can, and a machine under test is never the one that keeps the ledger.
"""

from __future__ import annotations

import json
import mmap
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftchaos import atomic
from ftchaos.errors import Inconclusive
from ftchaos.ledger import (
    CHUNK_WRITES,
    HEADER_BYTES,
    MAX_DURATION_S,
    MAX_TICKS,
    SCHEMA,
    TICK_S,
    TIMES_BYTES,
    Header,
    Ledger,
    Outcome,
    TornLedger,
    WriterLedger,
    parse,
    write_id,
)

FILE = "ledger.json"
_TICKS_PER_S = 1 / TICK_S


class Book:
    """The record of one writer; for one thread.

    Attributes:
        kind: what the writer does.
        writer: its number.
        attempted: writes recorded so far.
        counts: how many of them came to each outcome, by its number.
        ledger: the id of the ledger that it belongs to.
    """

    def __init__(self, folder: Path, kind: str, writer: int, ledger: bytes, anchor_at: float) -> None:
        self.kind, self.writer, self.ledger, self.attempted = kind, writer, ledger, 0
        self.counts = [0] * len(Outcome)
        self._anchor_at, self._header = anchor_at, Header(ledger, writer, kind, 0)
        self._files = {
            part: (folder / f"{kind}-{writer}.{part}").open("xb+", buffering=0) for part in ("times", "outcomes")
        }
        self._capacity = 0
        self._grow()

    def attempt(self, at: float | None = None) -> int:
        """Record that the next write is about to be sent; its sequence.

        Raises:
            Inconclusive: the ledger is full: its clock ends after 59 hours.
            OSError: the disk is full.
        """
        seq = self.attempted + 1
        if seq > self._capacity:
            self._grow()
        ticks = int(((time.monotonic() if at is None else at) - self._anchor_at) * _TICKS_PER_S)
        if ticks > MAX_TICKS:
            raise Inconclusive(
                f"the ledger is full: its clock ends {MAX_DURATION_S / 3600:.1f} hours after it began",
                "begin another run",
            )
        # The time before the outcome: a time alone is a write that was never attempted.
        self._times[2 * seq - 2] = max(ticks, 1)
        self._outcomes[HEADER_BYTES + seq - 1] = Outcome.ATTEMPTED
        self.attempted = seq
        return seq

    def settle(self, seq: int, outcome: Outcome, at: float | None = None) -> None:
        """Record what became of a write."""
        ticks = int(((time.monotonic() if at is None else at) - self._anchor_at) * _TICKS_PER_S)
        self._times[2 * seq - 1] = min(max(ticks - self._times[2 * seq - 2], 0), MAX_TICKS)
        self._outcomes[HEADER_BYTES + seq - 1] = outcome
        self.counts[outcome] += 1

    def write_id(self, seq: int) -> int:
        """The id of a write in the database."""
        return write_id(self.writer, seq)

    def close(self) -> None:
        """Give back the room that was not used, with all on disk."""
        for part, file in self._files.items():
            header = Header(self._header.ledger, self.writer, self.kind, self.attempted, closed=self.attempted)
            os.pwrite(file.fileno(), header.pack(part), 0)
        self._release()
        for part, file in self._files.items():
            file.truncate(HEADER_BYTES + _width(part) * self.attempted)
            os.fsync(file.fileno())
            file.close()

    def _grow(self) -> None:
        capacity = self._capacity + CHUNK_WRITES
        for part, file in self._files.items():
            # Allocated, not only promised: a store into a hole of a full disk would kill this process. When there is
            # no room, writes under way can still be settled, for the mapping before is not given up yet.
            os.posix_fallocate(file.fileno(), 0, HEADER_BYTES + _width(part) * capacity)
            os.pwrite(file.fileno(), Header(self._header.ledger, self.writer, self.kind, capacity).pack(part), 0)
        self._release()
        self._outcomes = mmap.mmap(self._files["outcomes"].fileno(), 0)
        self._times_map = mmap.mmap(self._files["times"].fileno(), 0)
        self._times = memoryview(self._times_map)[HEADER_BYTES:].cast("I")
        self._capacity = capacity

    def _release(self) -> None:
        if self._capacity:
            self._times.release()
            self._times_map.close()
            self._outcomes.close()


def create(folder: Path, writers: Sequence[tuple[str, int]], anchor_at: float | None = None) -> list[Book]:
    """A new ledger with one empty book for each (kind, writer).

    ``ledger.json`` comes last: where it is missing, nothing was ever sent.

    Raises:
        OSError: the folder cannot be written, or it has a ledger already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ledger, anchor_at = secrets.token_bytes(16), time.monotonic() if anchor_at is None else anchor_at
    books = [Book(folder, kind, writer, ledger, anchor_at) for kind, writer in writers]
    facts = {
        "schema": SCHEMA, "id": ledger.hex(), "anchor_at": anchor_at, "tick_s": TICK_S,
        "writers": [{"kind": kind, "writer": writer} for kind, writer in writers],
    }  # fmt: skip
    atomic.write(folder / FILE, json.dumps(facts, indent=1) + "\n")
    return books


def identity(folder: Path) -> str:
    """The random id of the ledger in a folder.

    Raises:
        TornLedger: there is none.
    """
    return str(_facts(folder)["id"])


def read(folder: Path, *, kinds: Sequence[str] | None = None, live: bool = False) -> Ledger:
    """The ledger in a folder, whole and checked.

    Args:
        folder: where :func:`create` put it, or a copy.
        kinds: only writers of these kinds; None for all.
        live: writers may be at work. Without it the end of each book is checked too, and times stay on disk until
            they are asked for.

    Raises:
        TornLedger: it is damaged, incomplete or foreign.
    """
    facts = _facts(folder)
    named = {f"{one['kind']}-{one['writer']}": one["kind"] for one in facts["writers"]}
    present = {path.stem for part in ("outcomes", "times") for path in folder.glob(f"*.{part}")}
    if strangers := present - named.keys():
        raise TornLedger(f"{FILE} does not name {', '.join(sorted(strangers))}")
    wanted = [name for name, kind in named.items() if kinds is None or kind in kinds]
    return Ledger(tuple(_read_writer(folder, name, facts, live) for name in wanted))


def _read_writer(folder: Path, name: str, facts: Mapping[str, Any], live: bool) -> WriterLedger:
    ledger, anchor_at = bytes.fromhex(facts["id"]), float(facts["anchor_at"])
    # A mapping of a file that its writer cuts to size at its end would kill this process.
    load = _load if live else _map
    try:
        outcomes = _load(folder / f"{name}.outcomes")
        return parse(name, outcomes, load(folder / f"{name}.times"), ledger, anchor_at, live=live)
    except TornLedger:
        if not live:
            raise
    outcomes = _load(folder / f"{name}.outcomes")  # caught in the middle of growing or closing: once more
    return parse(name, outcomes, _load(folder / f"{name}.times"), ledger, anchor_at, live=live)


def _facts(folder: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads((folder / FILE).read_text())
        well_formed = facts["schema"] == SCHEMA and facts["tick_s"] == TICK_S and len(bytes.fromhex(facts["id"])) == 16
        well_formed = well_formed and all({"kind", "writer"} <= set(one) for one in facts["writers"])
    except FileNotFoundError:
        raise TornLedger(f"{folder / FILE} does not exist") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TornLedger(f"{folder / FILE} is not what a ledger begins with: {error!r}") from None
    if not well_formed:
        raise TornLedger(f"{folder / FILE} is of another version")
    result: Mapping[str, Any] = facts
    return result


def _load(path: Path) -> memoryview:
    try:
        return memoryview(path.read_bytes())
    except FileNotFoundError:
        raise TornLedger(f"{path.name} is missing") from None


def _map(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise TornLedger(f"{path.name} is missing") from None
    except ValueError:
        raise TornLedger(f"{path.name} is empty") from None


def _width(part: str) -> int:
    return 1 if part == "outcomes" else TIMES_BYTES
