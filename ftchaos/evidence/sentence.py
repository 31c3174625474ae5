"""The one sentence that a person remembers of a run, made from its evidence and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from ftchaos.evidence.record import Evidence
from ftchaos.units import human_duration


def sentence(evidence: Evidence) -> str:
    """What happened, how long it took and what was lost, each beside its objective.

    For example: *The MySQL primary was destroyed at 06:15:02Z, the service met its SLO again 14.2 s
    later (RTO 4 h), 0 of 61,204 acknowledged writes were lost (RPO 15 min).*
    """
    if evidence.recovery.fault_at is None and evidence.recovery.recovery_time_s is None:
        return _nothing_measured(evidence)
    whole = ", ".join(part for part in (_fault(evidence), _recovery(evidence), _loss(evidence)) if part)
    return whole[:1].upper() + whole[1:] + "."


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


def _fault(evidence: Evidence) -> str:
    at = evidence.recovery.fault_at
    if not evidence.injects_fault or at is None:
        return ""
    return f"{evidence.recovery.fault.rstrip('.') or 'the fault was injected'} at {clock_time(at)}"


def _recovery(evidence: Evidence) -> str:
    recovery, rto = evidence.recovery, human_duration(evidence.objectives.rto_s)
    if recovery.recovery_time_s is not None:
        took = human_duration(recovery.recovery_time_s)
        if not evidence.injects_fault:
            return f"the backup was restored and verified in {took} (RTO {rto})"
        return f"the service met its SLO again {took} later (RTO {rto})"
    if not evidence.injects_fault:
        return f"the backup was not seen restored and verified (RTO {rto})"
    if recovery.watched_s is not None:
        return f"the service did not meet its SLO again within {human_duration(recovery.watched_s)} (RTO {rto})"
    return f"the service was not seen to meet its SLO again (RTO {rto})"


def _loss(evidence: Evidence) -> str:
    data, rpo = evidence.data, human_duration(evidence.objectives.rpo_s)
    if data.lost is not None and data.acknowledged is not None:
        reach = f", the oldest {human_duration(data.data_loss_s)} before the fault" if data.data_loss_s else ""
        were = "was" if data.lost == 1 else "were"
        return f"{data.lost:,} of {data.acknowledged:,} acknowledged writes {were} lost{reach} (RPO {rpo})"
    if data.data_loss_s is not None:
        measured = f" by the {data.source}" if data.source in ("heartbeat", "newest row") else ""
        return f"the data loss{measured} was {human_duration(data.data_loss_s)} (RPO {rpo})"
    if data.backup_age_s is not None:
        return f"the data loss is unknown, the backup was {human_duration(data.backup_age_s)} old (RPO {rpo})"
    return f"the data loss is unknown (RPO {rpo})"
