"""The damage of a zone as it shows in a cluster that reconciles by itself, in the time that that takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cluster import manifests, seen
from cluster.application import ALLOWED, SPACE, namespace
from cluster.standin.server import Standin

from ftchaos import config, witness
from ftchaos.clock import now
from ftchaos.errors import Inconclusive
from ftchaos.options import Options
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import events, faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.faults import pods, settling, zone
from ftchaos.platforms.kubernetes.platform import KubernetesPlatform
from ftchaos.undo import Record, UndoLog

Obj = dict[str, Any]
CONFIGURATION = """\
environments:
  staging:
    platform: kubernetes
    kubernetes:
      context: standin
      kubeconfig: {kubeconfig}
      namespaces: [{space}]
      mysql: {{service: {space}/db, address: "127.0.0.1:3306", secret: {space}/database}}
"""


@pytest.fixture(autouse=True)
def hurried(accesses: list[Access], monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, while all that is called is in the table."""
    monkeypatch.setattr(settling, "EVERY_S", 0.05)


@pytest.fixture
def access(cluster: Standin) -> Access:
    """To six nodes in three zones with an API of six pods and a database of three, all ready."""
    namespace(cluster, SPACE, ALLOWED)
    made = [manifests.node(f"node-{zone}{number}", zone, **ALLOWED) for zone in "abc" for number in (1, 2)]
    cluster.create(*made, manifests.workload("Deployment", "api", 6, SPACE))
    cluster.create(manifests.workload("StatefulSet", "db", 3, SPACE))
    found = Access(Place("staging", "standin", (SPACE,), str(cluster.kubeconfig)))
    cluster.until(lambda: sum(one.ready for one in survey.take(found).pods) == 9, "the application")
    return found


def _undo(harm: Harm) -> str:
    return heal(Record(1, "kubernetes", "fault:fail_zone", json.loads(json.dumps(harm.undo)), harm.clause))


@pytest.mark.parametrize(
    ("manner", "slow"),
    [("nodes", {"pod_gc_s": 300}), ("out-of-service", {"stop_s": 30, "second_s": 0.1}), ("drain", {"stop_s": 30})],
)
def test_pods_that_live_on_for_a_while_are_not_taken_for_lost_before_they_are(
    cluster: Standin, access: Access, tmp_path: Path, manner: str, slow: dict[str, float]
) -> None:
    cluster.settings(**slow)  # a hundred of them are a second, or ten
    harm = faults.find("fail_zone").plan(survey.take(access, everywhere=True), zone="a", manner=manner)
    meant = {one["uid"] for one in harm.undo["pods"]}
    with seen.sight(cluster, SPACE, harm.signs, tmp_path) as file:
        fault_at = now()
        faults.find("fail_zone").inject(access, harm)
        left = faults.find("fail_zone").effect(access, harm.undo)
        faults.await_effect(access, "fail_zone", harm)
        shown_at = now()
        cluster.until(lambda: witness.proven_at(witness.read(file), [*harm.signs], fault_at), "the damage is seen")
    _undo(harm)
    proven_at = witness.proven_at(witness.read(file), [*harm.signs], fault_at)
    gone = [one["at"] for one in cluster.changes("pods", fault_at) if one["sort"] == "DELETED"
            and one["object"]["metadata"]["uid"] in meant]  # fmt: skip

    assert (manner == "drain") == (not left)  # which waits itself
    assert len(meant) == len(gone) == len(harm.signs) > 0
    assert proven_at is not None
    assert proven_at >= max(gone)
    assert shown_at >= max(gone)


@pytest.fixture
def platform(cluster: Standin, access: Access, tmp_path: Path) -> KubernetesPlatform:
    """The same application as experiments find it."""
    file = tmp_path / "ftchaos.yaml"
    file.write_text(CONFIGURATION.format(kubeconfig=cluster.kubeconfig, space=SPACE))
    return KubernetesPlatform(config.load(file), Options.parse({"environment": "staging", "config": str(file)}))


def test_a_budget_that_forbids_every_eviction_is_named_where_the_drain_ends(
    cluster: Standin, platform: KubernetesPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "DRAINED_S", 0.6)
    monkeypatch.setitem(zone.PROOF_S, "drain", 0.2)
    cluster.create(manifests.budget("api", SPACE, minAvailable=6))
    cluster.until(lambda: cluster.all("policy/v1", "PodDisruptionBudget", SPACE)[0].get("status"), "the budget")
    harm = platform.harm("fail_zone", {"zone": "a", "manner": "drain"})

    with pytest.raises(Inconclusive) as ended:
        platform.inject("fail_zone", harm, UndoLog(tmp_path / "undo.jsonl"), lambda: None)
    _undo(harm)
    assert harm.gradual
    assert f"the budget {SPACE}/api said no " in ended.value.fact
    assert f"{min(harm.signs)} was not, within 0.6 s: Cannot evict pod" in ended.value.fact
    assert "needs 6 healthy pods and has 6 currently" in ended.value.fact
    assert "the damage is not seen" in ended.value.fact


def test_a_pod_of_any_stateful_set_that_stays_terminating_is_told_once_its_grace_is_over(
    cluster: Standin, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STUCK_S", 1.0)
    cluster.create(manifests.workload("StatefulSet", "redis", 1, SPACE))
    cluster.until(lambda: sum(one.ready for one in survey.take(access).pods) == 10, "all of them")
    every = {one.name: one for one in survey.take(access).pods}
    cluster.kill_nodes(*{every[name].node for name in ("redis-0", "db-0")})
    fault_at = now()
    for name in ("redis-0", "db-0"):
        cluster.core.delete_namespaced_pod(name, SPACE, grace_period_seconds=300)  # three seconds here

    def stuck() -> dict[str, str]:
        known = {one.uid for one in every.values()}
        return {one.component: one.detail for one in events.read(access, known, fault_at) if one.name == "stuck"}

    assert {} == stuck()
    cluster.until(lambda: len(stuck()) == 2, "both are stuck", 30)
    assert {"database", f"StatefulSet {SPACE}/redis"} == stuck().keys()
    assert "kubectl delete pod redis-0" in stuck()[f"StatefulSet {SPACE}/redis"]
