"""The least that roles must allow for what ftchaos does, made of the table of its calls; nothing here does I/O.

Nodes and volumes belong to no namespace, so a ClusterRole allows those; all else is allowed in the namespaces of the
environment alone, and the lock of the cluster in the namespace that holds it. RBAC knows no condition on labels: that
only nodes with the label are touched is ftchaos's own part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftchaos.platforms.kubernetes.calls import (
    CALLS,
    DISCOVERY,
    KINDS,
    LEASE,
    LEASE_NAME,
    RESOURCES,
    UNNAMED,
    Kind,
    Operation,
)

SECRETS = "secrets"
NAME = "ftchaos-{kind}"
LEASE_ROLE = "ftchaos-lease"
LABELS = {"app.kubernetes.io/name": "ftchaos"}
"""By which what is ftchaos's own is told from the application."""
LEASE_NAMESPACE = "default"
GROUP = "rbac.authorization.k8s.io"
_API = f"{GROUP}/v1"


def documents(
    kind: Kind, namespaces: Sequence[str] = (), calls: Iterable[Operation] = CALLS, secrets: Sequence[str] = (),
    lease_namespace: str = LEASE_NAMESPACE, environment: str = "",
) -> list[dict[str, Any]]:  # fmt: skip
    """A ClusterRole, a Role for each namespace that stays, and where something is harmed one for the lock.

    Args:
        kind: what is to be allowed; reading always is.
        namespaces: those of the environment; without any, one Role for the namespace that it is applied to.
        secrets: namespace and name of the only Secrets that may be read, those with the accounts of the stores.
        lease_namespace: that of the lock.
        environment: in the names, as a cluster may hold several; empty for none.
    """
    every = list(calls)
    wanted = [one for one in every if one.kind in ("read", kind) and LEASE not in one.manners]
    chosen = [one for one in wanted if one.resource != SECRETS or one.everywhere]
    reads_secret = chosen != wanted
    names: dict[str, list[str]] = {}
    for secret in secrets if reads_secret else ():
        home, _, secret_name = secret.partition("/")
        names.setdefault(home, []).append(secret_name)
    name = "-".join(filter(None, (NAME.format(kind=kind), environment)))
    rules = _rules([one for one in chosen if one.of_cluster], namespaces)
    made = [{"apiVersion": _API, "kind": "ClusterRole", "metadata": _metadata(name, ""), "rules": rules}]
    inside = _rules([one for one in chosen if not one.of_cluster], ())
    # A Role in a namespace that is to be lost goes with it, and all that it would allow is allowed everywhere.
    for namespace in () if kind == "configuration" else dict.fromkeys([*(namespaces or ("",)), *names]):
        rules = [*inside] if not namespaces or namespace in namespaces else []
        rules += [_secret_rule(sorted(set(names[namespace])))] if namespace in names else []
        made.append({"apiVersion": _API, "kind": "Role", "metadata": _metadata(name, namespace), "rules": rules})
    if kind != "read":
        metadata = _metadata(LEASE_ROLE, lease_namespace)
        rules = _lease_rules([one for one in every if LEASE in one.manners])
        made.append({"apiVersion": _API, "kind": "Role", "metadata": metadata, "rules": rules})
    return made


def is_role(name: str) -> bool:
    """Whether a role of this name is one of these."""
    return name == LEASE_ROLE or any(f"{name}-".startswith(f"{NAME.format(kind=kind)}-") for kind in KINDS)


def binding(role: Mapping[str, Any], account: str, namespace: str) -> dict[str, Any]:
    """What gives a role to an account, under a name of both that no other account and no other role has.

    Several accounts may have one role and one account several, and accounts of two namespaces have one name: a binding
    with a name of less would take the role from another, or could not be applied, as what it refers to never changes.
    No namespace has a dot in its name, and no role.

    Args:
        account, namespace: of the ServiceAccount.
    """
    metadata = {**role["metadata"], "name": f"{namespace}.{account}.{role['metadata']['name']}"}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    reference = {"apiGroup": GROUP, "kind": role["kind"], "name": role["metadata"]["name"]}
    made = {"apiVersion": role["apiVersion"], "kind": f"{role['kind']}Binding", "metadata": metadata}
    return {**made, "roleRef": reference, "subjects": [subject]}


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": dict(LABELS)}


def _lease_rules(operations: Sequence[Operation]) -> list[dict[str, Any]]:
    """The one lease."""
    made = _rules([one for one in operations if one.verb in UNNAMED], ())
    named = _rules([one for one in operations if one.verb not in UNNAMED], ())
    return [*made, *({**rule, "resourceNames": [LEASE_NAME]} for rule in named)]


def _secret_rule(names: list[str]) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": [SECRETS], "resourceNames": names, "verbs": ["get"]}


def _rules(operations: Iterable[Operation], namespaces: Sequence[str]) -> list[dict[str, Any]]:
    """One rule for each resource."""
    verbs: dict[tuple[str, bool], set[str]] = {}
    for one in operations:
        named = bool(namespaces) and one.resource == "namespaces" and one.verb not in UNNAMED
        verbs.setdefault((one.resource, named), set()).add(one.verb)
    return [_rule(resource, sorted(found), namespaces if named else ()) for (resource, named), found in verbs.items()]


def _rule(resource: str, verbs: list[str], namespaces: Sequence[str]) -> dict[str, Any]:
    if resource == DISCOVERY:
        return {"nonResourceURLs": ["/api/*", DISCOVERY, f"{DISCOVERY}/*"], "verbs": verbs}
    rule: dict[str, Any] = {"apiGroups": [RESOURCES[resource].group], "resources": [resource], "verbs": verbs}
    if namespaces:
        rule["resourceNames"] = ["kube-system", *namespaces]
    return rule
