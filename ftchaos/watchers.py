"""Who stands beside a run: the reaper, which heals when it is gone, and the stop conditions, which end it early."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ftchaos import notes, platforms, stop
from ftchaos.clock import now
from ftchaos.config import Stop
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.reaper import Reaper
from ftchaos.run import Run
from ftchaos.traffic import WITNESS_FILE
from ftchaos.undo import is_fault


class Watchers:
    """The reaper and the stop conditions of one run.

    Args:
        limits: when the run is stopped, and how long a fault may last. None for a drill, whose disaster is meant to
            last until it has recovered from it: only somebody who asks stops that, and ``ftchaos recover`` heals it.
        tell: told why the run is stopped; it must return at once.
    """

    def __init__(self, run: Run, limits: Stop | None, tell: Callable[[str], None]) -> None:
        self._run = run
        self._tell = tell
        self._limits = limits
        self._reaper = None if limits is None else Reaper.begin(run.id, limits.after)
        self._watch: stop.Watch | None = None

    def watch(self, harms: Iterable[Harm], zone_of: Mapping[str, str]) -> None:
        """Begin to ask the stop conditions, once there are clients and a witness.

        Args:
            harms: what will be hit.
            zone_of: the zone of every server that may be seen to go down.
        """
        limits = self._limits
        if limits is None:
            self._begin([self._asked])
            return
        targets: list[Target] = []
        signs: set[str] = set()
        for harm in harms:
            targets += harm.targets
            signs |= harm.signs.keys()
        may_fall = stop.allowed(targets, zone_of) | signs
        changes = stop.Changes(self._run.folder / WITNESS_FILE)
        # What waits for another server may be silent with it, and was not harmed.
        alone = {name for name in zone_of if not name.startswith("api-")}

        def stranger() -> str:
            seen = [one for one in changes.read() if one.target in alone]
            return stop.stranger_down(seen, may_fall, self._run.record.began_at, now())

        def too_bad() -> str:
            if any(step.part == "rollback" for step in self._run.record.steps):
                return ""  # it is being healed, which is all that a stop would do
            at = now()
            lately = self._run.traffic.lately(at - limits.longer_than - 2)
            return stop.service_too_bad(lately, limits.success, limits.longer_than, at)

        self._begin([self._asked, stranger, too_bad])

    def _asked(self) -> str:
        return notes.asked_to_stop(self._run.id)

    def _begin(self, conditions: Sequence[stop.Condition]) -> None:
        self._watch = stop.Watch(conditions, self._stop)
        self._watch.begin()

    def _stop(self, reason: str) -> None:
        run = self._run
        run.undo.stop(reason)
        run.record.stopped = reason
        self._tell(reason)
        run.progress.note(f"stopped: {reason}")
        run.undo.heal(platforms.heal, run.progress.note, only=is_fault)

    def ensure_alive(self) -> None:
        """Check that the reaper still watches.

        Raises:
            StepFailed: it died, so that nothing may be harmed any more.
        """
        if self._reaper is not None:
            self._reaper.ensure_alive()

    def stop_watching(self) -> None:
        """Ask the conditions no more; from here on the run heals by itself, and nobody interrupts that."""
        if self._watch is not None:
            self._watch.end()
            self._watch = None

    def end(self) -> None:
        """Send the reaper away, when everything is healed, or the run has said what is not; never fails."""
        self.stop_watching()
        if self._reaper is not None:
            self._reaper.end()
            self._reaper = None
