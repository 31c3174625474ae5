"""What the API server adds to objects and refuses of them beyond their own fields: namespaces, addresses, accounts."""

from __future__ import annotations

from typing import Any

from cluster.standin import addresses, failures
from cluster.standin.kinds import Kind, named
from cluster.standin.settings import Settings
from cluster.standin.store import Store
from cluster.standin.times import suffix

Obj = dict[str, Any]
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
SERVE = "standin/serve"  # annotation: the Service really leads to pods; see cluster.standin.services
_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


class Admission:
    """The admission plugins of a usual cluster, and the addresses that it hands out."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._address = 0
        self._port = 30_000

    def admit(self, kind: Kind, namespace: str, obj: Obj) -> None:
        """Amend a new object in place.

        Raises:
            Refused: it may not be created where it is to be.
        """
        if kind.namespaced:
            self._ensure_namespace(kind, namespace, obj["metadata"]["name"])
        match kind.plural if not kind.custom else "":
            case "pods":
                self._pod(kind, namespace, obj)
            case "services":
                self._service(obj)
            case "nodes":
                obj.setdefault("spec", {})
                obj["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/hostname", obj["metadata"]["name"])
            case "jobs":
                _job(obj)
            case "persistentvolumeclaims":
                self._claim(obj)

    def _ensure_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        found = self._store.get("namespaces", "", namespace)
        if found is None:
            raise failures.not_found(named("namespaces"), namespace)
        if "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise failures.forbidden(kind, name, why)

    def _pod(self, kind: Kind, namespace: str, obj: Obj) -> None:
        spec = obj["spec"]
        account = spec.setdefault("serviceAccountName", "default")
        spec.setdefault("serviceAccount", account)
        found = self._store.get("serviceaccounts", namespace, account)
        if found is None:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise failures.forbidden(kind, obj["metadata"]["name"], why)
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        tolerations = spec.setdefault("tolerations", [])
        for taint in (NOT_READY, UNREACHABLE):
            if not any(tolerates(one, taint, "NoExecute") for one in tolerations):
                tolerations.append({"key": taint, "operator": "Exists", "effect": "NoExecute",
                                    "tolerationSeconds": int(self._settings.toleration_s)})  # fmt: skip
        mounts = spec.get("automountServiceAccountToken", found.get("automountServiceAccountToken", True))
        if mounts and not any(one["name"].startswith("kube-api-access-") for one in spec.get("volumes") or []):
            _mount_token(spec)
        status = obj.setdefault("status", {})
        status["phase"] = "Pending"
        requests = [(one.get("resources") or {}).get("requests") or {} for one in spec["containers"]]
        limits = [(one.get("resources") or {}).get("limits") or {} for one in spec["containers"]]
        guaranteed = all(
            {"cpu", "memory"} <= set(limit) and limit == have for limit, have in zip(limits, requests, strict=True)
        )
        status["qosClass"] = "Guaranteed" if guaranteed else "Burstable" if any(requests) else "BestEffort"

    def _service(self, obj: Obj) -> None:
        spec = obj["spec"]
        if spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            self._address += 1
            spec["clusterIP"] = f"10.96.{self._address // 250}.{self._address % 250 + 1}"
            if SERVE in (obj["metadata"].get("annotations") or {}):
                spec["clusterIP"] = addresses.of_service(self._address)
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["type"] in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or []:
                if "nodePort" not in port:
                    self._port += 1
                    port["nodePort"] = self._port
        obj.setdefault("status", {"loadBalancer": {}})

    def _claim(self, obj: Obj) -> None:
        if "storageClassName" in obj["spec"]:
            return
        for one in self._store.objects("storageclasses.storage.k8s.io"):
            if (one["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true":
                obj["spec"]["storageClassName"] = one["metadata"]["name"]


def _mount_token(spec: Obj) -> None:
    volume = f"kube-api-access-{suffix()}"
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    spec.setdefault("volumes", []).append({"name": volume, "projected": {"sources": sources, "defaultMode": 420}})
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        container.setdefault("volumeMounts", []).append({"name": volume, "readOnly": True, "mountPath": _TOKENS})


def _job(obj: Obj) -> None:
    """The labels by which a Job finds its pods."""
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    labels = {"batch.kubernetes.io/controller-uid": metadata["uid"], "batch.kubernetes.io/job-name": metadata["name"],
              "controller-uid": metadata["uid"], "job-name": metadata["name"]}  # fmt: skip
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **labels}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}


def tolerates(toleration: Obj, key: str, effect: str, value: str = "") -> bool:
    """Whether a toleration is for a taint."""
    if toleration.get("effect") not in (None, "", effect):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", key)
    return toleration.get("key") == key and (toleration.get("value") or "") == value
