"""What every form of the report says alike: objectives beside actuals, ledger classes, recovery points, milestones.

The page, the Markdown, the JUnit file and the terminal differ in looks, never in words or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ftchaos import objectives
from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import assumed, moment, unnoticed
from ftchaos.units import human_duration

UNKNOWN = "unknown"
VERDICTS = {"passed": "Passed", "failed": "Failed", "inconclusive": "Inconclusive"}
CODES = {
    0: "passed",
    1: "failed",
    3: "inconclusive",
    4: "a heal failed, the system is left harmed",
    5: "refused by the guard, nothing was touched",
    130: "interrupted",
}
KEPT_IN = {"manifests": "the manifests in", "git": "the manifests of the commit", "velero": "the Velero backup"}
_MET = {True: "met", False: "missed", None: "unknown"}
_WHOLE = {True: "whole", False: "damaged", None: "not known to be whole"}
_AS_BEFORE = {True: "whole", False: "not whole", None: "not known to be whole"}


@dataclass(frozen=True)
class Actual:
    """One measured value beside what was promised.

    Attributes:
        name: what was measured.
        actual: its value for people.
        promised: the objective for people; empty where there is none.
        met: whether the promise was kept; None when nobody knows.
        share: of the objective that was used, 0 to 1 and beyond; None without an objective.
        detail: what stands behind the value.
    """

    name: str
    actual: str
    promised: str
    met: bool | None
    share: float | None
    detail: str
    judgements: Mapping[bool | None, str] = field(default_factory=lambda: _WHOLE)

    @property
    def judged(self) -> str:
        """Whether the promise was kept, in words: ``RTO 4 h met``."""
        return f"{self.promised} {_MET[self.met]}" if self.promised else self.judgements[self.met]


@dataclass(frozen=True)
class LedgerClass:
    """A class of writes after the recovery, and whether any of it is bad news."""

    name: str
    count: int | None
    meaning: str
    alarming: bool


@dataclass(frozen=True)
class RecoveryPoint:
    """One of the three ways to look at data loss."""

    name: str
    seconds: float | None
    meaning: str
    judged: bool


@dataclass(frozen=True)
class Milestone:
    """An instant of the outage; ``offset_s`` counts from the fault."""

    name: str
    at: str
    offset_s: float


def lead(evidence: Evidence) -> str:
    """The first reason in words; for a run that passed, what that means."""
    if evidence.reasons:
        return evidence.reasons[0]
    kept = "every objective was met" if not evidence.plan.promises else "every promise was kept"
    if unasked := len(evidence.plan.unasked):
        kept += f", {unasked} {'other' if unasked == 1 else 'others'} could not be asked for here"
    if evidence.kind == "gameday":
        return "Every part passed."
    if evidence.injects_fault and unnoticed(evidence):
        return f"The fault bit, no request failed, and {kept}."
    if is_configuration(evidence):
        return "The loss was seen, every object came back as it was, and every objective was met."
    if evidence.injects_fault:
        return f"The fault bit, the service recovered, and {kept}."
    if assumed(evidence):
        return "Nothing was destroyed, a copy was restored beside the source, and every objective was met."
    return "The backup was restored and verified, and every objective was met."


def actuals(evidence: Evidence) -> list[Actual]:
    """The recovery time, the data loss and the restored data, each beside its promise.

    A game day has none of its own: they are those of its parts.
    """
    if evidence.kind == "gameday":
        return []
    if is_configuration(evidence):  # it holds no data that could be lost
        return [_recovery_time(evidence), _configuration(evidence)]
    return [_recovery_time(evidence), _data_loss(evidence), _restored_data(evidence)]


def ledger_classes(evidence: Evidence) -> list[LedgerClass]:
    """The classes of the audit, after Jepsen, in the order in which they matter."""
    data = evidence.data
    rows = [
        ("ok", data.ok, "acknowledged and present", False),
        ("lost", data.lost, "acknowledged and absent", True),
        ("recovered", data.recovered, "never answered, but present", False),
        ("unexpected", data.unexpected, "present though failed or never attempted", True),
        ("duplicate", data.duplicate, "present more than once", True),
        ("corrupt", data.corrupt, "present with another content", True),
    ]
    return [LedgerClass(name, count, meaning, bad and bool(count)) for name, count, meaning, bad in rows]


def recovery_points(evidence: Evidence) -> list[RecoveryPoint]:
    """Data loss as measured, and two cross-checks that never take its place; an experiment has no backup for them."""
    data, end = evidence.data, "the fault" if evidence.injects_fault else "the begin of the rehearsal"
    end = "the assumed disaster" if assumed(evidence) else end
    source = {
        "ledger": f"from the oldest lost acknowledged write to {end}",
        "heartbeat": f"from the newest heartbeat that survived to {end}",
        "newest row": f"from the newest row that survived to {end}",
        "backup age": "the age of the backup, which the policy accepts in its place",
    }
    found = [
        RecoveryPoint("data loss", data.data_loss_s, source.get(data.source, "not measured"), judged=True),
        RecoveryPoint("log gap", data.log_gap_s, f"from the newest archived event to {end}", judged=False),
        RecoveryPoint("backup age", data.backup_age_s, f"from the restored backup to {end}", judged=False),
    ]
    return [one for one in found if one.judged or is_drill(evidence) or one.seconds is not None]


def milestones(evidence: Evidence) -> list[Milestone]:
    """The instants of the outage in their order; none for a run that declares that it injects no fault."""
    recovery = evidence.recovery
    if recovery.fault_at is None or not evidence.injects_fault:
        return []
    origin = moment(recovery.fault_at)
    named = [
        ("fault", recovery.fault_at),
        ("proven", recovery.proven_at),
        ("detected", recovery.detected_at),
        ("restored", recovery.restored_at),
    ]
    found = [Milestone(name, at, (moment(at) - origin).total_seconds()) for name, at in named if at is not None]
    # What kept its objectives while harm was done bit by bit was restored before all of it was seen.
    return sorted(found, key=lambda one: one.offset_s) if recovery.gradual else found


def is_drill(evidence: Evidence) -> bool:
    """Whether the run is about a backup and its restore."""
    return evidence.kind == "drill"


def is_configuration(evidence: Evidence) -> bool:
    """Whether the run is about the objects of namespaces, and no data."""
    return evidence.restores == "configuration"


def came_back(evidence: Evidence) -> str:
    """How the configuration came back, in one sentence."""
    checks = evidence.verification.checks
    if not checks:
        return "What came back was not compared with what was there before."
    differing = sum(check.passed is False for check in checks)
    if not differing:
        return "Every object came back as it was."
    return f"{differing} object{' is' if differing == 1 else 's are'} not as before."


def kept_in(evidence: Evidence) -> str:
    """Where a configuration comes back from, in words; empty where nothing was fetched."""
    backup = evidence.backup
    if backup is None or not backup.id:
        return ""
    taken = f", of {backup.taken_at}" if backup.taken_at else ""
    return f"{KEPT_IN.get(backup.method, backup.method)} {backup.id}{taken}"


def job_rows(evidence: Evidence) -> list[LedgerClass]:
    """What became of the work of acknowledged uploads, in the order in which it matters; empty when nobody asked."""
    jobs = evidence.jobs
    if jobs is None:
        return []
    return [
        LedgerClass("acknowledged", jobs.acknowledged, "uploads whose work had to be done", False),
        LedgerClass("completed", jobs.completed, "work that was done", False),
        LedgerClass("pending", jobs.pending, "the upload is there, its work was not done", bool(jobs.pending)),
        LedgerClass("orphaned", jobs.orphaned, "work without its upload", bool(jobs.orphaned)),
        LedgerClass("repeated", jobs.repeated, "work of which clients were told more than once", False),
        LedgerClass("untold", jobs.untold, "completed work of which no client was told", False),
    ]


def job_words(evidence: Evidence) -> str:
    """The work in one line; empty when nobody asked."""
    jobs = evidence.jobs
    if jobs is None:
        return ""
    parts = [f"{jobs.completed:,} of {jobs.acknowledged:,} done"]
    parts += [f"{row.count:,} {row.name}" for row in job_rows(evidence)[2:] if row.count]
    if jobs.drained_at is not None and evidence.recovery.fault_at is not None:
        drained_s = (moment(jobs.drained_at) - moment(evidence.recovery.fault_at)).total_seconds()
        parts.append(f"backlog drained {offset(drained_s)}")
    return ", ".join(parts)


def scaling_rows(evidence: Evidence) -> list[tuple[str, str]]:
    """What an autoscaler did under a load, each with its name; empty where none was loaded."""
    did = evidence.scaling
    if did is None:
        return []
    kept = {True: "yes", False: "no", None: UNKNOWN}
    instants = {
        "Above its target after": did.above_s,
        "Wanted more after": did.decided_s,
        "All wanted Ready after": did.ready_s,
        "Within its target after": did.within_s,
    }
    served = "" if did.success_ratio is None else f": {percent(did.success_ratio)} of requests"
    served += "" if did.p95_ms is None else f", P95 {did.p95_ms:.0f} ms"
    return [
        ("Autoscaler", did.autoscaler),
        ("Replicas before", count(did.replicas_before)),
        ("Replicas at the most", f"{did.replicas_highest:,} of {did.replicas_most:,} allowed"),
        *((name, "not seen" if at_s is None else duration(at_s)) for name, at_s in instants.items()),
        ("Scaled enough", kept[did.enough] + (f": {did.why}" if did.why else "")),
        ("Objectives kept under the load", kept[did.objectives_kept] + served),
        ("Load", did.load),
    ]


def cost_words(evidence: Evidence) -> str:
    """What a drill cost, in one line; empty where it made nothing that is billed."""
    cost = evidence.cost
    if cost is None:
        return ""
    before = f"; estimated before: {cost.estimated_usd:,.2f} USD" if cost.estimated_usd is not None else ""
    known = cost.words if cost.duration_s is not None else f"estimated, as it is not known to be gone: {cost.words}"
    return f"{known}{before}"


def call_words(evidence: Evidence) -> str:
    """The calls to the API of a cloud in one line; empty where there were none."""
    calls = evidence.calls
    if calls is None:
        return ""
    many = f"{calls.total:,} API call{'' if calls.total == 1 else 's'}"
    parts = [f"{many} in {len(calls.operations):,} operation{'' if len(calls.operations) == 1 else 's'}"]
    parts += [f"{calls.errors:,} failed"]
    parts += [f"{calls.throttled:,} of them throttled"] if calls.throttled else []
    parts += [f"{calls.retries:,} tried again"] if calls.retries else []
    parts += [f"{calls.unrecorded:,} more not recorded"] if calls.unrecorded else []
    return ", ".join(parts)


def compared(evidence: Evidence) -> bool:
    """Whether everything was held against how it stood before, after all was healed."""
    return any(check.stage == "after the heal" for check in evidence.verification.checks)


def as_before(evidence: Evidence) -> str:
    """What was not as before after the heal, in one sentence."""
    differences = evidence.undo.differences
    if differences:
        return f"{len(differences)} thing{'s' if len(differences) > 1 else ''} did not stand as before after the heal."
    if not compared(evidence):
        return "It was not compared with how it stood before."
    return "After the heal everything stood as it had stood before."


def duration(seconds: float | None) -> str:
    """A duration for people, or that it is unknown; zero is a plain ``0 s``."""
    if seconds is None:
        return UNKNOWN
    return human_duration(seconds) if seconds else "0 s"


def offset(seconds: float) -> str:
    """An instant as its distance from the fault: ``+14.2 s``."""
    if not seconds:
        return "0 s"
    return ("+" if seconds > 0 else "\N{MINUS SIGN}") + human_duration(abs(seconds))


def count(number: int | None) -> str:
    """A number with thousands separators, or that it is unknown."""
    return UNKNOWN if number is None else f"{number:,}"


def plain(value: bool | int | float | str | None) -> str:
    """A setting's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def percent(share: float) -> str:
    """A share for people; what is not nothing and not everything is never rounded to it."""
    value = share * 100
    if 0 < value < 0.1:
        return "< 0.1 %"
    if 99 <= value < 100:
        return f"{math.floor(value * 100 + 1e-6) / 100:g} %"
    if 100 < value < 101:
        return "> 100 %"
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:,.0f} %"


