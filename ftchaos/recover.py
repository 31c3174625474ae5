"""What interrupted runs left behind: found by the notes they wrote before they began, and healed.

A run announces itself in ``<state>/runs/<run-id>.json`` before it touches anything and takes the note away
when its evidence is complete. The kernel frees a dead run's lock, so a note without a held lock is a run that died.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ftchaos import manifest, platforms, state
from ftchaos.atomic import write
from ftchaos.errors import FtchaosError, Invalid, Locked, Refused
from ftchaos.guard import EnvironmentLock
from ftchaos.run import Run
from ftchaos.undo import FILE, UndoLog


@dataclass(frozen=True)
class Recovered:
    """One run that had died, and what was done about it.

    Attributes:
        run_id: the run.
        folder: where its evidence is.
        healed: what was healed, or what would be.
        failed: what is still harmed.
    """

    run_id: str
    folder: str
    healed: list[str]
    failed: list[str]

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        if self.failed:
            return f"{self.run_id}: STILL HARMED: " + "; ".join(self.failed)
        return f"{self.run_id}: healed: " + ("; ".join(self.healed) or "nothing was harmed")


def announce(run: Run) -> None:
    """Note on disk that this run begins, so that it can be found if it dies.

    Raises:
        Invalid: the state folder cannot be written.
    """
    note = {
        "run_id": run.id,
        "folder": str(run.folder),
        "lock": run.platform.lock_name,
        "environment": run.options.environment,
    }
    try:
        _note(run.id).parent.mkdir(parents=True, exist_ok=True)
        write(_note(run.id), json.dumps(note))
    except OSError as error:
        raise Invalid(
            f"{_note(run.id)} cannot be written: {error.strerror}", "set FTCHAOS_STATE to a folder of yours"
        ) from error


def undo_log(run_id: str) -> Path:
    """Where a run's undo log lies while it is needed: with the note, as evidence may be moved or removed."""
    return state.root() / "runs" / f"{run_id}.undo.jsonl"


def keep_undo(run_id: str, folder: Path) -> None:
    """Put the undo log into the run's evidence."""
    if undo_log(run_id).exists():
        write(folder / FILE, undo_log(run_id).read_bytes())


def ensure_nothing_left(lock_name: str) -> None:
    """Refuse to begin on what a dead run may have left harmed; call it with the lock held.

    Raises:
        Refused: there is such a run.
    """
    for path in _notes():
        with suppress(OSError, ValueError):  # a broken note is for `ftchaos recover` to tell of
            note = json.loads(path.read_text())
            if note.get("lock") == lock_name:
                raise Refused(
                    f"the run {note['run_id']} died here and what it harmed is not healed",
                    "run `ftchaos recover` first",
                )


def forget(run_id: str) -> None:
    """The run is complete: nothing is to be recovered."""
    _note(run_id).unlink(missing_ok=True)
    undo_log(run_id).unlink(missing_ok=True)


def recover(*, dry_run: bool, progress: Callable[[str], None]) -> list[Recovered]:
    """Heal what dead runs left behind, and complete their evidence as interrupted.

    Runs that are alive are left alone, and one that cannot be recovered does not stand in the way of the others. A
    second call finds nothing to do.
    """
    found = []
    for path in _notes():
        try:
            note = json.loads(path.read_text())
            run_id, folder, lock_name = str(note["run_id"]), Path(note["folder"]), str(note["lock"])
        except FileNotFoundError:  # it has just ended well
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.append(Recovered(path.stem, "", [], [f"its note {path} cannot be read: {error}"]))
            continue
        with EnvironmentLock(lock_name) as lock:
            try:
                lock.acquire(f"recovery of {run_id}")
            except Locked:
                progress(f"{run_id} is still running; it is left alone")
                continue
            if path.exists():
                found.append(_recover(run_id, folder, dry_run, progress))
    found.extend(_labs(dry_run, progress))
    return found


def _recover(run_id: str, folder: Path, dry_run: bool, progress: Callable[[str], None]) -> Recovered:
    undo = UndoLog(undo_log(run_id))
    try:
        records = undo.records()
    except Invalid as error:
        return Recovered(run_id, str(folder), [], [error.fact])
    if dry_run:
        return Recovered(run_id, str(folder), [record.why for record in records if not record.healed], [])
    healing = undo.heal(platforms.heal, progress)
    healed = [record.why for record in healing.healed]
    if healing.failed:
        return Recovered(run_id, str(folder), healed, [f"{record.why}: {error}" for record, error in healing.failed])
    _complete(run_id, folder, progress)
    forget(run_id)
    return Recovered(run_id, str(folder), healed, [])


def _complete(run_id: str, folder: Path, progress: Callable[[str], None]) -> None:
    """Complete the evidence; where that cannot be done, say so, as the system itself is whole."""
    from ftchaos import conclusion

    if not folder.is_dir() or (folder / manifest.FILE).exists():
        return
    try:
        keep_undo(run_id, folder)
        conclusion.interrupted(folder, "ftchaos was killed; `ftchaos recover` healed what it had harmed")
    except (FtchaosError, OSError, ValueError, KeyError, TypeError) as error:
        progress(f"the evidence of {run_id} cannot be completed, its raw files stay in {folder}: {error}")


def _notes() -> list[Path]:
    return sorted(path for path in (state.root() / "runs").glob("*.json") if not path.name.startswith("."))


def _labs(dry_run: bool, progress: Callable[[str], None]) -> list[Recovered]:
    """Labs whose supervisor died leave nothing but their folder."""
    from ftchaos.platforms.lab import lab as labs

    found = []
    for name in labs.dead():
        progress(f"heal: the folder of the dead lab '{name}'")
        if not dry_run:
            labs.down(name)
        found.append(Recovered(f"lab {name}", "", [f"the folder of the dead lab '{name}'"], []))
    return found


def _note(run_id: str) -> Path:
    return state.root() / "runs" / f"{run_id}.json"
