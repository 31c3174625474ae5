"""The newest run of each drill and experiment as Prometheus metrics.

Labels are the name, the kind and the environment of a run, never its id: a label with an id would make a new series
of each run. What was not measured is NaN, so that no value of an earlier run stays in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

RUN = ("name", "kind", "environment")
VERDICTS = ("passed", "failed", "inconclusive")
LAST_PASSED = "ftchaos_last_passed_timestamp_seconds"
ENDED = "ftchaos_run_timestamp_seconds"
TEST = "ftchaos_test_timestamp_seconds"
METRICS = {
    "ftchaos_run_verdict": "1 for the verdict of the newest run, 0 for the others.",
    "ftchaos_run_exit_code": "Exit code of the newest run: 0 passed, 1 failed, 3 inconclusive, 4 left harmed.",
    ENDED: "When the newest run ended.",
    "ftchaos_run_duration_seconds": "How long the newest run took.",
    LAST_PASSED: "When the newest run that passed ended.",
    "ftchaos_recovery_time_seconds": "From the fault to the service restored; NaN if not measured.",
    "ftchaos_recovery_time_objective_seconds": "The RTO that the newest run was held against.",
    "ftchaos_data_loss_seconds": "From the oldest lost acknowledged write to the fault; NaN if not measured.",
    "ftchaos_data_loss_objective_seconds": "The RPO that the newest run was held against.",
    "ftchaos_lost_writes": "Acknowledged writes that were absent after the recovery; NaN if not measured.",
    "ftchaos_acknowledged_writes": "Writes that were acknowledged to clients; NaN if not measured.",
    "ftchaos_unavailable_seconds": "How long clients could not use the service; NaN if not measured.",
    "ftchaos_success_ratio": "Share of client operations that succeeded; NaN if not measured.",
    "ftchaos_phase_duration_seconds": "Parts of the recovery time.",
    "ftchaos_unhealed_harms": "Harms that the newest run could not heal.",
}
_MORE_LABELS = {"ftchaos_run_verdict": ("verdict",), "ftchaos_phase_duration_seconds": ("phase",)}


def labels(found: Evidence) -> dict[str, str]:
    """What a run's metrics are told apart by."""
    return {"name": found.name, "kind": found.kind, "environment": found.environment}


def values(found: Evidence) -> dict[str, float | None]:
    """The metrics that have one value; None for what was not measured."""
    ended_s = moment(found.ended_at).timestamp()
    return {
        "ftchaos_run_exit_code": found.exit_code,
        ENDED: ended_s,
        "ftchaos_run_duration_seconds": max(0.0, ended_s - moment(found.began_at).timestamp()),
        "ftchaos_recovery_time_seconds": found.recovery.recovery_time_s,
        "ftchaos_recovery_time_objective_seconds": found.objectives.rto_s,
        "ftchaos_data_loss_seconds": found.data.data_loss_s,
        "ftchaos_data_loss_objective_seconds": found.objectives.rpo_s,
        "ftchaos_lost_writes": found.data.lost,
        "ftchaos_acknowledged_writes": found.data.acknowledged,
        "ftchaos_unavailable_seconds": found.service.unavailable_s,
        "ftchaos_success_ratio": found.service.success_ratio,
        "ftchaos_unhealed_harms": found.undo.failed,
    }


def registry(found: Evidence, last_passed_s: float | None = None) -> CollectorRegistry:
    """All metrics of a run.

    Args:
        last_passed_s: when an earlier run passed, where that is known and this one did not; without it the metric is
            left out, so that whoever keeps the earlier value goes on keeping it.
    """
    from prometheus_client import CollectorRegistry

    made = CollectorRegistry()
    run = labels(found)
    for name, value in values(found).items():
        _put(made, name, {tuple(run.values()): float("nan") if value is None else value})
    _put(made, "ftchaos_run_verdict", {(*run.values(), one): float(one == found.verdict) for one in VERDICTS})
    _put(made, "ftchaos_phase_duration_seconds", {(*run.values(), one): took for one, took in _phases(found).items()})
    passed_s = moment(found.ended_at).timestamp() if found.verdict == "passed" else last_passed_s
    if passed_s is not None:
        _put(made, LAST_PASSED, {tuple(run.values()): passed_s})
    return made


def trial(at: str) -> CollectorRegistry:
    """One metric that says that a test arrived."""
    from prometheus_client import CollectorRegistry, Gauge

    made = CollectorRegistry()
    Gauge(TEST, "When somebody tested that metrics arrive.", registry=made).set(moment(at).timestamp())
    return made


def text(made: CollectorRegistry) -> str:
    """Metrics in the text format of Prometheus."""
    from prometheus_client import generate_latest

    return generate_latest(made).decode()


def read(exposed: str) -> dict[str, float]:
    """The metrics of one run that have one value, from the text format; nothing where it is none."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(exposed))
    except (ValueError, KeyError, IndexError):
        return {}
    return {one.name: float(one.samples[0].value) for one in families if len(one.samples) == 1}


def _put(made: CollectorRegistry, name: str, samples: Mapping[tuple[str, ...], float]) -> None:
    from prometheus_client import Gauge

    gauge = Gauge(name, METRICS[name], (*RUN, *_MORE_LABELS.get(name, ())), registry=made)
    for label_values, value in samples.items():
        gauge.labels(*label_values).set(value)


def _phases(found: Evidence) -> dict[str, float]:
    """Seconds by the name of the phase; one that comes twice is added up."""
    total: dict[str, float] = {}
    for phase in found.recovery.phases:
        total[phase.name] = total.get(phase.name, 0.0) + phase.duration_s
    return total
