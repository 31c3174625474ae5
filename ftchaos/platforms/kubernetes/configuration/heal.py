"""Whatever of the namespaces did not come back, or came back otherwise, is put back from the file of the undo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.errors import HealFailed
from ftchaos.platforms.kubernetes.configuration import keep, making, objects
from ftchaos.platforms.kubernetes.configuration.keep import Kept
from ftchaos.platforms.kubernetes.configuration.velero import RESTORE_LABEL, remove
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.platforms.kubernetes.manifests import Name, Obj
from ftchaos.platforms.mending import Mending

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    """Let the namespaces hold what they held, object by object, and their workloads be as ready.

    Raises:
        HealFailed: something is still missing or otherwise; each is named.
    """
    kept, mending = keep.read(Path(arguments["file"])), Mending("with kubectl")
    restore = dict(arguments.get("velero") or {})
    if restore:  # first of all: what Velero still makes would come after what is looked at
        mending.attempt(f"the Restore {restore['name']}", lambda: remove(access, restore))
    spaces = [kept.objects[Name("Namespace", "", one)] for one in kept.namespaces]
    opened = [
        mending.attempt(f"the namespace {one['metadata']['name']}", lambda body=one: _open(access, body))  # type: ignore[misc]
        for one in spaces
    ]
    if not all(opened):
        return mending.end("")
    mending.attempt("the objects", lambda: _objects(access, kept, restore, mending))
    left = objects.differences(kept.objects, making.standing(access, kept.namespaces))
    mending.failed += [objects.words(one) for one in left]
    settling.wait(access, arguments, mending)
    return mending.end(f"{', '.join(kept.namespaces)} held what they had held")


def _open(access: Access, body: Obj) -> None:
    space = access.get("namespaces", "", body["metadata"]["name"])
    if space is None or "deletionTimestamp" in space["metadata"]:
        making.open_namespace(access, body)
        space = access.get("namespaces", "", body["metadata"]["name"])
    if space is None:
        raise HealFailed(f"the namespace {body['metadata']['name']} went again", "see who deletes it")
    making.relabel(access, body, space)


def _objects(access: Access, kept: Kept, restore: Mapping[str, str], mending: Mending) -> str | None:
    """Create what is missing, put back what is otherwise, remove what the drill alone brought."""
    there = making.read(access, kept.namespaces)
    now = {name: objects.kept(name, obj) for name, obj in there.items()}
    wanted = {name: obj for name, obj in kept.objects.items() if name.kind != "Namespace"}
    differing = {one.name for one in objects.differences(wanted, now)}
    missing = [name for name in objects.in_order(wanted) if name not in now]
    otherwise = [name for name in objects.in_order(wanted) if name in now and name in differing]
    ours = [name for name in now if name not in wanted and _is_ours(name, there[name], kept, restore)]
    # Where there is an autoscaler, other replicas are no difference; what was lost with the loss is given back.
    smaller = [
        one for one in wanted if one in now and one not in differing and _replicas(now[one]) < _replicas(wanted[one])
    ]
    for name in missing:
        mending.attempt(str(name), lambda name=name: making.create(access, name, wanted[name]))  # type: ignore[misc]
    for name in otherwise:
        mending.attempt(str(name), lambda name=name: making.put_back(access, name, wanted[name], there[name]))  # type: ignore[misc]
    for name in smaller:
        mending.attempt(str(name), lambda name=name: _scaled(access, name, _replicas(wanted[name])))  # type: ignore[misc]
    for name in wanted:
        if name in now and name not in differing and (change := objects.notes(wanted[name], now[name])):
            mending.attempt(str(name), lambda name=name, change=change: _noted(access, name, change))  # type: ignore[misc]
    for name in ours:
        mending.attempt(str(name), lambda name=name: _removed(access, name, there[name]))  # type: ignore[misc]
    counts = ((len(missing), "created"), (len(otherwise), "put back as before"), (len(smaller), "scaled as before"),
              (len(ours), "removed"))  # fmt: skip
    said = [f"{count} object{' was' if count == 1 else 's were'} {what}" for count, what in counts if count]
    return ", ".join(said) or None


def _is_ours(name: Name, obj: Obj, kept: Kept, restore: Mapping[str, str]) -> bool:
    label = (obj["metadata"].get("labels") or {}).get(RESTORE_LABEL)
    return name in kept.makes or bool(restore and label == restore["name"])


def _replicas(obj: Obj) -> int:
    return int((obj.get("spec") or {}).get("replicas", 0))


def _scaled(access: Access, name: Name, replicas: int) -> None:
    access.call("patch", objects.ORDER[name.kind], name.namespace, name.name, body={"spec": {"replicas": replicas}})


def _noted(access: Access, name: Name, change: Obj) -> None:
    access.call("patch", objects.ORDER[name.kind], name.namespace, name.name, body={"metadata": change})


def _removed(access: Access, name: Name, now: Obj) -> None:
    access.delete(objects.ORDER[name.kind], name.namespace, name.name, uid=now["metadata"]["uid"])
