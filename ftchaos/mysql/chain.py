"""A folder of binary logs as one chain: whether it is whole, and what a replay from a backup would apply."""

from __future__ import annotations

import mmap
import re
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import NamedTuple

from ftchaos.clock import iso
from ftchaos.errors import Invalid, Unusable
from ftchaos.mysql.binlog import Damaged, Data, Head, Tail, Torn, Transaction, head, next_transaction, transactions
from ftchaos.mysql.gtidset import Growing, GtidSet

_NAME = re.compile(r"(.+)\.(\d{6,})")
_CLOCKS_S = 2.0  # by which the clocks of servers may differ
_HINT = "restore up to the gap with --to, or bring the missing log back into the archive"


@dataclass(frozen=True)
class Boundary:
    """Where a replay has to end; without either, at the last whole transaction of the archive.

    Attributes:
        gtid: the last transaction wanted, as the server writes it.
        at_s: UTC seconds since the epoch; nothing that may have been committed later is wanted.
    """

    gtid: str = ""
    at_s: float | None = None

    def lies_before(self, transaction: Transaction) -> bool:
        """Whether the transaction is the first that is not wanted any more, by time."""
        if self.at_s is None:
            return False
        # MariaDB stamps whole seconds: one committed "at 02" may have been committed as late as 02.999.
        resolution_s = 1.0 if transaction.source.isdigit() else 0.0
        return transaction.at_s + resolution_s > self.at_s


class Part(NamedTuple):
    """The bytes of one log that a replay needs: whole transactions, from ``begin`` to ``end``."""

    path: Path
    begin: int
    end: int


@dataclass(frozen=True)
class Reach:
    """What a replay would apply.

    Attributes:
        parts: the logs needed, in order; empty where nothing is to be applied.
        count: how many transactions.
        first, last: the outermost wanted transactions.
        following: the first one not wanted, which must be absent afterwards.
        after: what the server has when all of it was applied.
        newest_at_s: UTC seconds of the newest event read, 0 for none.
        torn: why the archive's tail was cut at its last whole transaction, or empty.
    """

    parts: tuple[Part, ...]
    count: int
    first: Transaction | None
    last: Transaction | None
    following: Transaction | None
    after: GtidSet
    newest_at_s: float
    torn: str


def logs_in(folder: Path) -> list[Path]:
    """The binary logs of a folder in their order.

    Raises:
        Unusable: there are none, or those of two servers lie mixed.
    """
    found = [(match[1], int(match[2]), path) for path in folder.glob("*.*") if (match := _NAME.fullmatch(path.name))]
    if not found:
        raise Unusable(f"no binary log in {folder}", "is the archiver running, and is this its folder?")
    if len({base for base, _, _ in found}) > 1:
        names = ", ".join(sorted({base for base, _, _ in found}))
        raise Unusable(f"logs with different names lie in {folder}: {names}", "keep the logs of each server apart")
    return [path for _, _, path in sorted(found, key=lambda entry: entry[1])]


@contextmanager
def opened(path: Path) -> Iterator[Data]:
    """The bytes of a log, mapped; no more of them in memory than are looked at."""
    if path.stat().st_size == 0:
        yield memoryview(b"")
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        mapped.madvise(mmap.MADV_SEQUENTIAL)
        with memoryview(mapped) as data:
            yield data


def heads_of(logs: list[Path]) -> list[Head]:
    """What each log says about itself; the newest is left out while even its head is not whole.

    Raises:
        Unusable: a log is none, or is of another server than the first.
    """
    heads: list[Head] = []
    for path in logs:
        try:
            with opened(path) as data:
                about = head(data)
        except Damaged as damage:
            if isinstance(damage, Torn) and path == logs[-1] and heads:
                break
            raise Unusable(f"{path.name}: {damage.fact}", damage.hint) from damage
        if heads and (about.server_id, about.flavour) != (heads[0].server_id, heads[0].flavour):
            raise Unusable(
                f"{path.name} was written by {about.flavour} server {about.server_id}, the logs before it by "
                f"{heads[0].flavour} server {heads[0].server_id}",
                "keep the logs of each server apart",
            )
        heads.append(about)
    return heads


