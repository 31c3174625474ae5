"""What Velero does, as far as a drill sees it: a backup that is complete, and a Restore that is carried out.

Source: Velero 1.17, API types Backup and Restore: their phases, and the label of what was restored.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from cluster.standin.server import Standin

Obj = dict[str, Any]
SPACE, NAME = "velero", "nightly-1"
TAKEN_AT = "2026-11-29T03:00:00Z"
LOOK_S = 0.05


def definition(kind: str, group: str = "velero.io") -> Obj:
    """Of a kind with a namespace, and no schema."""
    singular = kind.lower()
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": f"{singular}s", "singular": singular},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


class Velero:
    """It is installed, and has a backup of a namespace.

    Args:
        backup: the objects that the backup holds, the namespace first.
    """

    def __init__(self, cluster: Standin, backup: Sequence[Obj]) -> None:
        self._cluster, self._backup = cluster, copy.deepcopy(list(backup))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        spec = {"includedNamespaces": [self._backup[0]["metadata"]["name"]]}
        status = {"phase": "Completed", "completionTimestamp": TAKEN_AT}
        cluster.create(*(definition(kind) for kind in ("Backup", "Restore")))
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        metadata = {"name": NAME, "namespace": SPACE}
        body = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec, "status": status}
        cluster.create(body)

    def __enter__(self) -> Velero:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            for one in self._cluster.all("velero.io/v1", "Restore"):
                if not one.get("status"):
                    self._restore(one)

    def _restore(self, restore: Obj) -> None:
        label = {"velero.io/restore-name": restore["metadata"]["name"]}
        for body in copy.deepcopy(self._backup):
            body["metadata"]["labels"] = {**(body["metadata"].get("labels") or {}), **label}
            self._cluster.create(body)
        status = {"status": {"phase": "Completed", "warnings": 0, "errors": 0}}
        self._cluster.request("PATCH", self._cluster.path(restore), status)
