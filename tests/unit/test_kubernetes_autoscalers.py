"""What a HorizontalPodAutoscaler says of itself, and how the sight sees it go above its target and come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos import witness
from ftchaos.platforms.kubernetes import autoscalers
from ftchaos.platforms.kubernetes.sight import AUTOSCALERS, Sight
from ftchaos.witness import Log

Obj = dict[str, Any]
TARGET = "autoscaler app/api"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
ABLE = [{"type": name, "status": "True"} for name in ("AbleToScale", "ScalingActive")]


def scaler(used: int | None = 60, replicas: int = 3, wanted: int = 3, **more: Any) -> Obj:
    current = [] if used is None else [{"type": "Resource", "resource": {"name": "cpu", "current": _average(used)}}]
    status = {"currentReplicas": replicas, "desiredReplicas": wanted, "currentMetrics": current, "conditions": ABLE}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "api"}, "maxReplicas": 9, "metrics": [CPU]}
    metadata = {"namespace": "app", "name": "api", "uid": "1", "resourceVersion": "1"}
    return {
        "metadata": metadata,
        "spec": {**spec, **more.get("spec", {})},
        "status": {**status, **more.get("status", {})},
    }


def _average(used: int) -> Obj:
    return {"averageUtilization": used, "averageValue": f"{used}m"}


@pytest.mark.parametrize(
    ("used", "within"), [(10, True), (70, True), (77, True), (78, False), (300, False), (None, None)]
)
def test_metric_is_within_its_target_up_to_the_tolerance(used: int | None, within: bool | None) -> None:
    assert within == autoscalers.of(scaler(used)).within


def test_tolerance_of_its_own_and_its_cooldown_are_taken() -> None:
    behaviour = {"scaleUp": {"tolerance": "500m"}, "scaleDown": {"stabilizationWindowSeconds": 60}}
    usual, own = autoscalers.of(scaler(100)), autoscalers.of(scaler(100, spec={"behavior": behaviour}))

    assert (False, 300.0) == (usual.within, usual.cooldown_s)
    assert (True, 60.0) == (own.within, own.cooldown_s)


@pytest.mark.parametrize(
    ("sort", "spec", "current", "within"),
    [
        ("pods", {"metric": {"name": "rps"}, "target": {"averageValue": "1k"}}, {"averageValue": "1200"}, False),
        ("pods", {"metric": {"name": "rps"}, "target": {"averageValue": "1k"}}, {"averageValue": "1050"}, True),
        ("object", {"metric": {"name": "queue"}, "target": {"value": "30"}}, {"value": "29500m"}, True),
        ("external", {"metric": {"name": "queue"}, "target": {"averageValue": "30"}}, {"averageValue": "40"}, False),
        ("containerResource", {"name": "cpu", "target": {"averageUtilization": 50}}, {"averageUtilization": 90}, False),
        ("resource", {"name": "memory", "target": {"averageValue": "1Gi"}}, {"averageValue": "900Mi"}, True),
        ("resource", {"name": "cpu", "target": {"averageUtilization": 50}}, {"averageValue": "90m"}, None),
    ],
)
def test_metrics_of_each_sort_are_held_against_their_targets(sort: str, spec: Obj, current: Obj, within: bool) -> None:
    changed = {"spec": {"metrics": [{"type": sort, sort: spec}]}}
    obj = scaler(**changed, status={"currentMetrics": [{"type": sort, sort: {"current": current}}]})

    assert within == autoscalers.of(obj).within


def test_one_metric_above_is_enough_and_one_unknown_leaves_the_others_in_doubt() -> None:
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"averageUtilization": 50}}}
    two: Obj = {"metrics": [CPU, memory]}
    above = scaler(100, spec=two)
    unknown = scaler(60, spec=two)

    assert False is autoscalers.of(above).within
    assert None is autoscalers.of(unknown).within
    assert "cpu 100 % of 70 %" == autoscalers.of(above).metric


def test_why_it_cannot_scale_is_said() -> None:
    conditions = [ABLE[0], {**ABLE[1], "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}]

    assert "" == autoscalers.of(scaler()).trouble
    assert "FailedGetResourceMetric: no metrics" == autoscalers.of(scaler(status={"conditions": conditions})).trouble
    assert "has not said yet" in autoscalers.of(scaler(status={"conditions": []})).trouble


def test_sight_tells_when_an_autoscaler_is_above_its_target_what_it_wants_and_that_it_is_back(tmp_path: Path) -> None:
    file = tmp_path / "witness.jsonl"
    sight = Sight({(AUTOSCALERS, "app", "api"): TARGET}, Log(file))
    sight.whole(AUTOSCALERS, "app", [scaler(60)])
    for obj in (scaler(65), scaler(140, 3, 6), scaler(90, 6, 6), scaler(71, 6, 6)):
        sight.changed(AUTOSCALERS, "app", "MODIFIED", obj)
    seen = witness.read(file)

    assert [True, False, False, True] == [one.up for one in seen]
    assert [3, 6, 6, 6] == [one.counts["wanted"] for one in seen]
    assert "cpu 140 % of 70 %; 3 replicas, 6 wanted, 9 at most" == seen[1].saw
    assert seen[1].at == witness.proven_at(seen, [TARGET], seen[1].at)


@pytest.mark.parametrize("after", [None, scaler(None)], ids=["it was deleted", "its metric is not known any more"])
def test_what_is_not_known_of_an_autoscaler_is_no_proof_of_a_load(after: Obj | None, tmp_path: Path) -> None:
    file = tmp_path / "witness.jsonl"
    sight = Sight({(AUTOSCALERS, "app", "api"): TARGET}, Log(file))
    sight.whole(AUTOSCALERS, "app", [scaler(60)])
    sight.changed(AUTOSCALERS, "app", "MODIFIED" if after else "DELETED", after or scaler(60))
    sight.beat()
    seen = witness.read(file)

    assert [(True, "cpu 60 % of 70 %; 3 replicas, 3 wanted, 9 at most")] == [(one.up, one.saw) for one in seen]
    assert witness.proven_at(seen, [TARGET], seen[0].at + 1e-6) is None