def checks_passed(evidence: Evidence) -> tuple[int, int]:
    """How many checks of the data passed, and how many there were."""
    checks = evidence.verification.checks
    return sum(check.passed is True for check in checks), len(checks)


def _promises(evidence: Evidence) -> objectives.Objectives:
    return objectives.Objectives(**evidence.objectives.model_dump())


def _recovery_time(evidence: Evidence) -> Actual:
    promised, bit = evidence.objectives.rto_s, evidence.witness.proven is not False
    actual_s = evidence.recovery.recovery_time_s if bit else None  # from what was never seen nothing recovers
    resolution = evidence.recovery.resolution_s if bit else None
    detail = f"measured to within {human_duration(resolution)}" if resolution else ""
    available_s, answer_s = evidence.recovery.available_s, evidence.recovery.first_answer_s
    if available_s is not None and answer_s is not None and actual_s is not None:
        detail = f"available {offset(available_s)}, first correct answer {offset(answer_s)}, warm {offset(actual_s)}"
    if not bit:
        detail = "the fault was never seen"
    elif actual_s is None and evidence.recovery.watched_s is not None:
        detail = f"not restored in the {human_duration(evidence.recovery.watched_s)} watched"
    elif unnoticed(evidence):
        detail = "no request failed"
    return Actual(
        "Recovery time",
        duration(actual_s),
        f"RTO {human_duration(promised)}",
        _promises(evidence).rto_met(actual_s),
        _share(actual_s, promised),
        detail,
    )


