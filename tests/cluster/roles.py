"""Accounts of a cluster with the roles that are printed for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.standin.server import Standin

from ftchaos.platforms.kubernetes import policy
from ftchaos.platforms.kubernetes.calls import Kind

HOME = "default"


def bound(cluster: Standin, kind: Kind, *namespaces: str, secrets: Sequence[str] = ()) -> Path:
    """A kubeconfig of an account that may do what is printed, and no more."""
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": kind, "namespace": HOME}})
    subjects = [{"kind": "ServiceAccount", "name": kind, "namespace": HOME}]
    for one in policy.documents(kind, namespaces, secrets=secrets):
        reference = {"apiGroup": policy.GROUP, "kind": one["kind"], "name": one["metadata"]["name"]}
        binding = {"apiVersion": one["apiVersion"], "kind": f"{one['kind']}Binding", "metadata": one["metadata"]}
        cluster.create(one, {**binding, "roleRef": reference, "subjects": subjects})
    return cluster.kubeconfig_of(kind, HOME)
