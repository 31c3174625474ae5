"""A store in a folder: one folder a run below it, as the run itself wrote it."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ftchaos import chain, manifest
from ftchaos.chain import Link
from ftchaos.errors import Invalid
from ftchaos.store import index
from ftchaos.store.index import Entry
from ftchaos.store.summary import Summary

if TYPE_CHECKING:
    from ftchaos.store.annotation import Annotation

_LAST = sys.maxsize
_UNSEALED = ("evidence.json", "annotation.json")


class FolderStore:
    """See :class:`ftchaos.store.summary.Store`.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Entry] | None = None

    @property
    def location(self) -> str:
        return str(self.path)

    def summaries(self) -> list[Summary]:
        found = [entry.summary for entry in self._entries().values() if entry.summary is not None]
        return sorted(found, key=lambda one: one.run_id, reverse=True)

    def folder(self, run_id: str) -> Path:
        folder = self.path / run_id
        if not chain.is_run_id(run_id) or not folder.is_dir():
            raise Invalid(f"no run {run_id!r} in {self.location}", "`ftchaos report list` shows what there is")
        return folder

    def annotations(self, run_id: str) -> list[Annotation]:
        from ftchaos.store import annotation

        ours = [(entry.place, name) for name, entry in self._entries().items() if entry.annotates == run_id]
        # In the order in which they were added; what is not sealed yet comes last.
        ours.sort(key=lambda one: one[0][1] if one[0] else _LAST)
        return [annotation.read(self.path / name) for _, name in ours]

    def annotated(self) -> set[str]:
        return {entry.annotates for entry in self._entries().values() if entry.annotates}

    def links(self) -> Iterator[tuple[str, bytes]]:
        for name, entry in self._entries().items():
            if entry.place is not None:
                yield name, (self.path / name / manifest.FILE).read_bytes()
        for path in sorted((self.path / manifest.KEPT_LINKS).glob("*.json")):
            if not (self.path / path.stem).is_dir():
                yield path.stem, path.read_bytes()

    def verify(self, run_ids: Iterable[str]) -> dict[str, list[str]]:
        wanted, known = list(run_ids), self._entries()
        # What stands in the chain before the oldest of them does not matter to any.
        first = min((_number(known.get(run_id)) for run_id in wanted), default=_LAST)
        entries = self._entries(trusting=first, names=known)
        broken = self._broken({name: entry for name, entry in entries.items() if _number(entry) >= first - 1})
        return {run_id: [*self._wrong(run_id, entries), *since(broken, entries.get(run_id))] for run_id in wanted}

    def examine(self) -> Iterator[tuple[str, list[str]]]:
        """All that is here, oldest first, each name with what is wrong with it; last, without a name, the chain."""
        entries = self._entries(trusting=0)
        for name in sorted(entries):
            yield name, self._wrong(name, entries)
        yield "", [words(one) for one in self._broken(entries)]

    def _wrong(self, run_id: str, entries: Mapping[str, Entry]) -> list[str]:
        """What is wrong with the files of a run, its signature, and what the index says of it."""
        try:
            folder = self.folder(run_id)
            findings = manifest.verify(folder)
        except Invalid as error:
            return [error.fact]
        kept, now = entries[run_id], self._read(run_id, entries[run_id].stamp)
        problems = dataclasses.replace(findings, chain=()).problems()
        if kept != now:
            problems.append(f"the index says otherwise than the run's files: {_difference(kept, now)}")
        if now.link is None:
            problems += findings.chain
        if now.summary is None:
            problems += _wrong_annotation(folder, entries)
        return problems

    def _broken(self, entries: Mapping[str, Entry]) -> list[chain.Problem]:
        """What is wrong with the chain of all runs."""
        links = [Link(*entry.place) for entry in entries.values() if entry.place is not None]
        try:
            return chain.problems([*links, *self._kept_links()], chain.read_end(self.path))
        except Invalid as error:
            return [*chain.problems(links, None), chain.Problem(_LAST, "", error.fact)]

    @property
    def outbox(self) -> Path:
        return self.path

    def pending(self) -> list[Path]:
        return []

    def ensure_takes(self) -> None:
        """A run makes its own folder here before it touches anything, and is refused where it cannot."""

    def publish(self, folder: Path) -> None:
        """Complete a folder that was written here: seal it where that was not done yet."""
        if not (folder / manifest.FILE).exists():
            manifest.write(folder)

    def _entries(self, *, trusting: int = _LAST, names: Iterable[str] | None = None) -> dict[str, Entry]:
        """Everything here by its name, from the index where that holds.

        Args:
            trusting: sealed runs with a smaller number in the chain are taken as the index has them; of the others
                only those whose manifest was not touched.
            names: what was seen to be here a moment ago; None to look.
        """
        # Read once: it says what was known, and what is here is looked at each time.
        known = index.load(self._key()) if self._known is None else self._known
        found, fresh = {}, False
        for name in self._names(known) if names is None else names:
            entry = known.get(name)
            if entry is None or not (entry.sealed and _number(entry) < trusting):
                stamp = self._stamp(name)
                if stamp is None:
                    continue
                if entry is None or entry.stamp != stamp:
                    entry, fresh = self._read(name, stamp), True
            found[name] = entry
        if fresh or len(found) != len(known):
            index.save(self._key(), found)
        self._known = found
        return found

    def _read(self, name: str, stamp: str) -> Entry:
        # What reads evidence is dear to import, and mostly nothing is to be read.
        from ftchaos.store import shortening

        return shortening.entry(self.path / name, stamp)

    def _key(self) -> str:
        return str(self.path.resolve())

    def _names(self, known: Container[str]) -> list[str]:
        try:
            return [name for name in os.listdir(self.path) if name in known or chain.is_run_id(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            why = f"{self.location} cannot be read: {error.strerror}"
            raise Invalid(why, "--reports DIR looks elsewhere") from error

    def _stamp(self, name: str) -> str | None:
        """Which state of a run this is, by the file that says it has ended; None where none does."""
        for file in (manifest.FILE, *_UNSEALED):
            try:
                found = os.stat(f"{self.path}/{name}/{file}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            return f"{file[0]}{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"
        return None

    def _kept_links(self) -> list[Link]:
        """Links of runs that are not here themselves."""
        found = []
        for path in sorted((self.path / manifest.KEPT_LINKS).glob("*.json")):
            content = path.read_bytes()
            found.append(manifest.link(manifest.parse(content, str(path)), content))
        return [link for link in found if not (self.path / link.run_id / manifest.FILE).is_file()]


def _number(entry: Entry | None) -> int:
    """The place in the chain; 0 where it is not known."""
    return 0 if entry is None or entry.place is None else entry.place[1]


def since(broken: Iterable[chain.Problem], entry: Entry | None) -> list[str]:
    """What is wrong with the chain from a run on: what was there before it does not matter to it."""
    place = 0 if entry is None or entry.place is None else entry.place[1]
    return [words(one) for one in broken if one.sequence >= place]


def words(problem: chain.Problem) -> str:
    """A problem of the chain as a line."""
    return f"chain: {problem.run_id}: {problem.what}" if problem.run_id else f"chain: {problem.what}"


def _wrong_annotation(folder: Path, entries: Mapping[str, Entry]) -> list[str]:
    from ftchaos.store import annotation

    try:
        found = annotation.read(folder)
    except Invalid as error:
        return [error.fact]
    link = entries[found.annotates].link if found.annotates in entries else None
    if link is None or link.sha256 != found.manifest_sha256:
        return [f"the run that it annotates, {found.annotates}, is not there as it was"]
    return []


def _difference(kept: Entry, now: Entry) -> str:
    if kept.summary is None or now.summary is None:
        return "its place in the chain"
    for name in (field.name for field in dataclasses.fields(Summary)):
        if getattr(kept.summary, name) != getattr(now.summary, name):
            return f"{name} = {getattr(kept.summary, name)!r}, not {getattr(now.summary, name)!r}"
    return "its place in the chain"
