"""The one sentence that a person remembers of a run, made from its evidence and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ftchaos.evidence.record import Component, Evidence
from ftchaos.units import human_duration

NOTICED_S = 0.25
PUBLIC = ("api", "database")
"""The components that may stand for the service: the first that there is."""


def sentence(evidence: Evidence) -> str:
    """What happened, how long it took and what was lost, each beside its objective.

    For example: *The MySQL primary was destroyed at 06:15:02Z, the service met its SLO again 14.2 s
    later (RTO 4 h), 0 of 61,204 acknowledged writes were lost (RPO 15 min).* An experiment is held against
    what it promises itself: *Zone-a lost its power at 06:15:02Z, the service met its SLO again 3.2 s later
    (promised 60 s), 0 of 12,345 acknowledged writes were lost.*
    """
    if evidence.recovery.fault_at is None and evidence.recovery.recovery_time_s is None:
        return _nothing_measured(evidence)
    recovery = _recovery(evidence) if evidence.kind == "drill" else _comeback(evidence)
    if evidence.scaling is not None:
        recovery = evidence.scaling.words
    whole = ", ".join(part for part in (_fault(evidence), recovery, _loss(evidence)) if part)
    return whole[:1].upper() + whole[1:] + "."


def unwell_s(component: Component, evidence: Evidence) -> float | None:
    """How long a component that failed no operation missed its objectives all the same; None where it did not.

    It was too slow, or had nothing to do as what feeds it was down. Health counts from when the damage was proven, or
    all the while it was done bit by bit, and the first operation after that comes a moment later.
    """
    recovery = evidence.recovery
    if component.failed_at is not None or component.success_ratio is None:
        return None
    if component.recovery_time_s is None:
        return recovery.watched_s if component.restored_at is None else None
    proven_s = 0.0
    if recovery.fault_at is not None and recovery.proven_at is not None and not recovery.gradual:
        proven_s = (moment(recovery.proven_at) - moment(recovery.fault_at)).total_seconds()
    return component.recovery_time_s if component.recovery_time_s - proven_s > NOTICED_S else None


def calm(component: Component, evidence: Evidence) -> bool:
    """Whether a component is known to have failed nothing and to have been well from the fault on."""
    sampled = component.success_ratio is not None and component.restored_at is not None
    return sampled and component.failed_at is None and unwell_s(component, evidence) is None


def kept(component: Component, evidence: Evidence) -> bool:
    """Whether a component met its objectives all the while that harm was done bit by bit, whatever of it failed."""
    took_s = component.recovery_time_s
    return evidence.recovery.gradual and took_s is not None and took_s <= NOTICED_S


def unnoticed(evidence: Evidence) -> bool:
    """Whether every component's sampler saw nothing of the fault."""
    return bool(evidence.components) and all(calm(one, evidence) for one in evidence.components)


def lost_by_way(evidence: Evidence) -> dict[str, int]:
    """Lost acknowledged writes by store, and where it is known by the way that they took; only where some are."""
    lost = {name: found.get("lost") for name, found in evidence.data.stores.items()}
    ways = {name.partition(", ")[0] for name in lost if ", " in name}
    return {name: count for name, count in lost.items() if isinstance(count, int) and count and name not in ways}


def promised_recovery(evidence: Evidence) -> str:
    """How soon an experiment promises that whatever is hit recovers, in words; empty without such a promise."""
    found = (re.search(r" again within (.+?)\.?$", promise) for promise in evidence.plan.promises)
    return next((match[1] for match in found if match), "")


def clock_time(instant: str) -> str:
    """The time of day of an instant: ``06:15:02Z``."""
    return f"{moment(instant):%H:%M:%S}Z"


def moment(instant: str) -> datetime:
    """An instant of the evidence as a UTC time."""
    return datetime.fromisoformat(instant).astimezone(UTC)


def _nothing_measured(evidence: Evidence) -> str:
    if evidence.exit_code == 5:
        return "The run was refused before anything was touched."
    if evidence.recovery.fault:
        return f"The run ended before this was done: {evidence.recovery.fault}."
    return "The run ended before a fault was injected and nothing was measured."


def assumed(evidence: Evidence) -> bool:
    """Whether the disaster of a drill was assumed: clients of ours wrote until then, and nothing was destroyed."""
    return evidence.kind == "drill" and not evidence.injects_fault and evidence.data.attempted is not None


def _fault(evidence: Evidence) -> str:
    at = evidence.recovery.fault_at
    if at is not None and assumed(evidence):
        return f"a disaster was assumed at {clock_time(at)}"
    if not evidence.injects_fault or at is None:
        return ""
    return f"{evidence.recovery.fault.rstrip('.') or 'the fault was injected'} at {clock_time(at)}"


