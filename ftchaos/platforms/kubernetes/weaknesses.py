"""What in a single object keeps an application from surviving, in whichever form it is written; nothing does I/O."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ftchaos.platforms.kubernetes.inventory import NAME_LABEL, ZONE_LABEL, Node, selects

ZONAL = (ZONE_LABEL, "failure-domain.beta.kubernetes.io/zone")
HOSTNAME = "kubernetes.io/hostname"
SHELLS = ("sh", "bash", "ash", "dash", "ksh", "zsh")
YES = ("true", ":", "echo", "printf")
HARMLESS = re.compile(r"2>&1|[12&]?>\s*/dev/null")
DECIDES = re.compile(r"\b(exit|exec|kill|set|trap|while|until|for|if|case)\b")
"""Words by which a shell may end before its last statement, or not come to it."""
MANY = 1000
"""Pods of a budget whose pods nobody counts: only what forbids an eviction of any number of them counts then."""


def says_always_yes(command: Sequence[str]) -> bool:
    """Whether a command succeeds whatever the container does, as a program or in a shell, wherever these lie."""
    name = command[0].rpartition("/")[2] if command else ""
    if name not in SHELLS:
        return name in YES or (name == "exit" and list(command[1:]) in ([], ["0"]))
    options = [at for at, word in enumerate(command) if at and re.fullmatch(r"-[a-z]*c", word)]
    if not options or options[0] + 1 >= len(command):
        return False
    script = command[options[0] + 1]
    *before, last = [one for one in re.split(r"[;\n]", HARMLESS.sub("", script)) if one.strip()] or [""]
    # What comes before the last, or before its ``|| true``, may say what it will, unless it ends or holds the shell.
    at_the_first_no = any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in command[1 : options[0] + 1])
    if before and (at_the_first_no or DECIDES.search(" ".join(before))):
        return False
    first, either, second = last.rpartition("||")
    if either:
        return _is_yes(second) and not DECIDES.search(first)
    return bool(last.strip()) and all(_is_yes(part) for part in re.split(r"&&|[|&]", last) if part.strip())


def _is_yes(part: str) -> bool:
    """Of one program in a shell; where something is read or written, that may fail."""
    if re.search("[<>]", part):
        return False
    try:
        words = shlex.split(part, comments=True)
    except ValueError:
        return False
    return says_always_yes(words)


def is_kept_apart(workload: Mapping[str, Any]) -> bool:
    """Whether a rule keeps its pods in different zones: one that is about these pods, and not about another's."""
    template, namespace = workload["spec"]["template"], str(workload["metadata"]["namespace"])
    labels, replicas = template["metadata"].get("labels") or {}, int(workload["spec"].get("replicas", 1))
    spread = [
        one
        for one in template["spec"].get("topologySpreadConstraints") or ()
        if int(one.get("maxSkew", 1)) < replicas  # else all of them may be in one zone
    ]
    anti = (template["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
    terms = [*(anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ())]
    terms += [one["podAffinityTerm"] for one in anti.get("preferredDuringSchedulingIgnoredDuringExecution") or ()]
    rules = [*spread, *(one for one in terms if _is_about(one, namespace))]
    return any(one.get("topologyKey") in ZONAL and selects(one.get("labelSelector"), labels) for one in rules)


def _is_about(term: Mapping[str, Any], namespace: str) -> bool:
    """Whether a term is about the pods of a namespace; one that names none is about those of its own."""
    named, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    return (not named and selector is None) or namespace in named or selects(selector, {NAME_LABEL: namespace})


def lets_none_go(budget: Mapping[str, Any], replicas: int) -> bool:
    """Whether no pod may be evicted although all are well.

    By what is written, as the status of a moment at which one is not ready says nothing of it; and by the status, as it
    counts pods that nobody else does.

    Args:
        replicas: how many its workloads are to have; 0 where it is for none that is known.

    Source: Kubernetes, disruption controller: shares are rounded up, and without any it is minAvailable 1.
    """
    spec, status = budget["spec"], budget.get("status") or {}
    pods, healthy = int(status.get("expectedPods") or 0), int(status.get("currentHealthy") or 0)
    if pods > 0 and healthy >= pods and not status.get("disruptionsAllowed", 0):
        return True
    count = replicas or pods or MANY
    if spec.get("maxUnavailable") is not None:
        return _scaled(spec["maxUnavailable"], count) <= 0
    least = spec.get("minAvailable")
    return _scaled(1 if least is None else least, count) >= count


def _scaled(given: int | str, count: int) -> int:
    """A number, or a share of a count such as ``50%``."""
    number, share, _ = str(given).partition("%")
    return -(-int(number) * count // 100) if share else int(number)


def ties(volume: Mapping[str, Any], nodes: Sequence[Node]) -> str:
    """Where alone a volume can be reached, in words; empty where another zone reaches it, too."""
    spec = volume["spec"]
    if "hostPath" in spec:
        return "on whichever node its pod is, as a hostPath is another one on each"
    required = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    zone = {one.name: one.zone for one in nodes}
    zones, names = set[str](), set[str]()
    for term in required:
        in_zones, on_nodes = _zones(term), _nodes(term, nodes)
        if not in_zones and on_nodes is None:
            return ""
        zones |= in_zones or {zone.get(name, "") for name in on_nodes or ()} - {""}
        names |= {""} if on_nodes is None else on_nodes
    if len(zones) > 1 or not required:
        return ""
    where = f"in {', '.join(zones)}" if zones else "where no node is that is in a zone"
    return f"{where}, on {', '.join(names)} alone" if len(names) == 1 and "" not in names else where


def hosted(workload: Mapping[str, Any]) -> bool:
    """Whether it is a StatefulSet that writes to a directory of its node, and finds another one on the next."""
    spec = workload["spec"]["template"]["spec"]
    mounts = [mount for one in spec["containers"] for mount in one.get("volumeMounts") or ()]
    written = {mount["name"] for mount in mounts if not mount.get("readOnly")}
    on_host = {one["name"] for one in spec.get("volumes") or () if "hostPath" in one}
    return workload["kind"] == "StatefulSet" and bool(on_host & written)


def _zones(term: Mapping[str, Any]) -> set[str]:
    """The zones that a term names."""
    every = term.get("matchExpressions") or ()
    return {value for one in every if _is_zonal(one["key"]) and one["operator"] == "In" for value in one["values"]}


def _is_zonal(key: str) -> bool:
    """Drivers of volumes have keys of their own for it."""
    return key.endswith("/zone")


def _nodes(term: Mapping[str, Any], nodes: Sequence[Node]) -> set[str] | None:
    """The names of the nodes that a term takes, those that are not there too; None where it does not choose nodes."""
    fit: list[set[str]] = []
    for one in term.get("matchExpressions") or ():
        values = {node.name: _label(node, one["key"]) for node in nodes}
        if one["operator"] != "In" or _is_zonal(one["key"]) or (not any(values.values()) and one["key"] != HOSTNAME):
            continue
        gone = set(one["values"]) - set(values.values()) if one["key"] == HOSTNAME else set()
        fit.append({name for name, value in values.items() if value in one["values"]} | gone)
    for one in term.get("matchFields") or ():  # of which there is only the name
        fit += [set(one["values"])] if one["operator"] == "In" else []
    return set.intersection(*fit) if fit else None


def _label(node: Node, key: str) -> str:
    labels = node.made["metadata"].get("labels") or {}
    return str(labels.get(key, node.name if key == HOSTNAME else ""))
