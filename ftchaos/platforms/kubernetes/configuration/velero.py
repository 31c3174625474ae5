"""Velero, where it is installed: the newest backup of the namespaces, and a Restore of it.

Source: Velero 1.17, API types Backup and Restore (velero.io/v1), their phases and the labels of what was restored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Inconclusive, Refused, StepFailed
from ftchaos.platforms.kubernetes.failures import ApiFailed
from ftchaos.platforms.kubernetes.manifests import Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

RESTORE_LABEL = "velero.io/restore-name"
ENDED = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")
RESTORED_S = 3600.0
HEALED_S = 600.0
"""How long a heal waits for a Restore that is under way; then it puts back what it can, and says so."""
EVERY_S = 0.5
TAKEN_S = 10.0
"""Within this time a Velero that runs begins with a Restore; it looks at new ones at once."""
LIMITS = ("labelSelector", "orLabelSelectors", "includedResources", "includedNamespaceScopedResources")
"""Whatever makes a backup hold a part of a namespace alone."""
EXCLUSIONS = ("excludedResources", "excludedNamespaceScopedResources")
SPARED = {
    "endpoints", "endpointslices", "endpointslices.discovery.k8s.io", "events", "events.events.k8s.io", "leases",
    "leases.coordination.k8s.io", "pods", "replicasets", "replicasets.apps",
}  # fmt: skip
"""What a backup may leave out, as the cluster makes it again of what it holds."""


def backups(access: Access, space: str) -> list[Obj]:
    """All backups that Velero knows.

    Args:
        space: the namespace that Velero is in.

    Raises:
        Refused: it is not installed.
    """
    try:
        return list(access.pages("backups", space))
    except ApiFailed as error:
        if not error.is_absent:
            raise
        raise Refused("Velero is not installed in this cluster", "choose --method manifests or git") from error


def newest(found: Sequence[Obj], namespaces: Sequence[str]) -> Obj:
    """The newest complete backup that holds all of these namespaces, and not a chosen part of them.

    Raises:
        Refused: there is none.
    """
    fit = [one for one in found if _holds(one, namespaces)]
    if not fit:
        raise Refused(
            f"none of {len(found)} backups of Velero is Completed and holds all of {', '.join(namespaces)}",
            "see `velero backup get`, or choose --method manifests or git",
        )
    return max(fit, key=lambda one: str(one["status"].get("completionTimestamp", "")))


def _holds(backup: Mapping[str, Any], namespaces: Sequence[str]) -> bool:
    spec, status = backup.get("spec") or {}, backup.get("status") or {}
    included = spec.get("includedNamespaces") or ["*"]
    excluded = spec.get("excludedNamespaces") or []
    held = all(("*" in included or one in included) and one not in excluded for one in namespaces)
    limited = any(spec.get(one) not in (None, [], {}, ["*"]) for one in LIMITS)
    limited |= any(str(one).lower() not in SPARED for key in EXCLUSIONS for one in spec.get(key) or ())
    complete = status.get("phase") == "Completed" and "deletionTimestamp" not in backup["metadata"]
    return complete and held and not limited


def restore(access: Access, ours: Mapping[str, str], backup: str, namespaces: Sequence[str]) -> str:
    """Have Velero restore the namespaces, and wait until it has.

    Args:
        ours: ``namespace`` and ``name`` of the Restore, as the undo record names it.

    Returns:
        What it said, in words.

    Raises:
        StepFailed: it failed.
        Inconclusive: it does not end.
    """
    metadata = {"name": ours["name"], "namespace": ours["namespace"]}
    spec = {"backupName": backup, "includedNamespaces": list(namespaces), "includeClusterResources": False}
    body = {"apiVersion": "velero.io/v1", "kind": "Restore", "metadata": metadata, "spec": spec}
    access.call("create", "restores", ours["namespace"], body=body)
    ended = _ended(access, ours, RESTORED_S) or {"phase": "Failed", "failureReason": "somebody removed the Restore"}
    words = f"Velero: {ended['phase']}, {ended.get('warnings', 0)} warnings, {ended.get('errors', 0)} errors"
    if ended["phase"].startswith("Failed"):
        said = "; ".join([str(ended.get("failureReason") or ""), *map(str, ended.get("validationErrors") or ())])
        raise StepFailed(f"{words} {said}".strip(), f"see `velero restore describe {ours['name']}`")
    return words


def remove(access: Access, ours: Mapping[str, str]) -> str | None:
    """Remove the Restore that the drill made, once Velero makes nothing of it any more.

    Raises:
        Inconclusive: Velero has begun with it and does not end.
    """
    with suppress(Inconclusive):
        access.until(lambda: _said(access, ours), lambda said: said is None or _begun(said), TAKEN_S, str, EVERY_S)
    if _begun(_said(access, ours) or {}):
        _ended(access, ours, HEALED_S)
    return "the Restore was removed" if access.delete("restores", ours["namespace"], ours["name"]) else None


def _said(access: Access, ours: Mapping[str, str]) -> Obj | None:
    """What Velero says of our Restore; None where there is none."""
    found = access.get("restores", ours["namespace"], ours["name"])
    return None if found is None else dict(found.get("status") or {})


def _begun(said: Mapping[str, Any]) -> bool:
    return said.get("phase") not in (None, "", "New")


def _ended(access: Access, ours: Mapping[str, str], deadline_s: float) -> Obj | None:
    """What Velero said of it at the end; None where it was removed."""
    return access.until(
        lambda: _said(access, ours),
        lambda said: said is None or said.get("phase") in ENDED,
        deadline_s,
        lambda said: f"the Restore {ours['name']} is {(said or {}).get('phase') or 'New'}: ended",
        EVERY_S,
    )
