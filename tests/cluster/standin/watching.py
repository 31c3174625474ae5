"""Watches: what changed since a version, as one JSON object a line, until the client or its time is up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from cluster.standin import lists, selectors
from cluster.standin.asked import Asked
from cluster.standin.failures import Refused
from cluster.standin.gate import Gate
from cluster.standin.kinds import Kind
from cluster.standin.settings import Settings
from cluster.standin.store import Change, Record, Store

Send = Callable[[bytes], Awaitable[None]]
_LONGEST_S = 3600.0


class Watch:
    """One watch."""

    def __init__(self, store: Store, settings: Settings, gate: Gate, kind: Kind, asked: Asked) -> None:
        self._store, self._settings, self._gate, self._kind, self._asked = store, settings, gate, kind, asked
        query = asked.query
        self._matches = selectors.both(kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        self._namespace = asked.namespace if kind.namespaced else ""
        self._bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self._initial = query.get("sendInitialEvents") in ("true", "1")
        self._wakes = asyncio.Event()
        self._waiting: list[Change] = []
        self._first = self._begin(query.get("resourceVersion", ""))

    def _begin(self, version: str) -> list[bytes]:
        """What is sent first; from now on changes are kept for later."""
        first: list[bytes] = []
        if version in ("", "0") or self._initial:
            records = self._store.records(self._kind.table, self._namespace)
            first = [self._line("ADDED", one) for one in records if self._sees(one)]
            if self._initial:
                first.append(self._bookmark({"k8s.io/initial-events-end": "true"}))
        elif int(version) < self._store.oldest:
            fact = f"too old resource version: {version} ({self._store.oldest})"
            error = Refused("Expired", fact).body()
            return [json.dumps({"type": "ERROR", "object": error}).encode() + b"\n"]
        else:
            self._waiting = self._store.since(int(version), self._kind.table)
        self._store.watchers.append(self._hear)
        return first

    @property
    def _over(self) -> bool:
        """Whether there is nothing but an error to send."""
        return self._hear not in self._store.watchers

    async def run(self, send: Send) -> None:
        """Send until the time is up; the sender raises when the client is gone."""
        loop = asyncio.get_running_loop()
        until = loop.time() + float(self._asked.query.get("timeoutSeconds") or _LONGEST_S)
        every = self._settings.bookmark_s * self._settings.second_s
        bookmark_at = loop.time() + every
        try:
            await send(b"".join(self._first))
            while not self._over and (left := until - loop.time()) > 0:
                wait_s = min(left, max(0.0, bookmark_at - loop.time())) if self._bookmarks else left
                if not self._waiting:
                    await self._sleep(wait_s)
                await self._gate.thawed()
                lines = self._take()
                if self._bookmarks and loop.time() >= min(bookmark_at, until):
                    lines.append(self._bookmark({}))
                    bookmark_at = loop.time() + every
                if lines:
                    await send(b"".join(lines))
        finally:
            self.end()

    def end(self) -> None:
        if not self._over:
            self._store.watchers.remove(self._hear)
        self._wakes.set()

    async def _sleep(self, wait_s: float) -> None:
        self._wakes.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wakes.wait(), wait_s)

    def _hear(self, change: Change) -> None:
        if change.table == self._kind.table:
            self._waiting.append(change)
            self._wakes.set()

    def _take(self) -> list[bytes]:
        waiting, self._waiting = self._waiting, []
        return [line for change in waiting if (line := self._tell(change))]

    def _tell(self, change: Change) -> bytes | None:
        """A change as this watch sees it: what no longer matches its selectors was deleted for it."""
        now = change.sort != "DELETED" and self._sees(change.record)
        before = change.previous is not None and self._sees(change.previous)
        if not now and not before:
            return None
        if not now:
            return self._line("DELETED", change.record)
        return self._line("MODIFIED" if before else "ADDED", change.record)

    def _sees(self, record: Record) -> bool:
        if self._namespace and record.obj["metadata"].get("namespace") != self._namespace:
            return False
        return self._matches is None or self._matches(record.obj)

    def _line(self, sort: str, record: Record) -> bytes:
        return b'{"type":"' + sort.encode() + b'","object":' + lists.of(self._kind, record) + b"}\n"

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata}
        return json.dumps({"type": "BOOKMARK", "object": obj}).encode() + b"\n"
