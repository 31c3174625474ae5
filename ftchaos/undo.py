"""The write-ahead undo log: what a run is about to harm and how that is healed, on disk before the harm.

One JSON object a line in ``undo.jsonl`` of the run's folder, fsynced before :meth:`UndoLog.record` returns::

    {"op": "record", "id": 1, "platform": "lab", "heal": "lab.begin", "arguments": {...}, "why": "...", "at": "..."}
    {"op": "healed", "id": 1, "detail": "...", "at": "..."}
    {"op": "failed", "id": 1, "error": "...", "hint": "...", "at": "..."}

Healing goes backwards, goes on past a heal that fails, and may be repeated: a heal is idempotent and
needs nothing but its record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftchaos.clock import iso
from ftchaos.errors import FtchaosError, Invalid, Refused

FILE = "undo.jsonl"


@dataclass(frozen=True)
class Record:
    """One harm that was announced, and how to heal it.

    Attributes:
        id: 1 for the first of a run.
        platform: whose heal it is, for example ``lab``.
        heal: the heal's name within the platform.
        arguments: all that the heal needs; JSON values, never a secret.
        why: what is about to be harmed, in words.
        healed: whether a heal has succeeded since.
        error: the newest failed heal's error, if the newest attempt failed.
        detail: what the heal said that it did.
        recorded_at, healed_at: UTC times as evidence writes them.
    """

    id: int
    platform: str
    heal: str
    arguments: Mapping[str, Any]
    why: str
    healed: bool = False
    error: str = ""
    detail: str = ""
    recorded_at: str = ""
    healed_at: str | None = None


@dataclass
class Healing:
    """What a round of healing did.

    Attributes:
        healed: what is whole again.
        failed: what is still harmed, and why.
        unnoted: heals that could not be written to the log, and why; they will be repeated.
    """

    healed: list[Record] = field(default_factory=list)
    failed: list[tuple[Record, str]] = field(default_factory=list)
    unnoted: list[str] = field(default_factory=list)


class UndoLog:
    """The undo log of one run, appended to and fsynced line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, platform: str, heal: str, arguments: Mapping[str, Any], why: str) -> Record:
        """Announce a harm. When this returns, its undo is on disk.

        Raises:
            Refused: the undo cannot be written, so the harm must not be done.
        """
        record = Record(len(self.records()) + 1, platform, heal, dict(arguments), why)
        try:
            self._append(
                {"op": "record", "id": record.id, "platform": platform, "heal": heal,
                 "arguments": record.arguments, "why": why}
            )  # fmt: skip
        except OSError as error:
            raise Refused(
                f"the undo of '{why}' cannot be written to {self.path}: {error.strerror}",
                "nothing was harmed; give the reports folder space and permission and run again",
            ) from error
        return record

    def records(self) -> list[Record]:
        """All announced harms, oldest first, each with the state of its heal.

        A last line that a crash cut off is passed over: the harm it announces was not done.

        Raises:
            Invalid: a line in the middle is broken.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        records: dict[int, Record] = {}
        for number, line in enumerate(lines[:-1], start=1):
            try:
                entry = json.loads(line)
                identity = int(entry["id"])
                if entry["op"] == "record":
                    announced = {name: entry[name] for name in ("platform", "heal", "arguments", "why")}
                    records[identity] = Record(identity, **announced, recorded_at=entry["at"])
                elif entry["op"] == "healed":
                    records[identity] = replace(
                        records[identity], healed=True, error="", detail=entry["detail"], healed_at=entry["at"]
                    )
                else:
                    records[identity] = replace(records[identity], error=str(entry["error"]))
            except (ValueError, KeyError, TypeError) as error:
                raise Invalid(
                    f"line {number} of {self.path} is broken", "heal by hand what the lines around it name"
                ) from error
        return [records[identity] for identity in sorted(records)]

    def heal(self, heal: Callable[[Record], str], progress: Callable[[str], None] = lambda _: None) -> Healing:
        """Heal all that is not healed yet, newest first, going on past a heal that fails.

        Args:
            heal: heals one record and says in a few words what it did.
            progress: told what is being healed.
        """
        healing = Healing()
        for record in reversed(self.records()):
            if record.healed:
                continue
            progress(f"heal: {record.why}")
            try:
                detail = heal(record)
            except Exception as error:  # noqa: BLE001 - whatever broke, the other harms must still be healed
                fact, hint = (error.fact, error.hint) if isinstance(error, FtchaosError) else (str(error), "")
                self._note(healing, {"op": "failed", "id": record.id, "error": fact, "hint": hint})
                healing.failed.append((record, str(error)))
            else:
                self._note(healing, {"op": "healed", "id": record.id, "detail": detail})
                healing.healed.append(record)
        return healing

    def _note(self, healing: Healing, entry: dict[str, Any]) -> None:
        """Note a heal: a full disk must not stop those that remain, and one that is not noted may be repeated."""
        try:
            self._append(entry)
        except OSError as error:
            healing.unnoted.append(f"{self.path}: {error.strerror}")

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps({**entry, "at": iso(datetime.now(UTC))}, ensure_ascii=False).encode() + b"\n"
        with open(self.path, "ab+") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            if size:
                # A crash may have left half a line, which must not swallow this one.
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    _cut_last_line(file.fileno(), self.path)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _cut_last_line(descriptor: int, path: Path) -> None:
    os.ftruncate(descriptor, path.read_bytes().rfind(b"\n") + 1)
