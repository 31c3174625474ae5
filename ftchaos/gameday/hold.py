"""Holding a game day: from what the command line asks for to the day's evidence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ftchaos import clock, config, evidence, recover, store, telling
from ftchaos import run as runs
from ftchaos.errors import HealFailed, Invalid, Refused
from ftchaos.gameday import folder, live
from ftchaos.gameday.day import Day
from ftchaos.gameday.live import Note
from ftchaos.gameday.parts import Parts
from ftchaos.gameday.people import People
from ftchaos.gameday.plan import Loaded, Plan
from ftchaos.gameday.play import Clock, Play
from ftchaos.gameday.record import Began, Record, began


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        environment: empty for the plan's own.
        approvals: folder of one-time approvals.
        commit, image: what the system under test was built of.
    """

    environment: str = ""
    reports: str = "reports"
    config: Path | None = None
    lab: str = ""
    confirm: str = ""
    approvals: Path | None = None
    commit: str = ""
    image: str = ""
    verbose: bool = False

    def common(self, environment: str, reports: str, commit: str, image: str) -> list[str]:
        """The arguments of every part."""
        given = {"environment": environment, "reports": reports, "config": self.config, "lab": self.lab}
        given |= {"confirm": self.confirm, "commit": commit, "image": image}
        chosen = [f"--{key}={value}" for key, value in given.items() if value]
        return [*chosen, *(["-v"] if self.verbose else [])]


def begin(loaded: Loaded, asked: Asked, tell: Callable[[str], None]) -> tuple[Day, Note]:
    """Hold a day from its begin.

    Raises:
        Refused: one is under way or died, the window is closed, a part would be refused, or evidence cannot be kept.
    """
    environment, run_id = asked.environment or loaded.plan.environment, runs.new_id(loaded.plan.name)
    about = folder.about(loaded, run_id, environment, asked.config, asked.commit, asked.image)
    ensure_in_window(loaded.plan, datetime.now(UTC))
    folder.ensure_allowed(loaded, environment, asked.config, asked.confirm)
    store.ensure_takes(asked.reports)
    with live.claimed(run_id):
        if (died := live.unfinished()) is not None:
            raise Refused(f"the game day {died.run_id} died and is not finished", live.died_hint(died))
        note = folder.make(loaded, asked.reports, run_id)
        return _play(loaded, note, about, asked, tell), note


def resume(loaded: Loaded, asked: Asked, tell: Callable[[str], None]) -> tuple[Day, Note]:
    """Go on with a day that died, where it was; what its part left is healed first.

    Raises:
        Invalid: there is none, or it is one of another plan.
    """
    note = folder.unfinished(loaded)
    with live.claimed(note.run_id):
        if not note.path.exists():
            raise Invalid(f"{note.run_id} has just been finished", "`ftchaos report show` has what it came to")
        known = began(Record(Path(note.folder)).entries())
        environment = known.environment if known else asked.environment or loaded.plan.environment
        about = known or folder.about(loaded, note.run_id, environment, asked.config, asked.commit, asked.image)
        return _play(loaded, note, about, asked, tell), note


def end(note: Note, by: str, reason: str, tell: Callable[[str], None], config: Path | None = None) -> Day | None:
    """End a day that died: what it left is healed, and its evidence completed.

    Args:
        config: the configuration that says who is told of it.

    Returns:
        What it came to; None where its folder is gone, or nothing had begun.

    Raises:
        HealFailed: something is still harmed.
    """
    with live.claimed(note.run_id):
        record = Record(Path(note.folder))
        known = began(record.entries())
        if known is None:
            failed = [what for one in recover.recover(dry_run=False, progress=tell) for what in one.failed]
            if failed:
                raise HealFailed(f"not healed: {'; '.join(failed)}", "run `ftchaos recover`")
            note.forget()
            return None
        if not any(entry.what == "ended" for entry in record.entries()):
            record.append("stopped", by=by, text=reason)
        return _play(folder.kept_plan(Path(note.folder)), note, known, Asked(config=config), tell)


def ensure_in_window(plan: Plan, at: datetime) -> None:
    """Refuse a day outside its window.

    Raises:
        Refused: with the time at which the window opens.
    """
    window = plan.schedule.window if plan.schedule is not None else None
    if window is not None and not window.holds(at):
        raise Refused(
            f"now, {at:%a %H:%M} UTC, is outside the window of {plan.name}: {window.text}",
            f"wait until {window.next(at):%a %Y-%m-%d %H:%M} UTC, or change schedule.window of a plan of your own",
        )


def _play(loaded: Loaded, note: Note, about: Began, asked: Asked, tell: Callable[[str], None]) -> Day:
    stream = sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None
    tell(f"game day {note.run_id}: {loaded.plan.title}")
    teller = telling.Teller(config.load(asked.config), tell)
    teller.begin(
        telling.About(
            note.run_id,
            "gameday",
            loaded.plan.name,
            loaded.plan.title,
            about.environment,
            about.platform,
            clock.iso(datetime.now(UTC)),
        )
    )
    Play(
        loaded.plan,
        Record(Path(note.folder)),
        Parts(
            asked.common(about.environment, note.reports, about.commit, about.image), store.staging(note.reports), tell
        ),
        People(stream, asked.approvals, tell, loaded.plan, about.environment),
        Clock(),
        tell,
    ).run(about)
    day = folder.complete(note, tell)
    teller.end(evidence.read(Path(note.folder)))
    return day
