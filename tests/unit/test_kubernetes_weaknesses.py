"""Each weakness is found in whichever form it is written, and what only looks like one is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ftchaos.platforms.findings import Finding, Unread
from ftchaos.platforms.kubernetes.claims import Seen, judged
from ftchaos.platforms.kubernetes.inventory import Node, node, pods
from ftchaos.platforms.kubernetes.weaknesses import is_kept_apart, lets_none_go, says_always_yes, ties

Obj = dict[str, Any]
ZONE, HOST, SPACE = "topology.kubernetes.io/zone", "kubernetes.io/hostname", "app"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def _node(name: str, zone: str, host: str = "") -> Node:
    labels = {ZONE: zone, HOST: host or name, "kubernetes.io/os": "linux", "topolvm.example/node": name}
    return node({"metadata": {"name": name, "uid": name, "labels": labels}, "spec": {}, "status": READY}, "a=b")


NODES = [_node("a1", "a", "ip-10-0-0-1"), _node("a2", "a"), _node("b1", "b"), _node("c1", "c")]


@pytest.mark.parametrize(
    "command",
    [
        ["true"], ["/usr/bin/true"], [":"], ["echo", "ok"], ["sh", "-c", "exit 0"], ["/bin/sh", "-c", "exit 0"],
        ["bash", "-c", "true"], ["/bin/bash", "-ec", " true "], ["sh", "-c", ":"], ["sh", "-c", "echo ok && exit 0"],
        ["sh", "-c", "true; echo 'a b'"], ["sh", "-c", "curl -f localhost/ready || true"],
        ["sh", "-c", "redis-cli ping || exit 0"], ["/bin/sh", "-x", "-c", "/bin/true # for now"],
        ["sh", "-c", "sh -c true"], ["sh", "-c", "curl -f localhost; true"], ["sh", "-c", "curl -f localhost\nexit 0"],
        ["sh", "-c", "curl -f localhost > /dev/null 2>&1 || true"],
    ],
)  # fmt: skip
def test_command_that_always_says_yes_is_found_in_any_shell_and_at_any_path(command: list[str]) -> None:
    assert says_always_yes(command)


@pytest.mark.parametrize(
    "command",
    [
        [], ["false"], ["cat", "/tmp/ready"], ["sh", "-c", "exit 1"], ["sh", "-c", "true && cat /tmp/ready"],
        ["sh", "-c", "test -f /tmp/ready || exit 1"], ["sh", "-c", "test -f /tmp/ready || exit 1 || true"],
        ["sh", "-c", "echo ping | nc localhost 6379"], ["sh", "-c"], ["sh", "/true"], ["sh", "-c", "echo 'unclosed"],
        ["truer"], ["bash", "-c", "echo > /dev/tcp/127.0.0.1/3306"], ["bash", "-ec", "curl -f localhost; true"],
        ["sh", "-c", "curl -sf a || echo a is down\ncurl -sf b"], ["sh", "-c", "curl -f a || exit 1; true"],
        ["sh", "-c", "until curl -f a; do sleep 1; done; true"], ["sh", "-c", "set -e; curl -f a; true"],
    ],
)  # fmt: skip
def test_command_that_can_say_no_is_not_taken_for_one_that_cannot(command: list[str]) -> None:
    assert not says_always_yes(command)


def _volume(*terms: Obj, **spec: Any) -> Obj:
    required = {"required": {"nodeSelectorTerms": list(terms)}}
    return {"metadata": {"name": "data"}, "spec": {**spec, **({"nodeAffinity": required} if terms else {})}}


def _in(key: str, *values: str) -> Obj:
    return {"key": key, "operator": "In", "values": list(values)}


@pytest.mark.parametrize(
    ("volume", "where"),
    [
        (_volume({"matchExpressions": [_in(ZONE, "a")]}), "in a"),
        (_volume({"matchExpressions": [_in(HOST, "ip-10-0-0-1")]}, local={"path": "/d"}), "in a, on a1 alone"),
        (_volume({"matchExpressions": [_in(HOST, "a2", "ip-10-0-0-1")]}), "in a"),
        (_volume({"matchExpressions": [_in("kubernetes.io/os", "linux"), _in(HOST, "b1")]}), "in b, on b1 alone"),
        (_volume({"matchExpressions": [_in("topolvm.example/node", "c1")]}), "in c, on c1 alone"),
        (_volume({"matchFields": [_in("metadata.name", "c1")]}), "in c, on c1 alone"),
        (_volume({"matchExpressions": [_in(HOST, "gone")]}), "where no node is that is in a zone, on gone alone"),
        (_volume(hostPath={"path": "/d"}), "on whichever node its pod is, as a hostPath is another one on each"),
        (_volume({"matchExpressions": [_in(ZONE, "a", "b")]}), ""),
        (_volume({"matchExpressions": [_in(ZONE, "a")]}, {"matchExpressions": [_in(ZONE, "b")]}), ""),
        (_volume({"matchExpressions": [_in(HOST, "a2", "b1")]}), ""),
        (_volume({"matchExpressions": [_in("kubernetes.io/os", "linux")]}), ""),
        (_volume({"matchExpressions": [_in(ZONE, "a")]}, {"matchExpressions": [_in("other", "x")]}), ""),
        (_volume(nfs={"server": "a", "path": "/"}), ""),
    ],
)
def test_volume_is_tied_to_a_zone_or_to_a_node_by_whatever_names_them(volume: Obj, where: str) -> None:
    assert where == ties(volume, NODES)


def _budget(status: Obj | None = None, **spec: Any) -> Obj:
    budget = {"metadata": {"name": "api", "namespace": SPACE}, "spec": {"selector": {"matchLabels": {"app": "api"}}}}
    budget["spec"] |= spec
    return budget | ({"status": status} if status else {})


UNREADY = {"expectedPods": 3, "currentHealthy": 2, "disruptionsAllowed": 0}


@pytest.mark.parametrize(
    ("spec", "forbids"),
    [
        ({"maxUnavailable": 0}, True), ({"maxUnavailable": "0%"}, True), ({"minAvailable": "100%"}, True),
        ({"minAvailable": 3}, True), ({"minAvailable": 7}, True), ({"minAvailable": "67%"}, True),
        ({"maxUnavailable": 1}, False), ({"maxUnavailable": "1%"}, False), ({"minAvailable": 2}, False),
        ({"minAvailable": "66%"}, False), ({"minAvailable": 0}, False), ({}, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [None, UNREADY])
def test_budget_is_judged_by_what_is_written_whatever_its_status_is(
    spec: Obj, forbids: bool, status: Obj | None
) -> None:
    assert forbids == lets_none_go(_budget(status, **spec), 3)


def test_budget_of_pods_that_nobody_counts_forbids_only_what_it_forbids_any_number() -> None:
    assert [True, True, False, False] == [
        lets_none_go(_budget(**spec), 0)
        for spec in ({"maxUnavailable": 0}, {"minAvailable": "100%"}, {"minAvailable": 3}, {})
    ]
    assert lets_none_go(_budget(), 1)


def _workload(**pod: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api"}], **pod}}
    metadata = {"name": "api", "namespace": SPACE}
    return {"kind": "StatefulSet", "metadata": metadata, "spec": {"replicas": 3, "template": template}}


def _spread(selector: Obj | None, **more: Any) -> Obj:
    rule = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", **more}
    return {"topologySpreadConstraints": [rule | ({"labelSelector": selector} if selector is not None else {})]}


def _anti(selector: Obj | None, **more: Any) -> Obj:
    term = {"topologyKey": ZONE, **more} | ({"labelSelector": selector} if selector is not None else {})
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def _preferred(selector: Obj) -> Obj:
    term = {"weight": 1, "podAffinityTerm": {"topologyKey": ZONE, "labelSelector": selector}}
    return {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}}


OURS, OTHER = {"matchLabels": {"app": "api"}}, {"matchLabels": {"app": "worker"}}


@pytest.mark.parametrize(
    ("pod", "apart"),
    [
        (_spread(OURS), True), (_anti(OURS), True), (_preferred(OURS), True),
        (_anti(OURS, namespaces=[SPACE]), True), (_anti(OURS, namespaceSelector={}), True),
        (_anti({"matchExpressions": [_in("app", "api", "worker")]}), True),
        (_spread(OTHER), False), (_anti(OTHER), False), (_preferred(OTHER), False), (_spread(None), False),
        (_anti(None), False), (_anti(OURS, namespaces=["other"]), False), (_spread(OURS, maxSkew=3), False),
        (_anti(OURS, topologyKey=HOST), False),
    ],
)  # fmt: skip
def test_pods_are_kept_apart_by_a_rule_that_is_about_them_and_by_no_other(pod: Obj, apart: bool) -> None:
    assert apart == is_kept_apart(_workload(**pod))


def _judged(workload: Obj, budgets: list[Obj]) -> dict[str, Finding]:
    labels = {"app": "api", "statefulset.kubernetes.io/pod-name": "api-0"}
    owner = {"kind": "StatefulSet", "name": "api", "controller": True}
    metadata = {"name": "api-0", "namespace": SPACE, "uid": "1", "labels": labels, "ownerReferences": [owner]}
    there = pods([{"metadata": metadata, "spec": {"containers": [], "nodeName": "a1"}}])
    nothing = Unread("nobody looked")
    seen = Seen(NODES, there, [workload], budgets, nothing, [], [], nothing)
    return {one.claim: one for one in judged(seen)}


def test_two_budgets_over_one_pod_are_found_and_those_over_different_ones_are_not() -> None:
    second = _budget(maxUnavailable=1)
    second["metadata"]["name"] = "all"
    second["spec"]["selector"] = {}
    elsewhere = copy.deepcopy(second)
    elsewhere["metadata"]["namespace"] = "other"
    found = _judged(_workload(), [_budget(maxUnavailable=1), second])["budgets allow an eviction"]

    assert ("not met", f"more than one for StatefulSet {SPACE}/api, so that none of their pods can be evicted") == (
        found.status, found.seen,
    )  # fmt: skip
    assert "met" == _judged(_workload(), [_budget(maxUnavailable=1), elsewhere])["budgets allow an eviction"].status


def test_statefulset_that_writes_to_its_node_is_found_and_one_that_reads_from_it_is_not() -> None:
    def status(**mount: Any) -> str:
        container = {"name": "api", "volumeMounts": [{"name": "data", "mountPath": "/data", **mount}]}
        workload = _workload(containers=[container], volumes=[{"name": "data", "hostPath": {"path": "/data"}}])
        return _judged(workload, [])["volumes in reach of another zone"].status

    assert ("not met", "met") == (status(), status(readOnly=True))
