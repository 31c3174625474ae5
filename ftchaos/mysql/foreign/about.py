"""What a backup says of itself, in one shape for all kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

Kind = Literal["dump", "mydumper", "folder", "stream"]
Whole = Literal["passed", "unknown"]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_SHORT_HOUR = re.compile(r" +(\d):")  # mysqldump pads the hour with a blank
_QUARTER_S = 900
_LATE_S = 5  # a file is closed within moments of the time that is written at its end
_FURTHEST_S = 14 * 3600


@dataclass(frozen=True)
class Taken:
    """When a backup was taken.

    Attributes:
        at: in UTC.
        sure: False where the backup names a local time and nothing says of which zone.
    """

    at: datetime
    sure: bool = True


@dataclass(frozen=True)
class About:
    """A backup as it describes itself.

    Attributes:
        path: the file or folder.
        kind: how it is restored: ``dump`` and ``mydumper`` are SQL, ``folder`` and ``stream`` are data files.
        method: its maker and form, for people: ``mariadb-dump file, zst``.
        size_bytes: as it lies on disk.
        flavour: ``mariadb`` or ``mysql``; empty where it does not say.
        server_version: of the server that it was taken from; empty where it does not say.
        whole: ``unknown`` where nothing in it could tell that it is incomplete.
        whole_detail: how that is known.
        taken: when, if it says so.
        gtid: position of the data in its server's history; None where it does not say.
        log_file: binary log that goes on where the backup ends; empty where it does not say.
        log_position: the offset in it.
        schema: the schema of a dump that names none in its statements.
        details: what else its restore needs, by kind.
    """

    path: Path
    kind: Kind
    method: str
    size_bytes: int
    flavour: str = ""
    server_version: str = ""
    whole: Whole = "passed"
    whole_detail: str = ""
    taken: Taken | None = None
    gtid: str | None = None
    log_file: str = ""
    log_position: int = 0
    schema: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> tuple[int, int, int]:
        """The server's version, comparable; zeros where it is not known."""
        return version_of(self.server_version)

    @property
    def says_more_later(self) -> bool:
        """Whether more is known of it when all of it was read."""
        return self.kind == "stream" or bool(self.details.get("packed"))

    @property
    def has_position(self) -> bool:
        """Whether a binary log can be replayed on top of it."""
        return self.gtid is not None or bool(self.log_file)


def version_of(text: str) -> tuple[int, int, int]:
    """The first three numbers of a version, zeros where there is none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def taken(local: str, written: Path) -> Taken | None:
    """The UTC time of a local time that names no zone, told by when the file was written.

    The two lie moments apart, save for the zone's offset, which is a whole number of quarters of an hour. A file that
    was copied without its time does not tell; then the time is taken as UTC, and not sure.

    Args:
        local: ``2026-11-23 06:15:00``, or with `` 6:15:00``, on the machine that made the backup.
        written: the file that the time was written to, at that time.
    """
    try:
        named = datetime.fromisoformat(_SHORT_HOUR.sub(r" 0\1:", local.strip())).replace(tzinfo=UTC)
    except ValueError:
        return None
    ahead_s = named.timestamp() - written.stat().st_mtime
    offset_s = round(ahead_s / _QUARTER_S) * _QUARTER_S
    if abs(ahead_s - offset_s) <= _LATE_S and abs(offset_s) <= _FURTHEST_S:
        return Taken(named - timedelta(seconds=offset_s))
    return Taken(named, sure=False)
