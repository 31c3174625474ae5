"""Watching an autoscaler under a load: whether it scales, how soon, and how far."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ftchaos.clock import now
from ftchaos.errors import StepFailed
from ftchaos.platforms.base import Scaled, ScalingSeen, Step
from ftchaos.run import current
from ftchaos.units import duration_s, human_duration

__all__ = ["watch_scaling"]

LOOK_S = 1.0
ARRIVES = 0.9
"""The share of the requests due that must be answered: below it, it is the load that fell, and not its effect."""


def watch_scaling(at_top: str = "2m") -> str:
    """Watch until the metric of the autoscaler stays within its target under the load, with the added pods Ready.

    One that does not get there is a result, not a step that failed: the verdict judges it.

    Args:
        at_top: how long it may be above its target with all the replicas that it may have, before nothing more is
            expected: metrics come late.
    """
    run = current()
    run.require("inject")
    platform = run.platform
    if not isinstance(platform, Scaled):
        raise StepFailed(f"there are no autoscalers on the platform {platform.name}", "see `platforms` of a definition")
    watch = Watch(run.fault_at() + run.options.warm_timeout, run.objectives.sustain_s, duration_s(at_top))
    while True:
        run.traffic.ensure_alive()
        seen = platform.scaling()
        if seen is not None and watch.ends(seen):
            break
        if seen is None and now() > watch.until_at:
            raise StepFailed("the cluster does not say how its autoscaler stands", "see the calls of the run")
        time.sleep(LOOK_S)
    step = watch.step(seen)
    run.keep("scaling", step)
    return step.summary


@dataclass
class Watch:
    """What was seen of the autoscaler until now; it does no I/O.

    Args:
        until_at: when time is up.
        sustain_s: how long all must be well.
        at_top_s: how long nothing must be left to do.

    Attributes:
        ready_at: since when as many as it wants, and more than before, are Ready.
        well_at, top_at: since when it is within its target, or at its top and above.
    """

    until_at: float
    sustain_s: float
    at_top_s: float
    ready_at: float | None = None
    well_at: float | None = None
    top_at: float | None = None

    def ends(self, seen: ScalingSeen) -> bool:
        """Take a look in, and say whether there is no more to wait for."""
        ready = seen.wanted > seen.before and seen.ready >= seen.wanted
        self.ready_at = (self.ready_at or seen.at) if ready else None
        well = ready and seen.within is True and _arrives(seen)
        self.well_at = (self.well_at or seen.at) if well else None
        top = seen.wanted >= seen.most and seen.ready >= seen.most and seen.within is False
        self.top_at = (self.top_at or seen.at) if top else None
        return seen.at > self.until_at or self.enough(seen) or self._given_up(seen)

    def enough(self, seen: ScalingSeen) -> bool:
        return self.well_at is not None and seen.at - self.well_at >= self.sustain_s

    def _given_up(self, seen: ScalingSeen) -> bool:
        return self.top_at is not None and seen.at - self.top_at >= self.at_top_s

    def step(self, seen: ScalingSeen) -> Step:
        """What became of it, by the last look."""
        enough, why = (True, "") if self.enough(seen) else self._verdict(seen)
        said = f"{seen.autoscaler}: {seen.before} replicas before, {seen.ready} Ready now of at most {seen.most}"
        said = f"{said}; {seen.metric}; {seen.load}" + (f"; {why}" if why else "")
        return Step(
            said,
            facts={
                "autoscaler": seen.autoscaler, "before": seen.before, "most": seen.most, "ready_at": self.ready_at,
                "until_at": seen.at, "enough": enough, "at_top": self.top_at is not None, "why": why,
            },
        )  # fmt: skip

    def _verdict(self, seen: ScalingSeen) -> tuple[bool | None, str]:
        """Why it is not enough, or why nobody knows."""
        name = f"the autoscaler {seen.autoscaler}"
        if seen.within is None:
            return None, f"{name} knows no metric any more: {seen.metric}"
        if seen.wanted >= seen.most and not seen.within:
            return False, f"{name} is at its top of {seen.most} replicas, {seen.ready} of them Ready, at {seen.metric}"
        if not seen.within and seen.wanted <= seen.before:
            return False, f"{name} never wanted more than {seen.before} replicas, at {seen.metric}"
        if not seen.within:
            return False, f"{name} is still above its target with {seen.ready} of {seen.wanted} Ready, at {seen.metric}"
        if seen.wanted <= seen.before:
            return None, f"{name} came back within its target by itself, without more replicas"
        if seen.ready < seen.wanted:
            return False, f"{name} wants {seen.wanted} replicas, and {seen.ready} are Ready"
        if not _arrives(seen):
            arrived = "none" if seen.arrives is None else f"{seen.arrives:.0%}"
            return None, f"{arrived} of the requests due lately were served, so that it may be the load that fell"
        return None, f"{name} was within its target for less than {human_duration(self.sustain_s)} when time was up"


def _arrives(seen: ScalingSeen) -> bool:
    return seen.arrives is not None and seen.arrives >= ARRIVES
