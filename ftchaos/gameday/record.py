"""What happened on a game day, ``gameday.jsonl``: one JSON object a line, on disk before anything goes on.

People append to it too, from processes of their own (`ftchaos gameday note`), so each append takes a lock. A process
that is killed while it writes leaves a part of a line; the next append takes that away.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ftchaos.clock import iso
from ftchaos.errors import Inconclusive, Invalid
from ftchaos.evidence.part import Part
from ftchaos.evidence.types import Count, Instant, Seconds, Text

FILE = "gameday.jsonl"
LARGEST_BYTES = 16 << 20

What = Literal[
    "began", "resumed", "part began", "part known", "part lost", "part ended", "part skipped",
    "approved", "rejected", "note", "lesson", "action", "stopped", "ended",
]  # fmt: skip
SPOKEN = ("note", "lesson", "action", "approved", "rejected", "stopped")
"""What people say."""


RunId = Annotated[str, Field(pattern=r"^(\d{8}T\d{6}Z-[A-Za-z0-9._-]{1,180})?$")]


class Result(Part):
    """What a part came to, with the figures of its own evidence where it has one."""

    verdict: Literal["passed", "failed", "inconclusive"]
    exit_code: Count
    reason: Text = ""
    summary: Text = ""
    run_id: RunId = ""
    manifest_sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    fault: Text = ""
    fault_at: Instant | None = None
    restored_at: Instant | None = None
    recovery_time_s: Seconds | None = None
    data_loss_s: Seconds | None = None
    lost: Count | None = None
    unhealed: Count = 0


class Began(Part):
    """What the day began with; ``commit`` and ``image`` are those of the system under test, empty where unknown."""

    run_id: RunId
    environment: Text
    platform: Text
    plan_file: Text
    plan_sha256: Text
    objectives: dict[str, Seconds]
    machine: dict[str, Text | int]
    commit: Text = ""
    image: Text = ""


class Entry(Part):
    """One thing that happened.

    ``part`` names the part that it is about, ``attempt`` counts from 1, ``owner`` and ``due`` belong to an action.
    """

    at: Instant
    what: What
    part: Text = ""
    attempt: Count = 0
    by: Text = ""
    text: Text = ""
    run_id: RunId = ""
    owner: Text = ""
    due: Text = ""
    result: Result | None = None
    day: Began | None = None


def _utc() -> datetime:
    return datetime.now(UTC)


class Record:
    """The record in a day's folder.

    Args:
        utc: the time of day.
    """

    def __init__(self, folder: Path, utc: Callable[[], datetime] = _utc) -> None:
        self.path = folder / FILE
        self._utc = utc
        self._seen: tuple[int, list[Entry]] = (-1, [])

    def append(self, what: What, **values: Any) -> Entry:
        """Add an entry; it is on disk when this returns.

        Raises:
            Invalid: a value cannot be kept.
            Inconclusive: the file cannot be written.
        """
        try:
            entry = Entry.model_validate({"at": iso(self._utc()), "what": what, **values})
        except ValidationError as error:
            raise Invalid(f"the entry {what!r} cannot be kept: {error.errors()[0]['msg']}", "was it cut?") from error
        given = json.dumps(entry.model_dump(exclude_defaults=True), ensure_ascii=False)
        try:
            self._write(given.encode() + b"\n")
        except OSError as error:
            raise Inconclusive(
                f"{self.path} cannot be written: {error.strerror}",
                "make room there, then `ftchaos gameday run --resume`",
            ) from error
        return entry

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            end = _whole(descriptor)
            try:
                if os.pwrite(descriptor, line, end) != len(line):
                    raise OSError(28, "no space left on device")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """All that happened so far, in order; without the line that is being written.

        Raises:
            Invalid: it is not there, or it was altered.
        """
        try:
            size = self.path.stat().st_size
            if size == self._seen[0]:
                return self._seen[1]
            if size > LARGEST_BYTES:
                raise Invalid(f"{self.path} is larger than {LARGEST_BYTES >> 20} MiB", "no record of a day is")
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Invalid(f"{self.path} cannot be read: {error.strerror}", "is it yours to read?") from error
        self._seen = (len(content), parse(content, self.path))
        return self._seen[1]


def parse(content: bytes, path: Path) -> list[Entry]:
    """The entries of a file.

    Raises:
        Invalid: a line is none, with its number.
    """
    found = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            found.append(Entry.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise Invalid(f"{path}, line {number}, {where}: {first['msg']}", "was it edited?") from error
    return found


def began(entries: Sequence[Entry]) -> Began | None:
    """What the day began with; None before it did."""
    return next((entry.day for entry in entries if entry.day is not None), None)


def result(found: Mapping[str, Any], manifest_sha256: str) -> Result:
    """What a run came to, from its evidence as read from JSON.

    Raises:
        ValidationError: it is no evidence.
    """
    recovery, data, reasons = found.get("recovery", {}), found.get("data", {}), found.get("reasons") or [""]
    return Result(
        verdict=found["verdict"],
        exit_code=found["exit_code"],
        reason=reasons[0],
        summary=found.get("summary", ""),
        run_id=found["run_id"],
        manifest_sha256=manifest_sha256,
        fault=recovery.get("fault", ""),
        fault_at=recovery.get("fault_at"),
        restored_at=recovery.get("restored_at"),
        recovery_time_s=recovery.get("recovery_time_s"),
        data_loss_s=data.get("data_loss_s"),
        lost=data.get("lost"),
        unhealed=found.get("undo", {}).get("failed", 0),
    )


def _whole(descriptor: int) -> int:
    """Where the last whole line ends; what a killed process left behind it is cut off."""
    size = os.fstat(descriptor).st_size
    end, step = size, 1 << 16
    while end > 0:
        begin = max(0, end - step)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end != size:
        os.ftruncate(descriptor, end)
    return end
