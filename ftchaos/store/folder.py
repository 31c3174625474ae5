"""A store in a folder: one folder a run below it, as the run itself wrote it."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ftchaos import chain, evidence, manifest
from ftchaos.chain import Link
from ftchaos.errors import Invalid
from ftchaos.store import annotation, index, shortening
from ftchaos.store.annotation import Annotation
from ftchaos.store.index import Entry
from ftchaos.store.summary import Summary

_LAST = sys.maxsize


class FolderStore:
    """See :class:`ftchaos.store.summary.Store`.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

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
        return [
            annotation.read(self.path / name)
            for name, entry in sorted(self._entries().items())
            if entry.summary is None and entry.annotates == run_id
        ]

    def verify(self, run_ids: Iterable[str]) -> dict[str, list[str]]:
        entries = self._entries()
        broken, found = self._broken(entries), {}
        for run_id in run_ids:
            link = entries[run_id].link if run_id in entries else None
            since = [one for one in broken if link is None or one.sequence >= link.sequence]
            found[run_id] = [*self._wrong(run_id, entries), *(words(one) for one in since)]
        return found

    def examine(self) -> Iterator[tuple[str, list[str]]]:
        """All that is here, oldest first, each name with what is wrong with it; last, without a name, the chain."""
        entries = self._entries()
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
        kept, now = entries[run_id], shortening.entry(folder, entries[run_id].stamp)
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
        links = [entry.link for entry in entries.values() if entry.link is not None]
        try:
            return chain.problems([*links, *self._kept_links()], chain.read_end(self.path))
        except Invalid as error:
            return [*chain.problems(links, None), chain.Problem(_LAST, "", error.fact)]

    def publish(self, folder: Path) -> None:
        """Complete a folder that was written here: seal it where that was not done yet."""
        if not (folder / manifest.FILE).exists():
            manifest.write(folder)

    def _entries(self) -> dict[str, Entry]:
        """Everything here by its name, from the index where that still holds."""
        known, found, fresh = index.load(self._key()), {}, False
        for name, stamp in self._stamps():
            entry = known.get(name)
            if entry is None or entry.stamp != stamp:
                entry, fresh = shortening.entry(self.path / name, stamp), True
            found[name] = entry
        if fresh or len(found) != len(known):
            index.save(self._key(), found)
        return found

    def _key(self) -> str:
        return str(self.path.resolve())

    def _stamps(self) -> list[tuple[str, str]]:
        """The folders of runs that have ended, each with the stamp of the file that says so."""
        try:
            names = [one.name for one in os.scandir(self.path) if chain.is_run_id(one.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Invalid(
                f"{self.location} cannot be read: {error.strerror}", "--reports DIR looks elsewhere"
            ) from error
        stamps = []
        root = str(self.path)
        for name in names:
            for file in (manifest.FILE, evidence.FILE, annotation.FILE):
                try:
                    found = os.stat(f"{root}/{name}/{file}")
                except (FileNotFoundError, NotADirectoryError):
                    continue
                stamps.append((name, f"{file[0]}{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"))
                break
        return stamps

    def _kept_links(self) -> list[Link]:
        """Links of runs that are not here themselves."""
        found = []
        for path in sorted((self.path / manifest.KEPT_LINKS).glob("*.json")):
            content = path.read_bytes()
            found.append(manifest.link(manifest.parse(content, str(path)), content))
        return [link for link in found if not (self.path / link.run_id / manifest.FILE).is_file()]


def words(problem: chain.Problem) -> str:
    """A problem of the chain as a line."""
    return f"chain: {problem.run_id}: {problem.what}" if problem.run_id else f"chain: {problem.what}"


def _wrong_annotation(folder: Path, entries: Mapping[str, Entry]) -> list[str]:
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
