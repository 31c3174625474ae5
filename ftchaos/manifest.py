"""The manifest of a run's folder: what every file was when the run ended, chained to the run before.

``manifest.json`` is written last. It has the sha256 and size of every other file and the sha256 of
the previous run's manifest, so an altered, missing or added file shows, and so does a whole run that
was altered or taken away, unless it was the newest: nothing after it can miss it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftchaos import atomic
from ftchaos.clock import iso
from ftchaos.errors import Invalid

FILE = "manifest.json"
SCHEMA = "ftchaos.manifest/1"


@dataclass(frozen=True)
class Findings:
    """What differs from the manifest; all empty when nothing does.

    Attributes:
        altered: files with another content than when the run ended.
        missing: files that are gone.
        extra: files that were not there.
        chain: what is wrong with the previous run, in words.
    """

    altered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """All findings, one sentence part each."""
        return [
            *(f"altered: {name}" for name in self.altered),
            *(f"missing: {name}" for name in self.missing),
            *(f"extra: {name}" for name in self.extra),
            *self.chain,
        ]


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """The sha256 and size of every file below a run's folder but the manifest, by relative path.

    Raises:
        Invalid: something there is no regular file, so that its content is not its own.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(_names(folder)):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise Invalid(f"{path} is not a regular file", "evidence holds only its own files; take it away")
        with path.open("rb") as stream:
            found[name] = {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": path.stat().st_size}
    return found


def write(folder: Path) -> dict[str, Any]:
    """Write the manifest of a run that has ended, chained to the newest run that has one beside it.

    Returns:
        The manifest.

    Raises:
        Invalid: something in the folder is no regular file.
        OSError: the folder cannot be written.
    """
    files = digests(folder)
    # Two runs in two environments may end at one time; each must have the other before it or after it.
    with _chain_locked(folder.parent):
        previous = _newest(folder.parent, but=folder.name)
        manifest: dict[str, Any] = {
            "schema": SCHEMA,
            "run_id": folder.name,
            "written_at": iso(datetime.now(UTC)),
            "sequence": previous["sequence"] + 1 if previous else 1,
            "previous": {name: previous[name] for name in ("run_id", "sha256")} if previous else None,
            "files": files,
        }
        atomic.write(folder / FILE, json.dumps(manifest, indent=1) + "\n")
    return manifest


def verify(folder: Path) -> Findings:
    """Hold a run's folder against its manifest, and the previous run's manifest against its link in the chain.

    Raises:
        Invalid: there is no manifest, or it cannot be read as one.
    """
    manifest = read(folder)
    recorded: dict[str, Any] = manifest["files"]
    there = set(_names(folder))
    return Findings(
        altered=tuple(name for name in sorted(there & set(recorded)) if not _equal(folder / name, recorded[name])),
        missing=tuple(sorted(set(recorded) - there)),
        extra=tuple(sorted(there - set(recorded))),
        chain=tuple(_broken_link(folder, manifest)),
    )


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a run's folder.

    Raises:
        Invalid: there is none, or it cannot be read as one.
    """
    path = folder / FILE
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise Invalid(
            f"{folder.name} has no {FILE}, so the run did not end in order",
            "`ftchaos recover` undoes what it left; its raw data stays readable",
        ) from error
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}", "the run's files cannot be verified without it") from error
    if not _is_manifest(manifest):
        raise Invalid(f"{path} is not a manifest of this version", "was it edited?")
    whole: dict[str, Any] = manifest
    return whole


def _is_manifest(manifest: Any) -> bool:
    return (
        isinstance(manifest, dict)
        and manifest.get("schema") == SCHEMA
        and isinstance(manifest.get("sequence"), int)
        and isinstance(manifest.get("files"), dict)
        and all(isinstance(entry, dict) for entry in manifest["files"].values())
        and (manifest.get("previous") is None or set(manifest["previous"]) == {"run_id", "sha256"})
    )


def _names(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        # A linked folder is not walked; it is named, and so found to be no regular file.
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            relative = (Path(place) / name).relative_to(folder).as_posix()
            if relative != FILE:
                yield relative


def _equal(path: Path, recorded: dict[str, Any]) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != recorded.get("bytes"):
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == recorded.get("sha256")


def _broken_link(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    if manifest.get("run_id") != folder.name:
        yield f"the manifest is that of the run {manifest.get('run_id')}"
    previous = manifest["previous"]
    if previous is None:
        if manifest["sequence"] != 1:
            yield "the manifest names no previous run, but it is not the first"
        return
    path = folder.parent / Path(previous["run_id"]).name / FILE
    if not path.is_file():
        yield f"the previous run {previous['run_id']} is not there"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != previous["sha256"]:
        yield f"the manifest of the previous run {previous['run_id']} was altered"


def _newest(reports: Path, *, but: str) -> dict[str, Any] | None:
    """The link to the end of the chain: the manifest with the highest number."""
    newest: dict[str, Any] | None = None
    for path in reports.glob(f"*/{FILE}"):
        if path.parent.name == but:
            continue
        data = path.read_bytes()
        try:
            manifest = json.loads(data)
        except ValueError:
            # A damaged manifest cannot be a link; `verify` of its own folder and of its successor tells.
            continue
        if _is_manifest(manifest) and (newest is None or manifest["sequence"] > newest["sequence"]):
            newest = {
                "run_id": path.parent.name,
                "sequence": manifest["sequence"],
                "sha256": hashlib.sha256(data).hexdigest(),
            }
    return newest


@contextmanager
def _chain_locked(reports: Path) -> Iterator[None]:
    # The folder itself is locked: a lock file would be one more file among the evidence.
    descriptor = os.open(reports, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
