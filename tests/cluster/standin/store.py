"""All objects, the one counter of their versions, and the log of changes that watches read.

Objects that were stored are never changed in place: a record is replaced by another, so that lists, pages and watches
may hold on to what they saw.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Key = tuple[str, str]  # namespace, name
KEPT = 20_000  # changes; a watch from before them is too old


class Record:
    """An object as it was at one version."""

    __slots__ = ("_item", "_raw", "obj", "version")

    def __init__(self, obj: dict[str, Any], version: int) -> None:
        self.obj, self.version = obj, version
        self._raw: bytes | None = None
        self._item: bytes | None = None

    @property
    def raw(self) -> bytes:
        """It as JSON, made once."""
        if self._raw is None:
            self._raw = json.dumps(self.obj, separators=(",", ":")).encode()
        return self._raw

    @property
    def item(self) -> bytes:
        """It as lists of built-in kinds have it: without its kind."""
        if self._item is None:
            bare = {name: value for name, value in self.obj.items() if name not in ("kind", "apiVersion")}
            self._item = json.dumps(bare, separators=(",", ":")).encode()
        return self._item


class Change(NamedTuple):
    """One write: ``ADDED``, ``MODIFIED`` or ``DELETED``; when, on the monotonic clock that all processes share."""

    at: float
    version: int
    sort: str
    table: str
    record: Record
    previous: Record | None


@dataclass
class Store:
    """Tables of records.

    Attributes:
        version: the newest resourceVersion of the cluster.
        oldest: the version from which on all changes are known.
        watchers: called with each change; first those that must be called before any controller.
    """

    version: int = 1
    oldest: int = 1
    tables: dict[str, dict[Key, Record]] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    watchers: list[Callable[[Change], None]] = field(default_factory=list)

    def get(self, table: str, namespace: str, name: str) -> dict[str, Any] | None:
        record = self.tables.get(table, {}).get((namespace, name))
        return None if record is None else record.obj

    def records(self, table: str, namespace: str = "") -> list[Record]:
        """The records of a table in the order of the API server: by namespace, then by name."""
        rows = self.tables.get(table, {})
        keys = sorted(key for key in rows if key[0] == namespace) if namespace else sorted(rows)
        return [rows[key] for key in keys]

    def objects(self, table: str, namespace: str = "") -> list[dict[str, Any]]:
        """The objects, in no order: for controllers."""
        rows = self.tables.get(table, {})
        if not namespace:
            return [record.obj for record in rows.values()]
        return [record.obj for key, record in rows.items() if key[0] == namespace]

    def put(self, table: str, obj: dict[str, Any]) -> dict[str, Any]:
        """Keep an object under a new version; it must not be changed any more."""
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        record = Record(obj, self.version)
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        rows = self.tables.setdefault(table, {})
        previous = rows.get(key)
        rows[key] = record
        self._tell(Change(time.monotonic(), self.version, "MODIFIED" if previous else "ADDED", table, record, previous))
        return obj

    def remove(self, table: str, namespace: str, name: str) -> dict[str, Any]:
        """Forget an object; the last state of it carries the version of its deletion."""
        previous = self.tables[table].pop((namespace, name))
        self.version += 1
        metadata = {**previous.obj["metadata"], "resourceVersion": str(self.version)}
        last = Record({**previous.obj, "metadata": metadata}, self.version)
        self._tell(Change(time.monotonic(), self.version, "DELETED", table, last, previous))
        return last.obj

    def compact(self) -> None:
        """Forget all changes, as etcd does every five minutes: what reads from before now is told 410."""
        self.version += 1
        self.oldest = self.version
        self.log.clear()

    def since(self, version: int, table: str) -> list[Change]:
        """The changes of a table after a version, which must not be older than ``oldest``."""
        low, high = 0, len(self.log)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.log[middle].version <= version else (low, middle)
        return [change for change in self.log[low:] if change.table == table]

    def _tell(self, change: Change) -> None:
        self.log.append(change)
        if len(self.log) > 2 * KEPT:
            self.log = self.log[KEPT:]
            self.oldest = self.log[0].version - 1
        for watcher in self.watchers:
            watcher(change)
