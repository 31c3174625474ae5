"""A backup on disk: its manifest, and what can be known of it before it is used. ``take.py`` makes them.

``<backups>/<id>/data`` holds a data folder that a server can begin on, or a dump; ``backup.json`` beside it is
written last, so that a folder without it is no backup.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import xxhash

from ftchaos.errors import Unusable
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.trace import UNKNOWN, Trace
from ftchaos.mysql.verify import Record, TableRecord

SCHEMA = "ftchaos.backup/1"
MANIFEST = "backup.json"
DATA = "data"
DUMP = "dump.sql.zst"
ACCOUNTS = "accounts.sql"
Method = Literal["physical", "logical"]


@dataclass(frozen=True)
class File:
    """One file of a backup, by its path below ``data``."""

    name: str
    size_bytes: int
    xxh3: str


@dataclass(frozen=True)
class Origin:
    """Where a backup stands in the log of the primary of that time.

    Attributes:
        server_id: the primary's replication id.
        server_uuid: its uuid; empty on MariaDB.
        file: its log in which the next transaction lies.
        position: the byte in it at which everything before is in the backup.
        before: the bytes before it, which the log of no other server has there.
    """

    server_id: int
    server_uuid: str
    file: str
    position: int
    before: Trace = UNKNOWN


@dataclass(frozen=True)
class Backup:
    """One complete backup.

    Attributes:
        folder: where it lies.
        id: sorts by time.
        server_version: as the server writes it.
        gtid: exactly what the data has.
        origin: None when it was taken on a server that follows nobody.
        began_at: UTC.
        consistent_at: UTC time as of which the data is.
        ended_at: UTC.
        files: all files below ``data``.
        record: the content as measured on the source at that point; None when the source could not hold still.
    """

    folder: Path
    id: str
    flavour: str
    server_version: str
    method: Method
    gtid: str
    origin: Origin | None
    began_at: str
    consistent_at: str
    ended_at: str
    files: tuple[File, ...]
    record: Record | None

    @property
    def data(self) -> Path:
        """The folder with its files."""
        return self.folder / DATA

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def position(self) -> GtidSet:
        """What the data has."""
        return GtidSet.parse(self.gtid)

    def write(self) -> None:
        """Write the manifest, whole or not at all."""
        facts: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        del facts["folder"]
        if self.record:
            facts["record"]["tables"] = {name: asdict(table) for name, table in self.record.tables.items()}
        facts["checksum"] = _checksum(facts)
        unfinished = self.folder / (MANIFEST + ".new")
        with unfinished.open("w") as file:
            json.dump(facts, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self.folder / MANIFEST)

    @classmethod
    def read(cls, folder: Path) -> Backup:
        """The backup in a folder.

        Raises:
            Unusable: it has no manifest, or one that is damaged.
        """
        try:
            facts = json.loads((folder / MANIFEST).read_text())
            if facts["schema"] != SCHEMA or facts.pop("checksum") != _checksum(facts):
                raise Unusable(f"the manifest of backup {folder.name} is damaged", "the backup before it is used")
            return cls(
                **{
                    key: facts[key] for key in cls.__annotations__ if key not in ("folder", "origin", "files", "record")
                },
                folder=folder,
                origin=_origin(facts["origin"]) if facts["origin"] else None,
                files=tuple(File(**file) for file in facts["files"]),
                record=_record(facts["record"]) if facts["record"] else None,
            )
        except FileNotFoundError as error:
            raise Unusable(f"backup {folder.name} was never completed: it has no {MANIFEST}") from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unusable(f"the manifest of backup {folder.name} cannot be read: {error}") from error


@dataclass(frozen=True)
class Rejected:
    """A backup that was looked at and passed over."""

    id: str
    why: str


def backups_in(folder: Path) -> tuple[list[Backup], list[Rejected]]:
    """The complete backups of a folder, the newest first, and what only looks like one."""
    found: list[Backup] = []
    rejected: list[Rejected] = []
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), reverse=True):
            if entry.is_dir() and not entry.name.startswith("."):
                try:
                    found.append(Backup.read(entry))
                except Unusable as error:
                    rejected.append(Rejected(entry.name, error.fact))
    return sorted(found, key=lambda backup: (backup.consistent_at, backup.id), reverse=True), rejected


def file_checksum(path: Path) -> str:
    """XXH3 of a file, the fastest sum that sees every flipped bit (it is no seal against forgery)."""
    digest = xxhash.xxh3_64()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(1 << 20))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def _origin(facts: Mapping[str, Any]) -> Origin:
    return Origin(**{**facts, "before": Trace(*facts.get("before", ()))})


def _record(facts: Mapping[str, Any]) -> Record:
    return Record(facts["schema"], {name: TableRecord(**table) for name, table in facts["tables"].items()})


def _checksum(facts: Mapping[str, Any]) -> str:
    return str(xxhash.xxh3_64_hexdigest(json.dumps(facts, sort_keys=True).encode()))
