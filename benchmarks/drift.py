"""How long the comparison of a cluster with its manifests takes: 1,000 objects, against the stand-in of the tests.

PYTHONPATH=tests:. python -m benchmarks.drift
"""

from __future__ import annotations

import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from cluster.standin.server import Standin

from ftchaos.platforms.kubernetes import drift, live, manifests
from ftchaos.platforms.kubernetes.access import Access, Place

SPACE, COUNT = "benchmark", 1000


def objects() -> list[dict[str, Any]]:
    """Deployments, Services and ConfigMaps in equal parts, as long as charts of applications make them."""
    found: list[dict[str, Any]] = []
    for number in range(COUNT):
        name, kind = f"one-{number}", number % 3
        labels = {f"app.kubernetes.io/{one}": f"{one}-{number}" for one in ("name", "instance", "component", "part-of")}
        metadata = {"name": name, "namespace": SPACE, "labels": labels}
        if kind == 0:
            found.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": _spec(labels)})
        elif kind == 1:
            ports = [{"name": f"p{port}", "port": port, "targetPort": port} for port in (80, 443, 9090)]
            spec = {"selector": dict(labels), "ports": ports}
            found.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        else:
            data = {f"KEY_{one}": "value " * 8 for one in range(40)}
            found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return found


def _spec(labels: dict[str, str]) -> dict[str, Any]:
    """A Deployment of two containers: some 240 lines of YAML."""
    notes = {f"checksum/{one}": "f" * 64 for one in ("config", "secret")}
    mounts = [{"name": f"v{one}", "mountPath": f"/etc/v{one}", "readOnly": True} for one in range(3)]
    containers = []
    for name in ("api", "proxy"):
        variables = [{"name": f"V{one}", "value": f"value-{one}"} for one in range(15)]
        secret = {"secretKeyRef": {"name": "database", "key": "password"}}
        probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5, "failureThreshold": 3}
        containers.append(
            {
                "name": name, "image": f"registry.example.com/{name}:1.2.3",
                "env": [*variables, *({"name": f"S{one}", "valueFrom": copy.deepcopy(secret)} for one in range(5))],
                "ports": [{"name": "http", "containerPort": 8080}],
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                "readinessProbe": probe, "livenessProbe": copy.deepcopy(probe), "volumeMounts": copy.deepcopy(mounts),
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
            }
        )  # fmt: skip
    volumes = [{"name": f"v{one}", "configMap": {"name": f"v{one}"}} for one in range(3)]
    pod = {"containers": containers, "volumes": volumes, "serviceAccountName": "api"}
    template = {"metadata": {"labels": dict(labels), "annotations": notes}, "spec": pod}
    return {"replicas": 0, "selector": {"matchLabels": dict(labels)}, "template": template}


def main() -> None:
    standin = Standin()
    try:
        standin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        written = objects()
        for obj in written:
            standin.create(copy.deepcopy(obj))
        context = yaml.safe_load(standin.kubeconfig.read_text())["current-context"]
        with tempfile.TemporaryDirectory() as below:
            folder = Path(below)
            for number in range(0, COUNT, 100):
                (folder / f"{number}.yaml").write_text(yaml.safe_dump_all(written[number : number + 100]))
            lines = sum(len(file.read_text().splitlines()) for file in folder.iterdir())
            began_s = time.monotonic()
            read = manifests.read(folder)
            read_s = time.monotonic() - began_s
            access = Access(Place("benchmark", context, (SPACE,), str(standin.kubeconfig)))
            found = live.read(access, read)
            differing = drift.compare(read, found, SPACE)
            took_s = time.monotonic() - began_s
        print(f"{lines:,} lines")
        print(f"{len(read):,} objects: {took_s:.2f} s in all, {read_s:.2f} s of it the YAML; {len(differing)} differ")
        print(f"{len(access.calls)} calls")
    finally:
        standin.end()


if __name__ == "__main__":
    main()
