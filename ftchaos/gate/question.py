"""What the gate is asked, and how a run in short is read for it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from ftchaos.gate.policy import Policy, Requirement
from ftchaos.store.summary import Summary
from ftchaos.units import human_duration

Kind = Literal[
    "missing", "foreign", "unverifiable", "future", "failed", "inconclusive", "harm", "stale", "overdue", "unsigned",
    "objective", "too few",
]  # fmt: skip
REFUSED = 5
NEVER = datetime.max.replace(tzinfo=UTC)
"""In the place of an instant that is none; it counts as the newest, so that nothing hides behind it."""
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-(.+?)(?:-[0-9a-f]{4})?")


@dataclass(frozen=True)
class Asked:
    """What the gate is asked about: a place, and what is to go on from there; empty where it was not said."""

    environment: str
    commit: str = ""
    image: str = ""


@dataclass(frozen=True)
class Reason:
    """Why a requirement is not met.

    Attributes:
        kind: for programs.
        sentence: for people.
        run_id: of the run that it is about, if it is about one.
        run, environment: what was run and where, if it must be run again there for another reason than a requirement.
    """

    kind: Kind
    sentence: str
    run_id: str = ""
    run: str = ""
    environment: str = ""


@dataclass(frozen=True)
class Question:
    """All that stands still while requirements are judged."""

    policy: Policy
    asked: Asked
    at: datetime
    problems: Mapping[str, Sequence[str]] | None = None

    def where(self, requirement: Requirement) -> str:
        return requirement.environment or self.asked.environment

    def problem(self, run: Summary) -> str:
        """What the verification of a run found; nothing as long as none was made."""
        return "" if self.problems is None else next(iter(self.problems.get(run.run_id, ["it was not verified"])), "")

    def is_future(self, run: Summary) -> bool:
        return moment(run.ended_at) > self.at + timedelta(seconds=self.policy.clock_skew)

    def age_s(self, run: Summary) -> float:
        return max(0.0, (self.at - moment(run.ended_at)).total_seconds())


def newest_first(runs: Sequence[Summary]) -> list[Summary]:
    """Newest first, by their end; one that does not say when it ended counts as the newest."""
    return sorted(runs, key=lambda run: (moment(run.ended_at), run.run_id), reverse=True)


def names(run: Summary) -> set[str]:
    """What a run is a run of, by its own word and by its id, which should say the same."""
    found = _RUN_ID.fullmatch(run.run_id)
    if run.verdict == "unreadable":
        return {f"{kind}/{found[1]}" for kind in ("drill", "experiment", "gameday")} if found else set()
    return {f"{run.kind}/{run.name}", *([f"{run.kind}/{found[1]}"] if found else [])}


def id_names(run_id: str) -> tuple[str, str]:
    """What :func:`names` may find in an id, with its random end and without; quick, and right for ids alone."""
    return run_id[17:], run_id[17:-5]


def was_refused(run: Summary) -> bool:
    """Nothing was touched, so that it says nothing of recovery, neither good nor bad."""
    return run.verdict == "inconclusive" and run.exit_code == REFUSED


def moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is UTC:  # as evidence writes it
            return at
        return at.astimezone(UTC) if at.tzinfo else NEVER
    except (ValueError, OverflowError):
        return NEVER


def length(seconds: float) -> str:
    return human_duration(seconds) if math.isfinite(seconds) else "of unknown length"


def days(seconds: float) -> str:
    """A length of time in days from two days on, rounded up so that 31 days and a minute are not 31 days."""
    if seconds < 2 * 86400:
        return human_duration(seconds)
    return f"{math.ceil(seconds / 8640 - 1e-9) / 10:.1f}".removesuffix(".0") + " d"
