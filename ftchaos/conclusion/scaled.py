"""What an autoscaler did under a load, from the lines of the witness, the step that watched it, and the clients."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftchaos import evidence, scaling
from ftchaos import recovery as recovering
from ftchaos.conclusion.raw import Raw, healed_from
from ftchaos.scaling import Look, Scaling

_AT_TOP = "the autoscaler {} is at its top of {} replicas, and was above its target again before the load ended"
_NOT_SEEN = "the witness did not see the autoscaler {} stay within its target until the load ended"
_NO_LOAD = "the load on the autoscaler {} ended before it was to"
LATE_S = 5.0
"""The load tells of itself each half second; on a busy machine it is late."""
STEP = "scaling"
"""The facts of :func:`ftchaos.actions.scaling.watch_scaling`."""


def found(raw: Raw) -> Scaling | None:
    """What it did; None where none was watched."""
    fact, fault_at = raw.fact(STEP), raw.record.fault_at
    if not fact or fault_at is None:
        return None
    until_at = min(healed_from(raw.record), raw.record.ended_at or math.inf)  # the load goes on beyond that step
    looks = [
        Look(one.at, one.up, one.counts["replicas"], one.counts["wanted"], one.counts["most"])
        for one in raw.observations
        if one.counts and one.target in raw.record.fault_targets and one.at <= until_at
    ]
    within_at = scaling.within_at(looks, fault_at, until_at)
    enough, why, at_top = fact["enough"], fact["why"], fact["at_top"]
    told = _load(raw.folder)
    if enough and (not told or told[-1]["at"] < until_at - LATE_S):
        enough, why = None, _NO_LOAD.format(fact["autoscaler"])
    elif enough and within_at is None:
        at_top = bool(looks) and not looks[-1].within and looks[-1].wanted >= looks[-1].most
        enough, why = (False, _AT_TOP) if at_top else (None, _NOT_SEEN)
        why = why.format(fact["autoscaler"], fact["most"])
    did = Scaling(
        fact["autoscaler"], fact["before"], max(scaling.highest(looks), fact["before"]), fact["most"], raw.proven_at,
        scaling.decided_at(looks, fault_at, fact["before"]), fact["ready_at"], within_at if enough else None, until_at,
        enough, at_top, why, load=scaling.load_words(told),
    )  # fmt: skip
    return _with_service(raw, did)


def _load(folder: Path) -> list[dict[str, Any]]:
    log = folder / scaling.LOAD_FILE
    return scaling.load_lines(log.read_bytes()) if log.exists() else []


def _with_service(raw: Raw, did: Scaling) -> Scaling:
    """With how clients fared from when the load bit until it was to end."""
    if raw.operations is None or did.above_at is None:
        return did
    had = recovering.service(recovering.part(raw.operations, did.above_at, healed_from(raw.record)))
    if had.success_ratio is None or had.p95_ms is None:
        return did
    objectives = raw.record.objectives
    kept = had.success_ratio >= objectives.success and had.p95_ms <= objectives.p95_s * 1000
    return replace(did, kept=kept, success=had.success_ratio, p95_ms=had.p95_ms)


def part(raw: Raw) -> evidence.Scaling | None:
    """The same as the evidence has it."""
    did, fault_at = found(raw), raw.record.fault_at
    if did is None or fault_at is None:
        return None

    def since(at: float | None) -> float | None:
        return None if at is None else max(0.0, at - fault_at)

    return evidence.Scaling(
        autoscaler=did.autoscaler,
        replicas_before=did.before,
        replicas_highest=did.highest,
        replicas_most=did.most,
        above_s=since(did.above_at),
        decided_s=since(did.decided_at),
        ready_s=since(did.ready_at),
        within_s=since(did.within_at),
        enough=did.enough,
        at_top=did.at_top,
        why=did.why,
        objectives_kept=did.kept,
        success_ratio=did.success,
        p95_ms=did.p95_ms,
        load=did.load,
        words=scaling.clause(did, fault_at),
    )
