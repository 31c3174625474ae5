"""The API calls of a run, one JSON object a line in its folder: what the evidence counts, and what support asks for.

::

    {"at": "2026-11-23T06:15:02.123Z", "service": "rds", "operation": "RebootDBInstance", "region": "us-east-1",
     "request_id": "...", "error": "", "retries": 0}

Never a parameter: those may hold secrets. A line is one write to the end of the file, so several threads and processes
may record at one time, and whoever is killed loses none. Recording never stands in the way of healing: what cannot be
written, as on a full disk, is counted in the ``lost`` of the next line that can.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Protocol

from ftchaos import manifest, notes
from ftchaos.clock import Clock, now
from ftchaos.errors import Invalid
from ftchaos.notes import Note
from ftchaos.record import RunRecord

FILE = "observations/calls.jsonl"
RUN = "run_id"
"""Of the arguments of an undo record: the run that the calls of its heal are recorded in, whoever makes them."""
LONGEST = 200  # characters of what a service says
DRIFT_S = 60.0  # by which the run's clock may be off the wall; more, and the machine was begun anew meanwhile


class Call(Protocol):
    """One call as the ways to AWS and to Kubernetes tell of it.

    Attributes:
        at: on the monotonic clock.
        service, operation: as the roles of that cloud name them.
        error: the service's word for it; empty where it went well.
        retries: how often it was tried again within this call.
    """

    @property
    def at(self) -> float: ...
    @property
    def service(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def retries(self) -> int: ...


class Recorder:
    """Records each call that it is called with, which is what the ways to a cloud do.

    Args:
        folder: of the run, with its ``run.json``.

    Raises:
        Invalid: it is not the folder of a run.
    """

    def __init__(self, folder: Path) -> None:
        clock = RunRecord.read(folder).clock
        is_of_this_boot = abs(clock.utc(now()).timestamp() - time.time()) < DRIFT_S
        self._clock = clock if is_of_this_boot else Clock.anchored()
        self._path, self._manifest = folder / FILE, folder / manifest.FILE
        self._turn = threading.Lock()
        self._lost = 0
        self._is_cut = _is_cut(self._path)

    @classmethod
    def of(cls, run_id: str) -> Recorder | None:
        """That of a run by its note, for its own process and for whoever heals it in another.

        Returns:
            None where there is nothing to record into: the note or the folder is gone or broken. To heal matters more.
        """
        try:
            note = Note.read(notes.note(run_id)) if run_id else None
            return cls(Path(note.folder)) if note else None
        except Invalid:
            return None

    def __call__(self, call: Call) -> None:
        """Record a call; it never fails."""
        with self._turn:
            try:
                if not self._manifest.exists():  # what is written after it would alter the evidence
                    self._append(self._line(call))
            except OSError:
                self._lost += 1

    def _line(self, call: Call) -> bytes:
        entry = {
            "at": self._clock.iso(call.at), "service": call.service, "operation": call.operation,
            "region": call.region, "request_id": call.request_id[:LONGEST], "error": call.error[:LONGEST],
            "retries": call.retries, **({"lost": self._lost} if self._lost else {}),
        }  # fmt: skip
        return json.dumps(entry).encode() + b"\n"

    def _append(self, line: bytes) -> None:
        with self._path.open("ab", buffering=0) as file:
            if self._is_cut:  # half a line must not swallow this one
                line = b"\n" + line
            written = file.write(line)
        if written:
            self._is_cut = written < len(line)
        if not self._is_cut:
            self._lost = 0


def _is_cut(path: Path) -> bool:
    """Whether a file ends within a line, as after a full disk."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # it is not there, or empty
        return False
