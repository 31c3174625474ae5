"""What a verdict is made of, from the raw files."""

from __future__ import annotations

from ftchaos import audit, verdict
from ftchaos import promises as promising
from ftchaos import recovery as recovering
from ftchaos.conclusion import scaled
from ftchaos.conclusion.raw import Raw, backup_age_s, checks, data_loss_s, healed_from, watched_s, when_restored
from ftchaos.promises import Kept
from ftchaos.record import NOT_DONE

# The steps without which nobody knows whether what is there is whole, by what a run restores.
VERIFIED = {
    "data": {"verify_restored", "verify_replayed"},
    "configuration": {"cut_over", "verify_restored"},
    "nothing": {"compare"},
}


def facts(raw: Raw) -> verdict.Facts:
    record = raw.record
    restored_at = when_restored(raw)
    verified = VERIFIED[record.restores if raw.is_drill else "nothing"] <= record.facts.keys()
    kept = _kept(raw)
    classes = raw.audit.total if raw.audit else None
    ledger = record.keeps_ledger
    return verdict.Facts(
        objectives=record.objectives,
        injects_fault=record.injects_fault,
        keeps_ledger=ledger,
        restores=record.restores,
        accepts_backup_age=record.accepts_backup_age,
        heals_failed=_heals_failed(raw),
        refusals=(record.problem,) if record.refused else (),
        interruptions=(record.interrupted,) if record.interrupted else (),
        stopped=(record.stopped,) if record.stopped else (),
        unmet_before=tuple(record.unmet["before"]) if "before" in record.unmet else None,
        steps_failed=_steps_failed(raw),
        fault_proven=raw.proven_at is not None if record.fault_at is not None else None,
        audit_complete=_audited(raw) if ledger else verified,
        self_test_passed=None if raw.self_test is None else raw.self_test == "",
        recovery_time_s=None if restored_at is None or record.fault_at is None else restored_at - record.fault_at,
        watched_s=watched_s(raw),
        data_loss_s=data_loss_s(raw),
        backup_age_s=backup_age_s(raw),
        corrupt=classes.corrupt if classes else None,
        duplicate=classes.duplicate if classes else None,
        unexpected=classes.unexpected if classes else None,
        deviations=_deviations(raw),
        damage=_damage(raw) if verified else None,
        promises_broken=promising.broken(raw.promises, kept),
        promises_unknown=promising.unknown(raw.promises, kept),
    )


def _deviations(raw: Raw) -> tuple[str, ...] | None:
    """What was not as it should be after the fault, and what was not well again even after the heal."""
    if "after" not in raw.record.unmet:
        return None
    ill = [f"the {name} was still not well after the heal" for name in raw.fact("settle").get("missing", ())]
    return (*raw.record.unmet["after"], *ill)


def _kept(raw: Raw) -> Kept:
    """What was measured of the experiment's own promises."""
    lost = None if raw.audit is None else {kind: loss.classes.lost for kind, loss in raw.audit.stores.items()}
    fault_at = raw.record.fault_at or 0.0
    after = None if raw.operations is None else recovering.part(raw.operations, fault_at, healed_from(raw.record))
    return Kept(
        timelines=raw.timelines,
        lost=lost,
        success=None if after is None else recovering.service(after).success_ratio,
        jobs=raw.jobs,
        fault_at=fault_at,
        watched_s=watched_s(raw),
        hits=raw.record.hits,
        scaling=scaled.found(raw),
    )


def _audited(raw: Raw) -> bool:
    """Whether every write was looked for, and there was something to look for: each kind of writer had succeeded."""
    if raw.audit is None or raw.ledger is None or raw.record.fault_at is None:
        return False
    return bool(raw.ledger.writers) and not audit.untold(raw.ledger, raw.record.fault_at)


def _damage(raw: Raw) -> tuple[str, ...]:
    """What is wrong with the restored data itself, however little time it reaches back.

    A restore to a point in time keeps a whole beginning of history. So an acknowledged write that is lost although
    a write begun after its acknowledgement survives, or that was acknowledged only after the recovery, is no matter
    of the recovery point: something is broken. A failover is another matter: whoever is promoted goes on from where it
    was, so that the end of the former history may be missing in the middle.
    """
    broken = [f"{one.name}: {one.actual}" for one in checks(raw) if one.passed is False]
    drill = raw.is_drill and raw.lost_at is not None
    if drill and raw.audit is not None and raw.ledger is not None and raw.survivors is not None:
        assert raw.lost_at is not None
        holes = audit.holes(raw.ledger, raw.survivors, raw.audit, raw.lost_at)
        if holes:
            broken.append(f"{holes:,} of the lost writes are missing from the middle of what survived")
    return tuple(broken)


def _heals_failed(raw: Raw) -> tuple[str, ...] | None:
    """The heals that failed; None while a harm is neither healed nor known to resist."""
    failed = tuple(f"{one.why}: {one.error}" for one in raw.undo if one.error)
    return failed if failed or all(one.healed for one in raw.undo) else None


def _steps_failed(raw: Raw) -> tuple[str, ...]:
    """Every activity that failed or never ran, and whatever stopped the run; none of them may go unseen."""
    record = raw.record
    failed = [f"{step.name}: {step.error.splitlines()[0] if step.error else step.status}" for step in record.steps
              if step.status != "succeeded" and not step.error.startswith(NOT_DONE)]  # fmt: skip
    done = {step.name for step in record.steps}
    missing = [f"{name}: it never ran" for name in record.planned_steps if name not in done]
    problem = [record.problem] if record.problem and not record.refused else []
    unknown = [f"{one.name}: it could not be verified" for one in checks(raw) if one.passed is None]
    return (*problem, *failed, *missing, *unknown)
