"""Nobody gives more than he has: whoever writes a role holds all that it allows, or may escalate, or bind it.

What was there before is not asked for again.

Source: Kubernetes, Using RBAC Authorization, privilege escalation prevention and bootstrapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from cluster.standin.failures import forbidden
from cluster.standin.kinds import Kind
from cluster.standin.rbac import Attributes, Authorizer, User

Obj = dict[str, Any]
ROLES, BINDINGS = ("clusterroles", "roles"), ("clusterrolebindings", "rolebindings")


def ensure_held(authorizer: Authorizer, kind: Kind, user: User, namespace: str, body: Obj, before: Obj | None) -> None:
    """Refuse a role, or the binding of one, that allows more than who writes it may do.

    Raises:
        Refused: it does.
    """
    name = str((body.get("metadata") or {}).get("name") or "")
    same = before is not None and all(before.get(one) == body.get(one) for one in ("rules", "roleRef", "subjects"))
    if kind.plural not in (*ROLES, *BINDINGS) or same:
        return
    if kind.plural in ROLES:
        verb, plural, role, rules = "escalate", kind.plural, name, list(body.get("rules") or [])
    else:
        reference = body["roleRef"]
        verb, role = "bind", str(reference["name"])
        plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        rules = authorizer.rules_of(reference, namespace)
    if authorizer.allows(user, Attributes(verb, kind.group, plural, namespace=namespace, name=role)):
        return
    lacking = [one for rule in rules for one in _single(rule, namespace) if not authorizer.allows(user, one)]
    if lacking:
        first = lacking[0]
        what = f'{{APIGroups:["{first.group}"], Resources:["{first.full}"], Verbs:["{first.verb}"]}}'
        why = f'user "{user.name}" is attempting to grant RBAC permissions not currently held:\n{what}'
        raise forbidden(kind, name, why)


def _single(rule: Obj, namespace: str) -> Iterator[Attributes]:
    """All that one rule allows, one by one."""
    for verb, path in product(rule.get("verbs") or (), rule.get("nonResourceURLs") or ()):
        yield Attributes(verb, path=path)
    parts = (rule.get(one) or () for one in ("verbs", "apiGroups", "resources"))
    for verb, group, full, name in product(*parts, rule.get("resourceNames") or ("",)):
        resource, _, subresource = full.partition("/")
        yield Attributes(verb, group, resource, subresource, namespace, name)
