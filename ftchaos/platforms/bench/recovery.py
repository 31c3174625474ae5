"""The recovery from a backup that ftchaos did not make, step by step, on the bench."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ftchaos.clock import iso, now
from ftchaos.config import Restore
from ftchaos.errors import FtchaosError, Invalid, StepFailed, Unusable
from ftchaos.mysql import flavour as flavours
from ftchaos.mysql.chain import Boundary, Reach
from ftchaos.mysql.flavour import Flavour, Options
from ftchaos.mysql.foreign import kinds, verify
from ftchaos.mysql.foreign.about import About
from ftchaos.mysql.foreign.load import Key, Loaded
from ftchaos.mysql.foreign.verify import Check
from ftchaos.mysql.session import Unreachable
from ftchaos.mysql.verify import gtid_reached
from ftchaos.options import Options as Choices
from ftchaos.platforms.answers import answers, newest_at
from ftchaos.platforms.base import Step
from ftchaos.platforms.bench import jail, scratch
from ftchaos.platforms.bench.logical import Logical
from ftchaos.platforms.bench.logs import ACCOUNTS_ARE_ELSEWHERE, Logs
from ftchaos.platforms.bench.physical import Physical, preparer
from ftchaos.platforms.bench.server import BenchServer
from ftchaos.platforms.looks import judged, look, look_again
from ftchaos.undo import UndoLog
from ftchaos.units import human_duration, human_size

Progress = Callable[[int, int], None]
# At least so many times as big as the backup is what it becomes: text grows by its indexes, and packing hides a lot.
_GROWTH = {"dump": 1.5, "mydumper": 1.5, "folder": 1.0, "stream": 1.0}
_UNPACKED = 3
_TELL_S = 0.1


class BenchRecovery:
    """See :class:`ftchaos.platforms.base.Recovery`; what has no meaning without a service says so."""

    def __init__(self, choices: Choices, judged: Restore, run_id: str, undo: UndoLog) -> None:
        if choices.backup is None:
            raise Invalid("no backup was named", "name it with --from PATH")
        self.path = choices.backup.absolute()
        self._choices = choices
        self._judged = judged
        self._run_id = run_id
        self._undo = undo
        self._began_at = datetime.now(UTC)
        self._about: About | None = None
        self._scratch: scratch.Scratch | None = None
        self._jail: jail.Jail | None = None
        self._restore: Logical | Physical | None = None
        self.server: BenchServer | None = None
        boundary = Boundary(at_s=target.timestamp() if (target := choices.target_time()) else None)
        self._logs = Logs(choices.binlogs.absolute(), boundary) if choices.binlogs else None
        self._reach: Reach | None = None
        self._executed = ""

    def destroy_targets(self) -> Sequence[str]:
        return ()

    def destroy(self, undo: UndoLog, run_id: str, begin: Callable[[], None]) -> Step:
        raise _no_service("nothing to destroy")

    def detect(self, fault_at: float) -> Step:
        raise _no_service("nothing to watch")

    def cut_over(self) -> Step:
        raise _no_service("nothing to cut over")

    def inspect(self) -> About:
        """What the backup is, where it is one and this machine can restore it.

        Raises:
            Invalid: it is no backup of a known kind.
            Unusable: it is one, but cannot be restored here.
            MissingProgram: this machine lacks the server for it.
        """
        about = kinds.inspect(self.path)
        if about.kind != "stream":  # that one says what it is when it was unpacked
            self._flavour(about)
        if about.kind == "folder" and not about.details.get("ready"):
            preparer(about)
        return about

    def decide(self, to: str) -> Step:
        """Look at what the backup is and says of itself."""
        self._began_at = datetime.now(UTC)
        self._about = about = self.inspect()
        if about.has_position or not about.says_more_later:
            self._read_logs(about)  # on the other processor, while the backup is restored
        said = [about.method, human_size(about.size_bytes)]
        if about.server_version:
            said.append(f"from {about.server_version}")
        if about.taken:
            age_s = (self._began_at - about.taken.at).total_seconds()
            # A copy that did not keep the file's time (cp -p does) no longer tells which zone its clock was in.
            said.append(f"{human_duration(max(0.0, age_s))} old" if about.taken.sure else "its age is not known")
        return Step(", ".join(said), about.size_bytes, {"backup": self._as_fact(about), "rejected": []})

    def provision(self) -> Step:
        """Have the scratch folder and, for SQL, an empty server in its jail."""
        about = self._known()
        self._scratch = made = scratch.make(self._run_id, self._undo)
        growth = _GROWTH[about.kind] * (_UNPACKED if about.details.get("packed") else 1)
        scratch.ensure_space(made.folder, int(about.size_bytes * growth))
        self._jail = jail.strongest()
        facts = {"isolation": self._jail.sentence}
        if about.kind in ("folder", "stream"):
            self._restore = Physical(about, self._flavour, made)
            return Step(f"a scratch folder; {self._jail.sentence}", facts=facts)
        flavour = self._flavour(about)
        self.server = self._make(flavour, ACCOUNTS_ARE_ELSEWHERE[flavour.name] if self._logs else {})
        self._restore = logical = Logical(about, self.server, made)
        logical.provision()
        return Step(f"an empty {flavour.name} {flavour.version_text}; {self._jail.sentence}", facts=facts)

    def restore(self, progress: Progress) -> Step:
        """Bring the backup's data into the server."""
        with scratch.watched(self._have_scratch()):
            if isinstance(self._restore, Physical):
                self.server = self._restore.restore(_now_and_then(progress), self._make)
            elif self._restore is not None:
                self._restore.restore(_now_and_then(progress))
        assert self._restore is not None
        self._about = about = self._restore.about
        self._read_logs(about)
        facts: dict[str, Any] = {"backup": self._as_fact(about)}
        if isinstance(self._restore, Logical):
            loaded = self._restore.loaded
            facts |= {"refused": loaded.refused, "left_out": dict(loaded.left_out), "changed": dict(loaded.changed)}
        return Step(f"restored {human_size(about.size_bytes)} of {about.method}", about.size_bytes, facts)

    def verify_restored(self) -> Step:
        """Completeness, structure, rows, the server's own checks, foreign keys."""
        about = self._known()
        checks = [Check("complete", about.whole, about.whole_detail)]
        loaded: Loaded | None = None
        recorded: Mapping[Key, int] = {}
        if isinstance(self._restore, Physical) and self._restore.pages:
            checks.append(self._restore.pages)
        if isinstance(self._restore, Logical):
            loaded, recorded = self._restore.loaded, self._restore.recorded
            checks += verify.statements(loaded)
        found, counted = look(self._server().connect, loaded, recorded)
        facts = {"tables": len(counted), "rows": sum(counted.values()), "bytes": about.size_bytes}
        return judged("the backup", [*checks, *found], facts)

    def replay(self, progress: Progress) -> Step:
        """Apply binary logs, where some are given."""
        if self._logs is None:
            return Step("no binary logs were given")
        with scratch.watched(self._have_scratch()):
            reach, done = self._logs.apply(self._server(), self._have_scratch(), progress)
        self._reach, self._executed = reach, done.executed
        until = f" to {reach.last.gtid} of {_iso(reach.last.at_s)}" if reach.last else ""
        return Step(
            f"{done.count:,} transactions, {human_size(done.size_bytes)} of log{until}"
            + (f"; left out at the end: {reach.torn}" if reach.torn else ""),
            done.size_bytes,
            {
                "replay": {
                    "target": self._choices.to,
                    "until_gtid": reach.last.gtid if reach.last else "",
                    "until_at": _iso(reach.last.at_s) if reach.last else None,
                    "reached_gtid": done.executed,
                    "transactions": done.count,
                    "bytes": done.size_bytes,
                    "files": len(reach.parts),
                },
                "torn": reach.torn,
                "log_gap_s": max(0.0, self._began_at.timestamp() - reach.newest_at_s) if reach.newest_at_s else None,
            },
        )

    def verify_replayed(self) -> Step:
        """The configured queries, and how old the newest data is."""
        checks: list[Check] = []
        if self._reach:
            flaws = gtid_reached(self._executed, self._reach.after)
            checks.append(Check("point reached", "failed" if flaws else "passed", "; ".join(flaws) or self._executed))
            checks += look_again(self._server().connect)
        about, newest = self._known(), None
        try:
            with self._server().connect() as session:
                checks += answers(session, self._judged.checks)
                newest, check = newest_at(session, self._judged, self._began_at)
                checks += [check] if check else []
        except Unreachable as error:
            checks.append(Check("server", "failed", f"it does not answer any more: {error.fact}"))
        facts: dict[str, Any] = {
            "backup_age_s": _since(about.taken.at, self._began_at) if about.taken and about.taken.sure else None,
            "data_loss_s": _since(newest, self._began_at) if newest else None,
            "source": ("heartbeat" if self._judged.heartbeat else "newest row") if newest else "none",
        }
        return judged("the restored data", checks, facts)

    def _read_logs(self, about: About) -> None:
        if self._logs is not None:
            self._logs.begin(about, about.flavour or self._flavour(about).name)

    def discard(self) -> None:
        """Kill the server; its folder is removed by the heal."""
        if self._logs is not None:
            self._logs.end()
        if self.server is not None:
            self.server.discard()

    def describe(self) -> dict[str, Any]:
        """What will restore, and what keeps it in, for the evidence."""
        mysql = ""
        with suppress(FtchaosError):  # what is wrong with it is for the steps to say
            about = self.inspect()
            flavour = self._flavour(about)
            mysql = f"{flavour.name} {flavour.version_text}"
        walls = jail.strongest()
        return {
            "mysql": mysql,
            "mode": "jail" if walls.walls else "no walls",
            "settings": {
                "backup": str(self.path),
                "binlogs": str(self._choices.binlogs or ""),
                "isolation": walls.sentence,
            },
        }

    def _make(self, flavour: Flavour, given: Options) -> BenchServer:
        assert self._jail is not None
        return BenchServer(flavour, self._have_scratch(), self._jail, given)

    def _flavour(self, about: About) -> Flavour:
        """The server that can take the backup.

        Raises:
            MissingProgram: this machine lacks it.
            Unusable: it has one, but too old, or of the wrong kind.
        """
        chosen = flavours.find(self._choices.mysql_flavour or about.flavour or None)
        if about.kind in ("dump", "mydumper"):
            return chosen
        if about.flavour and chosen.name != about.flavour:
            raise Unusable(
                f"data files of {about.flavour} cannot be read by {chosen.name}", "leave out --mysql-flavour"
            )
        if about.version[:2] > chosen.version[:2]:
            raise Unusable(
                f"the backup is from {about.server_version}, newer than the {chosen.name} {chosen.version_text} here",
                f"install {about.flavour} {'.'.join(map(str, about.version[:2]))} or newer",
            )
        return chosen

    def _known(self) -> About:
        if self._about is None:
            raise StepFailed("the backup was not looked at", "see the step that decides")
        return self._about

    def _have_scratch(self) -> scratch.Scratch:
        if self._scratch is None:
            raise StepFailed("there is no scratch folder", "see the step that provisions")
        return self._scratch

    def _server(self) -> BenchServer:
        if self.server is None:
            raise StepFailed("there is no server", "see the step that restores")
        return self.server

    def _as_fact(self, about: About) -> dict[str, Any]:
        return {
            "id": about.path.name,
            "method": about.method,
            "flavour": about.flavour,
            "bytes": about.size_bytes,
            "server_version": about.server_version,
            "gtid": about.gtid or "",
            "taken_at": iso(about.taken.at) if about.taken and about.taken.sure else None,
        }


def _now_and_then(progress: Progress) -> Progress:
    """The same, told at most ten times a second: a dump may have a statement for every row."""
    told_at = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if done >= total or now() - told_at >= _TELL_S:
            told_at = now()
            progress(done, total)

    return tell


def _iso(utc_s: float) -> str:
    return iso(datetime.fromtimestamp(utc_s, UTC))


def _since(instant: datetime, until: datetime) -> float:
    return max(0.0, (until - instant).total_seconds())


def _no_service(what: str) -> StepFailed:
    return StepFailed(f"the bench has no service: {what}", "run dr_drills/restore-backup.yaml for a backup of your own")
