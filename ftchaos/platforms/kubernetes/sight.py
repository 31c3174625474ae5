"""Sees pods, nodes, namespaces and autoscalers go down and come back as the API server shows them.

``python -m ftchaos.platforms.kubernetes.sight CONFIG.json`` appends the lines of a witness to its file, see
:mod:`ftchaos.witness`. It is a process of its own with a connection of its own, so it sees what a fault did whatever
the fault says of itself. A pod is up while one of its name is ready, is not about to go, and stands on a node that is
there; another pod of the same name means that the one before it went down. Where a fault lets pods live on for a while,
each is up until it ends. A namespace is up until it is gone, which it is once all in it is gone, or until another has
its name. An autoscaler is up while its metrics are within their
targets, and what it counts is told whenever it changes; where it knows no metric nothing is said. Each list is read
once and watched from then on. While a watch is broken nothing is said, in heartbeats neither: who is blind has
seen nothing.

Source: Kubernetes API concepts, efficient detection of changes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftchaos.errors import FtchaosError, Invalid
from ftchaos.platforms.kubernetes import autoscalers
from ftchaos.platforms.kubernetes.access import Access, ApiFailed, Place, Unanswered
from ftchaos.platforms.kubernetes.autoscalers import Autoscaler
from ftchaos.platforms.kubernetes.inventory import Node, Pod, is_ready
from ftchaos.process import die_with_parent
from ftchaos.witness import HEARTBEAT_S, Log

KIND = "kubernetes"
"""What :class:`ftchaos.witness.Target` calls its kind where this is who looks."""
AGAIN_S = 0.5
EXPIRED = 410
NAMESPACES = "namespaces"
AUTOSCALERS = "horizontalpodautoscalers"
READY, NOT_READY = "Ready", "not Ready"
Obj = dict[str, Any]


def pod(one: Pod, *, staying: bool = False, lasting: bool = False) -> Mapping[str, Any]:
    """How a pod is watched.

    Args:
        staying: say only whether it is ready. Of one that goes, or is replaced, nothing is said then: no rollout is to
            be taken for a network that is cut.
        lasting: it is up as long as it is ready and there itself, whatever is known to come: it serves on when its node
            was deleted, until it is collected, and when it is to be deleted, within its grace.
    """
    found = {"kind": KIND, "resource": "pods", "namespace": one.namespace, "name": one.name}
    return {**found, **({"staying": True} if staying else {}), **({"lasting": True} if lasting else {})}


def node(one: Node) -> Mapping[str, Any]:
    """How a node is watched."""
    return {"kind": KIND, "resource": "nodes", "namespace": "", "name": one.name}


def namespace(name: str) -> Mapping[str, Any]:
    """How a namespace is watched."""
    return {"kind": KIND, "resource": NAMESPACES, "namespace": "", "name": name}


def autoscaler(one: Autoscaler) -> Mapping[str, Any]:
    """How an autoscaler is watched: whether it is within its target."""
    return {"kind": KIND, "resource": AUTOSCALERS, "namespace": one.namespace, "name": one.name}


@dataclass
class Sight:
    """What is known of all that is watched, told to the file of a witness.

    Args:
        targets: by (resource, namespace, name) what the witness calls it.
        staying: those of them that are told of only while they are there, and the same.
        lasting: those of them that are up until they end themselves.
    """

    targets: Mapping[tuple[str, str, str], str]
    log: Log
    staying: frozenset[str] = frozenset()
    lasting: frozenset[str] = frozenset()
    _up: dict[str, bool] = field(default_factory=dict)
    _counts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    _uids: dict[str, str] = field(default_factory=dict)
    _pods: dict[tuple[str, str], Obj] = field(default_factory=dict)
    _nodes: set[str] = field(default_factory=set)
    _known: set[tuple[str, str]] = field(default_factory=set)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def whole(self, resource: str, namespace: str, objects: Iterable[Obj]) -> None:
        """A list was read: what is not in it is not there."""
        found = {str(one["metadata"]["name"]): one for one in objects}
        with self._turn:
            if resource == "nodes":
                self._nodes = set(found)
            wanted = {name for kind, space, name in self.targets if (kind, space) == (resource, namespace)}
            for name in wanted - found.keys():
                self._see(resource, namespace, name, None)
            for name, obj in found.items():
                self._see(resource, namespace, name, obj)
            self._known.add((resource, namespace))
            if resource == "nodes":
                self._look_again()

    def changed(self, resource: str, namespace: str, kind: str, obj: Obj) -> None:
        """A watch said that an object was added, modified or deleted."""
        name = str(obj["metadata"]["name"])
        with self._turn:
            if resource == "nodes" and (kind == "DELETED") == (name in self._nodes):
                (self._nodes.discard if kind == "DELETED" else self._nodes.add)(name)
                self._look_again()
            self._see(resource, namespace, name, None if kind == "DELETED" else obj)

    def blind(self, resource: str, namespace: str) -> None:
        """Nothing is known of these until they are listed anew."""
        with self._turn:
            self._known.discard((resource, namespace))

    def beat(self) -> None:
        """Say that what was seen is still so."""
        with self._turn:
            up = {
                name: self._up[name]
                for (resource, namespace, _), name in self.targets.items()
                if (resource, namespace) in self._known and name in self._up
            }
            if up:
                self.log.write({"at": time.monotonic(), "up": up})

    def _look_again(self) -> None:
        for (namespace, name), obj in list(self._pods.items()):
            self._see("pods", namespace, name, obj)

    def _see(self, resource: str, namespace: str, name: str, obj: Obj | None) -> None:
        target = self.targets.get((resource, namespace, name))
        if target is None:
            return
        if resource == AUTOSCALERS:
            self._see_scaler(target, obj)
            return
        if resource == "pods" and obj is not None:
            self._pods[(namespace, name)] = obj
        elif resource == "pods":
            self._pods.pop((namespace, name), None)
        uid = str(obj["metadata"]["uid"]) if obj is not None else ""
        replaced = uid and self._uids.get(target, uid) != uid
        up, saw = self._state(resource, obj, lasting=target in self.lasting)
        if target in self.staying and (replaced or saw not in (READY, NOT_READY)):
            self._up.pop(target, None)
            return
        if replaced:
            self._tell(target, False, "another one is in its place")
        self._uids[target] = uid or self._uids.get(target, "")
        self._tell(target, up, saw)

    def _see_scaler(self, target: str, obj: Obj | None) -> None:
        """That one is gone, or knows no metric, says nothing of a load, and must not pass for the proof of one."""
        one = autoscalers.of(obj) if obj is not None else None
        if one is None or one.within is None:
            self._up.pop(target, None)
        else:
            counts = {"replicas": one.replicas, "wanted": one.wanted, "most": one.most}
            self._tell(target, one.within, str(one), counts)

    def _state(self, resource: str, obj: Obj | None, *, lasting: bool) -> tuple[bool, str]:
        if obj is None:
            return False, "it is not there"
        if resource == NAMESPACES:
            return True, "there"
        if "deletionTimestamp" in obj["metadata"] and not lasting:
            return False, "it is to be deleted"
        where = (obj.get("spec") or {}).get("nodeName")
        if resource == "pods" and not lasting and ("nodes", "") in self._known and where not in self._nodes:
            return False, f"its node {where} is not there"
        return (True, READY) if is_ready(obj) else (False, NOT_READY)

    def _tell(self, target: str, up: bool, saw: str, counts: Mapping[str, int] | None = None) -> None:
        if self._up.get(target) != up or self._counts.get(target) != counts:
            self._up[target] = up
            line: Obj = {"at": time.monotonic(), "target": target, "up": up, "saw": saw}
            if counts is not None:
                self._counts[target] = line["counts"] = counts
            self.log.write(line)


def follow(access: Access, sight: Sight, resource: str, namespace: str) -> None:
    """List, watch, and list anew where the watch has lost its place; for ever."""
    version = ""
    while True:
        try:
            if not version:
                sight.blind(resource, namespace)
                objects, version = access.listed(resource, namespace)
                sight.whole(resource, namespace, objects)
            for kind, obj in access.watch(resource, namespace, version):
                version = str(obj["metadata"]["resourceVersion"])
                if kind != "BOOKMARK":
                    sight.changed(resource, namespace, kind, obj)
        except (ApiFailed, Unanswered) as error:
            sight.blind(resource, namespace)
            version = ""
            if not isinstance(error, ApiFailed) or error.status != EXPIRED:
                time.sleep(AGAIN_S)


def load(path: Path) -> tuple[Place, Sight, int | None]:
    """What a configuration says: where, what is watched for which file, and the parent.

    Raises:
        Invalid: it cannot be read or lacks something.
    """
    try:
        data = json.loads(path.read_bytes())
        targets = {(one["resource"], one["namespace"], one["name"]): name for name, one in data["targets"].items()}
        sight = Sight(targets, Log(Path(data["observations"])), _with(data, "staying"), _with(data, "lasting"))
        return Place.from_json(data["place"]), sight, data.get("parent_pid")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(f"the configuration {path} cannot be used: {error!r}", "see its module") from error


def _with(data: Mapping[str, Any], flag: str) -> frozenset[str]:
    return frozenset(name for name, one in data["targets"].items() if one.get(flag))


def main(argv: Sequence[str]) -> int:
    die_with_parent()
    try:
        place, sight, parent_pid = load(Path(argv[0]))
        die_with_parent(parent_pid)
        access = Access(place)
        access.ensure_right_place()
        lists = {(one[0], one[1]) for one in sight.targets}
        if any(resource == "pods" for resource, _ in lists):
            lists.add(("nodes", ""))  # a pod is down without its own
        for resource, namespace in sorted(lists):
            threading.Thread(target=_follow, args=(access, sight, resource, namespace), daemon=True).start()
        while True:
            time.sleep(HEARTBEAT_S)
            sight.beat()
    except (FtchaosError, OSError) as error:
        sys.stderr.write(f"sight: {error}\n")
        return error.exit_code if isinstance(error, FtchaosError) else 2


def _follow(access: Access, sight: Sight, resource: str, namespace: str) -> None:
    try:
        follow(access, sight, resource, namespace)
    except Exception as error:  # noqa: BLE001 - a witness that sees less than it was asked to must end as a whole
        sys.stderr.write(f"sight: {resource} {namespace}: {error}\n")
        sys.stderr.flush()
        os._exit(error.exit_code if isinstance(error, FtchaosError) else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
