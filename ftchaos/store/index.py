"""The index of a store: every run in short, so that ten thousand of them are listed without reading any again.

It lies in this user's own cache, never among the evidence: whoever hands us evidence must not hand us its summary.
An entry holds for as long as what it was made from has the same stamp; a damaged index is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from ftchaos import atomic, state
from ftchaos.chain import Link
from ftchaos.store.summary import Summary

_SCHEMA = ["ftchaos.index/1", *(field.name for field in fields(Summary))]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of one run or annotation.

    Attributes:
        stamp: of the manifest that it was made from; with another one it is void.
        link: its place in the chain; None where its manifest is missing or damaged.
        summary: None for an annotation.
        annotates: the run that an annotation is about, else empty.
    """

    stamp: str
    link: Link | None
    summary: Summary | None
    annotates: str = ""


def load(location: str) -> dict[str, Entry]:
    """What is known of the runs of a store, by their ids; empty without an index, or with a damaged one."""
    try:
        digest, _, content = _path(location).read_bytes().partition(b"\n")
    except OSError:
        # Not there, or not ours to read: the runs themselves are.
        return {}
    if hashlib.sha256(content).hexdigest().encode() != digest:
        return {}
    whole = json.loads(content)
    if whole["schema"] != _SCHEMA:
        return {}
    return {
        run_id: Entry(stamp, link and Link(*link), summary and Summary(*summary), annotates)
        for run_id, stamp, link, summary, annotates in whole["rows"]
    }


def save(location: str, entries: Mapping[str, Entry]) -> None:
    """Keep what is known of the runs of a store."""
    rows = []
    for run_id, entry in entries.items():
        link, summary = entry.link and _values(entry.link), entry.summary and _values(entry.summary)
        rows.append([run_id, entry.stamp, link, summary, entry.annotates])
    content = json.dumps({"schema": _SCHEMA, "rows": rows}).encode()
    path = _path(location)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    except OSError:
        # Without an index everything is as true, only slower.
        return


def _values(one: Link | Summary) -> list[object]:
    return [getattr(one, field.name) for field in fields(one)]


def _path(location: str) -> Path:
    return state.cache() / "index" / f"{hashlib.sha256(location.encode()).hexdigest()[:32]}.json"