def _data_loss(evidence: Evidence) -> Actual:
    data, promised = evidence.data, evidence.objectives.rpo_s
    detail = ""
    if data.lost is not None and data.acknowledged is not None:
        detail = f"{data.lost:,} of {data.acknowledged:,} acknowledged writes lost"
    elif data.backup_age_s is not None:
        detail = f"the backup was {human_duration(data.backup_age_s)} old"
    judged_s = data.data_loss_s
    if judged_s is None and data.source == "backup age":
        judged_s = data.backup_age_s
    return Actual(
        "Data loss",
        duration(judged_s),
        f"RPO {human_duration(promised)}",
        _promises(evidence).rpo_met(judged_s),
        _share(judged_s, promised),
        detail,
    )


def _restored_data(evidence: Evidence) -> Actual:
    passed, total = checks_passed(evidence)
    bad = [f"{row.count:,} {row.name}" for row in ledger_classes(evidence) if row.alarming and row.name != "lost"]
    met: bool | None = None
    if bad or any(check.passed is False for check in evidence.verification.checks):
        met = False
    elif total and passed == total:
        met = True
    parts = [*bad, *(["checks passed"] if total else [])]
    if evidence.data.acknowledged is not None:
        parts.append(f"the audit's self-test: {evidence.data.self_test}")
    name = "Restored data" if is_drill(evidence) else "Data after the heal"
    return Actual(name, f"{passed} of {total}" if total else UNKNOWN, "", met, None, ", ".join(parts))


def _configuration(evidence: Evidence) -> Actual:
    checks = evidence.verification.checks
    differing = sum(check.passed is False for check in checks)
    known = bool(checks) and all(check.passed is not None for check in checks)
    met = False if differing else True if known else None
    actual = f"{differing} differ{'s' if differing == 1 else ''}" if differing else "as before" if known else UNKNOWN
    detail = "every object held against what was there before" if checks else "nothing was compared"
    return Actual("Configuration", actual, "", met, None, detail, _AS_BEFORE)


def _share(actual_s: float | None, promised_s: float) -> float | None:
    return None if actual_s is None or not promised_s else actual_s / promised_s