def _recovery(evidence: Evidence) -> str:
    recovery, rto = evidence.recovery, human_duration(evidence.objectives.rto_s)
    if evidence.restores == "configuration":
        if recovery.recovery_time_s is None:
            return f"the workloads were not seen as ready as before (RTO {rto})"
        return f"all workloads were as ready as before {human_duration(recovery.recovery_time_s)} later (RTO {rto})"
    if recovery.recovery_time_s is not None:
        took = human_duration(recovery.recovery_time_s)
        if assumed(evidence):
            return f"the restored copy met the SLO {took} later (RTO {rto})"
        if not evidence.injects_fault:
            return f"the backup was restored and verified in {took} (RTO {rto})"
        return f"the service met its SLO again {took} later (RTO {rto})"
    if assumed(evidence):
        within = f" within {human_duration(recovery.watched_s)}" if recovery.watched_s is not None else ""
        return f"no restored copy was seen to meet the SLO{within} (RTO {rto})"
    if not evidence.injects_fault:
        return f"the backup was not seen restored and verified (RTO {rto})"
    if recovery.watched_s is not None:
        return f"the service did not meet its SLO again within {human_duration(recovery.watched_s)} (RTO {rto})"
    return f"the service was not seen to meet its SLO again (RTO {rto})"


def _comeback(evidence: Evidence) -> str:
    """How the service and what was hit came back, against what the experiment promises."""
    if unnoticed(evidence):
        return "no request failed"
    recovery, within = evidence.recovery, promised_recovery(evidence)
    promised = f"(promised {within})" if within else f"(RTO {human_duration(evidence.objectives.rto_s)})"
    missing = [f"the {one.name}" for one in evidence.components if one.hit and one.restored_at is None]
    watched = f" within {human_duration(recovery.watched_s)}" if recovery.watched_s is not None else ""
    if recovery.recovery_time_s is None:
        return f"the service did not meet its SLO again{watched} {promised}"
    by_name = {one.name: one for one in evidence.components}
    public = next((by_name[name] for name in PUBLIC if name in by_name), None)
    steady = public is not None and (calm(public, evidence) or kept(public, evidence))
    again = f"the service met its SLO again {human_duration(recovery.recovery_time_s)} later"
    again = "the service kept its SLO" if steady else again
    if missing:
        return f"{again}, but {' and '.join(missing)} did not{' come back' if steady else ''}{watched} {promised}"
    last = _last(evidence)
    if last is not None and last.recovery_time_s is not None:
        took = human_duration(last.recovery_time_s)
        again += f", the {last.name} was well again after {took}" if steady else f" and the {last.name} after {took}"
    return f"{again} {promised}"


def _last(evidence: Evidence) -> Component | None:
    """The component that was hit and came back last, where that is later than the service itself."""
    service_s = evidence.recovery.recovery_time_s or 0.0
    hit = [one for one in evidence.components if one.hit and not calm(one, evidence)]
    last = max(hit, key=lambda one: one.recovery_time_s or 0.0, default=None)
    return last if last is not None and (last.recovery_time_s or 0.0) > service_s + NOTICED_S else None


def _loss(evidence: Evidence) -> str:
    if evidence.restores == "configuration":
        differing = sum(one.passed is False for one in evidence.verification.checks)
        if not evidence.verification.checks:
            return "and what came back was not compared"
        return f"{differing or 'no'} object{'' if differing == 1 else 's'} differed from before"
    data, rpo = evidence.data, human_duration(evidence.objectives.rpo_s)
    if evidence.kind != "drill" and data.lost is not None and data.acknowledged is not None:
        return _lost(evidence, data.lost, data.acknowledged)
    if data.lost is not None and data.acknowledged is not None:
        then = "that" if assumed(evidence) else "the fault"
        reach = f", the oldest {human_duration(data.data_loss_s)} before {then}" if data.data_loss_s else ""
        if data.data_loss_s is None:
            reach = ", and how far that reaches back is unknown"
            if data.backup_age_s is not None:
                reach = f", and all since the backup, which was {human_duration(data.backup_age_s)} old"
        were = "was" if data.lost == 1 else "were"
        return f"{data.lost:,} of {data.acknowledged:,} acknowledged writes {were} lost{reach} (RPO {rpo})"
    if data.data_loss_s is not None:
        measured = f" by the {data.source}" if data.source in ("heartbeat", "newest row") else ""
        return f"the data loss{measured} was {human_duration(data.data_loss_s)} (RPO {rpo})"
    if data.backup_age_s is not None:
        return f"the data loss is unknown, the backup was {human_duration(data.backup_age_s)} old (RPO {rpo})"
    return f"the data loss is unknown (RPO {rpo})"


def _lost(evidence: Evidence, lost: int, acknowledged: int) -> str:
    """What was lost, and in which store the most of it."""
    whole = f"{lost:,} of {acknowledged:,} acknowledged writes {'was' if lost == 1 else 'were'} lost"
    if not lost:
        return whole
    ways = lost_by_way(evidence)
    worst = max(ways, key=lambda way: ways[way], default="")
    most = "all" if worst and ways[worst] == lost else f"{ways.get(worst, 0):,}"
    where = [f"{most} of them in {worst}"] if worst else []
    reach_s = evidence.data.data_loss_s
    reach = [f"the oldest {human_duration(reach_s)} before the fault"] if reach_s else []
    return "; ".join([whole, *where, *reach])
