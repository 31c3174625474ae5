"""Pods that are evicted as their budgets allow, or deleted without grace; each only if it is still the one meant.

A bare pod comes back by nobody, and its manifest may hold secrets, so that no undo could keep it: it is left out and
named. So is one that the kubelet runs from a file, and in a drain those of DaemonSets, which would return at once.

Source: Kubernetes documentation, API-initiated eviction: 429 where a budget forbids it now, 500 where it is
misconfigured.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftchaos import clock
from ftchaos.platforms.kubernetes import survey
from ftchaos.platforms.kubernetes.calls import DRAIN, OUT_OF_SERVICE, PARTITION
from ftchaos.platforms.kubernetes.failures import ApiFailed, Unanswered
from ftchaos.platforms.kubernetes.faults import crowd, settling
from ftchaos.platforms.kubernetes.inventory import Inventory, Node, Pod
from ftchaos.units import human_duration

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

Key = Mapping[str, str]

DRAINED_S = 300.0
ROUND_S = 0.5
DAEMON = "DaemonSet/"
_BUDGET = re.compile(r"The disruption budget (\S+) ")  # as the API server names the one that says no


@dataclass
class _No:
    """How often, and between which instants, somebody refused evictions."""

    since_at: float
    until_at: float
    times: int = 0


def chosen(inventory: Inventory, taken: Iterable[Node], manner: str) -> tuple[list[Pod], dict[str, str]]:
    """The application's pods that fall with these nodes, and which do not and why."""
    names = {one.name for one in taken}
    hit, spared = [], {}
    for pod in inventory.pods:
        if pod.node not in names:
            continue
        if why := _spared(pod, manner):
            spared[pod.full_name] = why
        else:
            hit.append(pod)
    return hit, spared


def _spared(pod: Pod, manner: str) -> str:
    if pod.mirror:
        return "the kubelet runs it from a file"
    if manner == PARTITION:
        return "it uses the network of its node, which no policy is for" if pod.host_network else ""
    if manner == OUT_OF_SERVICE and pod.enduring:
        return "it tolerates that its node is out of service"
    if not pod.workload:
        return "no controller would bring it back"
    return "its DaemonSet would bring it back at once" if manner == DRAIN and pod.workload.startswith(DAEMON) else ""


def kill(access: Access, every: Sequence[Key]) -> str:
    """Delete each without grace."""
    there = crowd.each(
        every, lambda one: access.delete("pods", one["namespace"], one["name"], uid=one["uid"], grace_s=0)
    )
    gone = there.count(False)
    return f"{there.count(True)} pods were deleted" + (f", {gone} were gone already" if gone else "")


def evict(access: Access, undo: Mapping[str, Any]) -> str:
    """Evict each, again and again while its budget forbids it, and wait until all are gone or the deadline is there."""
    asked: set[str] = set()
    refused: dict[str, str] = {}
    nos: dict[str, _No] = {}
    last_at, wait_s = clock.now() + DRAINED_S, ROUND_S
    while True:
        todo = [one for one in undo["pods"] if one["uid"] not in asked]
        answers = zip(todo, crowd.each(todo, lambda one: _evicted(access, one)), strict=True)
        refused = {one["uid"]: why for one, why in answers if why}
        asked |= {one["uid"] for one in todo} - refused.keys()
        _count(nos, [(one["namespace"], refused[one["uid"]]) for one in todo if one["uid"] in refused])
        left = remaining(access, undo)
        if not left or clock.now() >= last_at:
            return _drained(undo["pods"], refused, left, nos)
        time.sleep(wait_s)
        wait_s = min(wait_s * 1.5, 5.0)


def _evicted(access: Access, one: Key) -> str:
    """Why a pod was not evicted; empty where it was, or is gone."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": one["name"], "namespace": one["namespace"]},
        "deleteOptions": {"preconditions": {"uid": one["uid"]}},
    }
    try:
        access.call("create", "pods/eviction", one["namespace"], one["name"], body=body)
    except ApiFailed as error:
        if error.is_absent or error.is_conflict:  # gone, or another of that name
            return ""
        if not error.is_passing:
            raise
        return error.message
    except Unanswered as error:
        return error.fact
    return ""


def _count(nos: dict[str, _No], answers: Iterable[tuple[str, str]]) -> None:
    """Add a round of refusals, each with the namespace of its pod and why."""
    at = clock.now()
    for namespace, why in answers:
        budget = _BUDGET.search(why)
        no = nos.setdefault(f"the budget {namespace}/{budget[1]}" if budget else "the API server", _No(at, at))
        no.until_at, no.times = at, no.times + 1


def _drained(every: Sequence[Key], refused: Mapping[str, str], left: Sequence[str], nos: Mapping[str, _No]) -> str:
    names = {one["uid"]: f"{one['namespace']}/{one['name']}" for one in every}
    said = [f"{len(every) - len(left)} of {len(every)} pods were evicted"]
    said += [
        f"{who} said no "
        + (f"{no.times} times, for {human_duration(no.until_at - no.since_at)}" if no.times > 1 else "once")
        for who, no in nos.items()
    ]
    said += [f"{names[uid]} was not, within {DRAINED_S:g} s: {why}" for uid, why in refused.items()]
    return ", ".join(said + [one for one in left if "Terminating" in one])


def remaining(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """Those of the pods that were meant that are still there, in words."""
    meant = {one["uid"] for one in undo["pods"]}
    return [_said(pod) for pod in survey.pods(access, undo["place"]["namespaces"]) if pod.uid in meant]


def still_there(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """The same, and others that came to these nodes meanwhile: a zone in which something serves did not fail."""
    meant, names = {one["uid"] for one in undo["pods"]}, {one["name"] for one in undo["nodes"]}
    found = [
        pod
        for pod in survey.pods(access, undo["place"]["namespaces"])
        if pod.uid in meant
        or (pod.node in names and pod.full_name not in undo["spared"] and not _spared(pod, undo["manner"]))
    ]
    return [_said(pod) for pod in found]


def _said(pod: Pod) -> str:
    if not pod.terminating:
        return f"{pod.full_name} is still there"
    return f"{pod.full_name} is Terminating" + settling.stuck([pod])