def reach(folder: Path, since: GtidSet, boundary: Boundary | None = None, *, verify: bool = True) -> Reach:
    """What a replay of the archive onto a backup would apply.

    Args:
        folder: where the logs of one server lie.
        since: what the backup has.
        boundary: where to end; None for the last whole transaction.
        verify: recompute every event's checksum.

    Raises:
        Unusable: a log is missing, damaged or of another server, or the archive begins after the backup.
        Invalid: the boundary lies before the backup or after the archive's end.
    """
    logs = logs_in(folder)
    heads = heads_of(logs)
    begin = max((i for i, about in enumerate(heads) if about.before.within(since)), default=None)
    if begin is None:
        missing = heads[0].before.without(since)
        raise Unusable(f"the archive begins after the backup: {missing} is in neither", "take an older archive with it")
    walk = _Walk(since, boundary or Boundary(), heads[begin].before)
    for index in range(begin, len(heads)):
        try:
            if index > begin:
                _ensure_follows(logs[index - 1], logs[index], walk.seen.whole(), heads[index].before)
            walk.through(logs[index], heads[index], verify)
        except Unusable:
            if not walk.met:  # what is wrong after the boundary is of no interest
                raise
            break
        if walk.following:
            break
    return walk.result()


def _ensure_follows(one: Path, other: Path, seen: GtidSet, before: GtidSet) -> None:
    # What the head says to have gone before is the proof; names alone may have been given anew.
    if seen != before:
        lost, extra = before.without(seen), seen.without(before)
        what = f"{lost} is missing" if lost.ranges else f"{other.name} knows nothing of {extra}"
        raise Unusable(f"gap in the archive between {one.name} and {other.name}: {what}", _HINT)


def continues(path: Path, offset: int, since: GtidSet, at_s: float = inf) -> bool:
    """Whether what lies at an offset of a log is what follows a backup; by a look at one event.

    Logs of two servers may name the same transactions, but hardly begin them at the same byte. And a log that does
    not reach the offset has nothing that is younger than the backup.

    Args:
        path: the log.
        offset: where the backup stands in it.
        since: what the backup has.
        at_s: as of when, in UTC seconds, where that is known.
    """
    with opened(path) as data:
        if offset >= len(data):
            return _newest_at_s(data) <= at_s + _CLOCKS_S
        try:
            about = head(data)
            found = next_transaction(data, about, offset)
        except Damaged:
            return False
    return found is None or not since.covers(found.source, found.number)


def _newest_at_s(data: Data) -> float:
    tail = Tail()
    with suppress(Damaged):
        deque(transactions(data, head(data), tail, verify=False), maxlen=0)
    return tail.last_event_at_s


def begins_after(folder: Path, since: GtidSet) -> str:
    """What lies between a backup and the begin of a folder's logs, in words; empty when they continue it.

    Raises:
        Unusable: there is no log, or the first is damaged.
    """
    for path in logs_in(folder):
        with opened(path) as data:
            try:
                about = head(data)
                if missing := about.before.without(since).ranges:
                    return f"it begins after {GtidSet(missing)}, which the backup lacks"
                found = next_transaction(data, about, about.body)
            except Torn:
                return ""
            except Damaged as damage:
                raise Unusable(f"{path.name}: {damage.fact}", damage.hint) from damage
        if found:
            return _gap_before(found, since)
    return ""


def end_of(folder: Path) -> GtidSet:
    """All that a folder's logs say to have happened, without looking for damage.

    Raises:
        Unusable: there is no log, or one is none.
    """
    logs = logs_in(folder)
    heads = heads_of(logs)
    seen, tail = Growing(heads[-1].before), Tail()
    with opened(logs[len(heads) - 1]) as data, suppress(Damaged):
        for one in transactions(data, heads[-1], tail, verify=False):
            seen.add(one.source, one.number, one.server_id)
    return seen.whole()


