"""The write-ahead undo log: what a run is about to harm and how that is healed, on disk before the harm.

One JSON object a line in ``undo.jsonl`` of the run's folder, fsynced before :meth:`UndoLog.record` returns::

    {"op": "record", "id": 1, "platform": "lab", "heal": "lab.begin", "arguments": {...}, "why": "...", "at": "..."}
    {"op": "healed", "id": 1, "detail": "...", "at": "..."}
    {"op": "failed", "id": 1, "error": "...", "hint": "...", "repair": "ftchaos recover", "at": "..."}
    {"op": "again", "id": 1, "at": "..."}
    {"op": "stopped", "reason": "...", "at": "..."}

Healing goes backwards, goes on past a heal that fails, and may be repeated: a heal is idempotent and
needs nothing but its record. Whoever heals, be it an action, a stop condition, the end of the run, the
reaper or ``ftchaos recover``, does so alone; who comes second waits and finds nothing to do. After a stop
nothing more can be announced, hence nothing more be harmed. A heal in the middle of an injection proves
nothing, so it does not count: the next one repeats it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftchaos import state
from ftchaos.clock import iso
from ftchaos.errors import FtchaosError, Invalid, Refused

FILE = "undo.jsonl"
_BEGIN = ".begin"


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
        repair: the command that tries again, if it failed.
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
    repair: str = ""
    detail: str = ""
    recorded_at: str = ""
    healed_at: str | None = None


@dataclass
class Healing:
    """What a round of healing did.

    Attributes:
        healed: what is whole again.
        failed: what is still harmed, and why.
        early: what was healed while its injection was under way, and must be healed once more.
        unnoted: heals that could not be written to the log, and why; they will be repeated.
    """

    healed: list[Record] = field(default_factory=list)
    failed: list[tuple[Record, str]] = field(default_factory=list)
    early: list[Record] = field(default_factory=list)
    unnoted: list[str] = field(default_factory=list)


def is_fault(record: Record) -> bool:
    """Whether a record announces a fault, and not an environment that was begun for the run."""
    return not record.heal.endswith(_BEGIN)


def repair() -> str:
    """The command that heals by hand what resisted; it names the state folder where that was chosen."""
    chosen = os.environ.get("FTCHAOS_STATE")
    return f"FTCHAOS_STATE={shlex.quote(str(state.root()))} ftchaos recover" if chosen else "ftchaos recover"


class UndoLog:
    """The undo log of one run, appended to and fsynced line by line, by several threads and processes if need be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._stopped = ""
        self._injecting = False
        self._under_way: set[int] = set()

    def record(self, platform: str, heal: str, arguments: Mapping[str, Any], why: str) -> Record:
        """Announce a harm. When this returns, its undo is on disk.

        Raises:
            Refused: the undo cannot be written, or the run was stopped, so the harm must not be done.
        """
        with self._turn:
            if reason := self.stopped():
                raise Refused(f"the run was stopped: {reason}", f"not done any more: {why}")
            record = Record(len(self.records()) + 1, platform, heal, dict(arguments), why)
            try:
                self._append(
                    {"op": "record", "id": record.id, "platform": platform, "heal": heal,
                     "arguments": record.arguments, "why": why}
                )  # fmt: skip
            except OSError as error:
                raise Refused(
                    f"the undo of '{why}' cannot be written to {self.path}: {error.strerror}",
                    "nothing was harmed; give the state folder space and permission and run again",
                ) from error
            if self._injecting:
                self._under_way.add(record.id)
            return record

    @contextmanager
    def injecting(self) -> Iterator[None]:
        """Around an announcement and its injection: a heal that comes in between is repeated afterwards."""
        self._injecting = True
        try:
            yield
        finally:
            with self._turn:
                self._injecting = False
                mine, self._under_way = self._under_way, set()
                for record in self.records() if mine else []:
                    if record.id in mine and record.healed:  # by another process, which could not know
                        self._append({"op": "again", "id": record.id})

    def stop(self, reason: str) -> None:
        """Refuse every further harm, in whichever process holds this log; the first reason stays."""
        with self._turn:
            if self._stopped:
                return
            self._stopped = reason
            # A full disk must not keep anybody from healing; this process remembers without it.
            with suppress(OSError):
                self._append({"op": "stopped", "reason": reason}, sync=False)

    def stopped(self) -> str:
        """Why the run was stopped; empty while it was not."""
        if not self._stopped:
            self._stopped = next((str(one["reason"]) for _, one in self._entries() if one["op"] == "stopped"), "")
        return self._stopped

    def records(self) -> list[Record]:
        """All announced harms, oldest first, each with the state of its heal.

        A last line that a crash cut off is passed over: the harm it announces was not done.

        Raises:
            Invalid: a line in the middle is broken.
        """
        records: dict[int, Record] = {}
        for number, entry in self._entries():
            try:
                if entry["op"] == "stopped":
                    continue
                identity = int(entry["id"])
                if entry["op"] == "record":
                    announced = {name: entry[name] for name in ("platform", "heal", "arguments", "why")}
                    records[identity] = Record(identity, **announced, recorded_at=entry["at"])
                elif entry["op"] == "healed":
                    records[identity] = replace(
                        records[identity],
                        healed=True, error="", repair="", detail=entry["detail"], healed_at=entry["at"],
                    )  # fmt: skip
                elif entry["op"] == "again":
                    records[identity] = replace(records[identity], healed=False, healed_at=None)
                else:
                    records[identity] = replace(
                        records[identity], error=str(entry["error"]), repair=str(entry.get("repair", ""))
                    )
            except (ValueError, KeyError, TypeError) as error:
                raise self._broken(number) from error
        return [records[identity] for identity in sorted(records)]

    def _entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each whole line by its number."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for number, line in enumerate(lines[:-1], start=1):
            try:
                entry = json.loads(line)
                entry["op"]
            except (ValueError, KeyError, TypeError) as error:
                raise self._broken(number) from error
            yield number, entry

    def _broken(self, number: int) -> Invalid:
        return Invalid(f"line {number} of {self.path} is broken", "heal by hand what the lines around it name")

    def heal(
        self,
        heal: Callable[[Record], str],
        progress: Callable[[str], None] = lambda _: None,
        *,
        only: Callable[[Record], bool] = lambda _: True,
    ) -> Healing:
        """Heal all that is not healed yet, newest first, going on past a heal that fails.

        One heals at a time, in whatever thread or process; another waits until it is done.

        Args:
            heal: heals one record and says in a few words what it did.
            progress: told what is being healed.
            only: what to heal; see :func:`is_fault`.
        """
        healing = Healing()
        with self._alone(healing):
            for record in reversed(self.records()):
                if not record.healed and only(record):
                    with suppress(OSError, ValueError):  # whoever listened has left; the harm has not
                        progress(f"heal: {record.why}")
                    self._heal(record, heal, healing)
        return healing

    def being_healed(self) -> bool:
        """Whether somebody heals at this moment, in whatever thread or process."""
        try:
            with self.path.with_suffix(".lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # nobody has healed yet
            return False
        return False

    def _heal(self, record: Record, heal: Callable[[Record], str], healing: Healing) -> None:
        early = record.id in self._under_way
        try:
            detail = heal(record)
        except Exception as error:  # noqa: BLE001 - whatever broke, the other harms must still be healed
            fact, hint = (error.fact, error.hint) if isinstance(error, FtchaosError) else (str(error), "")
            self._note(healing, {"op": "failed", "id": record.id, "error": fact, "hint": hint, "repair": repair()})
            healing.failed.append((record, str(error)))
        else:
            if early:
                healing.early.append(record)
                return
            self._note(healing, {"op": "healed", "id": record.id, "detail": detail})
            healing.healed.append(record)

    @contextmanager
    def _alone(self, healing: Healing) -> Iterator[None]:
        """The kernel lets one in at a time, and the next one also when this one is killed."""
        if not self.path.exists():  # nothing was announced
            yield
            return
        try:
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:  # to heal twice is harmless, not to heal is not
            healing.unnoted.append(f"{self.path.with_suffix('.lock')}: {error.strerror}")
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _note(self, healing: Healing, entry: dict[str, Any]) -> None:
        """Note a heal: a full disk must not stop those that remain, and one that is not noted may be repeated."""
        try:
            self._append(entry)
        except OSError as error:
            healing.unnoted.append(f"{self.path}: {error.strerror}")

    def _append(self, entry: dict[str, Any], *, sync: bool = True) -> None:
        line = json.dumps({**entry, "at": iso(datetime.now(UTC))}, ensure_ascii=False).encode() + b"\n"
        with open(self.path, "ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # half a line of another process is no line that a crash cut off
            file.seek(0, os.SEEK_END)
            size = file.tell()
            if size:
                # A crash may have left half a line, which must not swallow this one.
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    _cut_last_line(file.fileno(), self.path)
            file.write(line)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if sync:
            _sync_folder(self.path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cut_last_line(descriptor: int, path: Path) -> None:
    os.ftruncate(descriptor, path.read_bytes().rfind(b"\n") + 1)
