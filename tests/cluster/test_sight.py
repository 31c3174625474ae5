"""What the API server shows is seen as it was: every change, in order, never before it, and to the stated second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster import seen
from cluster.manifests import node, workload
from cluster.standin.server import Standin

from ftchaos import witness
from ftchaos.platforms.kubernetes import events
from ftchaos.platforms.kubernetes.access import Access, Place

Obj = dict[str, Any]
SPACE, NAME = "default", "mysql"
CROSSED_S = 0.2  # between a stamp and its being stored a second may end
TARGETS: dict[str, Obj] = {
    **{f"{NAME}-{one}": {"resource": "pods", "namespace": SPACE, "name": f"{NAME}-{one}"} for one in range(4)},
    **{f"node-{one}1": {"resource": "nodes", "namespace": "", "name": f"node-{one}1"} for one in "abcd"},
}


@pytest.fixture
def stateful(cluster: Standin) -> Standin:
    """Four pods of a StatefulSet, each on a node of its own."""
    made = workload("StatefulSet", NAME, 4)
    made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": 8080}}
    cluster.create(*(node(f"node-{zone}1", zone) for zone in "abcd"), made)
    _until_ready(cluster)
    return cluster


def _until_ready(cluster: Standin) -> None:
    def ready() -> bool:
        return cluster.apps.read_namespaced_stateful_set(NAME, SPACE).status.ready_replicas == 4

    cluster.until(ready, "four pods are ready")


def _pod(cluster: Standin, number: int) -> Obj:
    """As it is now; nothing while it is not there."""
    name = f"{NAME}-{number}"
    return next((one for one in cluster.all("v1", "Pod", SPACE) if one["metadata"]["name"] == name), {})


@contextmanager
def _replaced(cluster: Standin, *numbers: int) -> Iterator[None]:
    """Wait until others, and ready ones, are in the place of these pods."""
    before = {_pod(cluster, number)["metadata"]["uid"] for number in numbers}
    yield

    def all_new() -> bool:
        now = [_pod(cluster, number) for number in numbers]
        return all(one and one["metadata"]["uid"] not in before and seen.ready_since(one) for one in now)

    cluster.until(all_new, f"others in the place of {numbers}")
    _until_ready(cluster)


def _disturb(cluster: Standin) -> None:
    """Each way in which a pod goes down, and comes back."""
    cluster.sicken(SPACE, f"{NAME}-0")
    cluster.until(lambda: seen.ready_since(_pod(cluster, 0)) is None, "it is sick")
    cluster.sicken(SPACE, f"{NAME}-0", works=True)
    cluster.until(lambda: seen.ready_since(_pod(cluster, 0)), "it is well")
    with _replaced(cluster, 1, 2):
        cluster.core.delete_namespaced_pod(f"{NAME}-1", SPACE, grace_period_seconds=0)
        cluster.core.delete_namespaced_pod(f"{NAME}-2", SPACE)
    with _replaced(cluster, 3):
        cluster.core.delete_node(_pod(cluster, 3)["spec"]["nodeName"])


def test_every_change_is_seen_in_order_and_never_before_it_was(stateful: Standin, tmp_path: Path) -> None:
    with seen.sight(stateful, SPACE, TARGETS, tmp_path) as file:
        begun_at = time.monotonic()
        _disturb(stateful)
        was = seen.truth(stateful, TARGETS)
        wanted = len(TARGETS) + sum(one.at > begun_at for one in was)
        stateful.until(lambda: len(witness.changes(witness.read(file))) >= wanted, "all of it is seen")
    saw = witness.changes(witness.read(file))

    assert 9 <= len(seen.late_s(was, saw, begun_at))
    with pytest.raises(AssertionError, match="seen before it was"):
        seen.late_s(was, [replace(one, at=one.at - 0.5 * (one.at - begun_at)) for one in saw], begun_at)
    with pytest.raises(AssertionError, match=f"{NAME}-1"):
        seen.late_s(was, [one for one in saw if (one.target, one.up) != (f"{NAME}-1", False)], begun_at)


def test_what_the_cluster_says_of_itself_is_true_to_the_second_that_is_stated(stateful: Standin) -> None:
    access = Access(Place("staging", "standin", (SPACE,), str(stateful.kubeconfig)))
    known = {one["metadata"]["uid"] for one in stateful.all("v1", "Pod", SPACE)}
    begun_at = time.monotonic()
    with _replaced(stateful, 1, 2):
        stateful.core.delete_namespaced_pod(f"{NAME}-1", SPACE, grace_period_seconds=0)
        stateful.core.delete_namespaced_pod(f"{NAME}-2", SPACE, grace_period_seconds=0)
    # So long before them that nothing is put at the instant of the fault, which would hide what is wrong.
    said = events.read(access, known, begun_at - 10)
    was = {}
    for change in stateful.changes("pods", begun_at):
        name = f"{SPACE}/{change['object']['metadata']['name']}"
        if change["sort"] == "ADDED":
            was["detected", name] = change["at"]
        elif seen.ready_since(change["object"]) is not None:
            was.setdefault(("promoted", name), change["at"])
    told = {(one.name, one.detail.split()[0]): one.at for one in said if one.name in ("detected", "promoted")}

    assert 4 == len(was)
    assert all(one.detail.endswith(events.STATED) for one in said)
    assert was.keys() == told.keys()
    for which, at in was.items():
        assert -CROSSED_S <= at - told[which] <= events.RESOLUTION_S + CROSSED_S, which
