"""The bench as a platform: no service and no fault, only a recovery to be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ftchaos.config import Config
from ftchaos.errors import FtchaosError, Inconclusive, Invalid, StepFailed
from ftchaos.mysql.foreign import kinds
from ftchaos.options import Options
from ftchaos.platforms.base import STORES, Event, Harm, Progress, Step, Traffic
from ftchaos.platforms.bench import scratch
from ftchaos.platforms.bench.recovery import BenchRecovery
from ftchaos.undo import Record, UndoLog


class Bench:
    """See :class:`ftchaos.platforms.base.Platform`."""

    name = scratch.PLATFORM
    methods: Sequence[str] = ()
    takes = STORES
    assumes_disaster = False

    def __init__(self, config: Config, options: Options) -> None:
        self.environment = options.environment
        self.accepts_backup_age = config.restore.accept_backup_age
        self._judged = config.restore
        self._options = options
        self._recovery: BenchRecovery | None = None

    @property
    def lock_name(self) -> str:
        return f"{self.name}.{self.environment}"

    def targets(self) -> list[str]:
        """Nothing is destroyed."""
        return []

    def makes(self) -> list[str]:
        """A server that is thrown away, which costs nothing."""
        return []

    def begin(self, run_id: str, undo: UndoLog, progress: Progress) -> None:
        """See that there is something to restore; nothing is made yet.

        Raises:
            Invalid: the choices do not fit each other, or there is no backup at the path.
        """
        if self._options.binlogs is None and self._options.to != "last":
            raise Invalid("--to names a time, but there is no log to replay up to it", "give its folder: --binlogs DIR")
        if self._options.binlogs is not None and not self._options.binlogs.is_dir():
            raise Invalid(f"{self._options.binlogs} is no folder of binary logs", "name the folder: --binlogs DIR")
        self._recovery = BenchRecovery(self._options, self._judged, run_id, undo)
        with suppress(Inconclusive):  # a damaged one is for the run itself to find
            progress(f"{self._options.backup}: {kinds.inspect(self._recovery.path).method}")

    def prepare(self, undo: UndoLog, progress: Progress, *, backups: bool) -> None:
        """There is nothing that production would have."""

    def traffic(self, zone: str = "") -> Traffic:
        raise StepFailed("the bench has no service and so no traffic", "see dr_drills/restore-backup.yaml")

    def client_argv(self, argv: Sequence[str], zone: str = "") -> list[str]:
        return list(argv)

    def writer_in_place(self) -> str:
        return "the bench has no writer: only a backup is looked at"

    def backups_complete(self) -> str:
        """Empty when the backup is there, of a known kind, and not seen to be incomplete."""
        try:
            self.recovery().inspect()
        except FtchaosError as error:
            return str(error)
        return ""

    def recovery(self) -> BenchRecovery:
        if self._recovery is None:
            raise StepFailed("the bench was not begun", "run it with ftchaos drill restore --from PATH")
        return self._recovery

    def harm(self, fault: str, arguments: Mapping[str, Any]) -> Harm:
        raise Invalid(f"the bench has nothing that the fault {fault} could hit", "run it in the lab")

    def inject(self, fault: str, harm: Harm, undo: UndoLog, begin: Callable[[], None]) -> str:
        raise StepFailed("the bench has nothing that a fault could hit", "run it in the lab")

    def events(self, since_at: float) -> list[Event]:
        """Nobody says anything."""
        return []

    def compare(self) -> Step:
        raise StepFailed("the bench has one copy of the data", "run it in the lab")

    def state(self) -> dict[str, str]:
        """Nothing that a fault could change."""
        return {}

    def survivors(self) -> Any:
        server = self.recovery().server
        if server is None:
            raise StepFailed("there is no restored server", "see the step that restores")
        return server.connect()

    def describe(self) -> dict[str, Any]:
        return self.recovery().describe()

    def heal(self, record: Record) -> str:
        if self._recovery is not None:
            self._recovery.discard()
        return scratch.heal(record)

    def end(self) -> None:
        if self._recovery is not None:
            self._recovery.discard()
