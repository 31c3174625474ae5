"""Which transactions a server or a log has, as one shape for both flavours; pure.

MariaDB writes a position (``0-1-57``: domain, server, sequence), MySQL a set of intervals
(``uuid:1-57:60``). Here both are ranges by source, where the source is the domain or the uuid, so
that "is this transaction in?" and "what is missing?" are one question for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ftchaos.mysql.gtid import mariadb_parts, oracle_intervals

Range = tuple[int, int]  # both ends are in


@dataclass(frozen=True)
class GtidSet:
    """Which transactions a server or a log has.

    Attributes:
        ranges: source (MariaDB's domain, MySQL's ``uuid`` or ``uuid:tag``) to sorted, disjoint ranges.
        servers: on MariaDB the server that wrote the last transaction of each domain; empty on MySQL.
    """

    ranges: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)
    servers: Mapping[str, int] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, text: str) -> GtidSet:
        """The set that a server or a manifest wrote, of either flavour; an empty text is the empty set.

        Raises:
            Invalid: the text is neither a MariaDB position nor a MySQL set.
        """
        if ":" in text:
            return cls({source: tuple(ranges) for source, ranges in oracle_intervals(text).items()})
        found = cls()
        for (domain, server_id), sequence in mariadb_parts(text).items():
            found = found.plus(str(domain), sequence, sequence, server_id)
        return found

    def covers(self, source: str, number: int) -> bool:
        """Whether the transaction is in the set."""
        return any(low <= number <= high for low, high in self.ranges.get(source, ()))

    def newest(self, source: str) -> int:
        """The highest number of a source, 0 where the set has none of it."""
        return self.ranges[source][-1][1] if source in self.ranges else 0

    def within(self, other: GtidSet) -> bool:
        """Whether all of this set is in the other one."""
        return not self.without(other).ranges

    def without(self, other: GtidSet) -> GtidSet:
        """What this set has and the other one lacks."""
        left: dict[str, tuple[Range, ...]] = {}
        for source, ranges in self.ranges.items():
            rest = list(ranges)
            for low, high in other.ranges.get(source, ()):
                rest = [part for kept in rest for part in _cut(kept, low, high)]
            if rest:
                left[source] = tuple(rest)
        return GtidSet(left, {s: n for s, n in self.servers.items() if s in left})

    def plus(self, source: str, low: int, high: int, server_id: int | None = None) -> GtidSet:
        """The set with the transactions ``low`` to ``high`` of a source added.

        A MariaDB position (``server_id`` given) has everything of its domain up to the newest.
        """
        if server_id is None:
            return GtidSet({**self.ranges, source: _merged((*self.ranges.get(source, ()), (low, high)))}, self.servers)
        if high <= self.newest(source):
            return self
        return GtidSet({**self.ranges, source: ((1, high),)}, {**self.servers, source: server_id})

    def union(self, other: GtidSet) -> GtidSet:
        """Everything that either set has."""
        both = self
        for source, ranges in other.ranges.items():
            for low, high in ranges:
                both = both.plus(source, low, high, other.servers.get(source))
        return both

    def count(self) -> int:
        """How many transactions the set has."""
        return sum(high - low + 1 for ranges in self.ranges.values() for low, high in ranges)

    def __str__(self) -> str:
        if self.servers:
            return ",".join(f"{s}-{self.servers[s]}-{self.newest(s)}" for s in sorted(self.ranges, key=int))
        texts = []
        for source in sorted(self.ranges):
            parts = [str(low) if low == high else f"{low}-{high}" for low, high in self.ranges[source]]
            texts.append(":".join([source, *parts]))
        return ",".join(texts)


class Growing:
    """A set that one transaction after the other is added to, as a log is read; cheap while they follow each other."""

    def __init__(self, begin: GtidSet) -> None:
        self._done = begin
        self._runs: dict[str, list[int]] = {}  # source to lowest and highest number, and the server on MariaDB

    def add(self, source: str, number: int, server_id: int) -> None:
        """Add one transaction."""
        run = self._runs.get(source)
        if run is not None and number == run[1] + 1:
            run[1], run[2] = number, server_id
            return
        if run is not None:
            self._done = self.whole()
        self._runs[source] = [number, number, server_id]

    def whole(self) -> GtidSet:
        """Everything so far."""
        done = self._done
        for source, (low, high, server_id) in self._runs.items():
            done = done.plus(source, low, high, server_id if source.isdigit() else None)
        return done


def _cut(kept: Range, low: int, high: int) -> list[Range]:
    if high < kept[0] or low > kept[1]:
        return [kept]
    return [part for part in ((kept[0], low - 1), (high + 1, kept[1])) if part[0] <= part[1]]


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    done: list[Range] = []
    for low, high in sorted(ranges):
        if done and low <= done[-1][1] + 1:
            done[-1] = (done[-1][0], max(high, done[-1][1]))
        else:
            done.append((low, high))
    return tuple(done)
