"""Watching how the service comes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from ftchaos.clock import now
from ftchaos.components import Timeline, Way, timelines
from ftchaos.errors import FtchaosError
from ftchaos.platforms.base import Step
from ftchaos.run import Run, current
from ftchaos.units import human_duration

__all__ = ["settle", "watch_recovery"]

LOOK_S = 0.25
SETTLE_TIMEOUT_S = 20.0
"""At least; where a window of health is long, as long as a fault lasts."""
LASTING = 2
"""A fault lasts at least as many sustained windows, and two seconds."""
STAYING = 1.2
"""As many windows more is watched what works again when time is up, to see whether it stays so."""


def watch_recovery() -> str:
    """Watch until every component that has a sampler meets its objectives again, or time is up.

    One that does not come back is a result, not a step that failed: the verdict judges it.
    """
    run = current()
    run.require("inject")
    proven_at, since_at = run.record.facts["inject"]["proven_at"], run.record.harmed_since
    way = Way(run.objectives, run.record.hits, run.fault_at(), proven_at, since_at=since_at)
    staying_s = STAYING * run.objectives.sustain_s
    until_at = run.fault_at() + run.options.warm_timeout
    missing = _watch(run, until_at, way, lambda one: one.restored is not None, _lasting_s(run), staying_s)
    run.record.watched_until = now()
    took = human_duration(now() - run.fault_at())
    if missing:
        said = f"not restored {took} after the fault: {', '.join(missing)}"
    else:
        said = f"everything met its objectives again within {took} of the fault"
    run.keep("watch", Step(said, facts={"missing": missing}))
    return said


def settle() -> str:
    """After the heal, watch until all components are well and durable again: the audit wants a system at rest."""
    run = current()
    run.require("inject")
    healed_at = now()
    way = Way(run.objectives, run.record.hits, healed_at, healed_at)
    until_at = healed_at + max(SETTLE_TIMEOUT_S, _lasting_s(run))
    missing = _watch(run, until_at, way, lambda one: one.restored is not None and one.durable)
    said = f"after the heal still not well: {', '.join(missing)}" if missing else "all components are well"
    run.keep("settle", Step(said, facts={"missing": missing}))
    return said


def _lasting_s(run: Run) -> float:
    return LASTING * run.objectives.sustain_s + 2


def _watch(
    run: Run,
    until_at: float,
    way: Way,
    well: Callable[[Timeline], bool],
    at_least_s: float = 0.0,
    staying_s: float = 0.0,
) -> list[str]:
    """Names of the components that were not well in time.

    Args:
        until_at: when time is up.
        at_least_s: watch that long however well they are: not every damage shows at once.
        staying_s: see :data:`STAYING`.
    """
    began_at = now()
    while True:
        run.traffic.ensure_alive()
        # Where the database does not answer, what it said last counts: the work since then is not known to be done.
        with contextlib.suppress(FtchaosError):
            run.traffic.read_work(run.platform.survivors)
        seen = run.traffic.seen(run.record.clock)
        lines = timelines(seen, way)
        missing = [one for one in lines if not well(one)]
        late_s = staying_s if all(_works(one) for one in missing) else 0.0
        run.record.said = [vars(one) for one in run.platform.events(run.fault_at())]
        if (not missing and now() - began_at >= at_least_s) or now() > until_at + late_s:
            return [one.name for one in missing]
        time.sleep(LOOK_S)


def _works(one: Timeline) -> bool:
    """Whether a component took a request again after the first that it failed, as far as it failed any."""
    return one.failed_at is None or one.writable_at is not None
