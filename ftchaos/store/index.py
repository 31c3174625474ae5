"""The index of a store: every run in short, so that ten thousand of them are listed without reading any again.

It lies in this user's own cache, never among the evidence: whoever hands us evidence must not hand us its summary.
A damaged index is made anew. Listing trusts it for runs that are sealed, as those never change; verifying does not.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from ftchaos import atomic, state
from ftchaos.chain import Link
from ftchaos.store.summary import Summary

_NAMES = tuple(field.name for field in fields(Summary))
_SCHEMA = ["ftchaos.index/2", *_NAMES]


class Entry(NamedTuple):
    """What the index knows of one run or annotation.

    Attributes:
        stamp: of the manifest that it was made from, which has changed where another is found.
        place: in the chain, the values of its :class:`Link`; None where its manifest is missing or damaged.
        summary: None for an annotation.
        annotates: the run that an annotation is about, else empty.
    """

    stamp: str
    place: tuple[str, int, str, str, str] | None
    summary: Summary | None
    annotates: str = ""

    @property
    def link(self) -> Link | None:
        return None if self.place is None else Link(*self.place)

    @property
    def sealed(self) -> bool:
        """Whether it was whole when it was read, so that it will not change in order."""
        return self.place is not None and (self.summary is None or self.summary.verdict != "unreadable")


def load(location: str) -> dict[str, Entry]:
    """What is known of the runs of a store, by their ids; empty without an index, or with a damaged one."""
    try:
        digest, _, content = _path(location).read_bytes().partition(b"\n")
    except OSError:
        # Not there, or not ours to read: the runs themselves are.
        return {}
    if _digest(content) != digest:
        return {}
    with _undisturbed():
        whole = json.loads(content)
        if whole["schema"] != _SCHEMA:
            return {}
        return {
            **{entry.place[0]: entry for entry in map(_of_row, whole["runs"]) if entry.place},
            **{
                name: Entry(stamp, place and tuple(place), summary and _revived(summary), annotates)
                for name, stamp, place, summary, annotates in whole["others"]
            },
        }


def save(location: str, entries: Mapping[str, Entry]) -> None:
    """Keep what is known of the runs of a store."""
    runs, others = [], []
    for name, entry in entries.items():
        summary = entry.summary and [getattr(entry.summary, field) for field in _NAMES]
        row = [entry.stamp, entry.place and entry.place[1], entry.place and entry.place[3], summary]
        if summary and entry.place and _of_row(row) == entry and name == entry.place[0]:
            runs.append(row)
        else:
            others.append([name, entry.stamp, entry.place, summary, entry.annotates])
    content = json.dumps({"schema": _SCHEMA, "runs": runs, "others": others}).encode()
    path = _path(location)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, _digest(content) + b"\n" + content)
    except OSError:
        # Without an index everything is as true, only slower.
        return


def _of_row(row: list[Any]) -> Entry:
    """The entry of a run in order, of which most that its place in the chain says stands in its summary already."""
    stamp, sequence, previous_id, values = row
    summary = _revived(values)
    place = (summary.run_id, sequence, summary.manifest_sha256, previous_id, summary.previous_sha256)
    return Entry(stamp, place, summary)


def _revived(values: list[object]) -> Summary:
    # Ten thousand times: the frozen class's own way, attribute by attribute, takes five times as long.
    found = object.__new__(Summary)
    found.__dict__.update(zip(_NAMES, values, strict=True))
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection while nothing but what is kept is made, nor of it later: it holds no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()


def _digest(content: bytes) -> bytes:
    return xxhash.xxh3_128_hexdigest(content).encode()


def _path(location: str) -> Path:
    return state.cache() / "index" / f"{hashlib.sha256(location.encode()).hexdigest()[:32]}.json"
