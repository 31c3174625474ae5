"""The least that roles must allow for what ftchaos does, made of the table of its calls; nothing here does I/O.

Nodes and volumes belong to no namespace, so a ClusterRole allows those; all else is allowed in the namespaces of the
environment alone. RBAC knows no condition on labels: that only nodes with the label are touched is ftchaos's own part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ftchaos.platforms.kubernetes.calls import CALLS, RESOURCES, Kind, Operation

SECRETS = "secrets"
NAME = "ftchaos-{kind}"
GROUP = "rbac.authorization.k8s.io"
_API = f"{GROUP}/v1"


def documents(
    kind: Kind, namespaces: Sequence[str] = (), calls: Iterable[Operation] = CALLS, secret: str = ""
) -> list[dict[str, Any]]:
    """A ClusterRole, and a Role for each namespace.

    Args:
        kind: what is to be allowed; reading always is.
        namespaces: those of the environment; without any, one Role for the namespace that it is applied to.
        secret: namespace and name of the only Secret that may be read, that with the account of the database.
    """
    wanted = [one for one in calls if one.kind in ("read", kind)]
    chosen = [one for one in wanted if one.resource != SECRETS or one.everywhere]
    reads_secret = chosen != wanted
    home, _, secret_name = secret.partition("/")
    name = NAME.format(kind=kind)
    rules = _rules([one for one in chosen if one.of_cluster], namespaces)
    made = [{"apiVersion": _API, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}]
    inside = _rules([one for one in chosen if not one.of_cluster], ())
    for namespace in namespaces or ("",):
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        rules = [*inside, _secret_rule(secret_name)] if reads_secret and namespace == home and secret else inside
        made.append({"apiVersion": _API, "kind": "Role", "metadata": metadata, "rules": rules})
    return made


def _secret_rule(name: str) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": [SECRETS], "resourceNames": [name], "verbs": ["get"]}


def _rules(operations: Iterable[Operation], namespaces: Sequence[str]) -> list[dict[str, Any]]:
    """One rule for each resource."""
    verbs: dict[str, set[str]] = {}
    for one in operations:
        verbs.setdefault(one.resource, set()).add(one.verb)
    rules = [_rule(resource, sorted(found), namespaces) for resource, found in verbs.items()]
    if namespaces and "create" in verbs.get("namespaces", ()):  # what is not there yet has no name that a rule knows
        rules.append(_rule("namespaces", ["create"], ()))
    return rules


def _rule(resource: str, verbs: list[str], namespaces: Sequence[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [RESOURCES[resource].group], "resources": [resource], "verbs": verbs}
    if resource == "namespaces" and namespaces:
        rule["resourceNames"] = ["kube-system", *namespaces]
    return rule
