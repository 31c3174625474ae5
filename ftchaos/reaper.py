"""The reaper of a run: a process of its own that heals when the run is gone, or does not end a fault in time.

``python -m ftchaos.reaper RUN_ID --parent FD [--limit SECONDS]`` holds a pidfd of the run's process, inherited under
the number FD. It is in a session of its own, with no pipe or terminal of the run, so neither Ctrl-C nor kill -9 of the
run's process group reaches it. It ends as soon as the run's note is gone.

- The run's process is gone and its note is not: heal what it harmed as ``ftchaos recover`` does, and complete its
  evidence. Should a person do the same at that moment, one of both waits for the other and finds nothing to do.
- A fault lasts longer than its limit: ask the run to stop. Should it not be healing within seconds, say in its undo log
  that nothing more may be harmed, and heal its faults for it.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import ftchaos
from ftchaos import notes, state
from ftchaos.clock import iso, now
from ftchaos.errors import FtchaosError, StepFailed
from ftchaos.undo import UndoLog, is_fault
from ftchaos.units import human_duration

LOOK_S = 0.1
GRACE_S = 5.0
"""How long a run that was asked to stop may take to begin to heal."""
LIMIT_S = 900.0
END_TIMEOUT_S = 5.0


class Reaper:
    """The reaper of this process's run."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def begin(cls, run_id: str, limit_s: float | None = LIMIT_S) -> Reaper:
        """Begin it, after the run's note was written and before anything is harmed.

        Args:
            limit_s: how long a fault may last; None for as long as the run lives.

        Raises:
            StepFailed: it cannot be begun, so the run must not go on.
        """
        limit = [] if limit_s is None else ["--limit", str(limit_s)]
        try:
            me = os.pidfd_open(os.getpid())
            try:
                with notes.reaper_log(run_id).open("ab") as log:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "ftchaos.reaper", run_id, "--parent", str(me), *limit],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        pass_fds=(me,),
                        start_new_session=True,
                        env={
                            **os.environ,
                            "FTCHAOS_STATE": str(state.root()),
                            "FTCHAOS_CACHE": str(state.cache()),
                            "PYTHONPATH": str(Path(ftchaos.__file__).parent.parent),
                        },
                    )
            finally:
                os.close(me)
        except OSError as error:
            raise StepFailed(
                f"the reaper cannot be begun: {error.strerror}", "without it nobody heals if this process is killed"
            ) from error
        return cls(process)

    def ensure_alive(self) -> None:
        """Check that it still watches.

        Raises:
            StepFailed: it died.
        """
        if (status := self._process.poll()) is not None:
            raise StepFailed(f"the reaper died with {status}", "without it nobody heals if this process is killed")

    def end(self) -> None:
        """End it, when everything is healed, or the run has said what is not; never fails."""
        self._process.terminate()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def watch(run_id: str, parent: int, limit_s: float | None) -> int:
    """Watch until the run is complete, or heal what it left; the exit code is that of what is left.

    Args:
        parent: pidfd of the run's process.
    """
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    overtime = Overtime(run_id, limit_s)
    while notes.note(run_id).exists():
        if poll.poll(LOOK_S * 1000):
            return _recover(run_id)
        if limit_s is not None:
            overtime.look(now())
    return 0


class Overtime:
    """The time limit of a run's faults."""

    def __init__(self, run_id: str, limit_s: float | None) -> None:
        self._run_id = run_id
        self._limit_s = limit_s
        self._undo = UndoLog(notes.undo_log(run_id))
        self._seen_at: dict[int, float] = {}
        self._asked_at: float | None = None
        self._size = -1

    def look(self, at: float) -> None:
        """Ask the run to stop when a fault lasts too long, and heal it when nobody does."""
        if self._limit_s is None or not self._begun(at):
            return
        if self._asked_at is None and at - min(self._seen_at.values()) > self._limit_s:
            self._asked_at = at
            _say(f"{self._reason}; the run is asked to stop")
            notes.ask_to_stop(self._run_id, self._reason)
        elif self._asked_at is not None and at - self._asked_at > GRACE_S:
            if self._undo.being_healed() or not self._begun(at):  # or that was over just now
                return
            from ftchaos import platforms

            _say("the run does not heal; its faults are healed for it")
            self._undo.stop(self._reason)
            healing = self._undo.heal(platforms.heal, _say, only=is_fault)
            for record, error in healing.failed:
                _say(f"not healed: {record.why}: {error}")
            self._asked_at = at  # what resists is tried again, and again after as long

    @property
    def _reason(self) -> str:
        return f"a fault lasted longer than its limit of {human_duration(self._limit_s or 0)}"

    def _begun(self, at: float) -> bool:
        """Whether there are faults that nobody has healed, each seen first at an instant of this machine's clock."""
        with suppress(FileNotFoundError):
            if (size := self._undo.path.stat().st_size) != self._size:
                self._size = size
                faults = [one.id for one in self._undo.records() if is_fault(one) and not one.healed]
                self._seen_at = {identity: self._seen_at.get(identity, at) for identity in faults}
        return bool(self._seen_at)


def _recover(run_id: str) -> int:
    """Heal a dead run; what is dear to import waits until it is needed."""
    from ftchaos import recover

    note = notes.Note.read(notes.note(run_id))
    found = note and recover.recover_run(note, progress=_say, by="its reaper")
    if found:
        _say(found.sentence)
    return 4 if found and found.failed else 0


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # on a full disk healing matters more
        sys.stderr.write(f"{iso(datetime.now(UTC))} {text}\n")
        sys.stderr.flush()


def main(argv: Sequence[str]) -> int:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="ftchaos.reaper")
    parser.add_argument("run_id")
    parser.add_argument("--parent", type=int, required=True, help="number of an inherited pidfd")
    parser.add_argument("--limit", type=float, default=None, help="seconds that a fault may last")
    given = parser.parse_args(argv)
    try:
        return watch(given.run_id, given.parent, given.limit)
    except FtchaosError as error:
        _say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
