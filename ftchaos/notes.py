"""The notes of runs under way, ``<state>/runs/``: what lets others find a run, stop it, and heal it when it dies.

``RUN.json`` says where the run stands, ``RUN.undo.jsonl`` is its undo log, ``RUN.stop`` asks it to stop, and
``RUN.reaper.log`` is what its reaper said. When the run is complete they go, unless the reaper said something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ftchaos import state
from ftchaos.atomic import write
from ftchaos.errors import Invalid


@dataclass(frozen=True)
class Note:
    """Where a run stands.

    Attributes:
        folder: its evidence.
        lock: name of the lock that it holds as long as it lives.
        environment: as its configuration names it.
        config: that configuration's file, which says who is told of the run; empty for none.
    """

    run_id: str
    folder: str
    lock: str
    environment: str
    config: str = ""

    def write(self) -> None:
        """Put it on disk.

        Raises:
            Invalid: the state folder cannot be written.
        """
        path = note(self.run_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, json.dumps(asdict(self)))
        except OSError as error:
            raise Invalid(
                f"{path} cannot be written: {error.strerror}", "set FTCHAOS_STATE to a folder of yours"
            ) from error

    @classmethod
    def read(cls, path: Path) -> Note | None:
        """A run's note; None when the run has just ended.

        Raises:
            Invalid: it is broken.
        """
        try:
            data = json.loads(path.read_text())
            needed = {name: str(data[name]) for name in ("run_id", "folder", "lock", "environment")}
            return cls(**needed, config=str(data.get("config", "")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Invalid(f"the note {path} cannot be read: {error}", "heal by hand what its undo log names") from error


def note(run_id: str) -> Path:
    """Where a run's note lies as long as the run is not complete."""
    return _folder() / f"{run_id}.json"


def undo_log(run_id: str) -> Path:
    """Where a run's undo log lies while it is needed: with the note, as evidence may be moved or removed."""
    return _folder() / f"{run_id}.undo.jsonl"


def stop_file(run_id: str) -> Path:
    """The file that asks a run to stop; it holds the reason."""
    return _folder() / f"{run_id}.stop"


def reaper_log(run_id: str) -> Path:
    """What a run's reaper said."""
    return _folder() / f"{run_id}.reaper.log"


def paths() -> list[Path]:
    """The notes of all runs that are not complete, alive or dead, oldest first."""
    return sorted(path for path in _folder().glob("*.json") if not path.name.startswith("."))


def all_readable() -> Iterator[Note]:
    """The same, without those that are broken: `ftchaos recover` tells of them."""
    for path in paths():
        try:
            found = Note.read(path)
        except Invalid:
            continue
        if found is not None:
            yield found


def ask_to_stop(run_id: str, reason: str) -> None:
    """Ask a run to stop; it looks four times a second. The first reason stays.

    Raises:
        Invalid: the state folder cannot be written.
    """
    path = stop_file(run_id)
    try:
        if not path.exists():
            write(path, reason + "\n")
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}", "send SIGTERM to the run instead") from error


def asked_to_stop(run_id: str) -> str:
    """Why a run was asked to stop; empty while it was not."""
    try:
        return stop_file(run_id).read_text().strip() or "somebody asked for it"
    except FileNotFoundError:
        return ""


def forget(run_id: str) -> None:
    """The run is complete; the note goes last, as it is what makes others look for the rest.

    A reaper that had something to say leaves its log: it is the only trace where the evidence could not be completed.
    """
    undo, log = undo_log(run_id), reaper_log(run_id)
    silent = [log] if log.exists() and not log.stat().st_size else []
    for path in (undo, undo.with_suffix(".lock"), stop_file(run_id), *silent, note(run_id)):
        path.unlink(missing_ok=True)


def _folder() -> Path:
    return state.root() / "runs"
