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
    """Deployments, Services and ConfigMaps in equal parts."""
    found: list[dict[str, Any]] = []
    for number in range(COUNT):
        metadata, kind = {"name": f"one-{number}", "namespace": SPACE}, number % 3
        if kind == 0:
            labels = {"app": f"one-{number}"}
            pod = {
                "containers": [
                    {"name": "a", "image": "a:1", "env": [{"name": f"V{n}", "value": "x"} for n in range(20)]}
                ]
            }
            spec = {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            }
            found.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        elif kind == 1:
            spec = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
            found.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        else:
            found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b" * 1000}})
    return found


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
            began_s = time.monotonic()
            read = manifests.read(folder)
            read_s = time.monotonic() - began_s
            access = Access(Place("benchmark", context, (SPACE,), str(standin.kubeconfig)))
            found = live.read(access, read)
            differing = drift.compare(read, found, SPACE)
            took_s = time.monotonic() - began_s
        print(f"{len(read):,} objects: {took_s:.2f} s in all, {read_s:.2f} s of it the YAML; {len(differing)} differ")
        print(f"{len(access.calls)} calls")
    finally:
        standin.end()


if __name__ == "__main__":
    main()
