"""How long a zone outage on a cluster takes to hit all its targets, how many requests it makes, and against the raw.

PYTHONPATH=tests:. python -m benchmarks.cluster_outage [ROUNDS]

100 nodes and 2,000 pods in the stand-in of the tests. Its controllers rest meanwhile, so that each of three zones is as
large as the others: one falls by ftchaos, one by the Kubernetes client and one by urllib3, the last two with as many
threads and without reading anything before or after. Who is first changes by round. Seconds are from the first call
until the stand-in's own clock says that the last target is hit: a pod deleted, about to be, or with the label of the
fault; a node deleted.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import urllib3
import yaml
from cluster.manifests import ZONE, workload
from cluster.standin.server import Standin
from kubernetes import client

from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import CONNECTIONS, MERGE, Access, Place
from ftchaos.platforms.kubernetes.faults import pods

SPACE, ZONES, ALLOWED = "benchmark", ("a", "b", "c"), {"ftchaos": "allowed"}
NODES, WORKLOADS, REPLICAS = 100, 20, 100
MANNERS = ("outage", "drain", "partition", "nodes")
CLOSED = {"unschedulable": True, "taints": [{"key": "raw", "value": "raw", "effect": "NoSchedule"}]}
Obj = dict[str, Any]


@dataclass
class Counted(Access):
    """Counts how many of its calls are on their way at once."""

    at_once: int = 0
    most: int = 0
    counting: Any = field(default_factory=threading.Lock)

    def _sent(self, *about: Any) -> Obj:
        with self.counting:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            return super()._sent(*about)
        finally:
            with self.counting:
                self.at_once -= 1


def build(standin: Standin, nodes: int, replicas: int) -> None:
    """An application on nodes of three zones, after which nothing happens by itself."""
    standin.reset()
    standin.settings(second_s=0.0001)
    standin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": ALLOWED}})
    standin.until(lambda: standin.all("v1", "ServiceAccount", SPACE), "the account of the namespace")
    for number in range(nodes):
        metadata = {"name": f"node-{number:03}", "labels": {ZONE: ZONES[number % 3], **ALLOWED}}
        standin.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    standin.create(*(workload("Deployment", f"app-{number:02}", replicas, SPACE) for number in range(WORKLOADS)))
    standin.until(
        lambda: all(
            (one.get("status") or {}).get("readyReplicas") == replicas
            for one in standin.all("apps/v1", "Deployment", SPACE)
        ),
        "all pods are ready",
        120,
    )
    standin.settings(controllers=False)
    time.sleep(1)


def hit(standin: Standin, since_at: float, harm: Harm) -> tuple[float, int]:
    """When the last target was hit, and how many were."""
    manner, mark = harm.undo["manner"], harm.undo["mark"]
    table = "nodes" if manner == "nodes" else "pods"
    wanted, found = {one["uid"] for one in harm.undo[table]}, dict[str, float]()
    for change in standin.changes(table, since_at):
        metadata = change["object"]["metadata"]
        is_hit = change["sort"] == "DELETED" or "deletionTimestamp" in metadata
        if metadata["uid"] in wanted and (is_hit or mark in metadata.get("labels", {})):
            found.setdefault(metadata["uid"], change["at"])
    if missing := wanted - found.keys():
        raise SystemExit(f"{len(missing)} of {len(wanted)} were not hit")
    return max(found.values()) - since_at, len(wanted)


# Who harms ----------------------------------------------------------------------------------------------------------


def by_ftchaos(access: Counted, harm: Harm) -> None:
    faults.find("fail_zone").inject(access, harm)


def by_client(access: Counted, harm: Harm) -> None:
    """As a script with the Kubernetes client does it."""
    made = client.Configuration()
    made.host, made.connection_pool_maxsize = access._client.configuration.host, CONNECTIONS
    made.api_key = access._client.configuration.api_key
    with client.ApiClient(made) as api:
        core, network = client.CoreV1Api(api), client.NetworkingV1Api(api)

        def evict(name: str, space: str) -> None:
            core.create_namespaced_pod_eviction(name, space, {"metadata": {"name": name, "namespace": space}})

        act: dict[str, Callable[[str, str], Any]] = {
            "outage": lambda name, space: core.delete_namespaced_pod(name, space, grace_period_seconds=0),
            "drain": evict,
            "partition": lambda name, space: core.patch_namespaced_pod(name, space, labelled(harm)),
            "nodes": lambda name, space: core.delete_node(name),
        }
        harm_all(
            harm,
            lambda name: core.patch_node(name, {"spec": CLOSED}),
            act[harm.undo["manner"]],
            lambda space: network.create_namespaced_network_policy(space, policy(harm)),
        )


def by_urllib3(access: Counted, harm: Harm) -> None:
    """The least that can be done."""
    configuration = access._client.configuration
    pool = urllib3.PoolManager(maxsize=CONNECTIONS, block=True, retries=False)
    credentials: dict[str, str] = {}
    access._client.update_params_for_auth(credentials, [], ["BearerToken"])

    def send(method: str, path: str, body: Any) -> None:
        sort = MERGE if method == "PATCH" else "application/json"
        headers = {**credentials, "Content-Type": sort}
        answer = pool.request(method, configuration.host + path, body=json.dumps(body), headers=headers)
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.data!r}")

    def of_pod(name: str, space: str) -> str:
        return f"/api/v1/namespaces/{space}/pods/{name}"

    act: dict[str, Callable[[str, str], Any]] = {
        "outage": lambda name, space: send("DELETE", of_pod(name, space), {"gracePeriodSeconds": 0}),
        "drain": lambda name, space: send("POST", f"{of_pod(name, space)}/eviction", eviction(name)),
        "partition": lambda name, space: send("PATCH", of_pod(name, space), labelled(harm)),
        "nodes": lambda name, space: send("DELETE", f"/api/v1/nodes/{name}", {}),
    }
    harm_all(
        harm,
        lambda name: send("PATCH", f"/api/v1/nodes/{name}", {"spec": CLOSED}),
        act[harm.undo["manner"]],
        lambda space: send("POST", f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies", policy(harm)),
    )


def harm_all(
    harm: Harm, close: Callable[[str], Any], act: Callable[[str, str], Any], isolate: Callable[[str], Any]
) -> None:
    """The writes of a manner, in the order of the fault."""
    undo = harm.undo
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        if undo["manner"] in ("outage", "drain"):
            list(pool.map(lambda one: close(one["name"]), undo["nodes"]))
        for one in undo["policies"]:
            isolate(one["namespace"])
        targets: Iterable[Mapping[str, str]] = undo["nodes" if undo["manner"] == "nodes" else "pods"]
        list(pool.map(lambda one: act(one["name"], one.get("namespace", "")), targets))


def eviction(name: str) -> Obj:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}


def labelled(harm: Harm) -> Obj:
    return {"metadata": {"labels": {harm.undo["mark"]: "cut"}}}


def policy(harm: Harm) -> Obj:
    labels = {"matchLabels": {harm.undo["mark"]: "cut"}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": harm.undo["mark"]},
            "spec": {"podSelector": labels, "policyTypes": ["Ingress", "Egress"]}}  # fmt: skip


CONTENDERS = {"ftchaos": by_ftchaos, "Kubernetes client": by_client, "urllib3": by_urllib3}

# What is measured ---------------------------------------------------------------------------------------------------


def reach(standin: Standin) -> Counted:
    context = yaml.safe_load(standin.kubeconfig.read_text())["current-context"]
    return Counted(Place("benchmark", context, (SPACE,), str(standin.kubeconfig)))


def measure(standin: Standin, manner: str, turn: int) -> dict[str, float]:
    """Seconds of each contender, each in a zone of its own."""
    build(standin, NODES, REPLICAS)
    took_s = {}
    for number, zone in enumerate(ZONES):
        name = list(CONTENDERS)[(number + turn) % 3]
        access = reach(standin)
        planned_at = time.monotonic()
        harm = faults.find("fail_zone").plan(survey.take(access, everywhere=manner == "nodes"), zone, manner)
        planned_s, planned, access.most = time.monotonic() - planned_at, len(access.calls), 0
        began_at = time.monotonic()
        CONTENDERS[name](access, harm)
        took_s[name], count = hit(standin, began_at, harm)
        if name == "ftchaos" and turn == 0:
            print(f"{manner}: {count} {'nodes' if manner == 'nodes' else 'pods'} to hit")
            print(f"  plan {planned_s:.2f} s: {counts(access, 0, planned)}")
            print(f"  injection: {counts(access, planned)}; {access.most} at once")
    return took_s


def counts(access: Access, first: int, last: int | None = None) -> str:
    found = Counter(f"{one.verb} {one.resource}" for one in access.calls[first:last])
    return ", ".join(f"{count} {what}" for what, count in found.most_common())


def replaced(standin: Standin) -> None:
    """The same where the stand-in's controllers make other pods meanwhile, in the process that answers."""
    build(standin, NODES, REPLICAS)
    standin.settings(controllers=True, second_s=1.0)
    access = reach(standin)
    harm = faults.find("fail_zone").plan(survey.take(access), "a", "outage")
    began_at = time.monotonic()
    by_ftchaos(access, harm)
    took_s, count = hit(standin, began_at, harm)
    print(f"outage with controllers at work: {count} pods in {took_s:.2f} s")


def pages(standin: Standin) -> None:
    """How the lists of a plan grow."""
    for nodes, replicas in ((10, 10), (10, 50), (100, 100)):
        build(standin, nodes, replicas)
        access = reach(standin)
        faults.find("fail_zone").plan(survey.take(access), "a", "outage")
        found = sum(one.verb == "list" for one in access.calls)
        print(f"{nodes} nodes, {WORKLOADS * replicas:,} pods: {found} list requests, {len(access.calls)} in all")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    pods.DRAINED_S = 0.0  # nobody's kubelet lets the evicted go, so that an eviction is all there is to wait for
    standin = Standin()
    try:
        pages(standin)
        for manner in MANNERS:
            found = [measure(standin, manner, turn) for turn in range(rounds)]
            for name in CONTENDERS:
                every = [one[name] for one in found]
                ratios = [one["ftchaos"] / one[name] for one in found]
                print(f"  {name}: {statistics.median(every):.2f} s ({min(every):.2f} to {max(every):.2f}), "
                      f"ftchaos against it {statistics.median(ratios):.2f}")  # fmt: skip
        replaced(standin)
    finally:
        standin.end()


if __name__ == "__main__":
    main()
