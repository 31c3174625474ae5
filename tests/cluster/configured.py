"""An application with its manifests in a folder and a configuration of both, for drills of its configuration."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from cluster import manifests
from cluster.application import ALLOWED
from cluster.standin.server import Standin

from ftchaos import engine, evidence, planning
from ftchaos import run as runs
from ftchaos.platforms.kubernetes.configuration import objects

Obj = dict[str, Any]
SPACE = "app"
SECRET = "of-nobody-else"
LABELS = {**ALLOWED, "team": "files"}
KINDS = ("Namespace", *objects.ORDER)


def application() -> list[Obj]:
    """What a repository holds of it; in four of its lists elements have the same name, port or type."""
    meta: Obj = {"namespace": SPACE, "labels": {"app": "api"}}
    rbac = "rbac.authorization.k8s.io"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    found: list[Obj] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": LABELS}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {**meta, "name": "all"},
         "spec": {"hard": {"pods": "9"}}},
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {**meta, "name": "all"},
         "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**meta, "name": "api"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "api"}, "data": {"LEVEL": "info"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**meta, "name": "api"}, "stringData": {"key": SECRET}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {**meta, "name": "api"},
         "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {**meta, "name": "api"},
         "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "api"},
         "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": one} for one in (SPACE, "queue")]},
        _mounted_twice(manifests.workload("Deployment", "api", 2, SPACE)),
        manifests.workload("StatefulSet", "redis", 1, SPACE, more={"serviceName": "redis"}),
        manifests.service("api", 80, SPACE),
        manifests.budget("api", SPACE, minAvailable=1),
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {**meta, "name": "api"},
         "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4,
                  "metrics": [_metric("cpu"), _metric("memory")]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {**meta, "name": "api"},
         "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}],
                  "egress": [{}, {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}]}},
    ]  # fmt: skip
    return copy.deepcopy(found)


def _mounted_twice(workload: Obj) -> Obj:
    """With one volume in two places."""
    pod = workload["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "config", "configMap": {"name": "api"}}]
    pod["containers"][0]["volumeMounts"] = [
        {"name": "config", "mountPath": f"/etc/{one}", "subPath": one} for one in ("a", "b")
    ]
    return workload


def _metric(resource: str) -> Obj:
    target = {"type": "Utilization", "averageUtilization": 80}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


class Place:
    """An application in a cluster, its manifests in a folder, and the configuration of both.

    Attributes:
        written: what the folder holds.
    """

    def __init__(self, cluster: Standin, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        cluster.create(*(manifests.node(f"node-{zone}", zone) for zone in "abc"))
        whole = application()
        cluster.create(whole[0])
        cluster.until(lambda: cluster.all("v1", "ServiceAccount", SPACE), "the account")
        cluster.create(*whole[1:])
        cluster.until(self.is_ready, "the application")
        self.config(manifests="deploy")
        self.write(whole)

    def is_ready(self) -> bool:
        found = [*self.cluster.all("apps/v1", "Deployment", SPACE), *self.cluster.all("apps/v1", "StatefulSet", SPACE)]
        return len(found) == 2 and all(
            one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] for one in found
        )

    def config(self, **more: Any) -> None:
        given = {"context": "standin", "namespaces": [SPACE], "kubeconfig": str(self.cluster.kubeconfig), **more}
        environments = {"staging": {"platform": "kubernetes", "kubernetes": given}}
        (self.folder / "ftchaos.yaml").write_text(yaml.safe_dump({"environments": environments}))

    def write(self, whole: list[Obj]) -> None:
        (self.folder / "deploy").mkdir(exist_ok=True)
        (self.folder / "deploy" / "app.yaml").write_text(yaml.safe_dump_all(whole))

    def commit(self) -> str:
        """Have the folder be in a git repository; which commit."""
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(self.folder)]
        for arguments in (["init", "-q"], ["add", "deploy"], ["commit", "-qm", "one"]):
            subprocess.run([*git, *arguments], check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    def plan(self, **options: Any) -> planning.Plan:
        given = {"environment": "staging", "config": str(self.folder / "ftchaos.yaml"), "warm_timeout": "5s"}
        return planning.plan("drill", "config-restore", {**given, "reports": str(self.folder / "reports"), **options})

    def run(self, **options: Any) -> evidence.Evidence:
        return engine.run(self.plan(**options), runs.SilentProgress()).evidence

    def state(self) -> dict[str, Obj]:
        """What was declared, without what the cluster gives anew."""
        found = {name: one for name, one in self.cluster.objects().items() if name.split("/")[-3] in KINDS}
        for name, one in found.items():
            if "/Service/" in name:
                found[name] = objects.without_addresses(one)
            if "annotations" in one["metadata"]:
                notes_ = one["metadata"]["annotations"]
                notes_.pop("deployment.kubernetes.io/revision", None)
                if not notes_:
                    del one["metadata"]["annotations"]
        return found

    def uid(self) -> str:
        return str(self.cluster.request("GET", f"/api/v1/namespaces/{SPACE}")["metadata"]["uid"])


def told(found: evidence.Evidence) -> str:
    return "\n".join(found.reasons)


def leases(place: Place) -> list[str]:
    """Each lease, and who holds it."""
    return [
        f"{one['metadata']['namespace']}/{one['metadata']['name']}: {one['spec'].get('holderIdentity') or ''}"
        for one in place.cluster.all("coordination.k8s.io/v1", "Lease")
        if one["metadata"]["namespace"] != "kube-node-lease"
    ]


def drop(kind: str) -> Callable[[list[Obj]], None]:
    def change(whole: list[Obj]) -> None:
        whole[:] = [one for one in whole if one["kind"] != kind]

    return change


def level(whole: list[Obj]) -> None:
    next(one for one in whole if one["kind"] == "ConfigMap")["data"]["LEVEL"] = "debug"


def more(whole: list[Obj]) -> None:
    whole.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", "namespace": SPACE}})
