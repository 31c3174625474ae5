"""What is stuck and nobody samples is in the evidence and in the reports, under its own name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import sample_experiments

from ftchaos.clock import Clock
from ftchaos.conclusion import timeline
from ftchaos.evidence import Mark, Workload
from ftchaos.report import html, markdown

SET = "StatefulSet app/redis"
REMEDY = "app/redis-0 stays Terminating on node-a1: kubectl delete pod redis-0"


def test_what_is_stuck_is_told_of_whatever_nobody_samples_and_recoveries_are_not() -> None:
    said = [
        {"component": whose, "name": name, "at": 5.0, "detail": REMEDY}
        for whose, name in ((SET, "stuck"), ("database", "stuck"), ("api", "detected"), (SET, "unschedulable"))
    ]
    record = SimpleNamespace(said=said, clock=Clock.anchored())
    raw = SimpleNamespace(record=record, timelines=[SimpleNamespace(name="database")])
    found = timeline.workloads(cast("Any", raw))

    assert [(SET, ["stuck", "unschedulable"])] == [(one.name, [mark.name for mark in one.marks]) for one in found]


def test_reports_name_what_is_stuck_with_its_remedy() -> None:
    evidence = sample_experiments.zone_outage()
    fault_at = str(evidence.recovery.fault_at)
    evidence.workloads = [Workload(name=SET, marks=[Mark(name="stuck", at=fault_at, detail=REMEDY)])]
    page = html.render(evidence, {})

    assert f"- {SET}: stuck" in markdown.render(evidence)
    assert "What else was stuck" in page
    assert REMEDY in page
    assert "What else was stuck" not in html.render(sample_experiments.zone_outage(), {})
