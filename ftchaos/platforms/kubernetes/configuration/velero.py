"""Velero, where it is installed: the newest backup of the namespaces, and a Restore of it.

Source: Velero 1.17, API types Backup and Restore (velero.io/v1), their phases and the labels of what was restored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused, StepFailed
from ftchaos.platforms.kubernetes.failures import ApiFailed
from ftchaos.platforms.kubernetes.manifests import Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

RESTORE_LABEL = "velero.io/restore-name"
ENDED = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")
RESTORED_S = 3600.0
EVERY_S = 0.5


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
    """The newest complete backup that holds all of these namespaces.

    Raises:
        Refused: there is none.
    """
    fit = [one for one in found if _holds(one, namespaces)]
    if not fit:
        raise Refused(
            f"none of {len(found)} backups of Velero is Completed and includes {', '.join(namespaces)}",
            "see `velero backup get`, or choose --method manifests or git",
        )
    return max(fit, key=lambda one: str(one["status"].get("completionTimestamp", "")))


def _holds(backup: Mapping[str, Any], namespaces: Sequence[str]) -> bool:
    spec, status = backup.get("spec") or {}, backup.get("status") or {}
    included = spec.get("includedNamespaces") or ["*"]
    excluded = spec.get("excludedNamespaces") or []
    held = all(("*" in included or one in included) and one not in excluded for one in namespaces)
    return status.get("phase") == "Completed" and held and "deletionTimestamp" not in backup["metadata"]


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

    def status() -> Obj:
        found = access.get("restores", ours["namespace"], ours["name"])
        return dict((found or {}).get("status") or {})

    ended = access.until(
        status,
        lambda said: said.get("phase") in ENDED,
        RESTORED_S,
        lambda said: f"the Restore {ours['name']} is {(said or {}).get('phase') or 'New'}: ended",
        EVERY_S,
    )
    words = f"Velero: {ended['phase']}, {ended.get('warnings', 0)} warnings, {ended.get('errors', 0)} errors"
    if ended["phase"].startswith("Failed"):
        said = "; ".join([str(ended.get("failureReason") or ""), *map(str, ended.get("validationErrors") or ())])
        raise StepFailed(f"{words} {said}".strip(), f"see `velero restore describe {ours['name']}`")
    return words


def remove(access: Access, ours: Mapping[str, str]) -> str | None:
    """Remove the Restore that the drill made."""
    return "the Restore was removed" if access.delete("restores", ours["namespace"], ours["name"]) else None
