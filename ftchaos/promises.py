"""What an experiment promises beyond the objectives of its environment, and whether it was kept. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ftchaos.components import INSIDE, UPLOADS, Jobs, Timeline
from ftchaos.scaling import Scaling
from ftchaos.units import human_duration

CACHE, CONFIRMED = "redis", "redis-wait"
"""The kinds of writers to the cache: those that its master's word is enough for, and those that wait for a replica."""


@dataclass(frozen=True)
class Promises:
    """The promises of one experiment; what is not named is measured and not judged.

    Attributes:
        recovery_time_s: how soon every component that was hit meets its objectives again.
        lost: the most acknowledged writes that may be lost, by the begin of the kind of writer: ``mysql``,
            ``redis-wait``, ``uploads``.
        success: smallest share of requests that succeed from the fault until it is healed.
        jobs: whether all work of acknowledged uploads must be done at the end.
        scaling_s: how soon an autoscaler that is above its target is within it again, while the load goes on.
    """

    recovery_time_s: float | None = None
    lost: Mapping[str, int] = field(default_factory=dict)
    success: float | None = None
    jobs: bool = False
    scaling_s: float | None = None

    def words(self) -> list[str]:
        """The promises for people, one sentence each."""
        found = []
        if self.recovery_time_s is not None:
            found.append(f"Whatever is hit meets its objectives again within {human_duration(self.recovery_time_s)}.")
        for kind, most in self.lost.items():
            many = f"At most {most:,} acknowledged writes of {kind} are lost."
            found.append(many if most else f"No acknowledged write of {kind} is lost.")
        if self.success is not None:
            found.append(f"At least {self.success:.1%} of requests succeed while the fault lasts.")
        if self.jobs:
            found.append("All work of acknowledged uploads is done in the end.")
        if self.scaling_s is not None:
            latest = human_duration(self.scaling_s)
            found.append(f"The autoscaler is within its target, under the load, {latest} after it was above it.")
        return found


@dataclass(frozen=True)
class Kept:
    """What was measured of the promises.

    Attributes:
        lost: acknowledged writes lost, by kind of writer; None when they were not looked for.
        success: share of requests that succeeded from the fault on; None without any.
        watched_s: how long after the fault the components were watched; None when they were not.
        hits: the components that the fault was to disturb.
        scaling: what an autoscaler did; None where none was watched.
    """

    timelines: Sequence[Timeline]
    lost: Mapping[str, int] | None
    success: float | None
    jobs: Jobs | None
    fault_at: float
    watched_s: float | None
    hits: Sequence[str] = ()
    scaling: Scaling | None = None


def asked(promises: Promises, takes: Collection[str]) -> tuple[Promises, Promises]:
    """What of the promises an environment can be asked for, and what not, as clients do not write there.

    Args:
        takes: see :attr:`ftchaos.platforms.base.Platform.takes`. What is in it and yet cannot be written to stays
            promised, and is then unknown. Where no replica of the cache can confirm anything, its master's word is all
            that clients have, and is to be kept like a replica's; unless the definition says what of it may be lost.
    """
    meant = promises.lost
    if CONFIRMED in meant and CONFIRMED not in takes and CACHE in takes and CACHE not in meant:
        meant = {CACHE if kind == CONFIRMED else kind: most for kind, most in meant.items()}
    lost = {kind: most for kind, most in meant.items() if _places(kind) <= set(takes)}
    others = {kind: most for kind, most in meant.items() if kind not in lost}
    jobs = promises.jobs and UPLOADS in takes
    return replace(promises, lost=lost, jobs=jobs), Promises(lost=others, jobs=promises.jobs and not jobs)


def _places(kind: str) -> set[str]:
    """Where writers of a kind write, from where, and whether a replica must confirm it."""
    waits = [CONFIRMED] if kind == CONFIRMED else []
    return {kind.partition("-")[0], *([INSIDE[1:]] if kind.endswith(INSIDE) else []), *waits}


def broken(promises: Promises, kept: Kept) -> tuple[str, ...]:
    """The promises that were not kept, one clause each."""
    return tuple(_broken(promises, kept))


def unknown(promises: Promises, kept: Kept) -> tuple[str, ...]:
    """The promises of which nobody knows whether they were kept, one clause each."""
    return tuple(_unknown(promises, kept))


