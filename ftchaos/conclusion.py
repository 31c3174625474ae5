"""From the raw files of a run to its evidence: the same at the end of the run and a year later.

It reads ``run.json``, the ledger, the observations, the survivors and the undo log, and asks the pure modules what
they mean. No measured value of the evidence comes from anywhere else.
"""

from __future__ import annotations

import itertools
import os
import platform as machine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftchaos import __version__, audit, evidence, manifest, report, undo, verdict
from ftchaos import recovery as recovering
from ftchaos import witness as witnessing
from ftchaos.ledger import Ledger, Outcome
from ftchaos.record import RunRecord, Step
from ftchaos.traffic import LEDGER, PUBLIC, SURVIVORS_FILE, WITNESS_FILE, read_survivors
from ftchaos.workload import book

EDGE_S = 5.0
REPAIR = "ftchaos recover"
WAYS = {"mysql": "written directly", "uploads": "uploaded over HTTP"}


@dataclass(frozen=True)
class _Raw:
    """All that a run left, and what the pure modules make of it."""

    folder: Path
    record: RunRecord
    undo: list[undo.Record]
    ledger: Ledger | None
    survivors: list[audit.Survivors] | None
    audit: audit.Audit | None
    self_test: str | None
    observations: list[witnessing.Observation]
    proven_at: float | None
    operations: recovering.Operations | None
    restored: recovering.Restored | None

    def iso(self, at: float | None) -> str | None:
        return None if at is None else self.record.clock.iso(at)

    def fact(self, step: str) -> dict[str, Any]:
        return self.record.facts.get(step, {})


def conclude(folder: Path) -> evidence.Evidence:
    """The evidence that a run's raw files amount to.

    Raises:
        Invalid: the files are no run's, or broken.
        Inconclusive: the ledger is damaged.
    """
    raw = _read(folder)
    record = raw.record
    decided = verdict.decide(_facts(raw))
    return evidence.Evidence(
        run_id=record.id,
        kind=record.kind,
        name=record.name,
        title=record.definition["title"],
        environment=record.environment,
        platform=record.platform,
        injects_fault=record.injects_fault,
        began_at=record.clock.iso(record.began_at),
        ended_at=record.clock.iso(record.ended_at or record.began_at),
        verdict=decided.verdict,
        exit_code=decided.exit_code,
        reasons=list(decided.reasons),
        objectives=evidence.Objectives(**vars(record.objectives)),
        definition=evidence.Definition(**record.definition),
        arguments=record.arguments,
        plan=evidence.Plan(**record.plan),
        recovery=_recovery(raw),
        data=_data(raw),
        service=_service(raw),
        series=_series(raw),
        steps=_steps(raw),
        backup=_backup(raw),
        replay=_replay(raw),
        verification=_verification(raw),
        witness=_witness(raw),
        undo=_undo(raw),
        system=_system(raw),
    )


def write(found: evidence.Evidence, folder: Path) -> evidence.Evidence:
    """Put the evidence, its reports and last the manifest into the run's folder."""
    whole = evidence.write(found, folder)
    report.write(whole, folder)
    manifest.write(folder)
    return whole


def interrupted(folder: Path, by: str) -> None:
    """Complete the evidence of a run that died, unless it was complete already."""
    if (folder / manifest.FILE).exists():
        return
    record = RunRecord.read(folder)
    record.interrupted = record.interrupted or by
    record.ended_at = record.ended_at or max([record.began_at, *(step.began_at for step in record.steps)])
    record.save(folder)
    write(conclude(folder), folder)


def _read(folder: Path) -> _Raw:
    record = RunRecord.read(folder)
    ledger = book.read(folder / LEDGER) if (folder / LEDGER / book.FILE).exists() else None
    survivors = read_survivors(folder / SURVIVORS_FILE)
    audited = flaw = None
    if ledger is not None and survivors is not None:
        audited = audit.classify(ledger, survivors, record.fault_at)
        flaw = audit.self_test(ledger, survivors)
    observations = witnessing.read(folder / WITNESS_FILE)
    operations = recovering.operations(ledger.of(PUBLIC)) if ledger is not None else None
    proven_at = restored = None
    if record.fault_at is not None:
        if record.fault_targets:
            proven_at = witnessing.proven_at(observations, record.fault_targets, record.fault_at)
        if operations is not None:
            # What is still healthy before the damage shows is no recovery; the time counts from the fault all the same.
            restored = recovering.restored(operations, record.objectives, proven_at or record.fault_at)
    return _Raw(
        folder,
        record,
        undo.UndoLog(folder / undo.FILE).records(),
        ledger,
        survivors,
        audited,
        flaw,
        observations,
        proven_at,
        operations,
        restored,
    )


