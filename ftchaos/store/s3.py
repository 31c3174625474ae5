"""A store in an S3 bucket, for teams.

``runs/RUN-ID/…``       the files of a run, put before it counts
``chain/NUMBER.json``   a link: manifest, signature and summary of one run; a run is there when its link is
``index/NUMBER.json``   the summaries of a hundred links each, so that a machine that knows nothing reads little
``chain.json``          the end of the chain
``tried``               put before the first run, to know that runs can be put

Links and files are put on the condition that nothing is there. So of two writers one gets the number and the other
the next one, a reader never sees half a run, and what a lost connection left undone is done by trying again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ftchaos import chain, manifest, signing, state
from ftchaos.chain import Link
from ftchaos.errors import Away, Inconclusive, Invalid, Refused
from ftchaos.store import annotation, index, shortening
from ftchaos.store import link as links
from ftchaos.store.annotation import Annotation
from ftchaos.store.bucket import CONNECTIONS, Bucket, Listed, Unreachable
from ftchaos.store.folder import since, words
from ftchaos.store.index import Entry
from ftchaos.store.link import Published
from ftchaos.store.summary import Summary

_LINK = re.compile(r"chain/(\d{10})\.json")
_TRIED = "tried"
_MARK = b"ftchaos may put evidence here\n"
_ALLOW = "what must be allowed, `ftchaos policy aws --reports s3://BUCKET/PREFIX` prints"
_BLOCK = 100
_TRIES = 50


class S3Store:
    """See :class:`ftchaos.store.summary.Store`."""

    def __init__(self, location: str) -> None:
        self._bucket = Bucket(location)

    @property
    def location(self) -> str:
        return self._bucket.location

    @property
    def outbox(self) -> Path:
        """Where runs are written before they are published."""
        return state.root() / "outbox" / _slug(self.location)

    def summaries(self) -> list[Summary]:
        found = [entry.summary for entry in self._entries().values() if entry.summary is not None]
        return sorted(found, key=lambda one: one.run_id, reverse=True)

    def folder(self, run_id: str) -> Path:
        entry = self._entries().get(run_id)
        if entry is None or entry.place is None:
            raise Invalid(f"no run {run_id!r} in {self.location}", "`ftchaos report list` shows what there is")
        folder = state.cache() / "runs" / _slug(self.location) / run_id
        if _has(folder, entry.place[2]):
            return folder
        published = self._link(entry.place[1], entry.stamp)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{run_id}.") as below:
                self._fetch(published, Path(below) / run_id)
                if folder.exists():
                    folder.rename(Path(below) / "old")
                (Path(below) / run_id).rename(folder)
        except OSError as error:
            raise Invalid(f"{run_id} cannot be fetched to {folder}: {error.strerror}", "make room there") from error
        return folder

    def annotations(self, run_id: str) -> list[Annotation]:
        ours = [(entry.place, name) for name, entry in self._entries().items() if entry.annotates == run_id]
        return [
            annotation.read(self.folder(name)) for _, name in sorted(ours, key=lambda one: one[0][1] if one[0] else 0)
        ]

    def annotated(self) -> set[str]:
        return {entry.annotates for entry in self._entries().values() if entry.annotates}

    def links(self) -> Iterator[tuple[str, bytes]]:
        numbers = {name: entry.place[1] for name, entry in self._entries().items() if entry.place}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            found = pool.map(lambda number: self._link(number, ""), numbers.values())
            yield from zip(numbers, (one.content for one in found), strict=True)

    def verify(self, run_ids: Iterable[str]) -> dict[str, list[str]]:
        entries, damaged = self._checked()
        broken = self._broken(entries, damaged)
        return {run_id: [*self._wrong(run_id, entries), *since(broken, entries.get(run_id))] for run_id in run_ids}

    def examine(self) -> Iterator[tuple[str, list[str]]]:
        """All that is here, oldest first, each name with what is wrong with it; last, without a name, the chain."""
        entries, damaged = self._checked()
        for name in sorted(entries):
            yield name, self._wrong(name, entries)
        yield "", [words(one) for one in self._broken(entries, damaged)]

    def ensure_takes(self) -> None:
        """List, put and get, as a run that is published does; what was put once stays, and is not put again."""
        try:
            next(iter(self._bucket.listed("chain/")), None)
            self._bucket.get(chain.FILE)  # before the first run it is not there, which a bucket may keep to itself
            self._bucket.put_new(_TRIED, _MARK, hashlib.sha256(_MARK).hexdigest())
            if self._bucket.get(_TRIED) is None:
                raise Unreachable(f"{self.location}/{_TRIED} was put and is not there", "check the bucket's policy")
        except Inconclusive as error:
            raise Refused(
                f"the evidence of a run could not be kept: {error.fact}", f"{error.hint}; {_ALLOW}"
            ) from error

    def publish(self, folder: Path) -> None:
        """Put a run that is complete in a local folder into the bucket, or go on where that was interrupted.

        Raises:
            Away: the bucket does not answer now; the local folder has everything.
            Inconclusive: it could not be put whole; the local folder has everything.
        """
        try:
            if not (folder / manifest.FILE).exists():
                manifest.write(folder)
            files = manifest.digests(folder)
            if (wrong := manifest.verify(folder)).altered or wrong.missing or wrong.extra:
                raise Invalid(f"{folder} is not as it was when the run ended", "`ftchaos report verify` says more")
            self._put_files(folder, files)
            self._append(folder, files)
        except (Inconclusive, Invalid, OSError) as error:
            why = getattr(error, "fact", None) or str(error)
            raise (Away if isinstance(error, Away) else Inconclusive)(
                f"{folder.name} was not published: {why}",
                f"it is whole in {folder}; `ftchaos report publish --reports {self.location}` tries again",
            ) from error

    def pending(self) -> list[Path]:
        """The folders of complete runs that were not published."""
        there = self._entries()
        complete = (path.parent for path in sorted(self.outbox.glob(f"*/{manifest.FILE}")))
        return [folder for folder in complete if folder.name not in there]

    def _put_files(self, folder: Path, files: Mapping[str, Any]) -> None:
        def put(name: str) -> None:
            key, digest = f"runs/{folder.name}/{name}", files[name]["sha256"]
            with (folder / name).open("rb") as stream:
                if self._bucket.put_new(key, stream, digest):
                    return
            with tempfile.TemporaryDirectory(prefix="ftchaos-") as below:
                there = Path(below) / "there"
                if not self._bucket.download(key, there, files[name]["bytes"]):
                    raise Unreachable(f"{key} can neither be put nor read", "check the bucket's policy")
                with there.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                        raise Invalid(
                            f"{self.location}/{key} is there with another content", "is this another run's id?"
                        )

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(put, files))

    def _append(self, folder: Path, files: Mapping[str, Any]) -> None:
        """Add the link of a run to the end of the chain, unless it is there."""
        signer = signing.signer()
        for _ in range(_TRIES):
            entries = self._entries()
            if folder.name in entries:
                place = entries[folder.name].place
                assert place is not None
                published = self._link(place[1], entries[folder.name].stamp)
                if published.manifest["files"] != files:
                    raise Invalid(
                        f"{self.location} has another run of the id {folder.name}", "was it published before?"
                    )
                manifest.put(folder, published.content, published.attestation)
            else:
                last = max((Link(*one.place) for one in entries.values() if one.place), key=_number, default=None)
                content, attestation = manifest.sealed(folder, files, last, signer)
                if not self._put_link(folder, content, attestation):
                    continue
            self._remember_end()
            self._summarize()
            return
        raise Unreachable(f"{self.location}: {_TRIES} others were always first", "try again")

    def _put_link(self, folder: Path, content: bytes, attestation: bytes | None) -> bool:
        """Put a link, which publishes the run; False where its number is taken."""
        paths = (folder / manifest.ATTESTATION, folder / manifest.FILE)
        before = [path.read_bytes() if path.exists() else None for path in paths]
        manifest.put(folder, content, attestation)
        body = links.serialized(content, attestation, shortening.entry(folder, ""))
        if self._bucket.put_new(_key(manifest.read(folder)["sequence"]), body, hashlib.sha256(body).hexdigest()):
            return True
        assert before[1] is not None
        manifest.put(folder, before[1], before[0])
        return False

    def _remember_end(self) -> None:
        """Move the remembered end of the chain forward to its last link."""
        for _ in range(_TRIES):
            last = max((Link(*one.place) for one in self._entries().values() if one.place), key=_number)
            there = self._bucket.get(chain.FILE)
            if there is not None and chain.parse_end(there[0], chain.FILE).sequence >= last.sequence:
                return
            if self._bucket.replace(chain.FILE, chain.end_bytes(last), there[1] if there else ""):
                return
        raise Unreachable(f"{self.location}: {chain.FILE} cannot be written", "try again")

    def _summarize(self) -> None:
        """Put the summaries of each hundred links that is whole into one object."""
        by_number = {one.place[1]: one for one in self._entries().values() if one.place}
        whole = max(by_number, default=0) // _BLOCK * _BLOCK
        if whole == 0 or any(True for _ in self._bucket.listed(f"index/{whole:010}.json")):
            return
        rows = [
            {"stamp": one.stamp, "place": one.place, **links.about(one)}
            for number in range(whole - _BLOCK + 1, whole + 1)
            if (one := by_number.get(number))
        ]
        body = f"{json.dumps(rows)}\n".encode()
        self._bucket.put_new(f"index/{whole:010}.json", body, hashlib.sha256(body).hexdigest())

    def _entries(self) -> dict[str, Entry]:
        """Everything here by its name."""
        return self._checked()[0]

    def _checked(self) -> tuple[dict[str, Entry], list[chain.Problem]]:
        """Everything here by its name, and what is wrong with links; those that are known are not fetched again."""
        kept = index.load(self.location)
        entries, damaged = self._read(self._bucket.listed("chain/"), {one.stamp: one for one in kept.values()})
        if entries != kept:
            index.save(self.location, entries)
        return entries, damaged

    def _read(self, listed: Iterable[Listed], known: dict[str, Entry]) -> tuple[dict[str, Entry], list[chain.Problem]]:
        stamps = {f"{match[1]}-{one.etag}": int(match[1]) for one in listed if (match := _LINK.fullmatch(one.key))}
        missing = [stamp for stamp in stamps if stamp not in known]
        if len(missing) > _BLOCK:
            known |= self._summarized({stamps[stamp] for stamp in missing})
            missing = [stamp for stamp in stamps if stamp not in known]
        damaged = []

        def read(stamp: str) -> Entry | Invalid:
            try:
                return self._link(stamps[stamp], stamp).entry
            except Invalid as error:
                return error

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for stamp, found in zip(missing, pool.map(read, missing), strict=True):
                if isinstance(found, Invalid):
                    damaged.append(chain.Problem(stamps[stamp], "", found.fact))
                else:
                    known[stamp] = found
        entries: dict[str, Entry] = {}
        for stamp in stamps:
            entry = known.get(stamp)
            if entry is None or entry.place is None:
                continue
            if entry.place[1] != stamps[stamp] or entry.place[0] in entries:
                damaged.append(chain.Problem(stamps[stamp], entry.place[0], "its link is not where it belongs"))
            else:
                entries[entry.place[0]] = entry
        return entries, damaged

    def _summarized(self, numbers: set[int]) -> dict[str, Entry]:
        """Entries by their stamps from the objects that have a hundred each; what is damaged is read link by link."""
        keys = sorted({f"index/{-(-number // _BLOCK) * _BLOCK:010}.json" for number in numbers})
        found: dict[str, Entry] = {}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for key, there in zip(keys, pool.map(self._bucket.get, keys), strict=True):
                if there is None:
                    continue
                try:
                    for row in json.loads(there[0]):
                        entry = links.checked(str(row["stamp"]), row["place"], row["summary"], row["annotates"], key)
                        found[entry.stamp] = entry
                except (Invalid, ValueError, KeyError, TypeError, RecursionError):
                    continue
        return found

    def _link(self, number: int, stamp: str) -> Published:
        there = self._bucket.get(_key(number))
        if there is None:
            raise Invalid(f"{self.location}/{_key(number)} is not there", "it was taken away meanwhile")
        return links.parse(there[0], f"{self.location}/{_key(number)}", stamp)

    def _fetch(self, published: Published, folder: Path) -> None:
        """The files of a run, with its manifest; those that are not there are left out."""
        run_id, files = published.manifest["run_id"], published.manifest["files"]

        def fetch(file: str) -> bool:
            return self._bucket.download(f"runs/{run_id}/{file}", folder / file, files[file]["bytes"])

        folder.mkdir()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(fetch, files))
        manifest.put(folder, published.content, published.attestation)

    def _wrong(self, run_id: str, entries: Mapping[str, Entry]) -> list[str]:
        """What is wrong with a run as it lies in the bucket: every file is fetched anew."""
        entry = entries.get(run_id)
        if entry is None or entry.place is None:
            return [f"no run {run_id!r} in {self.location}"]
        try:
            published = self._link(entry.place[1], entry.stamp)
            with tempfile.TemporaryDirectory(prefix="ftchaos-") as below:
                folder = Path(below) / run_id
                self._fetch(published, folder)
                findings = manifest.verify(folder)
                now = shortening.entry(folder, entry.stamp)
        except Invalid as error:
            return [error.fact]
        there = {one.key.removeprefix(f"runs/{run_id}/") for one in self._bucket.listed(f"runs/{run_id}/")}
        extra = tuple(sorted(there - published.manifest["files"].keys()))
        problems = dataclasses.replace(findings, extra=extra, chain=()).problems()
        if entry != now or published.entry != now:
            problems.append("its summary says otherwise than its files")
        return problems

    def _broken(self, entries: Mapping[str, Entry], damaged: list[chain.Problem]) -> list[chain.Problem]:
        found = [Link(*one.place) for one in entries.values() if one.place]
        there = self._bucket.get(chain.FILE)
        try:
            end = chain.parse_end(there[0], f"{self.location}/{chain.FILE}") if there else None
        except Invalid as error:
            damaged = [*damaged, chain.Problem(max((one.sequence for one in found), default=0), "", error.fact)]
            end = None
        return [*damaged, *chain.problems(found, end)]


def _number(link: Link) -> int:
    return link.sequence


def _key(number: int) -> str:
    return f"chain/{number:010}.json"


def _slug(location: str) -> str:
    return hashlib.sha256(location.encode()).hexdigest()[:16]


def _has(folder: Path, digest: str) -> bool:
    path = folder / manifest.FILE
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