def _broken(promises: Promises, kept: Kept) -> Iterator[str]:
    limit_s = promises.recovery_time_s
    for one in kept.timelines:
        if limit_s is None or not one.hit:
            continue
        if one.restored is not None and one.restored.at - kept.fault_at > limit_s:
            took = human_duration(one.restored.at - kept.fault_at)
            yield f"the {one.name} took {took} to recover, longer than the {human_duration(limit_s)} promised"
        elif one.restored is None and kept.watched_s is not None and kept.watched_s >= limit_s:
            yield f"the {one.name} was not restored within the {human_duration(limit_s)} promised"
    for kind, most in promises.lost.items():
        lost = _lost(kind, kept)
        if lost is not None and lost > most:
            yield f"{lost:,} acknowledged writes of {kind} were lost, where {_at_most(most)} promised"
    if promises.success is not None and kept.success is not None and kept.success < promises.success:
        yield f"{kept.success:.2%} of requests succeeded, where {promises.success:.1%} are promised"
    if promises.jobs and kept.jobs is not None and kept.jobs.pending:
        yield f"the work of {kept.jobs.pending:,} acknowledged uploads was not done"
    if promises.scaling_s is not None and kept.scaling is not None:
        yield from _not_scaled(promises.scaling_s, kept.scaling)


def _unknown(promises: Promises, kept: Kept) -> Iterator[str]:
    limit_s = promises.recovery_time_s
    for name in sorted(set(kept.hits) - {one.name for one in kept.timelines}):
        yield f"how the {name} fared, for nobody sampled it"
    for one in kept.timelines:
        if one.name in kept.hits and not one.operations.part(-math.inf, kept.fault_at).count(True):
            yield f"whether the {one.name} worked before the fault"
    for one in kept.timelines:
        if limit_s is not None and one.hit and one.restored is None and (kept.watched_s or 0.0) < limit_s:
            yield f"whether the {one.name} recovers in time"
    if limit_s is not None and not kept.hits and not any(one.hit for one in kept.timelines):
        yield "whether anything recovers in time, as clients use nothing of what was hit"
    for kind in promises.lost:
        # Only a partition has clients inside; without any, none was told anything.
        if _lost(kind, kept) is None and not (kind.endswith(INSIDE) and kept.lost is not None):
            yield f"how many acknowledged writes of {kind} were lost"
    if promises.success is not None and kept.success is None:
        yield "which share of requests succeeded"
    if promises.jobs and kept.jobs is None:
        yield "whether the work of acknowledged uploads was done"
    if promises.scaling_s is not None:
        yield from _scaling_unknown(promises.scaling_s, kept.scaling)


def _not_scaled(limit_s: float, scaling: Scaling) -> Iterator[str]:
    took_s = scaling.took_s
    if scaling.enough and took_s is not None and took_s > limit_s:
        took = human_duration(took_s)
        yield f"the autoscaler took {took} to be within its target, longer than the {human_duration(limit_s)} promised"
    if scaling.enough is False and (scaling.at_top or scaling.watched_s >= limit_s):
        yield scaling.why


def _scaling_unknown(limit_s: float, scaling: Scaling | None) -> Iterator[str]:
    if scaling is None:
        yield "whether the autoscaler scales, for nobody watched it"
    elif scaling.enough is None or (scaling.enough and scaling.took_s is None):
        yield f"whether the autoscaler scales enough: {scaling.why}"
    elif scaling.enough is False and not scaling.at_top and scaling.watched_s < limit_s:
        yield f"whether the autoscaler scales enough in time: {scaling.why}"


def _at_most(most: int) -> str:
    return f"at most {most:,} are" if most else "none is"


def _lost(kind: str, kept: Kept) -> int | None:
    """The lost writes of all kinds of writers that begin so; None when there is none, or none was looked for."""
    if kept.lost is None:
        return None
    counts = [count for name, count in kept.lost.items() if _is(name, kind)]
    return sum(counts) if counts else None


def _is(name: str, kind: str) -> bool:
    """``redis`` is every plain writer of the cache: neither one that waits, nor one inside a zone that is cut off."""
    return name == kind or (name.startswith(f"{kind}-") and len(name) == len(kind) + 2)
