"""A part of a game day as a process of its own: ``ftchaos experiment run`` or ``ftchaos drill run``.

It is ended by its own stop, upon which it heals what it harmed; it is never killed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from ftchaos import guard, manifest, notes, recover
from ftchaos.child import Child, Said
from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Refused
from ftchaos.gameday import record
from ftchaos.gameday.plan import Part
from ftchaos.gameday.record import Result
from ftchaos.gameday.steps import HARMED
from ftchaos.undo import UndoLog

HEAL_S = 600.0
LOOK_S = 0.25
LISTEN_S = 3.0
"""A run that was asked to stop has said so within this time, or gets a signal."""


class Parts:
    """Begins parts as processes.

    Args:
        common: arguments of every one of them.
        reports: where their evidence lands.
        tell: told what a recovery does.
    """

    def __init__(self, common: Sequence[str], reports: Path, tell: Callable[[str], None]) -> None:
        self._common = common
        self._reports = reports
        self._tell = tell

    def begin(self, part: Part) -> Running:
        """Begin a part."""
        # Of an option that is given twice the last one counts: what the part chooses comes before the common ones.
        kind, command, *chosen = part.arguments()
        return Running(part, Child([kind, command, *self._common, *chosen], part.name, verbose=True, apart=True), self)

    def wait_for(self, part: Part, run_id: str) -> None:
        """Wait until the run of a part has ended, which outlived its day and heals; it is never killed.

        Args:
            run_id: empty where it is not known; then it is recognized by its definition.

        Raises:
            Refused: it does not end.
        """
        deadline = now() + HEAL_S
        while alive := [one.run_id for one in recover.under_way() if _is_of(one.run_id, part, run_id)]:
            if now() > deadline:
                raise Refused(f"the run {alive[0]} of {part.name} is still under way", "end it: `ftchaos stop`")
            time.sleep(LOOK_S)

    def recover(self) -> tuple[list[str], list[str]]:
        """Heal what dead runs left behind: what was healed, and what is still harmed."""
        found = recover.recover(dry_run=False, progress=self._tell)
        healed = [f"{one.run_id}: {what}" for one in found for what in one.healed]
        return healed, [f"{one.run_id}: {what}" for one in found for what in one.failed]

    def manifest_sha256(self, run_id: str) -> str:
        """Of a run's manifest; empty where it has none."""
        try:
            return hashlib.sha256((self._reports / run_id / manifest.FILE).read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""


def _is_of(run_id: str, part: Part, known: str) -> bool:
    return run_id == known if known else f"-{part.definition}-" in run_id


class Running:
    """A part under way."""

    def __init__(self, part: Part, child: Child, parts: Parts) -> None:
        self._part = part
        self._child = child
        self._parts = parts
        self._asked_at: float | None = None
        self._run_id = ""
        self._told = self._heard = False

    def run_id(self) -> str:
        """The run that it began; empty while that is not known."""
        if not self._run_id:
            for note in notes.all_readable():
                holder = guard.last_holder(note.lock)  # it may have died meanwhile
                if holder is not None and (holder.pid, holder.run_id) == (self._child.pid, note.run_id):
                    self._run_id = note.run_id
        return self._run_id

    def stop(self, reason: str) -> None:
        """Have it heal what it harmed, and end; more than one call is one."""
        if self._asked_at is None:
            self._asked_at = now()
            # A drill has no stop conditions, and before its note a run has harmed nothing: both end upon a signal.
            if self._part.kind == "experiment" and self.run_id():
                notes.ask_to_stop(self.run_id(), reason)
            else:
                self._terminate()

    def poll(self) -> Result | None:
        """What it came to; None while it is under way."""
        if not self._child.has_ended:
            asked_at = self._asked_at
            if asked_at is not None and not self._told and not self._listens() and now() - asked_at > LISTEN_S:
                self._terminate()
            return None
        try:
            return self._result(self._child.wait())
        except (FtchaosError, ValidationError, KeyError, TypeError, AttributeError) as error:
            said = error.fact if isinstance(error, FtchaosError) else f"what it said is no evidence: {error}"
            _, failed = self._parts.recover()
            if failed:
                return Result(verdict="failed", exit_code=HARMED, reason=f"{said}; not healed: {'; '.join(failed)}")
            return Result(verdict="inconclusive", exit_code=70, reason=said, run_id=self._run_id)

    def _result(self, said: Said) -> Result:
        if said.error:
            verdict = "failed" if said.exit_code == HARMED else "inconclusive"
            return Result.model_validate({"verdict": verdict, "exit_code": said.exit_code, "reason": said.error})
        return record.result(said.document, self._parts.manifest_sha256(str(said.document["run_id"])))

    def _listens(self) -> bool:
        """Whether it has said that it stops; once it is complete, its note is gone, and what it said with it."""
        said = self._heard or UndoLog(notes.undo_log(self.run_id())).stopped()
        self._heard = bool(said) or not notes.note(self.run_id()).exists()
        return self._heard

    def _terminate(self) -> None:
        self._told = True
        self._child.terminate()