def _restored_at(raw: _Raw) -> float | None:
    """When the recovery ended: the service met its objectives again, or in a rehearsal the server answered."""
    if not raw.record.keeps_ledger:
        return raw.record.answered_at
    return raw.restored.at if raw.restored else None


def _facts(raw: _Raw) -> verdict.Facts:
    record = raw.record
    restored_at = _restored_at(raw)
    verified = {"verify_restored", "verify_replayed"} <= record.facts.keys()
    classes = raw.audit.total if raw.audit else None
    ledger = record.keeps_ledger
    return verdict.Facts(
        objectives=record.objectives,
        injects_fault=record.injects_fault,
        keeps_ledger=ledger,
        accepts_backup_age=record.accepts_backup_age,
        heals_failed=_heals_failed(raw),
        refusals=(record.problem,) if record.refused else (),
        interruptions=(record.interrupted,) if record.interrupted else (),
        unmet_before=tuple(record.unmet["before"]) if "before" in record.unmet else None,
        steps_failed=_steps_failed(raw),
        fault_proven=raw.proven_at is not None if record.fault_at is not None else None,
        audit_complete=_audited(raw) if ledger else verified,
        self_test_passed=None if raw.self_test is None else raw.self_test == "",
        recovery_time_s=None if restored_at is None or record.fault_at is None else restored_at - record.fault_at,
        watched_s=_watched_s(raw),
        data_loss_s=_data_loss_s(raw),
        backup_age_s=_backup_age_s(raw),
        corrupt=classes.corrupt if classes else None,
        duplicate=classes.duplicate if classes else None,
        unexpected=classes.unexpected if classes else None,
        deviations=tuple(record.unmet["after"]) if "after" in record.unmet else None,
        damage=_damage(raw) if verified else None,
    )


def _audited(raw: _Raw) -> bool:
    """Whether every write was looked for, and there was something to look for: each kind of writer had succeeded."""
    if raw.audit is None or raw.ledger is None or raw.record.fault_at is None:
        return False
    fault_at = raw.record.fault_at
    return all(
        any(
            writer.known_at(first) < fault_at
            for writer in raw.ledger.of(kind)
            for first, _ in itertools.islice(writer.acknowledged(), 1)
        )
        for kind in raw.ledger.kinds()
    )


def _damage(raw: _Raw) -> tuple[str, ...]:
    """What is wrong with the restored data itself, however little time it reaches back.

    A restore to a point in time keeps a whole beginning of history. So an acknowledged write that is lost although
    a write begun after its acknowledgement survives, or that was acknowledged only after the recovery, is no matter
    of the recovery point: something is broken.
    """
    broken = [f"{one.name}: {one.actual}" for one in _checks(raw) if one.passed is False]
    if raw.audit is not None and raw.ledger is not None and raw.survivors is not None and raw.proven_at is not None:
        holes = audit.holes(raw.ledger, raw.survivors, raw.audit, raw.proven_at)
        if holes:
            broken.append(f"{holes:,} of the lost writes are missing from the middle of what survived")
    return tuple(broken)


def _heals_failed(raw: _Raw) -> tuple[str, ...] | None:
    """The heals that failed; None while a harm is neither healed nor known to resist."""
    failed = tuple(f"{one.why}: {one.error}" for one in raw.undo if one.error)
    return failed if failed or all(one.healed for one in raw.undo) else None


