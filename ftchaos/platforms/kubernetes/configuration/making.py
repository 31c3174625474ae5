"""Objects are read, created, put back as they were, and removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.clock import now
from ftchaos.platforms.kubernetes.configuration import objects
from ftchaos.platforms.kubernetes.configuration.objects import ORDER
from ftchaos.platforms.kubernetes.failures import ApiFailed
from ftchaos.platforms.kubernetes.manifests import Name, Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

GONE_S = 600.0
FURNISHED_S = 60.0
EVERY_S = 0.5
INVALID = 422
EXISTS = "AlreadyExists"
QUOTA_S = 30.0
"""How long a quota may take to be counted, before what it forbids fails; its controller looks at a new one at once."""


def read(access: Access, namespaces: Iterable[str]) -> dict[Name, Obj]:
    """All objects of these namespaces that somebody wrote, as they are; without the namespaces themselves."""
    found: dict[Name, Obj] = {}
    for namespace in namespaces:
        for kind, resource in ORDER.items():
            for obj in access.pages(resource, namespace):
                name = Name(kind, namespace, str(obj["metadata"]["name"]))
                if objects.is_written(name, obj):
                    found[name] = {"apiVersion": objects.api_version(resource), "kind": kind, **obj}
    return found


def standing(access: Access, namespaces: Sequence[str]) -> dict[Name, Obj]:
    """The same, and the namespaces that are there and stay, all as the server would take them again."""
    found = {name: objects.kept(name, obj) for name, obj in read(access, namespaces).items()}
    for namespace in namespaces:
        space = access.get("namespaces", "", namespace)
        if space is not None and "deletionTimestamp" not in space["metadata"]:
            name = Name("Namespace", "", namespace)
            found[name] = objects.kept(name, space)
    return found


def open_namespace(access: Access, body: Obj) -> None:
    """Have a namespace that objects can be created in; one that is on its way out is waited for."""
    namespace = str(body["metadata"]["name"])
    await_gone(access, [namespace], terminating=True)
    try:
        access.call("create", "namespaces", body=body)
    except ApiFailed as error:
        if not error.is_conflict:
            raise
    access.until(
        lambda: [one["metadata"]["name"] for one in access.pages("serviceaccounts", namespace)],
        lambda names: "default" in names,
        FURNISHED_S,
        lambda _: f"the account of the namespace {namespace} was",
        EVERY_S,
    )


def await_gone(access: Access, namespaces: Sequence[str], *, terminating: bool = False) -> None:
    """Wait until namespaces are gone.

    Args:
        terminating: wait only for those that are on their way out.
    """

    def left() -> list[str]:
        found = []
        for one in namespaces:
            space = access.get("namespaces", "", one)
            if space is not None and ("deletionTimestamp" in space["metadata"] or not terminating):
                found.append(f"{one}{_why(space)}")
        return found

    access.until(
        left,
        lambda found: not found,
        GONE_S,
        lambda found: f"the namespace {'; '.join(found or namespaces)} was gone:",
        EVERY_S,
    )


def _why(space: Mapping[str, Any]) -> str:
    """What keeps a namespace from going."""
    conditions = (space.get("status") or {}).get("conditions") or ()
    said = [str(one.get("message")) for one in conditions if one["status"] == "True" and one.get("message")]
    return f" ({'; '.join(said)})" if said else ""


def create(access: Access, name: Name, body: Obj) -> None:
    """Create an object; one that is there already, as the cluster made it, is given what is written.

    A quota that has just been made, or that others are counted by at this moment, is waited for.
    """
    last_at = now() + QUOTA_S
    while True:
        try:
            return _create(access, name, body)
        except ApiFailed as error:
            if not (error.is_conflict or error.of_quota) or now() >= last_at:
                raise
        time.sleep(EVERY_S)


def _create(access: Access, name: Name, body: Obj) -> None:
    resource = ORDER[name.kind]
    try:
        access.call("create", resource, name.namespace, body=body)
    except ApiFailed as error:
        if error.reason == EXISTS:
            access.call("patch", resource, name.namespace, name.name, body=body)
        elif error.status == INVALID and name.kind == "Service" and body != (bare := objects.without_addresses(body)):
            access.call("create", resource, name.namespace, body=bare)  # somebody else has its address by now
        else:
            raise


def put_back(access: Access, name: Name, body: Obj, now: Obj) -> None:
    """Let an object be as it was; what of it never changes takes another in its place."""
    resource, metadata = ORDER[name.kind], now["metadata"]
    if name.kind == "Service":
        body = {**objects.without_addresses(body)}
        given = {key: now["spec"][key] for key in ("clusterIP", "clusterIPs") if key in now["spec"]}
        body["spec"] = {**body["spec"], **given}
    try:
        versioned = {**body["metadata"], "resourceVersion": metadata["resourceVersion"]}
        access.call("update", resource, name.namespace, name.name, body={**body, "metadata": versioned})
    except ApiFailed as error:
        if error.status != INVALID:
            raise
        access.delete(resource, name.namespace, name.name, uid=metadata["uid"])
        create(access, name, body)


def relabel(access: Access, body: Obj, now: Obj) -> None:
    """Give a namespace the labels and annotations that it had, and no others."""
    change: Obj = {}
    for part in ("labels", "annotations"):
        was, have = body["metadata"].get(part) or {}, now["metadata"].get(part) or {}
        if changed := {**{key: None for key in have if key not in was},
                       **{key: value for key, value in was.items() if have.get(key) != value}}:  # fmt: skip
            change[part] = changed
    if change:
        access.call("patch", "namespaces", "", body["metadata"]["name"], body={"metadata": change})
