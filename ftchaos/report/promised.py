"""Each promise of an experiment beside what became of it. Pure.

The evidence has the promises and the reasons in words; :mod:`ftchaos.promises` writes both, and a test holds this
module against it. A promise counts as kept only where what it speaks of was measured: unknown is never a pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ftchaos.evidence import Evidence

_BROKEN = "A promise was broken: "
_UNKNOWN = "It is not known: "
_RECOVERY = re.compile(r"^Whatever is hit ")
_LOST = re.compile(r"^(No acknowledged write|At most .+ acknowledged writes) of (?P<kind>.+) (is|are) lost\.$")
_SUCCESS = re.compile(r"^At least .+ of requests succeed ")
_JOBS = re.compile(r"^All work of acknowledged uploads ")
_SCALING = re.compile(r"^The autoscaler is within its target")
WORDS = {True: "kept", False: "broken", None: "unknown"}


@dataclass(frozen=True)
class Promised:
    """One promise, whether it was kept, and what was found against it."""

    words: str
    kept: bool | None
    detail: str

    @property
    def judged(self) -> str:
        return WORDS[self.kept]


@dataclass(frozen=True)
class _Sort:
    """One sort of promise: the clauses that break it, those that leave it open, and whether it was measured."""

    broken: re.Pattern[str]
    unknown: re.Pattern[str]
    measured: Callable[[Evidence], bool]


def promised(evidence: Evidence) -> list[Promised]:
    """The promises in their order."""
    return [_judge(words, evidence) for words in evidence.plan.promises]


def kept_words(rows: list[Promised]) -> str:
    """``3 of 4 kept``, and what became of the others."""
    kept = sum(row.kept is True for row in rows)
    broken = sum(row.kept is False for row in rows)
    rest = [f"{count} {word}" for count, word in ((broken, "broken"), (len(rows) - kept - broken, "unknown")) if count]
    return ", ".join([f"{kept} of {len(rows)} kept", *rest])


def unasked_words(evidence: Evidence) -> str:
    """What the definition promises and this environment was not asked for; empty for nothing."""
    unasked = evidence.plan.unasked
    return f"Not asked here, as clients do not write there: {' '.join(unasked)}" if unasked else ""


def all_kept(rows: list[Promised]) -> bool | None:
    """Whether all were kept; None when that is not known of one."""
    if any(row.kept is False for row in rows):
        return False
    return True if all(row.kept for row in rows) else None


def _judge(words: str, evidence: Evidence) -> Promised:
    sort = _sort(words)
    if sort is None:
        return Promised(words, True if evidence.verdict == "passed" else None, "")
    broken = [clause for clause in _clauses(evidence, _BROKEN) if sort.broken.search(clause)]
    if broken:
        return Promised(words, False, "; ".join(broken))
    unknown = [clause for clause in _clauses(evidence, _UNKNOWN) if sort.unknown.search(clause)]
    proven = evidence.witness.proven is True and evidence.verdict != "inconclusive"
    if unknown or not proven or not sort.measured(evidence):
        return Promised(words, None, "; ".join(f"it is not known {clause}" for clause in unknown))
    return Promised(words, True, "")


def _clauses(evidence: Evidence, lead: str) -> list[str]:
    return [reason.removeprefix(lead).rstrip(".") for reason in evidence.reasons if reason.startswith(lead)]


def _has_recovered(evidence: Evidence) -> bool:
    """Whether something was hit, and all of it came back."""
    hit = [one for one in evidence.components if one.hit]
    return bool(hit) and all(one.restored_at is not None for one in hit)


def _sort(words: str) -> _Sort | None:
    if _RECOVERY.search(words):
        return _Sort(
            re.compile(r"^the .+ (took .+ to recover|was not restored within) "),
            re.compile(r"^whether (the .+|anything) recovers in time"),
            _has_recovered,
        )
    if match := _LOST.search(words):
        kind = re.escape(match["kind"])
        return _Sort(
            re.compile(rf"acknowledged writes of {kind} were lost, where"),
            re.compile(rf"acknowledged writes of {kind} were lost$"),
            lambda evidence: evidence.data.lost is not None,
        )
    if _SUCCESS.search(words):
        return _Sort(
            re.compile(r"of requests succeeded, where"),
            re.compile(r"which share of requests succeeded"),
            lambda evidence: evidence.service.success_ratio is not None,
        )
    if _JOBS.search(words):
        return _Sort(
            re.compile(r"^the work of .+ was not done$"),
            re.compile(r"whether the work of acknowledged uploads was done"),
            lambda evidence: evidence.jobs is not None,
        )
    if _SCALING.search(words):
        return _Sort(
            re.compile(r"^the autoscaler "),
            re.compile(r"^whether the autoscaler "),
            lambda evidence: evidence.scaling is not None and evidence.scaling.enough is True,
        )
    return None
