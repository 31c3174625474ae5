"""The raw files of a run, read, and what the pure modules make of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftchaos import audit, components, evidence, survivors, undo
from ftchaos import recovery as recovering
from ftchaos import witness as witnessing
from ftchaos.ledger import Ledger
from ftchaos.promises import Promises
from ftchaos.record import RunRecord
from ftchaos.traffic import LEDGER, PUBLIC, SURVIVORS_FILE, WITNESS_FILE, read_ledger, read_public, read_seen
from ftchaos.workload import book


@dataclass(frozen=True)
class Raw:
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
    timelines: list[components.Timeline]
    jobs: components.Jobs | None

    @property
    def is_drill(self) -> bool:
        return self.record.kind == "drill"

    @property
    def assumes_disaster(self) -> bool:
        """Whether a drill destroyed nothing: its writers ended, and the time counts from there."""
        return self.is_drill and self.record.keeps_ledger and not self.record.injects_fault

    @property
    def lost_at(self) -> float | None:
        """From when on nothing can have been acknowledged by what was lost."""
        return self.record.fault_at if self.assumes_disaster else self.proven_at

    @property
    def public(self) -> str:
        """The component whose sampler stands for the service: the API, or where nobody uploads, the database."""
        return "database" if self.ledger is not None and not self.ledger.of(PUBLIC) else "api"

    @property
    def promises(self) -> Promises:
        return Promises(**self.record.promises)

    def iso(self, at: float | None) -> str | None:
        return None if at is None else self.record.clock.iso(at)

    def fact(self, step: str) -> dict[str, Any]:
        return self.record.facts.get(step, {})


def read(folder: Path) -> Raw:
    record = RunRecord.read(folder)
    ledger = read_ledger(folder) if (folder / LEDGER / book.FILE).exists() else None
    survived = survivors.kept(folder / SURVIVORS_FILE)
    audited = flaw = None
    if ledger is not None and survived is not None:
        audited = audit.classify(ledger, survived, record.fault_at)
        flaw = audit.self_test(ledger, survived)
    observations = witnessing.read(folder / WITNESS_FILE)
    operations = read_public(folder, ledger) if ledger is not None else None
    proven_at = restored = jobs = None
    timelines: list[components.Timeline] = []
    if record.fault_at is not None:
        if record.fault_targets:
            proven_at = witnessing.proven_at(observations, record.fault_targets, record.fault_at)
        if operations is not None:
            # What is still healthy before the damage shows is no recovery; the time counts from the fault all the same.
            seen_to_work = recovering.part(operations, 0.0, healed_from(record))
            after_at = proven_at or record.fault_at
            restored = recovering.restored(seen_to_work, record.objectives, after_at, record.harmed_since)
        if ledger is not None and record.kind != "drill":
            seen = read_seen(folder, ledger, record.clock)
            way = components.Way(
                record.objectives, record.hits, record.fault_at, proven_at or record.fault_at, healed_from(record),
                record.harmed_since,
            )  # fmt: skip
            timelines = components.timelines(seen, way)
            jobs = components.jobs(seen, record.fault_at)
    return Raw(
        folder,
        record,
        undo.UndoLog(folder / undo.FILE).records(),
        ledger,
        survived,
        audited,
        flaw,
        observations,
        proven_at,
        operations,
        restored,
        timelines,
        jobs,
    )


def when_restored(raw: Raw) -> float | None:
    """When the recovery ended: the service met its objectives again, or in a rehearsal the server answered."""
    if not raw.record.keeps_ledger:
        return raw.record.answered_at
    return raw.restored.at if raw.restored else None


def watched_s(raw: Raw) -> float | None:
    until, fault_at = raw.record.watched_until, raw.record.fault_at
    return None if until is None or fault_at is None else until - fault_at


def data_loss_s(raw: Raw) -> float | None:
    """How far back the loss reaches; None where nobody knows.

    Where nothing at all survived, it reaches back to before the first write, so that the ledger tells but the least
    that it can be: enough to miss an objective, never to meet one.
    """
    if raw.audit is not None:
        loss_s, total = raw.audit.data_loss_s, raw.audit.total
        beyond = raw.is_drill and total.lost > 0 and not total.ok
        return None if beyond and raw.record.objectives.rpo_met(loss_s) else loss_s
    return raw.fact("verify_replayed").get("data_loss_s")


def backup_age_s(raw: Raw) -> float | None:
    known = [raw.fact(step).get("backup_age_s") for step in ("restore", "verify_replayed", "decide")]
    return next((age_s for age_s in known if age_s is not None), None)


def checks(raw: Raw) -> list[evidence.Check]:
    restored: Literal["before the replay", "after the restore"]
    restored = "before the replay" if raw.record.restores == "data" else "after the restore"
    return [
        *(evidence.Check(stage=restored, **check) for check in raw.fact("verify_restored").get("checks", ())),
        *(evidence.Check(stage="after the replay", **check) for check in raw.fact("verify_replayed").get("checks", ())),
        *(evidence.Check(stage="after the heal", **check) for check in raw.fact("compare").get("checks", ())),
    ]


def healed_from(record: RunRecord) -> float:
    """When the heal of an experiment began: what comes back only then is no recovery of the system."""
    if record.kind == "drill":
        return math.inf
    return min((step.began_at for step in record.steps if step.part == "rollback"), default=math.inf)
