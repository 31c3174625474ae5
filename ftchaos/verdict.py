"""The verdict of a run from its facts, in the order of the design. Pure: no clock, no files.

The order, where the first that holds decides:

 1. a heal failed: failed, exit 4, for the system is left harmed
 2. refused by the guard: inconclusive, exit 5
 3. interrupted: inconclusive, exit 130; stopped by a stop condition: inconclusive, exit 3
 4. the steady state was not met before: inconclusive, exit 3
 5. a step failed, or the fault was not proven: inconclusive, exit 3
 6. the audit is incomplete, or it missed a planted flaw: inconclusive, exit 3
 7. any of these is not known: inconclusive, exit 3
 8. an objective missed, a promise broken, the hypothesis deviated, or data damaged: failed, exit 1
 9. any of those is not known: inconclusive, exit 3
10. passed, exit 0

Jepsen's rule holds throughout: unknown is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ftchaos.objectives import Objectives
from ftchaos.units import human_duration

Outcome = Literal["passed", "failed", "inconclusive"]
Found = tuple[str, ...] | None
"""What was found wrong, in words: empty when it was looked for and nothing was found, None when nobody knows."""
_NOT_RESTORED = {
    "data": "The service was not {}restored",
    "configuration": "The workloads were not {}as ready as before",
}
_AUDIT = {"data": "The audit of the restored data", "configuration": "The comparison with what was there before"}


@dataclass(frozen=True)
class Facts:
    """All that a verdict is made of. None means unknown, and nothing unknown leads to passed.

    Attributes:
        objectives: what the run is judged by.
        injects_fault: False for a run that declares it, such as a rehearsal from a foreign backup.
        keeps_ledger: False for a run without writers of ours, so that there is no ledger to audit.
        restores: what a drill restores; a configuration has no data that could be lost.
        accepts_backup_age: the policy takes the backup's age as the data loss where none was measured.
        heals_failed: heals that failed.
        refusals: why the guard refused the run.
        interruptions: what interrupted the run.
        stopped: why a stop condition ended the run.
        unmet_before: what of the steady state was not met before.
        steps_failed: steps that could not do their work.
        fault_proven: the witness saw the damage.
        audit_complete: every survivor was read and classed.
        self_test_passed: the audit found exactly the flaws planted in a copy of its input.
        recovery_time_s: from the fault to the service restored; None also when it never was.
        watched_s: how long after the fault the service was watched.
        data_loss_s: from the oldest lost acknowledged write to the fault.
        backup_age_s: age of the restored backup at the fault.
        corrupt, duplicate, unexpected: ledger classes that a sound restore leaves empty.
        deviations: what of the steady state was not met after.
        damage: what verification found wrong in the data.
        promises_broken: what the experiment promises and was not kept.
        promises_unknown: what it promises and nobody knows whether it was kept.
    """

    objectives: Objectives | None = None
    injects_fault: bool | None = True
    keeps_ledger: bool | None = True
    restores: Literal["data", "configuration"] = "data"
    accepts_backup_age: bool = False
    heals_failed: Found = None
    refusals: Found = None
    interruptions: Found = None
    stopped: Found = None
    unmet_before: Found = None
    steps_failed: Found = None
    fault_proven: bool | None = None
    audit_complete: bool | None = None
    self_test_passed: bool | None = None
    recovery_time_s: float | None = None
    watched_s: float | None = None
    data_loss_s: float | None = None
    backup_age_s: float | None = None
    corrupt: int | None = None
    duplicate: int | None = None
    unexpected: int | None = None
    deviations: Found = None
    damage: Found = None
    promises_broken: Found = None
    promises_unknown: Found = None


@dataclass(frozen=True)
class Verdict:
    """What a run has shown.

    Attributes:
        verdict: passed, failed or inconclusive.
        exit_code: what the command exits with.
        reasons: one sentence each; the first decided. Empty when the run passed.
    """

    verdict: Outcome
    exit_code: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Stage:
    verdict: Outcome
    exit_code: int
    reasons: tuple[str, ...]
    unknown: bool = False


def decide(facts: Facts) -> Verdict:
    """The verdict that the facts allow, never a better one.

    The first stage with a reason decides; later stages add what they found, but not what they
    lack, for after an early end that is only a consequence.

    Source: the order is that of the design's section *Definitions*; unknown as a verdict of its
    own, jepsen.checker.
    """
    holding = [stage for stage in _stages(facts) if stage.reasons]
    if not holding:
        return Verdict("passed", 0, ())
    first = holding[0]
    later = (reason for stage in holding[1:] if not stage.unknown for reason in stage.reasons)
    return Verdict(first.verdict, first.exit_code, tuple(dict.fromkeys((*first.reasons, *later))))


def _stages(facts: Facts) -> tuple[_Stage, ...]:
    return (
        _Stage("failed", 4, _sentences("A heal failed and the system is left harmed", facts.heals_failed)),
        _Stage("inconclusive", 5, _sentences("The guard refused the run", facts.refusals)),
        _Stage("inconclusive", 130, _sentences("The run was interrupted", facts.interruptions)),
        _Stage("inconclusive", 3, _sentences("The run was stopped", facts.stopped)),
        _Stage("inconclusive", 3, _sentences("The steady state was not met before", facts.unmet_before)),
        _Stage("inconclusive", 3, (*_sentences("A step failed", facts.steps_failed), *_unproven(facts))),
        _Stage("inconclusive", 3, _unsound_audit(facts)),
        _Stage("inconclusive", 3, _unknown_conduct(facts), unknown=True),
        _Stage(
            "failed", 1,
            (
                *_missed(facts),
                *_sentences("A promise was broken", facts.promises_broken),
                *_sentences("The steady state was not met after", facts.deviations),
                *_broken(facts),
            ),
        ),
        _Stage("inconclusive", 3, _unknown_results(facts), unknown=True),
    )  # fmt: skip


def _sentences(lead: str, found: Found) -> tuple[str, ...]:
    return tuple(f"{lead}: {what.strip().rstrip('.')}." for what in found or ())


def _unproven(facts: Facts) -> tuple[str, ...]:
    if facts.injects_fault is not False and facts.fault_proven is False:
        return ("The witness did not see the fault bite, so nothing that followed proves a recovery.",)
    return ()


def _unsound_audit(facts: Facts) -> tuple[str, ...]:
    reasons = []
    if facts.audit_complete is False:
        reasons.append(f"{_AUDIT[facts.restores or 'data']} did not complete.")
    if facts.self_test_passed is False:
        reasons.append("The audit did not find exactly the flaws that were planted to test it.")
    return tuple(reasons)


def _unknown_conduct(facts: Facts) -> tuple[str, ...]:
    ledger = facts.keeps_ledger is not False
    return _lacking(
        ("what the objectives were", facts.objectives),
        ("whether the run was to inject a fault", facts.injects_fault),
        ("whether the run was to keep a ledger", facts.keeps_ledger),
        ("whether all heals succeeded", facts.heals_failed),
        ("whether the guard allowed the run", facts.refusals),
        ("whether the run was interrupted", facts.interruptions),
        ("whether the run was stopped", facts.stopped),
        ("whether the steady state was met before", facts.unmet_before),
        ("whether every step succeeded", facts.steps_failed),
        ("whether the fault bit", facts.fault_proven if facts.injects_fault is not False else True),
        ("whether the audit completed", facts.audit_complete),
        ("whether the audit finds planted flaws", facts.self_test_passed if ledger else True),
    )


def _missed(facts: Facts) -> tuple[str, ...]:
    objectives = facts.objectives
    if objectives is None:
        return ()
    reasons = []
    if objectives.rto_met(facts.recovery_time_s) is False:
        took = _two_durations(facts.recovery_time_s, objectives.rto_s)
        reasons.append(f"The recovery took {took[0]}, longer than the RTO of {took[1]}.")
    elif facts.recovery_time_s is None and objectives.rto_met(facts.watched_s) is False:
        not_restored = _NOT_RESTORED[facts.restores or "data"].format("")
        reasons.append(f"{not_restored} within the RTO of {human_duration(objectives.rto_s)}.")
    if objectives.rpo_met(_loss_s(facts)) is False:
        lost = _two_durations(_loss_s(facts), objectives.rpo_s)
        how = "The data loss is" if facts.data_loss_s is not None else "The backup's age, taken as the data loss, is"
        reasons.append(f"{how} {lost[0]}, more than the RPO of {lost[1]}.")
    return tuple(reasons)


def _broken(facts: Facts) -> tuple[str, ...]:
    counted = (
        ("corrupt, present with another content", facts.corrupt),
        ("duplicate, present more than once", facts.duplicate),
        ("unexpected, present though it failed or was never attempted", facts.unexpected),
    )
    classes = tuple(f"{count:,} of the writes read back: {what}." for what, count in counted if count)
    lead = "The data is damaged" if facts.restores == "data" else "The configuration differs"
    return (*_sentences(lead, facts.damage), *classes)


def _unknown_results(facts: Facts) -> tuple[str, ...]:
    objectives = facts.objectives or Objectives()
    ledger = facts.keeps_ledger is not False
    reasons = []
    if objectives.rto_met(facts.recovery_time_s) is None:
        watched = ""
        if facts.watched_s is not None and objectives.rto_met(facts.watched_s) is not None:
            watched = f" within the {human_duration(facts.watched_s)} that it was watched"
        not_seen = _NOT_RESTORED[facts.restores or "data"].format("seen ")
        reasons.append(f"{not_seen}{watched}, so the recovery time is unknown.")
    if facts.restores != "configuration" and objectives.rpo_met(_loss_s(facts)) is None:
        how = "" if ledger else ": configure restore.heartbeat or restore.newest_row, or accept the backup's age"
        if ledger and facts.backup_age_s is not None:
            how = ": nothing that the run wrote survived; let the backup's age stand for it: restore.accept_backup_age"
        reasons.append(f"The data loss is unknown{how}.")
    lacking = _lacking(
        ("whether rows are corrupt", facts.corrupt if ledger else 0),
        ("whether rows are duplicate", facts.duplicate if ledger else 0),
        ("whether rows are unexpected", facts.unexpected if ledger else 0),
        ("whether the steady state was met after", facts.deviations),
        ("whether what was restored is whole", facts.damage),
        ("whether the promises were kept", facts.promises_broken),
        ("whether every promise could be judged", facts.promises_unknown),
    )
    return (*reasons, *_sentences("It is not known", facts.promises_unknown), *lacking)


def _lacking(*facts: tuple[str, object]) -> tuple[str, ...]:
    return tuple(f"It is not known {what}." for what, value in facts if value is None)


def _loss_s(facts: Facts) -> float | None:
    """The data loss to judge: as measured, else the backup's age where the policy accepts it."""
    if facts.data_loss_s is not None or facts.accepts_backup_age is not True:
        return facts.data_loss_s
    return facts.backup_age_s


def _two_durations(actual_s: float | None, objective_s: float) -> tuple[str, str]:
    """Both in words that differ: 14400.4 s against 14400 s must not read *4 h against 4 h*."""
    words = human_duration(actual_s or 0.0), human_duration(objective_s)
    return words if words[0] != words[1] else (f"{actual_s:.3f} s", f"{objective_s:.3f} s")
