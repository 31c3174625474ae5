"""The chain of runs: each manifest carries the hash of the one before it, and ``chain.json`` remembers the last.

So a run that was deleted, altered, inserted or exchanged shows, the newest one too. Whoever may write everything may
write a whole new chain: against that stand signatures, and an Object Lock. What links say of each other is decided
purely; reading and writing the end of the chain is all that touches the disk here.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftchaos import atomic
from ftchaos.errors import Invalid

FILE = "chain.json"
SCHEMA = "ftchaos.chain/1"
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9._-]{1,180}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Link:
    """One manifest in the chain.

    Attributes:
        run_id: whose it is.
        sequence: its place, from 1 on.
        sha256: of the manifest.
        previous_id, previous_sha256: of the one before it; empty for the first, and where nobody asks.
    """

    run_id: str
    sequence: int
    sha256: str
    previous_id: str = ""
    previous_sha256: str = ""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with the chain.

    Attributes:
        sequence: the place from which on it matters.
        run_id: the run at which it shows.
        what: in words.
    """

    sequence: int
    run_id: str
    what: str


def problems(links: Iterable[Link], end: Link | None) -> list[Problem]:
    """What is wrong with a chain, from its begin to its end; empty when nothing is.

    Args:
        links: all there are, in any order.
        end: what was remembered as the last; None where nothing was.
    """
    ordered = sorted(links, key=lambda link: (link.sequence, link.run_id))
    found = []
    by_place = {link.sequence: link for link in ordered}
    for place, count in Counter(link.sequence for link in ordered).items():
        if count > 1:
            names = ", ".join(link.run_id for link in ordered if link.sequence == place)
            found += [
                Problem(place, link.run_id, f"{count} runs have number {place} in the chain: {names}")
                for link in ordered
                if link.sequence == place
            ]
    for link in ordered:
        if wrong := _wrong(link, by_place.get(link.sequence - 1)):
            found.append(Problem(link.sequence, link.run_id, wrong))
    last = ordered[-1] if ordered else None
    if wrong := _wrong_end(last, end, {link.sha256 for link in ordered}):
        found.append(Problem(max(last.sequence if last else 0, end.sequence if end else 0), "", wrong))
    return found


def _wrong(link: Link, before: Link | None) -> str:
    """What is wrong between a link and the one before it."""
    if link.sequence == 1:
        return "it is the first, but names a previous run" if link.previous_sha256 else ""
    if not link.previous_sha256:
        return "the manifest names no previous run, but it is not the first"
    if before is None:
        return f"the run before it, {link.previous_id}, number {link.sequence - 1}, is missing: taken away, or damaged"
    if before.sha256 != link.previous_sha256:
        return f"the manifest of the run before it, {link.previous_id}, was altered or exchanged"
    return ""


def _wrong_end(last: Link | None, end: Link | None, there: set[str]) -> str:
    if last is None and end is None:
        return ""
    if end is None:
        return f"{FILE} is not there, so that nobody knows whether the newest run is"
    if last is None or last.sequence < end.sequence:
        return f"the newest run {end.run_id}, number {end.sequence}, is not there: it was taken away"
    if end.sha256 not in there:
        return f"the manifest of {end.run_id}, number {end.sequence}, was altered or exchanged"
    if last.sequence > end.sequence:
        return f"{last.run_id} stands after the end of the chain: it was inserted, or ftchaos was killed as it ended it"
    return ""


def read_end(reports: Path) -> Link | None:
    """The last link as it was remembered; None without any.

    Raises:
        Invalid: the file is damaged.
    """
    try:
        return parse_end((reports / FILE).read_bytes(), str(reports / FILE))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(f"{reports / FILE} cannot be read: {error.strerror}", "is it yours to read?") from error


def parse_end(content: bytes, name: str) -> Link:
    """The last link as a file has it.

    Raises:
        Invalid: the file is damaged.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name} is damaged", "was it edited?") from error
    if not _is_end(found) or content != end_bytes(link := Link(found["run_id"], found["sequence"], found["sha256"])):
        raise Invalid(f"{name} is damaged", "was it edited?")
    return link


def _is_end(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == {"schema", "run_id", "sequence", "sha256"}
        and is_run_id(found["run_id"])
        and is_sha256(found["sha256"])
        and type(found["sequence"]) is int
    )


def end_bytes(link: Link) -> bytes:
    """How the last link is remembered."""
    known = asdict(link)
    kept = {"schema": SCHEMA, **{key: known[key] for key in ("run_id", "sequence", "sha256")}}
    return f"{json.dumps(kept, indent=1)}\n".encode()


def write_end(reports: Path, link: Link) -> None:
    """Remember the last link."""
    atomic.write(reports / FILE, end_bytes(link))


@contextmanager
def locked(reports: Path) -> Iterator[None]:
    """Nobody else of this machine adds a run meanwhile."""
    # The folder itself is locked: a lock file would be one more file among the evidence.
    descriptor = os.open(reports, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_run_id(value: Any) -> bool:
    """Whether something is the name of a run, and so harmless as that of a folder."""
    return isinstance(value, str) and RUN_ID.fullmatch(value) is not None


def is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None
