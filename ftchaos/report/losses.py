"""What became of the writes by store, and within a store by the way that they took. Pure.

The application's recovery point is that of its worst store: rows without their jobs are a loss too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment

CLASSES = ("acknowledged", "ok", "lost", "recovered", "unexpected", "duplicate", "corrupt")
ALARMING = frozenset({"lost", "unexpected", "duplicate", "corrupt"})


@dataclass(frozen=True)
class StoreRow:
    """The classes of one store, or of one way into it; ``way`` is empty for the store as a whole."""

    store: str
    way: str
    classes: Mapping[str, int | None]

    @property
    def lost(self) -> int | None:
        return self.classes["lost"]


@dataclass(frozen=True)
class StorePoint:
    """How far back one store lost acknowledged writes.

    Attributes:
        lost: how many; None when they were not looked for.
        data_loss_s: from the oldest of them to the fault, 0.0 where none is lost; None when it is not known.
        worst: whether no other store lost more.
    """

    store: str
    lost: int | None
    data_loss_s: float | None
    worst: bool


def stores(evidence: Evidence) -> list[StoreRow]:
    """Each store that was written to, followed by the ways into it."""
    rows = []
    for name, found in evidence.data.stores.items():
        if "acknowledged" not in found:
            continue
        store, _, way = name.partition(", ")
        counts = {key: value if isinstance(value := found.get(key), int) else None for key in CLASSES}
        rows.append(StoreRow(store, way, counts))
    return sorted(rows, key=lambda row: (row.store, row.way))


def points(evidence: Evidence) -> list[StorePoint]:
    """The recovery point of each store; the worst is named only where something was lost."""
    reach = _reach_s(evidence)
    found = []
    for row in stores(evidence):
        if not row.way:
            stated = evidence.data.stores[row.store].get("data_loss_s")
            known = float(stated) if isinstance(stated, int | float) else reach.get(row.store)
            found.append((row.store, row.lost, 0.0 if row.lost == 0 else known))
    worst = max(((data_loss_s or 0.0, lost or 0) for _, lost, data_loss_s in found), default=(0.0, 0))
    return [
        StorePoint(store, lost, data_loss_s, bool(worst[1]) and (data_loss_s or 0.0, lost or 0) == worst)
        for store, lost, data_loss_s in found
    ]


def worst_words(evidence: Evidence) -> str:
    """The recovery point across stores in one sentence; empty where no store was audited."""
    found = points(evidence)
    if not found:
        return ""
    lost = [one for one in found if one.lost]
    if not lost:
        unknown = [one.store for one in found if one.lost is None]
        if unknown:
            return f"What {' and '.join(unknown)} lost is unknown."
        names = " and ".join(one.store for one in found)
        return f"{names} agree: no acknowledged write was lost in any store."
    worst = next(one for one in found if one.worst)
    return f"The worst store is {worst.store}: the recovery point of the whole is no better than its own."


def words(evidence: Evidence) -> list[str]:
    """The losses in few lines: ``mysql: 0 of 11,912``, by the way that the writes took where a store lost some."""
    rows = stores(evidence)
    divided = {row.store for row in rows if row.way and row.lost}
    whole = [_words(row.store, row) for row in rows if not row.way and row.store not in divided]
    ways = [_words(f"{row.store}, {row.way}", row) for row in rows if row.way and row.store in divided]
    return [*(["; ".join(whole)] if whole else []), *ways]


def _words(name: str, row: StoreRow) -> str:
    lost = "unknown" if row.lost is None else f"{row.lost:,}"
    return f"{name}: {lost} of {row.classes['acknowledged'] or 0:,}"


def _reach_s(evidence: Evidence) -> dict[str, float]:
    """How far back each store's loss reaches, by the lost intervals; nothing where some of them are cut off."""
    data, fault_at = evidence.data, evidence.recovery.fault_at
    if fault_at is None or data.lost_intervals_total > len(data.lost_intervals):
        return {}
    oldest: dict[str, list[float]] = defaultdict(list)
    for one in data.lost_intervals:
        if one.began_at is None:
            return {}
        store = "redis" if one.writer.startswith("redis") else "mysql"
        oldest[store].append((moment(fault_at) - moment(one.began_at)).total_seconds())
    return {store: max(0.0, *seconds) for store, seconds in oldest.items()}
