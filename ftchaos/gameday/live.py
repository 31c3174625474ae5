"""The game day that is under way on this machine: one at a time, found by a note, held by a lock.

The note ``<state>/gamedays/RUN.json`` is written before anything begins and goes when the evidence is complete; the
kernel frees a dead day's lock. So a note without a held lock is a day that died, and can be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ftchaos import chain, guard, state
from ftchaos.atomic import write
from ftchaos.errors import Invalid, Locked, Refused

LOCK = "game day"
"""No environment can be called so, as names have no spaces."""


@dataclass(frozen=True)
class Note:
    """Where a day stands.

    Attributes:
        folder: its record and evidence, on this machine.
        name: of its plan.
        reports: where its evidence goes.
    """

    run_id: str
    folder: str
    name: str
    reports: str

    @property
    def path(self) -> Path:
        return _folder() / f"{self.run_id}.json"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        holder = guard.holder(LOCK)
        return holder is not None and holder.run_id == self.run_id

    def write(self) -> None:
        """Put it on disk.

        Raises:
            Refused: the state folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write(self.path, json.dumps(asdict(self)) + "\n")
        except OSError as error:
            raise Refused(
                f"{self.path} cannot be written: {error.strerror}", "set FTCHAOS_STATE to a folder of yours"
            ) from error

    def forget(self) -> None:
        """The day is complete."""
        self.path.unlink(missing_ok=True)


def unfinished() -> Note | None:
    """The day that has not come to its end, alive or dead.

    Raises:
        Invalid: its note is broken.
    """
    for path in sorted(path for path in _folder().glob("*.json") if not path.name.startswith(".")):
        try:
            data = json.loads(path.read_text())
            note = Note(*(str(data[key]) for key in ("run_id", "folder", "name", "reports")))
            if not chain.is_run_id(note.run_id) or note.path != path:
                raise ValueError("it is that of another day")
        except FileNotFoundError:  # it has just ended
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Invalid(
                f"the note {path} cannot be read: {error}", "see what the day left, then remove it"
            ) from error
        return note
    return None


def under_way() -> Note:
    """The day whose process runs.

    Raises:
        Invalid: there is none.
    """
    note = unfinished()
    if note is None:
        raise Invalid(f"no game day is under way in {state.root()}", "another folder is chosen with FTCHAOS_STATE")
    if not note.alive:
        raise Invalid(f"the game day {note.run_id} died", died_hint(note))
    return note


def died_hint(note: Note) -> str:
    """What to do about a day that died."""
    return f"`ftchaos gameday run {note.name} --resume` goes on with it, `ftchaos gameday stop` ends it"


@contextmanager
def claimed(run_id: str) -> Iterator[None]:
    """Hold the only place that there is for a game day.

    Raises:
        Locked: another one is under way.
    """
    with guard.EnvironmentLock(LOCK) as lock:
        try:
            lock.acquire(run_id)
        except Locked as error:
            holder = guard.holder(LOCK)
            raise Locked(
                f"a game day is under way: {holder or 'it has just begun'}",
                "one at a time; `ftchaos gameday stop` ends it",
            ) from error
        yield


def _folder() -> Path:
    return state.root() / "gamedays"
