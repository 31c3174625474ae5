"""How the stand-in recovers, held to what was measured on a real cluster; its seconds last ten milliseconds here."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from cluster.manifests import budget, node, service, template, workload
from cluster.standin.server import Standin
from kubernetes import client
from kubernetes.client import ApiException

Obj = dict[str, Any]
SECOND_S = 0.01


@pytest.fixture
def zones(cluster: Standin) -> Standin:
    """Six nodes in three zones."""
    cluster.create(*(node(f"node-{zone}{number}", zone) for zone in "abc" for number in (1, 2)))
    cluster.until(
        lambda: all(one.status and one.status.conditions for one in cluster.core.list_node().items), "the nodes"
    )
    return cluster


def _ready(cluster: Standin, kind: str, name: str) -> int:
    status = cluster.request("GET", cluster.path({**workload(kind, name, 0)}))["status"]
    return int(status.get("numberReady" if kind == "DaemonSet" else "readyReplicas", 0))


def _up(cluster: Standin, *made: Obj) -> None:
    cluster.create(*made)
    for one in made:
        if "replicas" in one["spec"]:
            cluster.until(
                lambda one=one: _ready(cluster, one["kind"], one["metadata"]["name"]) == one["spec"]["replicas"],
                f"{one['metadata']['name']} is ready",
            )


def _pods(cluster: Standin, app: str = "api") -> list[Any]:
    return list(cluster.core.list_namespaced_pod("default", label_selector=f"app={app}").items)


def _evict(cluster: Standin, pod: str) -> Any:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
    return cluster.core.create_namespaced_pod_eviction(pod, "default", body)


def _zone_a(cluster: Standin) -> list[str]:
    nodes = cluster.core.list_node(label_selector="topology.kubernetes.io/zone=a").items
    return [one.metadata.name for one in nodes]


def test_replicas_are_spread_over_zones_and_nodes(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 6))

    assert 6 == len({one.spec.node_name for one in _pods(zones)})


def test_a_deleted_node_keeps_its_pods_available_until_they_are_collected(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 6))
    zones.settings(second_s=0.02)
    begin = time.monotonic()
    for name in _zone_a(zones):
        zones.core.delete_node(name)

    def losses() -> list[float]:
        changes = zones.changes("deployments.apps", begin)
        return [one["at"] for one in changes if one["object"]["status"].get("readyReplicas", 0) < 6]

    lost_at, *_ = zones.until(losses, "the loss shows")
    zones.until(lambda: _ready(zones, "Deployment", "api") == 6, "the deployment has recovered")

    assert (lost_at - begin) / 0.02 >= 50
    assert {"b", "c"} == {one.spec.node_name[5] for one in _pods(zones)}


def test_a_node_that_died_is_noticed_then_evicted_and_a_statefulset_is_not_replaced(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 6), workload("StatefulSet", "redis", 3))
    begin = time.monotonic()
    zones.kill_nodes(*_zone_a(zones))
    zones.until(lambda: _ready(zones, "Deployment", "api") == 4, "the nodes are NotReady")
    noticed_s = (time.monotonic() - begin) / SECOND_S
    zones.until(lambda: _ready(zones, "Deployment", "api") == 6, "the deployment has recovered")
    evicted_s = (time.monotonic() - begin) / SECOND_S
    time.sleep(0.3)
    redis = _ready(zones, "StatefulSet", "redis")
    stuck = [one for one in _pods(zones, "redis") if one.metadata.deletion_timestamp]

    assert noticed_s >= 50
    assert evicted_s >= 350
    assert 2 == redis
    assert ["Running"] == [one.status.phase for one in stuck]


def test_the_out_of_service_taint_lets_a_statefulset_recover(zones: Standin) -> None:
    _up(zones, workload("StatefulSet", "redis", 3))
    lost = next(one.spec.node_name for one in _pods(zones, "redis") if one.metadata.name == "redis-0")
    zones.kill_nodes(lost)
    zones.until(lambda: _ready(zones, "StatefulSet", "redis") == 2, "the node is NotReady")
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    taints = zones.core.read_node(lost).spec.taints
    zones.core.patch_node(lost, {"spec": {"taints": [*zones.api.sanitize_for_serialization(taints), taint]}})
    zones.until(lambda: _ready(zones, "StatefulSet", "redis") == 3, "redis-0 is elsewhere")


def test_a_forced_deletion_lets_a_statefulset_recover(zones: Standin) -> None:
    _up(zones, workload("StatefulSet", "redis", 3))
    lost = next(one.spec.node_name for one in _pods(zones, "redis") if one.metadata.name == "redis-0")
    zones.kill_nodes(lost)
    zones.until(lambda: _ready(zones, "StatefulSet", "redis") == 2, "the node is NotReady")
    zones.core.delete_namespaced_pod("redis-0", "default")
    time.sleep(0.3)
    stuck = zones.core.read_namespaced_pod("redis-0", "default").metadata.deletion_timestamp
    zones.core.delete_namespaced_pod("redis-0", "default", grace_period_seconds=0)
    zones.until(lambda: _ready(zones, "StatefulSet", "redis") == 3, "redis-0 is elsewhere")

    assert stuck is not None


def test_a_statefulset_whose_volume_is_bound_to_a_zone_waits_for_it(zones: Standin) -> None:
    claims = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
               "resources": {"requests": {"storage": "1Gi"}}}}]  # fmt: skip
    _up(zones, workload("StatefulSet", "mysql", 3, more={"volumeClaimTemplates": claims}))
    zone = zones.core.read_namespaced_pod("mysql-0", "default").spec.node_name[5]
    for number in (1, 2):
        zones.core.patch_node(f"node-{zone}{number}", {"spec": {"unschedulable": True}})
    zones.core.delete_namespaced_pod("mysql-0", "default", grace_period_seconds=0)

    def said() -> str:
        pod = zones.core.read_namespaced_pod("mysql-0", "default")
        return str([one.message for one in pod.status.conditions or [] if one.reason == "Unschedulable"])

    assert zones.until(lambda: "PersistentVolume's node affinity" in said(), "it cannot be placed")
    for number in (1, 2):
        zones.core.patch_node(f"node-{zone}{number}", {"spec": {"unschedulable": None}})
    zones.until(lambda: _ready(zones, "StatefulSet", "mysql") == 3, "mysql-0 is back")


def test_a_cordon_is_kept_as_a_taint_and_taken_off_again(zones: Standin) -> None:
    zones.core.patch_node("node-a1", {"spec": {"unschedulable": True}})
    zones.until(lambda: zones.core.read_node("node-a1").spec.taints, "the taint is there")
    zones.core.patch_node("node-a1", {"spec": {"unschedulable": None}})
    zones.until(lambda: not zones.core.read_node("node-a1").spec.taints, "the taint is gone")


def test_evictions_spend_the_budget_and_are_then_too_many(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 3), budget("api", minAvailable=2))
    policy = client.PolicyV1Api(zones.api)

    def healthy() -> int:
        return int(policy.read_namespaced_pod_disruption_budget("api", "default").status.current_healthy)

    def again() -> bool:
        zones.sicken("default", *(one.metadata.name for one in _pods(zones)), works=True)  # has it probed now
        return healthy() == 3

    zones.until(lambda: healthy() == 3, "the budget")
    zones.settings(ready_s=1e6)
    first, second, _ = [one.metadata.name for one in _pods(zones)]
    _evict(zones, first)
    zones.until(lambda: healthy() == 2, "the budget misses it")
    with pytest.raises(ApiException) as refusal:
        _evict(zones, second)
    zones.settings(ready_s=1)
    zones.until(again, "the replacement is ready")
    _evict(zones, second)
    with pytest.raises(ApiException) as missing:
        _evict(zones, "nobody")

    said = json.loads(refusal.value.body)
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget api needs 2 healthy pods and has 2 currently",
    }
    assert 429 == refusal.value.status
    assert [cause] == said["details"]["causes"]
    assert 404 == missing.value.status


def test_a_daemonset_is_on_every_node_and_ignores_cordons(zones: Standin) -> None:
    zones.core.patch_node("node-a1", {"spec": {"unschedulable": True}})
    zones.create(workload("DaemonSet", "agent", 0))
    zones.until(lambda: _ready(zones, "DaemonSet", "agent") == 6, "an agent on each node")


def test_a_new_template_is_rolled_out(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 4))
    before = {one.metadata.name for one in _pods(zones)}
    zones.apps.patch_namespaced_deployment(
        "api", "default", {"spec": {"template": {"metadata": {"annotations": {"at": "1"}}}}}
    )

    def done() -> bool:
        status = zones.apps.read_namespaced_deployment("api", "default").status
        return bool(status.updated_replicas == status.ready_replicas == status.replicas == 4)

    zones.until(lambda: done() and not before & {one.metadata.name for one in _pods(zones)}, "all pods are new")


def test_endpoints_have_who_is_ready(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 3), service("api", 80))

    def ready() -> int:
        subsets = zones.core.read_namespaced_endpoints("api", "default").subsets or []
        return sum(len(one.addresses or []) for one in subsets)

    zones.until(lambda: ready() == 3, "three addresses")
    zones.apps.patch_namespaced_deployment_scale("api", "default", {"spec": {"replicas": 1}})
    zones.until(lambda: ready() == 1, "one address")
    slices = client.DiscoveryV1Api(zones.api).list_namespaced_endpoint_slice("default").items

    assert [1] == [len([two for two in one.endpoints if two.conditions.ready]) for one in slices]


def test_a_namespace_takes_along_what_is_in_it(zones: Standin) -> None:
    zones.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app"}})
    zones.until(lambda: zones.all("v1", "ServiceAccount", "app"), "its account")
    zones.create(workload("Deployment", "api", 2, "app"))
    zones.until(lambda: len(zones.all("v1", "Pod", "app")) == 2, "its pods")
    zones.core.delete_namespace("app")
    zones.until(lambda: "app" not in [one.metadata.name for one in zones.core.list_namespace().items], "it is gone")

    assert [] == zones.all("v1", "Pod", "app")


def test_what_a_deployment_made_goes_with_it_unless_orphaned(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 2), workload("Deployment", "kept", 2))
    zones.apps.delete_namespaced_deployment("kept", "default", propagation_policy="Orphan")
    zones.apps.delete_namespaced_deployment("api", "default", propagation_policy="Foreground")
    zones.until(lambda: not _pods(zones), "the pods are gone")
    zones.until(lambda: not zones.apps.list_namespaced_deployment("default").items, "the deployments are gone")

    assert 2 == len(_pods(zones, "kept"))


def test_a_hundred_nodes_and_two_thousand_pods_are_listed_in_pages(cluster: Standin) -> None:
    cluster.settings(second_s=0.0001)
    cluster.create(*(node(f"node-{number:03}", "abc"[number % 3]) for number in range(100)))
    cluster.create(*(workload("Deployment", f"app-{number:02}", 100) for number in range(20)))

    def running() -> int:
        return len(cluster.core.list_namespaced_pod("default", field_selector="status.phase=Running", limit=1).items)

    cluster.until(running, "some pods run")
    cluster.until(
        lambda: all(
            one.status.ready_replicas == 100 for one in cluster.apps.list_namespaced_deployment("default").items
        ),
        "all pods run",
        60,
    )
    pages, token = [], None
    while token is not None or not pages:
        page = cluster.request("GET", "/api/v1/pods", limit=500, **({"continue": token} if token else {}))
        pages.append(len(page["items"]))
        token = page["metadata"].get("continue")

    assert [500, 500, 500, 500] == pages


def test_an_autoscaler_follows_the_load_up_to_its_maximum(zones: Standin) -> None:
    _up(zones, workload("Deployment", "api", 2))
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    spec = {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 5}
    zones.create({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                  "metadata": {"name": "api", "namespace": "default"}, "spec": spec})  # fmt: skip
    zones.load("default", "api", 1000)
    zones.until(lambda: _ready(zones, "Deployment", "api") == 5, "the maximum")

    def limited() -> bool:
        status = client.AutoscalingV2Api(zones.api).read_namespaced_horizontal_pod_autoscaler("api", "default").status
        return any(one.reason == "TooManyReplicas" and one.status == "True" for one in status.conditions or [])

    zones.until(limited, "it says that it is limited")
    zones.load("default", "api", 40)
    zones.until(lambda: _ready(zones, "Deployment", "api") == 2, "the minimum")
    events = zones.core.list_namespaced_event("default", field_selector="reason=SuccessfulRescale").items

    assert any(one.message.startswith("New size: 5; reason: cpu") for one in events)


def test_an_indexed_job_completes_each_index(zones: Standin) -> None:
    spec = {"completions": 3, "parallelism": 2, "completionMode": "Indexed"}
    job = {"metadata": {"name": "fleet"}, "spec": {**spec, "template": template("fleet", restartPolicy="Never")}}
    batch = client.BatchV1Api(zones.api)
    batch.create_namespaced_job("default", job)
    zones.until(lambda: batch.read_namespaced_job("fleet", "default").status.completion_time, "the job is complete")

    assert "0,1,2" == batch.read_namespaced_job("fleet", "default").status.completed_indexes


def test_a_job_whose_pods_fail_gives_up(zones: Standin) -> None:
    pods = template("bad", {"standin/exit-code": "1"}, restartPolicy="Never")
    batch = client.BatchV1Api(zones.api)
    batch.create_namespaced_job("default", {"metadata": {"name": "bad"}, "spec": {"backoffLimit": 1, "template": pods}})
    zones.until(
        lambda: "Failed" in [one.type for one in batch.read_namespaced_job("bad", "default").status.conditions or []],
        "it gave up",
    )

    assert 2 == batch.read_namespaced_job("bad", "default").status.failed


def test_a_cronjob_makes_jobs_one_at_a_time(zones: Standin) -> None:
    zones.settings(job_s=1000)
    job = {"spec": {"template": template("nightly", restartPolicy="Never")}}
    spec = {"schedule": "0 3 * * *", "concurrencyPolicy": "Forbid", "jobTemplate": job}
    client.BatchV1Api(zones.api).create_namespaced_cron_job("default", {"metadata": {"name": "nightly"}, "spec": spec})
    first, second = zones.run_cronjob("default", "nightly"), zones.run_cronjob("default", "nightly")

    assert first.startswith("nightly-")
    assert "" == second


def _asks(pod: Any) -> bool:
    """Whether a pod answers over a real connection."""
    try:
        with urllib.request.urlopen(f"http://{pod.status.pod_ip}:8080/", timeout=1) as answer:
            return bool(json.loads(answer.read())["pod"] == pod.metadata.name)
    except OSError:
        return False


@pytest.fixture
def listening(zones: Standin) -> Standin:
    """A deployment whose pods can be connected to."""
    made = workload("Deployment", "api", 3, annotations={"standin/listen": "yes"})
    made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": 8080}}
    _up(zones, made)
    zones.until(lambda: all(map(_asks, _pods(zones))), "all answer")
    return zones


def test_a_pod_that_listens_is_refused_once_its_node_is_dead(listening: Standin) -> None:
    pod = _pods(listening)[0]
    listening.kill_nodes(pod.spec.node_name)
    listening.until(lambda: not _asks(pod), "nobody answers")

    assert 2 == sum(map(_asks, _pods(listening)))


def test_a_policy_isolates_until_it_is_removed(listening: Standin) -> None:
    network = client.NetworkingV1Api(listening.api)
    deny = {"metadata": {"name": "deny"}, "spec": {"podSelector": {"matchLabels": {"app": "api"}}}}
    network.create_namespaced_network_policy("default", deny)
    listening.until(lambda: not any(map(_asks, _pods(listening))), "nobody answers")
    network.delete_namespaced_network_policy("deny", "default")
    listening.until(lambda: all(map(_asks, _pods(listening))), "all answer again")


def test_a_probe_that_asks_notices_a_sick_application_and_one_that_always_says_yes_does_not(listening: Standin) -> None:
    made = workload("Deployment", "blind", 1)
    made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["true"]}}
    _up(listening, made)
    listening.sicken("default", _pods(listening)[0].metadata.name, _pods(listening, "blind")[0].metadata.name)
    listening.until(lambda: _ready(listening, "Deployment", "api") == 2, "it is not ready")

    assert 1 == _ready(listening, "Deployment", "blind")
