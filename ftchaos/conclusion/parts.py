"""The other parts of the evidence, each from the raw files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ftchaos import audit, evidence
from ftchaos import witness as witnessing
from ftchaos.conclusion.raw import Raw, backup_age_s, checks, data_loss_s
from ftchaos.ledger import Ledger, Outcome
from ftchaos.record import Step

REPAIR = "ftchaos recover"


WAYS = {
    "mysql": "written directly",
    "mysql-inside": "written inside the isolated zone",
    "uploads": "uploaded over HTTP",
    "redis": "not waiting for a replica",
    "redis-wait": "waiting for a replica",
    "redis-inside": "written inside the isolated zone",
}


def data(raw: Raw) -> evidence.Data:
    found = evidence.Data(
        data_loss_s=data_loss_s(raw),
        backup_age_s=backup_age_s(raw),
        log_gap_s=raw.fact("replay").get("log_gap_s"),
        source=_source(raw),
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


def _source(raw: Raw) -> Literal["ledger", "heartbeat", "newest row", "backup age", "none"]:
    """Where the data loss comes from."""
    if not raw.record.keeps_ledger:
        told: Literal["heartbeat", "newest row", "none"] = raw.fact("verify_replayed").get("source", "none")
        return told
    by_age = raw.record.accepts_backup_age and raw.audit is not None and data_loss_s(raw) is None
    return "backup age" if by_age and backup_age_s(raw) is not None else "ledger"


def _stores(found: audit.Audit) -> dict[str, dict[str, float | None]]:
    """The classes and the data loss by store, and within a store by the way that the writes took."""
    stores: dict[str, list[audit.Loss]] = {"mysql": [], "redis": []}
    ways: dict[str, list[audit.Loss]] = {}
    for kind, loss in found.stores.items():
        store = "redis" if kind.startswith("redis") else "mysql"
        stores[store].append(loss)
        ways.setdefault(f"{store}, {WAYS.get(kind) or WAYS[kind[:-2]]}", []).append(loss)
    return {name: _together(losses) for name, losses in (*stores.items(), *sorted(ways.items()))}


def _together(losses: Sequence[audit.Loss]) -> dict[str, float | None]:
    """Several losses as one; nothing where nobody wrote."""
    if not losses:
        return {}
    known = [loss.data_loss_s for loss in losses if loss.data_loss_s is not None]
    worst = max(known) if len(known) == len(losses) else None
    return {**sum((loss.classes for loss in losses), audit.Classes()).as_dict(), "data_loss_s": worst}


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


def steps(raw: Raw) -> list[evidence.Step]:
    record = raw.record
    done = {step.name for step in record.steps if step.part == "method"}
    missing = [evidence.Step(name=name, status="not run") for name in record.planned_steps if name not in done]
    return [*(_step(raw, step) for step in record.steps), *missing]


_STATUS: dict[str, Literal["succeeded", "failed", "aborted"]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "running": "aborted",
}


def _step(raw: Raw, step: Step) -> evidence.Step:
    return evidence.Step(
        name=step.name,
        part=step.part,
        status=_STATUS[step.status],
        began_at=raw.iso(step.began_at),
        duration_s=step.duration_s,
        output="" if step.output is None else str(step.output),
        error=step.error,
    )


def backup(raw: Raw) -> evidence.Backup | None:
    decided = raw.fact("restore").get("backup", raw.fact("decide").get("backup"))
    return None if decided is None else evidence.Backup(**decided)


def replay(raw: Raw) -> evidence.Replay | None:
    done = raw.fact("replay").get("replay")
    return None if done is None else evidence.Replay(**done)


def verification(raw: Raw) -> evidence.Verification:
    found = raw.fact("verify_restored")
    durations = [
        phase.ended_at - phase.began_at for phase in raw.record.phases if phase.name == "verify" and phase.ended_at
    ]
    return evidence.Verification(
        tables=found.get("tables"),
        rows=found.get("rows"),
        bytes=found.get("bytes"),
        duration_s=sum(durations) if durations else None,
        checks=checks(raw),
    )


def witness(raw: Raw) -> evidence.Witness:
    seen = witnessing.changes(raw.observations)
    return evidence.Witness(
        proven=raw.proven_at is not None if raw.record.injects_fault else None,
        observations=[
            evidence.Observation(at=raw.record.clock.iso(one.at), target=one.target, saw=one.saw) for one in seen
        ],
    )


def undo(raw: Raw) -> evidence.Undo:
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
                repair=(one.repair or REPAIR) if one.error else "",
            )
            for one in raw.undo
        ],
        # Without a state after, the run did not get that far.
        differences=differences(raw.record.state_before, raw.record.state_after) if raw.record.state_after else [],
    )


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is not as it was before, one clause each."""
    return [
        f"{name}: {before.get(name, 'not there')} before, {after.get(name, 'not there')} after"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def system(raw: Raw) -> evidence.System:
    record = raw.record
    image = record.arguments.get("image")
    return evidence.System(
        definition_sha256=record.definition["sha256"],
        commit=str(record.arguments.get("commit") or ""),
        settings={**record.system.get("settings", {}), **({"image": str(image)} if image else {})},
        **record.machine,
        **{name: value for name, value in record.system.items() if name != "settings"},
    )