def _steps_failed(raw: _Raw) -> tuple[str, ...]:
    """Every activity that failed or never ran, and whatever stopped the run; none of them may go unseen."""
    record = raw.record
    failed = [f"{step.name}: {step.error.splitlines()[0] if step.error else step.status}" for step in record.steps
              if step.status != "succeeded" and step.part != "rollback"]  # fmt: skip
    done = {step.name for step in record.steps if step.part == "method"}
    missing = [f"{name}: it never ran" for name in record.planned_steps if name not in done]
    problem = [record.problem] if record.problem and not record.refused else []
    unknown = [f"{one.name}: it could not be verified" for one in _checks(raw) if one.passed is None]
    return (*problem, *failed, *missing, *unknown)


def _watched_s(raw: _Raw) -> float | None:
    until, fault_at = raw.record.watched_until, raw.record.fault_at
    return None if until is None or fault_at is None else until - fault_at


def _data_loss_s(raw: _Raw) -> float | None:
    if raw.audit is not None:
        return raw.audit.data_loss_s
    return raw.fact("verify_replayed").get("data_loss_s")


def _backup_age_s(raw: _Raw) -> float | None:
    known = [raw.fact(step).get("backup_age_s") for step in ("restore", "verify_replayed", "decide")]
    return next((age_s for age_s in known if age_s is not None), None)


def _recovery(raw: _Raw) -> evidence.Recovery:
    record = raw.record
    restored_at = _restored_at(raw)
    return evidence.Recovery(
        fault=record.fault,
        fault_at=raw.iso(record.fault_at),
        proven_at=raw.iso(raw.proven_at),
        detected_at=raw.iso(raw.fact("detect").get("detected_at")),
        restored_at=raw.iso(restored_at),
        recovery_time_s=None if restored_at is None or record.fault_at is None else restored_at - record.fault_at,
        resolution_s=raw.restored.resolution_s if raw.restored else None,
        watched_s=_watched_s(raw),
        phases=_phases(raw, restored_at),
    )


def _phases(raw: _Raw, restored_at: float | None) -> list[evidence.Phase]:
    """The recovery time cut into its phases, without gaps; unrestored, up to the end of the last."""
    record = raw.record
    if record.fault_at is None or not record.phases:
        return []
    last = record.phases[-1]
    ended_at = restored_at if restored_at is not None else last.ended_at or last.began_at
    spans = recovering.partition(record.fault_at, ended_at, [(one.name, one.began_at) for one in record.phases])
    return [
        evidence.Phase(
            name=phase.name,
            began_at=record.clock.iso(span.began_at),
            duration_s=span.duration_s,
            bytes=phase.size_bytes,
            detail=phase.summary,
        )
        for phase, span in zip(record.phases, spans, strict=True)
    ]


def _data(raw: _Raw) -> evidence.Data:
    found = evidence.Data(
        data_loss_s=_data_loss_s(raw),
        backup_age_s=_backup_age_s(raw),
        log_gap_s=raw.fact("replay").get("log_gap_s"),
        source="ledger" if raw.record.keeps_ledger else raw.fact("verify_replayed").get("source", "none"),
    )
    if raw.audit is None:
        return found if raw.ledger is None else found.model_copy(update=_outcomes(raw.ledger))
    lost = raw.audit.lost_intervals
    return found.model_copy(
        update={
            **raw.audit.total.as_dict(),
            "recovery_point_at": raw.iso(raw.audit.recovery_point_at),
            "stores": _stores(raw.audit),
            "self_test": "passed" if raw.self_test == "" else "failed",
            "lost_intervals": [
                evidence.LostInterval(
                    writer=f"{one.kind}-{one.writer}",
                    first=one.first,
                    last=one.last,
                    count=one.count,
                    began_at=raw.iso(one.began_at),
                    ended_at=raw.iso(one.ended_at),
                )
                for one in lost[:100]
            ],
            "lost_intervals_total": len(lost),
        }
    )


def _stores(found: audit.Audit) -> dict[str, dict[str, int]]:
    """The classes by store, and within MySQL by the way that the writes took; no run of this kind writes to Redis."""
    ways = {f"mysql, {WAYS[kind]}": loss.classes.as_dict() for kind, loss in found.stores.items()}
    return {"mysql": found.total.as_dict(), **ways, "redis": {}}


