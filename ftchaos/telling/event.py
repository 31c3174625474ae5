"""What there is to tell of a run: that it begins, is being stopped, has ended, and its verdict, in words and data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ftchaos.clock import iso
from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment
from ftchaos.record import RunRecord
from ftchaos.units import human_duration

Name = Literal["begin", "stop", "end", "verdict", "test"]
_HARMED = 4


@dataclass(frozen=True)
class About:
    """The run that an event is about; instants are UTC as evidence writes them."""

    run_id: str
    kind: str
    name: str
    title: str
    environment: str
    platform: str
    began_at: str

    @classmethod
    def record(cls, record: RunRecord) -> About:
        """A run that has just begun."""
        return cls(
            record.id,
            record.kind,
            record.name,
            str(record.definition.get("title", "")),
            record.environment,
            record.platform,
            record.clock.iso(record.began_at),
        )

    @classmethod
    def evidence(cls, found: Evidence) -> About:
        """A run that has ended."""
        return cls(found.run_id, found.kind, found.name, found.title, found.environment, found.platform, found.began_at)

    @property
    def called(self) -> str:
        """For people: ``drill restore in staging``."""
        return f"{self.kind} {self.name} in {self.environment}"


@dataclass(frozen=True)
class Event:
    """One thing to tell.

    Attributes:
        at: when it was told; for an end and a verdict when the run ended.
        title: what it is, in a few words.
        text: one or two sentences.
        evidence: of a run that has ended in order.
        harmed: whether the run left harm that was not healed.
    """

    what: Name
    at: str
    about: About
    title: str
    text: str
    evidence: Evidence | None = None
    harmed: bool = False

    @property
    def id(self) -> str:
        """The same for the same event told twice, so that a receiver can tell."""
        return f"{self.about.run_id}/{self.what}"


def begin(about: About) -> Event:
    """A run begins: from here on there may be harm."""
    return Event("begin", about.began_at, about, f"{about.called} begins", about.title)


def stop(about: About, reason: str) -> Event:
    """A run is being stopped before its time, and everything healed."""
    return Event("stop", _now(), about, f"{about.called} is being stopped", reason)


def end(found: Evidence) -> Event:
    """A run has ended and healed what it harmed, or has not."""
    about, undo = About.evidence(found), found.undo
    harmed = bool(undo.failed) or found.exit_code == _HARMED
    if harmed:
        text = f"{undo.failed} of {undo.recorded} harms are NOT healed: run `ftchaos recover`."
    elif undo.recorded:
        text = f"Nothing is left harmed: {undo.healed} of {undo.recorded} undone."
    else:
        text = "Nothing was to be undone."
    return Event("end", found.ended_at, about, f"{about.called} ended{_after(found)}", text, found, harmed)


def broken(about: About, problem: str, harmed: bool) -> Event:
    """A run ended without evidence."""
    return Event("end", _now(), about, f"{about.called} ended without evidence", problem, None, harmed)


def verdict(found: Evidence) -> Event:
    """What a run came to, with its figures."""
    about = About.evidence(found)
    reason = f"{found.reasons[0]} " if found.reasons else ""
    harmed = bool(found.undo.failed) or found.exit_code == _HARMED
    title = f"{found.verdict.upper()}: {about.called}"
    return Event("verdict", found.ended_at, about, title, f"{reason}{found.summary}", found, harmed)


def test() -> Event:
    """Nothing has happened; somebody wants to see that messages arrive."""
    at = datetime.now(UTC)
    about = About(f"{at:%Y%m%dT%H%M%SZ}-test", "drill", "test", "", "test", "none", iso(at))
    return Event("test", about.began_at, about, "ftchaos: a test", "Nothing has happened; messages arrive here.")


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _after(found: Evidence) -> str:
    try:
        took_s = (moment(found.ended_at) - moment(found.began_at)).total_seconds()
    except ValueError:  # evidence from a stranger may look like an instant and be none
        return ""
    return f" after {human_duration(max(0.0, took_s))}"


def _now() -> str:
    return iso(datetime.now(UTC))
