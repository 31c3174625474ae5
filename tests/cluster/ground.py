"""An application of a few pods in a namespace of its own, for tests of the stand-in and of a real cluster alike.

Of a real cluster nothing is touched but that namespace, and, where ``FTCHAOS_TEST_NODES`` names nodes, these: a label
of the test's own marks them, so that no fault finds any other. All of it is given back, however a test ends.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from cluster import manifests
from cluster.manifests import ZONE, budget, workload
from cluster.standin.reach import Reach

from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.undo import Record

Obj = dict[str, Any]
REAL = os.environ.get("FTCHAOS_TEST_KUBECONFIG", "")
NODES = tuple(filter(None, os.environ.get("FTCHAOS_TEST_NODES", "").split(",")))
IMAGE = os.environ.get("FTCHAOS_TEST_IMAGE", "registry.k8s.io/pause:3.10")
API, DB = "api", "db"
REPLICAS = {API: 3, DB: 2}
WHOLE_S = 180.0
"""A real cluster fetches images, and ends pods with their grace."""
KEY = "ftchaos-test"


@dataclass(frozen=True)
class Ground:
    """Where such a test stands.

    Attributes:
        space: its namespace.
        tag: the label of what may be harmed.
        nodes: those that carry it.
    """

    cluster: Reach
    space: str
    tag: str
    nodes: tuple[str, ...]

    @property
    def context(self) -> str:
        return str(yaml.safe_load(self.cluster.kubeconfig.read_text())["current-context"])

    @property
    def access(self) -> Access:
        return Access(Place("staging", self.context, (self.space,), str(self.cluster.kubeconfig)))

    def pods(self, app: str = "") -> dict[str, str]:
        """The uid of each pod that is there to stay, by its name."""
        every = self.cluster.all("v1", "Pod", self.space, **({"labelSelector": f"app={app}"} if app else {}))
        return {
            one["metadata"]["name"]: one["metadata"]["uid"]
            for one in every
            if "deletionTimestamp" not in one["metadata"]
        }

    def whole(self) -> bool:
        """Whether every replica is ready, and no other pod is left."""
        every = self.cluster.all("apps/v1", "Deployment", self.space)
        every += self.cluster.all("apps/v1", "StatefulSet", self.space)
        ready = {one["metadata"]["name"]: (one.get("status") or {}).get("readyReplicas", 0) for one in every}
        there = self.cluster.all("v1", "Pod", self.space)
        return ready == REPLICAS and len(there) == sum(REPLICAS.values())

    def plan(self, fault: str, **arguments: str) -> Harm:
        return faults.find(fault).plan(survey.take(self.access, tag=self.tag), **arguments)

    @contextmanager
    def harmed(self, fault: str, harm: Harm) -> Iterator[str]:
        """While it is injected and seen; healed twice, from its record alone, whatever happens meanwhile."""
        record = Record(1, "kubernetes", f"fault:{fault}", json.loads(json.dumps(harm.undo)), harm.clause)
        try:
            faults.ensure_allowed(self.access, harm)
            said = faults.find(fault).inject(self.access, harm)
            faults.await_effect(self.access, fault, harm)
            yield said
        finally:
            healed = heal(record), heal(record)

        assert "" not in healed
        self.cluster.until(self.whole, "every replica is ready again", WHOLE_S)

    def node(self, name: str) -> Obj:
        """What a fault changes of a node."""
        found = self.cluster.request("GET", f"/api/v1/nodes/{name}")
        cordoned, taints = bool(found["spec"].get("unschedulable")), found["spec"].get("taints") or []
        ours = {key: value for key, value in (found["metadata"].get("annotations") or {}).items() if "ftchaos" in key}
        return {"cordoned": cordoned, "taints": taints, "annotations": ours}


@contextmanager
def begin(cluster: Reach, nodes: Sequence[str]) -> Iterator[Ground]:
    """The application, ready, and these nodes marked as such that may be harmed."""
    space = f"{KEY}-{secrets.token_hex(4)}"
    made = Ground(cluster, space, f"{space}=allowed", tuple(nodes))
    with _marked(made):
        _ensure_room(made)
        labelled = manifests.namespace(space)
        labelled["metadata"]["labels"] = {space: "allowed"}
        try:
            cluster.create(labelled)
            cluster.until(lambda: cluster.all("v1", "ServiceAccount", space), "the account of the namespace", WHOLE_S)
            cluster.create(*_objects(made))
            cluster.until(made.whole, "every replica is ready", WHOLE_S)
            yield made
        finally:
            cluster.core.delete_namespace(space)


def _objects(ground: Ground) -> list[Obj]:
    """Three of ``api`` of which one may be missing, preferably on the nodes that may be harmed; and two of ``db``."""
    preferred = {"weight": 100, "preference": {"matchExpressions": [{"key": ground.space, "operator": "Exists"}]}}
    there = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}} if ground.nodes else {}
    pod: Obj = {"affinity": there, "terminationGracePeriodSeconds": 1}
    every = [
        workload("Deployment", API, REPLICAS[API], ground.space, **pod),
        workload("StatefulSet", DB, REPLICAS[DB], ground.space, {"serviceName": DB}, **pod),
    ]
    for one in every:
        one["spec"]["template"]["spec"]["containers"] = [{"name": "main", "image": IMAGE}]
    return [*every, budget(API, ground.space, maxUnavailable=1)]


def _ensure_room(ground: Ground) -> None:
    """What falls on the nodes that may be harmed has to fit elsewhere, or no drain ever ends."""
    every = {one["metadata"]["name"]: one["spec"] for one in ground.cluster.all("v1", "Node")}
    others = [name for name, spec in every.items() if name not in ground.nodes and not spec.get("unschedulable")]

    assert set(ground.nodes) <= set(every), f"FTCHAOS_TEST_NODES: there are {', '.join(every)}"
    assert others, "FTCHAOS_TEST_NODES leaves no node for what is evicted"


@contextmanager
def _marked(ground: Ground) -> Iterator[None]:
    """While the nodes carry the label of this test, and a zone where they have none; afterwards they are as before."""
    paths = {name: f"/api/v1/nodes/{name}" for name in ground.nodes}
    before = {name: ground.cluster.request("GET", path) for name, path in paths.items()}
    was = {name: ground.node(name) for name in ground.nodes}
    bare = {name for name, one in before.items() if ZONE not in (one["metadata"].get("labels") or {})}
    try:
        for name, path in paths.items():
            zone = {ZONE: ground.space} if name in bare else {}
            ground.cluster.request("PATCH", path, {"metadata": {"labels": {ground.space: "allowed", **zone}}})
        yield
    finally:
        after = {name: ground.node(name) for name in ground.nodes}
        for name, path in paths.items():
            labels: Obj = {ground.space: None, **({ZONE: None} if name in bare else {})}
            notes = {key: was[name]["annotations"].get(key) for key in after[name]["annotations"]}
            spec = before[name]["spec"]
            given = {key: spec.get(key) for key in ("unschedulable", "taints")} if after[name] != was[name] else {}
            ground.cluster.request("PATCH", path, {"metadata": {"labels": labels, "annotations": notes}, "spec": given})

    assert was == after, "a heal left a node otherwise than it was"
