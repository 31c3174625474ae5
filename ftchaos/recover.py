"""What interrupted runs left behind: found by the notes they wrote before they began, and healed.

A run announces itself in its note (:mod:`ftchaos.notes`) before it touches anything and takes the note away when its
evidence is complete. The kernel frees a dead run's lock, so a note without a held lock is a run that died. Whoever
recovers it, a person or its reaper, holds that lock meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos import guard, manifest, notes, platforms, state
from ftchaos.atomic import write
from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Invalid, Locked, Refused, StepFailed
from ftchaos.guard import EnvironmentLock
from ftchaos.notes import Note, forget, undo_log
from ftchaos.run import Run
from ftchaos.undo import FILE, UndoLog, repair

if TYPE_CHECKING:
    from ftchaos.config import Config
    from ftchaos.platforms.aws.sweep import Swept

__all__ = ["forget", "undo_log"]  # of the notes; to be had here too

WAIT_S = 1800.0
"""How long one recovery waits for another of the same run: RDS takes its time to delete a database."""

LISTEN_S = 3.0
"""A run looks four times a second whether it shall stop."""


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


def announce(run: Run, config: Path | None = None) -> None:
    """Note on disk that this run begins, so that it can be found if it dies.

    Args:
        config: file of the configuration, which says who is told of the run.

    Raises:
        Invalid: the state folder cannot be written.
    """
    where = str(config.absolute()) if config else ""
    Note(run.id, str(run.folder), run.platform.lock_name, run.options.environment, where).write()


def under_way() -> list[Note]:
    """The runs that are alive, oldest first."""
    found = []
    for note in notes.all_readable():
        holder = guard.holder(note.lock)
        if holder is not None and holder.run_id == note.run_id:
            found.append(note)
    return found


def one_under_way(run_id: str | None) -> Note:
    """The run of that id, or the only one, among those that are alive.

    Raises:
        Invalid: there is none, or more than one to choose from; with the folder that was looked in.
    """
    alive = {note.run_id: note for note in under_way()}
    if run_id is None and len(alive) == 1:
        return next(iter(alive.values()))
    if run_id in alive:
        return alive[run_id]
    here = f"the state folder {state.root()}"
    if run_id is None and alive:
        raise Invalid(f"{len(alive)} runs are under way in {here}", f"name one of {', '.join(alive)}")
    if run_id is not None and notes.note(run_id).exists():
        raise Invalid(f"the run {run_id} is dead", f"run `{repair()}`, which heals what it left")
    fact = f"no run is under way in {here}" if run_id is None else f"no run {run_id} is under way in {here}"
    known = f"under way there: {', '.join(alive)}" if alive else "another folder is chosen with FTCHAOS_STATE"
    raise Invalid(fact, known)


def stop(run_id: str | None, reason: str) -> Note:
    """Have a run under way stop: the one of that id, or the only one.

    Raises:
        Invalid: there is none, or more than one to choose from.
        StepFailed: it does not listen.
    """
    note = one_under_way(run_id)
    notes.ask_to_stop(note.run_id, reason)
    undo, deadline = UndoLog(undo_log(note.run_id)), now() + LISTEN_S
    while notes.note(note.run_id).exists() and not undo.stopped():
        if now() > deadline:
            holder = guard.holder(note.lock)
            raise StepFailed(
                f"the run {note.run_id} was asked to stop and does not listen",
                f"send SIGTERM to its process{f' {holder.pid}' if holder else ''}: it heals what it harmed, and ends",
            )
        time.sleep(0.05)
    return note


def keep_undo(run_id: str, folder: Path) -> None:
    """Put the undo log into the run's evidence."""
    if undo_log(run_id).exists():
        write(folder / FILE, undo_log(run_id).read_bytes())


def ensure_nothing_left(lock_name: str) -> None:
    """Refuse to begin on what a dead run may have left harmed; call it with the lock held.

    Raises:
        Refused: there is such a run.
    """
    for note in notes.all_readable():
        if note.lock == lock_name:
            raise Refused(
                f"the run {note.run_id} died here and what it harmed is not healed", f"run `{repair()}` first"
            )


