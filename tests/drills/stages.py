"""A lab that outlives its drills, and drills in this very process, so that a flaw can be planted half way.

What is harmed is real: servers, files, disks and processes. Only the hooks that choose the moment are ours.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from workplaces import Workplace

from ftchaos import audit, engine, planning, survivors, verification
from ftchaos.mysql import session as sessions
from ftchaos.mysql.archive import lineages
from ftchaos.mysql.chain import logs_in
from ftchaos.mysql.server import Server
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.recovery import LabRecovery
from ftchaos.platforms.lab.tier import Tier
from ftchaos.report import progress
from ftchaos.traffic import LEDGER, TrafficProcesses
from ftchaos.workload import book

# Short, as there are many drills; lenient, as machines that run tests are busy.
CONFIGURATION = "objectives: {sustain: 1s, p95: 2s}\n"
WHOLE_WITHIN_S = 60.0
Act = Callable[[LabRecovery], None]


@dataclass(frozen=True)
class Stage:
    """One lab that is up, and the folder that drills with it are run in."""

    place: Workplace
    name: str
    flavour: str
    services: set[str] = field(default_factory=set)

    @classmethod
    def build(cls, place: Workplace, name: str, flavour: str) -> Stage:
        """Bring the lab up as a user does."""
        (place.folder / "ftchaos.yaml").write_text(CONFIGURATION)
        done = place.run("lab", "up", "--name", name, "--mysql-flavour", flavour, "--size", "8MiB", "--json")
        assert done.exit_code == 0, done.stderr
        return cls(place, name, flavour, set(done.json["services"]))

    @property
    def lab(self) -> Lab:
        return Lab.attach(self.name)

    @property
    def tier(self) -> Tier:
        return Tier(self.lab)

    def drill(self, **given: Any) -> engine.Result:
        """Run the restore drill with this lab, in this process."""
        plan = planning.plan("drill", "restore", {"lab": self.name, "reports": str(self.place.reports), **given})
        return engine.run(plan, progress.for_stream(sys.stderr))

    def ensure_whole(self, result: engine.Result) -> None:
        """The lab is as it should be after a drill, and the drill's evidence holds.

        Whatever the drill took for its recovery, the heal loses no more than the drill had found to be lost.
        """
        assert result.evidence.undo.recorded == result.evidence.undo.healed == 1
        assert not list(self.place.state.glob("runs/*.json"))
        assert verification.verify(result.folder) == []
        self.ensure_up()
        ledger = book.read(result.folder / LEDGER, live=True)  # a writer may have been killed
        found = audit.classify(ledger, survivors.read(self.tier.primary.connect, ledger), None)
        assert found.total.lost == (result.evidence.data.lost or 0)

    def ensure_up(self) -> None:
        """Every service lives, and the database tier is whole."""
        status = self.place.run("lab", "status", "--name", self.name, "--json").json
        assert {name for name, service in status["services"].items() if service["alive"]} == self.services
        assert wait_until(self.tier.whole, timeout_s=WHOLE_WITHIN_S)

    def rotate_logs(self, times: int) -> None:
        """Have the primary begin a new log, with transactions in each, all of them archived."""
        for _ in range(times):
            known = len(self.archived())
            with self.tier.primary.connect() as session:
                sessions.execute(session, ["FLUSH BINARY LOGS"])
            assert wait_until(partial(self._has_more_logs, known), timeout_s=30)

    def _has_more_logs(self, known: int) -> bool:
        *_, newest = logs = self.archived()
        return len(logs) > known and newest.stat().st_size > 20_000

    def archived(self) -> list[Path]:
        """The archived logs of the primary of the moment."""
        return logs_in(lineages(self.lab.folder / "archive")[-1].folder)


class Hooks:
    """Acts at chosen steps of the recovery: before one begins, or after it has ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def before(self, step: str, act: Act) -> None:
        """Act right before a step of the recovery."""
        real = getattr(LabRecovery, step)

        def acted(recovery: LabRecovery, *args: Any) -> Any:
            act(recovery)
            return real(recovery, *args)

        self.patch.setattr(LabRecovery, step, acted)

    def after(self, step: str, act: Act) -> None:
        """Act right after a step of the recovery."""
        real = getattr(LabRecovery, step)

        def acted(recovery: LabRecovery, *args: Any) -> Any:
            found = real(recovery, *args)
            act(recovery)
            return found

        self.patch.setattr(LabRecovery, step, acted)

    def before_audit(self, act: Callable[[], None]) -> None:
        """Act when the writers have ended and their writes are about to be looked for."""
        real = TrafficProcesses.audit

        def acted(traffic: TrafficProcesses, *args: Any) -> Any:
            act()
            return real(traffic, *args)

        self.patch.setattr(TrafficProcesses, "audit", acted)


def wait_until(condition: Callable[[], object], timeout_s: float) -> bool:
    """Whether a condition comes true within the time."""
    deadline_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_at:
            return False
        time.sleep(0.02)
    return True


def reasons(result: engine.Result) -> str:
    """Why the run did not pass, and that it did not."""
    assert result.evidence.verdict != "passed"
    assert result.exit_code == {"failed": 1, "inconclusive": 3}[result.evidence.verdict]
    return "\n".join(result.evidence.reasons)


def restored(recovery: LabRecovery) -> Server:
    """The server that is being restored."""
    assert recovery.server is not None
    return recovery.server


def unlogged(server: Server, *statements: str) -> None:
    """Change rows behind everybody's back."""
    with server.connect() as session:
        sessions.execute(session, ["SET SESSION sql_log_bin = 0, foreign_key_checks = 0", *statements])
        assert session.affected_rows() == 1  # by the last one; a flaw that is not planted proves nothing


def flip_a_byte(path: Path, share: float = 0.5) -> None:
    """Change one bit at a share of a file's length."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * share))
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file as somebody would who wants it to say something else."""
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts, indent=1) + "\n")
