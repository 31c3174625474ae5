"""What the API server takes no object without, and which fields of it never change: the refusals with 422."""

from __future__ import annotations

import re
from typing import Any

from cluster.standin import failures, selectors
from cluster.standin.kinds import Kind

Obj = dict[str, Any]
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_RFC1123 = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character"
)
_WORKLOADS = ("deployments", "replicasets", "statefulsets", "daemonsets")

# Paths below which an update may change nothing.
_FIXED = {
    "deployments": ("spec.selector",),
    "replicasets": ("spec.selector",),
    "daemonsets": ("spec.selector",),
    "jobs": ("spec.selector", "spec.template", "spec.completionMode"),
    "roles": (),
    "rolebindings": ("roleRef",),
    "clusterrolebindings": ("roleRef",),
    "secrets": ("type",),
    "persistentvolumes": ("spec.csi", "spec.nodeAffinity"),
    "endpointslices": ("addressType",),
}
_STATEFUL = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
_POD_SPEC = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates", "nodeName")


def ensure_valid(kind: Kind, obj: Obj) -> None:
    """Refuse what may not be created or become of an object.

    Raises:
        Refused: with the first thing that is wrong.
    """
    metadata = obj["metadata"]
    name = metadata["name"]
    roles = kind.group == "rbac.authorization.k8s.io"
    if not roles and (len(name) > 253 or not (_LABEL if kind.plural == "namespaces" else _SUBDOMAIN).match(name)):
        raise failures.invalid(kind, name, "metadata.name", f'Invalid value: "{name}": {_RFC1123}')
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _VALUE.match(value):
            fact = (
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric characters'
            )
            raise failures.invalid(kind, name, "metadata.labels", f"{fact} (key {key})")
    if kind.custom:
        return
    spec = obj.get("spec") or {}
    if kind.plural in (*_WORKLOADS, "jobs", "pods", "cronjobs"):
        _ensure_pods(kind, name, spec)
    if kind.plural == "poddisruptionbudgets" and "minAvailable" in spec and "maxUnavailable" in spec:
        fact = "Invalid value: minAvailable and maxUnavailable cannot be both set"
        raise failures.invalid(kind, name, "spec", fact)
    if kind.plural == "horizontalpodautoscalers" and spec.get("maxReplicas", 0) < spec.get("minReplicas", 1):
        fact = f"Invalid value: {spec.get('maxReplicas', 0)}: must be greater than or equal to `minReplicas`"
        raise failures.invalid(kind, name, "spec.maxReplicas", fact)
    if kind.plural in ("rolebindings", "clusterrolebindings") and not obj.get("roleRef", {}).get("name"):
        raise failures.invalid(kind, name, "roleRef.name", "Required value", "FieldValueRequired")


def _ensure_pods(kind: Kind, name: str, spec: Obj) -> None:
    where, pod = "spec", spec
    if kind.plural == "cronjobs":
        pod, where = spec["jobTemplate"]["spec"]["template"]["spec"], "spec.jobTemplate.spec.template.spec"
    elif kind.plural != "pods":
        pod, where = spec["template"]["spec"], "spec.template.spec"
    if not pod.get("containers"):
        raise failures.invalid(kind, name, f"{where}.containers", "Required value", "FieldValueRequired")
    for number, container in enumerate(pod["containers"]):
        for field in ("name", "image"):
            if not container.get(field):
                at = f"{where}.containers[{number}].{field}"
                raise failures.invalid(kind, name, at, "Required value", "FieldValueRequired")
    if kind.plural in _WORKLOADS:
        selector = spec.get("selector")
        if not selector:
            raise failures.invalid(kind, name, "spec.selector", "Required value", "FieldValueRequired")
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        if not selectors.of_object(selector)(labels):
            fact = f"Invalid value: {labels}: `selector` does not match template `labels`"
            raise failures.invalid(kind, name, "spec.template.metadata.labels", fact)


def ensure_update(kind: Kind, old: Obj, new: Obj) -> None:
    """Refuse an update of what never changes.

    Raises:
        Refused: with the first field that does.
    """
    if kind.custom:
        return
    name = old["metadata"]["name"]
    for path in _FIXED.get(kind.plural, ()):
        if _at(old, path) != _at(new, path):
            raise failures.invalid(kind, name, path, "Invalid value: field is immutable")
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if kind.plural == "statefulsets" and _without(before, _STATEFUL) != _without(after, _STATEFUL):
        fact = f"Forbidden: updates to statefulset spec for fields other than {', '.join(_STATEFUL)} are forbidden"
        raise failures.invalid(kind, name, "spec", fact, "FieldValueForbidden")
    if kind.plural == "pods":
        _ensure_pod_update(kind, name, before, after)
    if kind.plural == "services" and before.get("clusterIP") != after.get("clusterIP") and after.get("clusterIP"):
        raise failures.invalid(kind, name, "spec.clusterIPs[0]", "Invalid value: may not change once set")
    if kind.plural == "persistentvolumeclaims":
        may = ("resources", "volumeName", "volumeAttributesClassName")
        if _without(before, may) != _without(after, may):
            fact = "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName"
            raise failures.invalid(kind, name, "spec", fact, "FieldValueForbidden")
    changed = old.get("data") != new.get("data") or not new.get("immutable")
    if kind.plural in ("configmaps", "secrets") and old.get("immutable") and changed:
        fact = "Forbidden: field is immutable when `immutable` is set"
        raise failures.invalid(kind, name, "data", fact, "FieldValueForbidden")


def _ensure_pod_update(kind: Kind, name: str, before: Obj, after: Obj) -> None:
    def plain(spec: Obj) -> Obj:
        rest = _without(spec, _POD_SPEC)
        for part in ("containers", "initContainers"):
            if part in rest:
                rest[part] = [_without(one, ("image", "imagePullPolicy")) for one in rest[part]]
        return rest

    changed_node = before.get("nodeName") not in (None, after.get("nodeName"))
    kept = all(one in (after.get("tolerations") or []) for one in before.get("tolerations") or [])
    if plain(before) != plain(after) or changed_node or not kept:
        fact = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "
            "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to "
            "existing tolerations), `spec.terminationGracePeriodSeconds`"
        )
        raise failures.invalid(kind, name, "spec", fact, "FieldValueForbidden")


def _without(obj: Obj, names: tuple[str, ...]) -> Obj:
    return {name: value for name, value in obj.items() if name not in names}


def _at(obj: Obj, path: str) -> Any:
    found: Any = obj
    for step in path.split("."):
        found = (found or {}).get(step)
    return found
