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
COMPLETED = {"phase": "Completed", "warnings": 0, "errors": 0}
LOOK_S = 0.05


def definition(kind: str, group: str = "velero.io", version: str = "v1") -> Obj:
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
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


def unlabelled(state: dict[str, Obj]) -> dict[str, Obj]:
    """What was declared beside Velero, without the label that it leaves on all that it restored."""
    found = {name: one for name, one in state.items() if SPACE not in name.split("/")}
    for one in found.values():
        for label in ("velero.io/restore-name", "velero.io/backup-name"):
            (one["metadata"].get("labels") or {}).pop(label, None)
        if one["metadata"].get("labels") == {}:
            del one["metadata"]["labels"]
    return found


class Velero:
    """It is installed, and has a backup of a namespace.

    Args:
        backup: the objects that the backup holds, the namespace first.
        outcome: the status of each Restore in the end; one that failed brings nothing back.
        takes_s: how long a Restore is under way before it makes anything.
    """

    def __init__(self, cluster: Standin, backup: Sequence[Obj], outcome: Obj = COMPLETED, takes_s: float = 0.0) -> None:
        self._cluster, self._backup = cluster, copy.deepcopy(list(backup))
        self._outcome, self._takes_s = outcome, takes_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        cluster.create(*(definition(kind) for kind in ("Backup", "Restore")))
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        self.back_up(NAME, TAKEN_AT)

    def back_up(self, name: str, completed_at: str) -> None:
        """Let there be a complete backup of the namespace."""
        spec = {"includedNamespaces": [self._backup[0]["metadata"]["name"]]}
        status = {"phase": "Completed", "completionTimestamp": completed_at}
        metadata = {"name": name, "namespace": SPACE}
        body = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec, "status": status}
        self._cluster.create(body)

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
        name, backup = restore["metadata"]["name"], restore["spec"]["backupName"]
        labels = {"velero.io/restore-name": name, "velero.io/backup-name": backup}
        self._say(restore, {"phase": "InProgress"})
        self._ending.wait(self._takes_s)
        for body in copy.deepcopy(self._backup) if not self._outcome["phase"].startswith("Failed") else ():
            body["metadata"]["labels"] = {**(body["metadata"].get("labels") or {}), **labels}
            if not self._is_there(body):
                self._cluster.create(body)
        self._say(restore, self._outcome)

    def _is_there(self, body: Obj) -> bool:
        space, name = body["metadata"].get("namespace"), body["metadata"]["name"]
        found = self._cluster.all(body["apiVersion"], body["kind"], *([space] if space else []))
        return name in [one["metadata"]["name"] for one in found]

    def _say(self, restore: Obj, status: Obj) -> None:
        self._cluster.request("PATCH", self._cluster.path(restore), {"status": status})
