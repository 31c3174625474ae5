"""How an autoscaler met a load: from what the witness saw of it to what is told and judged. Pure.

The load goes on all the while. *Enough* means that the metric came back within its target under that load, by pods
that were added and are Ready, and stayed there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftchaos.units import human_duration

LOAD_FILE = "observations/load.jsonl"
"""What the load told of itself, in the folder of a run; see :mod:`ftchaos.workload.pressure`."""


@dataclass(frozen=True)
class Look:
    """One look of the witness at an autoscaler.

    Attributes:
        within: whether its metric was within its target.
        replicas, wanted, most: how many pods there were, were wanted, and may be at most.
    """

    at: float
    within: bool
    replicas: int
    wanted: int
    most: int


@dataclass(frozen=True)
class Scaling:
    """What an autoscaler did under a load.

    Attributes:
        autoscaler: its name.
        before, highest: the replicas before the load, and the most that there were under it.
        most: its maximum.
        above_at: when the witness first saw the metric above its target.
        decided_at: when the witness first saw that it wants more.
        ready_at: when as many as it wanted in the end were Ready.
        within_at: when the metric was within its target to stay there, as the witness saw it.
        until_at: until when it was watched.
        enough: None where that is not known, as the load did not arrive, or the metric fell without more replicas.
        at_top: it had its maximum, all of it Ready, and was above its target all the same.
        why: what was found, in words, where it was not enough or nobody knows.
        kept: whether clients had their objectives from when the load bit until it ended; None where nobody knows.
        success, p95_ms: what they had.
        load: what the load was, in words.
    """

    autoscaler: str
    before: int
    highest: int
    most: int
    above_at: float | None
    decided_at: float | None
    ready_at: float | None
    within_at: float | None
    until_at: float
    enough: bool | None
    at_top: bool = False
    why: str = ""
    kept: bool | None = None
    success: float | None = None
    p95_ms: float | None = None
    load: str = ""

    @property
    def took_s(self) -> float | None:
        """From above the target to within it, to stay there."""
        if self.above_at is None or self.within_at is None:
            return None
        return self.within_at - self.above_at

    @property
    def watched_s(self) -> float:
        """How long it was watched from when it was above its target."""
        return 0.0 if self.above_at is None else max(0.0, self.until_at - self.above_at)


def load_lines(content: bytes) -> list[dict[str, Any]]:
    """What the load told, line by line; a line that its death cut off is left out."""
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def load_words(told: Sequence[Mapping[str, Any]]) -> str:
    """What was sent, for people."""
    if not told:
        return "nothing was sent"
    last = told[-1]
    said = f"{last['sent']:,} requests, at most {max(one['rate'] for one in told):.0f} a second"
    said += f", {last['failed']:,} of them failed" if last["failed"] else ""
    return said + (f", {last['held_back']:,} more held back" if last["held_back"] else "")


def highest(looks: Sequence[Look]) -> int:
    return max((one.replicas for one in looks), default=0)


def decided_at(looks: Sequence[Look], fault_at: float, before: int) -> float | None:
    """When more was first seen to be wanted than there was before the load."""
    return next((one.at for one in looks if one.at >= fault_at and one.wanted > before), None)


def within_at(looks: Sequence[Look], fault_at: float, until_at: float) -> float | None:
    """When the metric came back within its target and stayed there until the load ended; None where it did not."""
    seen = [one for one in looks if fault_at <= one.at <= until_at]
    above = max((number for number, one in enumerate(seen) if not one.within), default=None)
    if above is None or above == len(seen) - 1:
        return None
    return seen[above + 1].at


def clause(scaling: Scaling, fault_at: float) -> str:
    """What happened in one clause, each time counted from the begin of the load."""
    parts = [f"the autoscaler {scaling.autoscaler} went from {scaling.before} to {scaling.highest} replicas"]
    parts[0] += f" of at most {scaling.most}"
    for at, words in (
        (scaling.decided_at, "it decided after {}"),
        (scaling.ready_at, "all of these were Ready after {}"),
        (scaling.within_at, "its metric was within the target again after {}"),
    ):
        if at is not None:
            parts.append(words.format(human_duration(max(0.0, at - fault_at))))
    if scaling.decided_at is None:
        parts.append("it never wanted more")
    parts.append(_service(scaling))
    return ", ".join(parts)


def _service(scaling: Scaling) -> str:
    if scaling.kept is None or scaling.success is None:
        return "and how clients fared meanwhile is not known"
    kept = "kept" if scaling.kept else "did not keep"
    p95 = f", P95 {scaling.p95_ms:.0f} ms" if scaling.p95_ms is not None else ""
    return f"and the service {kept} its objectives under it ({scaling.success:.2%} of requests{p95})"