def recover(*, dry_run: bool, progress: Callable[[str], None]) -> list[Recovered]:
    """Heal what dead runs left behind, and complete their evidence as interrupted.

    Runs that are alive are left alone, and one that cannot be recovered does not stand in the way of the others. A
    second call finds nothing to do.
    """
    found = []
    for path in notes.paths():
        try:
            note = Note.read(path)
        except Invalid as error:
            found.append(Recovered(path.stem, "", [], [error.fact]))
            continue
        try:
            one = note and recover_run(note, dry_run=dry_run, progress=progress)
        except Locked as error:
            one = Recovered(path.stem, "", [], [error.fact])
        if one:
            found.append(one)
    found.extend(_labs(dry_run, progress))
    return found


def recover_run(
    note: Note, *, dry_run: bool = False, progress: Callable[[str], None], by: str = "`ftchaos recover`"
) -> Recovered | None:
    """Heal what one dead run left behind, and complete its evidence as interrupted.

    Args:
        by: who does, for the evidence.

    Returns:
        What was done; None when there is nothing to do: the run is alive, or another has recovered it meanwhile.

    Raises:
        Locked: another recovery does not end.
    """
    with EnvironmentLock(note.lock) as lock:
        if not _take(lock, note, progress) or not notes.note(note.run_id).exists():
            return None
        return _recover(note, dry_run, progress, by)


def sweep(config: Config, name: str, *, dry_run: bool, progress: Callable[[str], None]) -> Swept:
    """Take away what ftchaos ever made in an environment and nobody needs any more; see :func:`platforms.sweep`.

    What runs that are alive made is left alone.

    Raises:
        Invalid: there is no such environment, or nothing outlives its runs there.
        Refused: these credentials are of another account.
    """
    living = {note.run_id for note in under_way()}
    known: dict[bool, set[str]] = {True: set(), False: set()}
    for note in notes.all_readable():
        known[note.run_id in living] |= {note.run_id, *_named(note.run_id)}
    return platforms.sweep(config, name, alive=known[True], dead=known[False], dry_run=dry_run, progress=progress)


def _named(run_id: str) -> Iterator[str]:
    """All words in the arguments of a run's undo records, names of what it made among them."""
    try:
        records = UndoLog(undo_log(run_id)).records()
    except Invalid:  # the recovery has told of it
        return
    left: list[Any] = [record.arguments for record in records]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _take(lock: EnvironmentLock, note: Note, progress: Callable[[str], None]) -> bool:
    """Take a dead run's lock, after another that recovers it too; False when a live run has it."""
    deadline = now() + WAIT_S
    told = False
    while True:
        try:
            lock.acquire(f"{guard.RECOVERY}{note.run_id}")
            return True
        except Locked:
            holder = guard.holder(note.lock)
            if holder is not None and holder.run_id == note.run_id:
                progress(f"{note.run_id} is still running on {holder.host}; it is left alone")
                return False
            # Any other holder is there for a moment only: no run begins here before this one is healed.
            if now() > deadline:
                raise
            if not told and holder is not None:
                told = True
                progress(f"{note.run_id}: waiting for {holder}")
            time.sleep(0.05)


def _recover(note: Note, dry_run: bool, progress: Callable[[str], None], by: str) -> Recovered:
    run_id, folder = note.run_id, Path(note.folder)
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
    completed = _complete(run_id, folder, progress, by)
    forget(run_id)
    if completed:
        _tell(note, progress)
    return Recovered(run_id, str(folder), healed, [])


def _complete(run_id: str, folder: Path, progress: Callable[[str], None], by: str) -> bool:
    """Complete the evidence, unless it is; where that cannot be done, say so, as the system itself is whole."""
    from ftchaos import conclusion

    if not folder.is_dir() or (folder / manifest.FILE).exists():
        return False
    try:
        keep_undo(run_id, folder)
        conclusion.interrupted(folder, f"ftchaos was killed; {by} healed what it had harmed")
    except (FtchaosError, OSError, ValueError, KeyError, TypeError) as error:
        progress(f"the evidence of {run_id} cannot be completed, its raw files stay in {folder}: {error}")
        return False
    return True


def _tell(note: Note, progress: Callable[[str], None]) -> None:
    """Tell whoever heard of the begin of a run that it has ended, now that all is healed."""
    from ftchaos import config, evidence, telling
    from ftchaos.telling import event

    if not note.config:
        return
    try:
        found = evidence.read(Path(note.folder))
        whom = telling.places(config.load(Path(note.config)))
        outcomes = telling.tell(whom, [event.end(found), event.verdict(found)], telling.LAST_WAIT_S)
    except FtchaosError as error:
        progress(f"nobody is told of {note.run_id}: {error.fact}")
        return
    for words in telling.problems(outcomes):
        progress(words)


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
