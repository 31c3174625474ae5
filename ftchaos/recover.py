"""What interrupted runs left behind: found by the notes they wrote before they began, and healed.

A run announces itself in ``<state>/runs/<run-id>.json`` before it touches anything and takes the note away
when its evidence is complete. The kernel frees a dead run's lock, so a note without a held lock is a run that died.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftchaos import manifest, platforms, state
from ftchaos.atomic import write
from ftchaos.errors import Invalid, Locked
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
        "lock": run.options.lock_name,
        "environment": run.options.environment,
    }
    try:
        _note(run.id).parent.mkdir(parents=True, exist_ok=True)
        write(_note(run.id), json.dumps(note))
    except OSError as error:
        raise Invalid(
            f"{_note(run.id)} cannot be written: {error.strerror}", "set FTCHAOS_STATE to a folder of yours"
        ) from error


def forget(run_id: str) -> None:
    """The run is complete: nothing is to be recovered."""
    _note(run_id).unlink(missing_ok=True)
    _note(run_id).with_suffix(".undo.jsonl").unlink(missing_ok=True)


def recover(*, dry_run: bool, progress: Callable[[str], None]) -> list[Recovered]:
    """Heal what dead runs left behind, and complete their evidence as interrupted.

    Runs that are alive are left alone. A second call finds nothing to do.
    """
    found = []
    for path in sorted((state.root() / "runs").glob("*.json")):
        note = json.loads(path.read_text())
        with EnvironmentLock(note["lock"]) as lock:
            try:
                lock.acquire(f"recovery of {note['run_id']}")
            except Locked:
                progress(f"{note['run_id']} is still running; it is left alone")
                continue
            found.append(_recover(note, dry_run, progress))
    found.extend(_labs(dry_run, progress))
    return found


def _recover(note: dict[str, Any], dry_run: bool, progress: Callable[[str], None]) -> Recovered:
    folder = Path(note["folder"])
    undo = UndoLog(_undo_log(folder, note["run_id"]))
    if dry_run:
        due = [record.why for record in undo.records() if not record.healed]
        return Recovered(note["run_id"], str(folder), due, [])
    healing = undo.heal(platforms.heal, progress)
    if not healing.failed:
        if folder.is_dir():
            from ftchaos import conclusion

            conclusion.interrupted(folder, "ftchaos was killed; `ftchaos recover` healed what it had harmed")
        forget(note["run_id"])
    return Recovered(
        note["run_id"], str(folder), [record.why for record in healing.healed],
        [f"{record.why}: {error}" for record, error in healing.failed],
    )  # fmt: skip


def _undo_log(folder: Path, run_id: str) -> Path:
    """The undo log to go on with: once a run has its manifest, its own is evidence and must not change any more."""
    if not (folder / manifest.FILE).exists():
        return folder / FILE
    copy = state.root() / "runs" / f"{run_id}.undo.jsonl"
    if not copy.exists():
        write(copy, (folder / FILE).read_bytes())
    return copy


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
