"""Nodes that take nothing new, that are out of service, or that are deleted.

Cordon, taint and a note of what was before are one change with the version that was read: either all of it is there,
and the heal takes just that away, or nothing. A taint forbids what a cordon does not, a DaemonSet's pods. That of an
outage is ``NoSchedule``, so that pods of other applications stay; that of Kubernetes for nodes that are out of service
evicts all that does not tolerate it.

Source: Kubernetes documentation, well-known labels, annotations and taints; its value may be any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.kubernetes.calls import NODES, OUT_OF_SERVICE, OUTAGE
from ftchaos.platforms.kubernetes.failures import ApiFailed
from ftchaos.platforms.kubernetes.faults import crowd
from ftchaos.platforms.kubernetes.inventory import OUT_OF_SERVICE_TAINT, Node, is_ready
from ftchaos.platforms.mending import Mending

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

Obj = dict[str, Any]
Kept = Mapping[str, Any]

TAINTS = {OUTAGE: ("ftchaos-outage", "NoSchedule"), OUT_OF_SERVICE: (OUT_OF_SERVICE_TAINT, "NoExecute")}
BEFORE = {True: "was-cordoned", False: "was-schedulable"}
READY_S = 600.0
EVERY_S = 1.0
OF_CONTROLLERS = "node.kubernetes.io/"  # taints by which these say how a node is


def is_out_of_service(one: Node) -> bool:
    """Whether it is by now; no second taint of that key can be given."""
    return any(taint["key"] == OUT_OF_SERVICE_TAINT for taint in one.made["spec"].get("taints") or ())


def plan(taken: Iterable[Node], manner: str) -> list[Obj]:
    """What of each node an undo needs; of one that is deleted all that can be given back."""
    return [
        {"name": one.name, "uid": one.uid, **({"made": dict(one.made), "ready": one.ready} if manner == NODES else {})}
        for one in taken
    ]


def cordon(access: Access, every: Sequence[Kept], mark: str, manner: str) -> str:
    """Let them take nothing new, with the taint that is of a manner, if any.

    Raises:
        StepFailed: one of them is gone.
    """

    def close(one: Kept) -> None:
        def change(node: Obj) -> Obj | None:
            annotations = node["metadata"].get("annotations") or {}
            if node["metadata"]["uid"] != one["uid"]:
                raise StepFailed(f"the node {one['name']} is another than was planned", "run again")
            if mark in annotations:
                return None
            spec: Obj = {"unschedulable": True}
            if manner in TAINTS:
                key, effect = TAINTS[manner]
                ours = {"key": key, "value": mark, "effect": effect}
                spec["taints"] = [*(node["spec"].get("taints") or ()), ours]
            was = BEFORE[bool(node["spec"].get("unschedulable"))]
            return {"metadata": {"annotations": {mark: was}}, "spec": spec}

        if not access.patch("nodes", "", one["name"], change):
            raise StepFailed(f"the node {one['name']} is gone", "run again")

    crowd.each(every, close)
    return f"{len(every)} nodes take nothing new"


def not_cordoned(access: Access, every: Sequence[Kept], mark: str) -> list[str]:
    """Those that still take pods, in words."""
    now = {one["metadata"]["name"]: one for one in access.pages("nodes")}
    return [
        f"the node {one['name']} still takes pods"
        for one in every
        if one["name"] in now
        and not (
            now[one["name"]]["spec"].get("unschedulable")
            and mark in (now[one["name"]]["metadata"].get("annotations") or {})
        )
    ]


def uncordon(access: Access, every: Sequence[Kept], mark: str, mending: Mending) -> None:
    """Take away what :func:`cordon` did, and nothing else: cordons of before and taints of others stay."""
    opened: list[str] = []

    def change(node: Obj) -> Obj | None:
        annotations = node["metadata"].get("annotations") or {}
        if mark not in annotations:
            return None
        spec: Obj = {}
        taints = node["spec"].get("taints") or []
        kept = [one for one in taints if one.get("value") != mark]
        if kept != taints:
            spec["taints"] = kept or None
        if annotations[mark] != BEFORE[True]:
            spec["unschedulable"] = None
        opened.append(node["metadata"]["name"])
        return {"metadata": {"annotations": {mark: None} if len(annotations) > 1 else None}, "spec": spec}

    def open_(one: Kept) -> bool:
        name = one["name"]
        return mending.attempt(f"the node {name}", lambda: _done(access.patch("nodes", "", name, change)))

    crowd.each(every, open_)
    if opened:
        mending.said.append(f"{len(set(opened))} nodes are as they were")


def remove(access: Access, every: Sequence[Kept]) -> str:
    """Delete the nodes."""
    there = crowd.each(every, lambda one: access.delete("nodes", "", one["name"], uid=one["uid"]))
    return f"{there.count(True)} nodes were deleted"


def not_removed(access: Access, every: Sequence[Kept]) -> list[str]:
    """Those that are still there, in words."""
    now = {one["metadata"]["uid"] for one in access.pages("nodes")}
    return [f"the node {one['name']} is still there" for one in every if one["uid"] in now]


def restore(access: Access, every: Sequence[Kept], mending: Mending) -> None:
    """Give back the nodes that are gone, and to those that registered anew the labels, annotations and taints.

    A kubelet registers only when it begins, so that without this a deleted node stays away.
    """

    def give_back(one: Kept) -> bool:
        return mending.attempt(f"the node {one['name']}", lambda: _done(_given_back(access, one)))

    given = crowd.each(every, give_back)
    back = [one["name"] for one, worked in zip(every, given, strict=True) if worked]
    waited = [one["name"] for one in every if one["ready"] and one["name"] in back]

    def not_ready() -> list[str]:
        now = {one["metadata"]["name"]: one for one in access.pages("nodes")}
        return [name for name in waited if name not in now or not is_ready(now[name])]

    def ready() -> str:
        access.until(
            not_ready,
            lambda left: not left,
            READY_S,
            lambda left: f"the nodes {', '.join(left or waited)} are not Ready: begin their kubelets anew: not",
            EVERY_S,
        )
        return f"{len(back)} nodes are in the cluster"

    mending.attempt("the nodes", ready)


def _given_back(access: Access, one: Kept) -> bool:
    if access.get("nodes", "", one["name"]) is None:
        try:
            access.call("create", "nodes", body=one["made"])
            return True
        except ApiFailed as error:
            if not error.is_conflict:
                raise
    return access.patch("nodes", "", one["name"], lambda node: _lacking(node, one))


def _lacking(node: Obj, one: Kept) -> Obj | None:
    """What a node that registered anew has not of the one that was deleted."""
    if node["metadata"]["uid"] == one["uid"]:
        return None
    made, metadata = one["made"], {}
    for key in ("labels", "annotations"):
        have = node["metadata"].get(key) or {}
        if lacking := {name: value for name, value in (made["metadata"].get(key) or {}).items() if name not in have}:
            metadata[key] = lacking
    have = node["spec"].get("taints") or []
    taints = [
        taint
        for taint in made["spec"].get("taints") or ()
        if not taint["key"].startswith(OF_CONTROLLERS) and taint not in have
    ]
    spec: Obj = {"taints": [*have, *taints]} if taints else {}
    if made["spec"].get("unschedulable") and not node["spec"].get("unschedulable"):
        spec["unschedulable"] = True
    return {"metadata": metadata, "spec": spec} if metadata or spec else None


def _done(_: bool) -> None:
    """Nothing to say: whether it was there makes no difference to a heal."""