def _gap_before(first: Transaction, since: GtidSet) -> str:
    newest = since.newest(first.source)
    if newest and first.number > newest + 1:
        return f"it begins with {first.gtid}, the backup ends with {newest}"
    return ""


class _Walk:
    """A reading of the chain, log after log."""

    def __init__(self, since: GtidSet, boundary: Boundary, before: GtidSet) -> None:
        self.since, self.boundary = since, boundary
        self.seen, self.after = Growing(before), Growing(since)
        self.parts: list[Part] = []
        self.first: Transaction | None = None
        self.last: Transaction | None = None
        self.following: Transaction | None = None
        self.met = False  # the boundary was met; only the first transaction beyond it is still looked for
        self.count = 0
        self.newest_at_s = 0.0
        self.torn = ""
        self._sources: set[str] = set()

    def through(self, path: Path, about: Head, verify: bool) -> None:
        tail = Tail()
        self.torn = ""
        with opened(path) as data, closing(transactions(data, about, tail, verify=verify)) as found:
            try:
                self._take(path, found)
            except Torn as damage:
                self.torn = f"{path.name}: {damage.fact}"
            except Damaged as damage:
                raise Unusable(f"{path.name}: {damage.fact}", damage.hint) from damage
        self.newest_at_s = max(self.newest_at_s, tail.last_event_at_s)

    def _take(self, path: Path, found: Iterator[Transaction]) -> None:
        begin = end = 0
        by_time = self.boundary.at_s is not None
        newest = {source: self.since.newest(source) for source in self.since.ranges}
        try:
            for transaction in found:
                source, number = transaction.source, transaction.number
                late = by_time and self.boundary.lies_before(transaction)
                if number <= newest.get(source, 0) and self.since.covers(source, number):
                    self._ensure_in_backup(transaction, late)
                elif late or self.met:
                    self.following, self.met = transaction, True
                    return
                else:
                    self._want(transaction)
                    begin, end = begin or transaction.begin, transaction.end
                self.seen.add(source, number, transaction.server_id)
        finally:
            if end:
                self.parts.append(Part(path, begin, end))

    def _want(self, transaction: Transaction) -> None:
        source, number = transaction.source, transaction.number
        if source not in self._sources:
            self._sources.add(source)
            if gap := _gap_before(transaction, self.since):
                raise Unusable(f"gap between the backup and the archive: {gap}", _HINT)
        self.first = self.first or transaction
        self.last = transaction
        self.count += 1
        self.met = bool(self.boundary.gtid) and transaction.gtid == self.boundary.gtid
        self.after.add(source, number, transaction.server_id)

    def _ensure_in_backup(self, transaction: Transaction, late: bool) -> None:
        if late or (self.boundary.gtid and transaction.gtid == self.boundary.gtid):
            raise Invalid(
                f"the target lies before the backup, which already has {transaction.gtid} of {_utc(transaction.at_s)}",
                "take an older backup, or a later --to",
            )
        if self.first and transaction.source.isdigit():
            raise Unusable(f"{transaction.gtid} is in the backup, but {self.first.gtid} before it is not")

    def result(self) -> Reach:
        if self.boundary.gtid and not self.met:
            raise Invalid(f"transaction {self.boundary.gtid} is not in the archive", self._end_hint())
        if self.boundary.at_s is not None and not self.met and self.newest_at_s + 1 <= self.boundary.at_s:
            raise Invalid(
                f"the target {_utc(self.boundary.at_s)} lies after the archive's last event", self._end_hint()
            )
        return Reach(
            tuple(self.parts),
            self.count,
            self.first,
            self.last,
            self.following,
            self.after.whole(),
            self.newest_at_s,
            self.torn,
        )

    def _end_hint(self) -> str:
        return f"the archive ends at {_utc(self.newest_at_s)}; leave --to out to replay all of it"


def _utc(at_s: float) -> str:
    return iso(datetime.fromtimestamp(at_s, UTC))