def _outcomes(ledger: Ledger) -> dict[str, int]:
    """What the clients know, where no survivors were read."""
    writers = ledger.writers
    unknown = (Outcome.ATTEMPTED, Outcome.INDETERMINATE)
    return {
        "attempted": sum(writer.attempted for writer in writers),
        "acknowledged": sum(writer.count(Outcome.ACKNOWLEDGED) for writer in writers),
        "failed": sum(writer.count(Outcome.FAILED) for writer in writers),
        "indeterminate": sum(writer.count(outcome) for writer in writers for outcome in unknown),
    }


def _service(raw: _Raw) -> evidence.Service:
    if raw.operations is None:
        return evidence.Service()
    return evidence.Service(**recovering.service(raw.operations).as_dict())


def _series(raw: _Raw) -> list[evidence.Series]:
    record = raw.record
    if raw.operations is None or record.fault_at is None or not len(raw.operations):
        return []
    end = (_restored_at(raw) or record.watched_until or record.fault_at) + EDGE_S
    return [
        evidence.buckets(
            "uploads through the public address",
            raw.operations,
            origin_at=record.fault_at,
            from_at=max(record.began_at, record.fault_at - EDGE_S),
            to_at=min(end, record.ended_at or end),
        )
    ]


def _steps(raw: _Raw) -> list[evidence.Step]:
    record = raw.record
    done = {step.name for step in record.steps if step.part == "method"}
    missing = [evidence.Step(name=name, status="not run") for name in record.planned_steps if name not in done]
    return [*(_step(raw, step) for step in record.steps), *missing]


_STATUS: dict[str, Literal["succeeded", "failed", "aborted"]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "running": "aborted",
}


def _step(raw: _Raw, step: Step) -> evidence.Step:
    return evidence.Step(
        name=step.name,
        part=step.part,
        status=_STATUS[step.status],
        began_at=raw.iso(step.began_at),
        duration_s=step.duration_s,
        output="" if step.output is None else str(step.output),
        error=step.error,
    )


def _backup(raw: _Raw) -> evidence.Backup | None:
    decided = raw.fact("restore").get("backup", raw.fact("decide").get("backup"))
    return None if decided is None else evidence.Backup(**decided)


def _replay(raw: _Raw) -> evidence.Replay | None:
    done = raw.fact("replay").get("replay")
    return None if done is None else evidence.Replay(**done)


def _checks(raw: _Raw) -> list[evidence.Check]:
    return [
        *(
            evidence.Check(stage="before the replay", **check)
            for check in raw.fact("verify_restored").get("checks", ())
        ),
        *(evidence.Check(stage="after the replay", **check) for check in raw.fact("verify_replayed").get("checks", ())),
    ]


def _verification(raw: _Raw) -> evidence.Verification:
    found = raw.fact("verify_restored")
    durations = [
        phase.ended_at - phase.began_at for phase in raw.record.phases if phase.name == "verify" and phase.ended_at
    ]
    return evidence.Verification(
        tables=found.get("tables"),
        rows=found.get("rows"),
        bytes=found.get("bytes"),
        duration_s=sum(durations) if durations else None,
        checks=_checks(raw),
    )


def _witness(raw: _Raw) -> evidence.Witness:
    if not raw.record.injects_fault:
        return evidence.Witness()
    seen = witnessing.changes(raw.observations)
    return evidence.Witness(
        proven=raw.proven_at is not None,
        observations=[
            evidence.Observation(at=raw.record.clock.iso(one.at), target=one.target, saw=one.saw) for one in seen
        ],
    )


def _undo(raw: _Raw) -> evidence.Undo:
    return evidence.Undo(
        recorded=len(raw.undo),
        healed=sum(one.healed for one in raw.undo),
        failed=sum(bool(one.error) for one in raw.undo),
        harms=[
            evidence.Harm(
                why=one.why,
                healed=one.healed,
                detail=one.error or one.detail,
                recorded_at=one.recorded_at,
                healed_at=one.healed_at,
                repair=REPAIR if one.error else "",
            )
            for one in raw.undo
        ],
    )


def _system(raw: _Raw) -> evidence.System:
    record = raw.record
    return evidence.System(
        definition_sha256=record.definition["sha256"],
        **record.machine,
        **record.system,
    )


def this_machine() -> dict[str, Any]:
    """What of this machine the evidence names."""
    return {
        "ftchaos": __version__,
        "python": machine.python_version(),
        "os": f"{machine.system()} {machine.release()}",
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
