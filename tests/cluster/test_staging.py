"""The staging in the stand-in: whole without a weakness, and with each of them weak in just that way."""

from __future__ import annotations

import contextlib
import socket

import pytest
from cluster.standin import staging
from cluster.standin.server import Standin
from cluster.standin.staging import API, DB, WEBSOCKET, WORKER, ZONE, Staging, Weaknesses
from kubernetes import client
from kubernetes.client import ApiException


def _zones(made: Staging, namespace: str, app: str) -> set[str]:
    nodes = {one.metadata.name: one.metadata.labels[ZONE] for one in made.cluster.core.list_node().items}
    return {nodes[one.spec.node_name] for one in made.pods(namespace, app)}


def test_the_staging_is_whole_and_spread(staged: Staging) -> None:
    assert staged.whole
    assert all(3 == len(_zones(staged, *where)) for where in ((API, "api"), (DB, "redis"), (DB, "mysql")))


def test_its_whole_state_compares_equal_after_what_was_done_is_undone(staged: Staging) -> None:
    before = staged.cluster.objects()
    node = staged.nodes[staging.ZONES[0]][0]
    staged.cluster.core.patch_node(node, {"spec": {"unschedulable": True}})
    staged.cluster.until(lambda: staged.cluster.core.read_node(node).spec.taints, "the cordon is a taint")
    between = staged.cluster.objects()
    staged.cluster.core.patch_node(node, {"spec": {"unschedulable": None}})
    staged.cluster.until(lambda: not staged.cluster.core.read_node(node).spec.taints, "the taint is gone")

    assert {f"v1/Node//{node}"} == {name for name in before if before[name] != between.get(name)}
    assert before == staged.cluster.objects()


def test_a_volume_bound_to_a_zone_keeps_mysql_from_recovering(cluster: Standin) -> None:
    made = staging.build(cluster, Weaknesses(bound_to_a_zone=True))
    for name in made.nodes[staging.ZONES[0]]:
        cluster.core.delete_node(name)
    cluster.until(lambda: made.ready("StatefulSet", DB, "mysql")[0] == 2, "its pod is collected")
    cluster.until(lambda: made.ready("StatefulSet", DB, "redis") == (3, 3), "redis is elsewhere")

    def waits() -> bool:
        pods = made.pods(DB, "mysql")
        return any("node affinity" in (two.message or "") for one in pods for two in one.status.conditions or [])

    cluster.until(waits, "mysql waits for its volume")


def test_all_other_weaknesses_are_there_when_planted(cluster: Standin) -> None:
    weak = Weaknesses(
        one_zone=True, no_budget=True, at_maximum=True, no_eviction=True, no_anti_affinity=True, always_ready=True
    )
    made = staging.build(cluster, weak)
    policy = client.PolicyV1Api(cluster.api)
    pod = made.pods(WORKER, "worker")[0].metadata.name
    with pytest.raises(ApiException) as refusal:
        cluster.core.create_namespaced_pod_eviction(pod, WORKER, {"metadata": {"name": pod}})
    probe = cluster.apps.read_namespaced_deployment("api", API).spec.template.spec.containers[0].readiness_probe

    assert {staging.ZONES[0]} == _zones(made, API, "api")
    assert [] == policy.list_namespaced_pod_disruption_budget(API).items
    assert (9, 9) == made.ready("Deployment", API, "api")
    assert 429 == refusal.value.status
    assert 1 == len({one.spec.node_name for one in made.pods(WEBSOCKET, "websocket")})
    assert ["true"] == probe._exec.command


def test_the_databases_can_be_connected_to_where_they_listen(cluster: Standin) -> None:
    made = staging.build(cluster, listen=True)
    pods = [*made.pods(DB, "mysql"), *made.pods(DB, "redis"), *made.pods(API, "api")]

    def reachable() -> list[str]:
        found = []
        for pod in pods:
            with contextlib.suppress(OSError):
                socket.create_connection((pod.status.pod_ip, pod.spec.containers[0].ports[0].container_port), 1).close()
                found.append(pod.metadata.name)
        return found

    cluster.until(lambda: len(reachable()) == 12, "all of them listen")
    cluster.kill_nodes(*made.nodes[staging.ZONES[0]])
    cluster.until(lambda: len(reachable()) == 8, "a third of them is gone")
