"""Whether an application stands in its cluster as it must to survive a zone: from objects to findings, without I/O.

What could not be read is unknown, and never taken for met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftchaos.platforms.findings import Finding, Unread, judgement
from ftchaos.platforms.kubernetes.drift import Difference
from ftchaos.platforms.kubernetes.inventory import ZONE_LABEL, Node, Obj, Pod, selects, zones_of
from ftchaos.platforms.kubernetes.weaknesses import hosted, is_kept_apart, lets_none_go, says_always_yes, ties

ZONES = 3
NAMED = 5

Judgement = tuple[bool, str, str]


@dataclass(frozen=True)
class Seen:
    """What was read of the application's namespaces, or why it could not be.

    Attributes:
        workloads: Deployments and StatefulSets, each with its ``kind``.
        claims: PersistentVolumeClaims, ``volumes`` the PersistentVolumes.
        drift: what is not as the manifests say.
        source: where those are from, like ``of URL at main (1a2b3c)``.
    """

    nodes: list[Node] | Unread
    pods: list[Pod] | Unread
    workloads: list[Obj] | Unread
    budgets: list[Obj] | Unread
    scalers: list[Obj] | Unread
    claims: list[Obj] | Unread
    volumes: list[Obj] | Unread
    drift: list[Difference] | Unread
    source: str = ""


def judged(seen: Seen) -> list[Finding]:
    """A finding for each claim."""
    return [finding for claim in _CLAIMS for finding in claim(seen)]


def _zones(seen: Seen) -> Iterator[Finding]:
    def judge(nodes: list[Node]) -> Judgement:
        zones = sorted({one.zone for one in nodes if one.ready} - {""})
        what = f"ready nodes in {', '.join(zones) or 'no zone that is labelled'}"
        return len(zones) >= ZONES, what, f"have ready nodes in {ZONES} zones, each with the label {ZONE_LABEL}"

    yield from judgement("nodes in three zones", seen.nodes, judge)


def _replicas(seen: Seen) -> Iterator[Finding]:
    def judge(workloads: list[Obj]) -> Judgement:
        single = [_name(one) for one in workloads if _wanted(one) == 1]
        return not single, f"alone: {_listed(single)}" if single else "each twice at least", "have two replicas"

    yield from judgement("more than one replica", seen.workloads, judge)


def _spread(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.pods, Unread) or isinstance(seen.nodes, Unread):
        yield from judgement("replicas in several zones", _unread(seen.pods, seen.nodes), _never)
        return
    zones = zones_of([one for one in seen.pods if one.ready and not one.terminating], seen.nodes)

    def judge(workloads: list[Obj]) -> Judgement:
        several = [one for one in workloads if _wanted(one) > 1]
        together = [
            f"{_name(one)} in {', '.join(sorted(zones.get(_name(one), set()))) or 'none'}"
            for one in several
            if len(zones.get(_name(one), set()) - {""}) < 2
        ]
        what = _listed(together) if together else f"{len(several)} workloads"
        return not together, what, "spread them over zones: topologySpreadConstraints with whenUnsatisfiable"

    yield from judgement("replicas in several zones", seen.workloads, judge)


def _apart(seen: Seen) -> Iterator[Finding]:
    def judge(workloads: list[Obj]) -> Judgement:
        loose = [_name(one) for one in workloads if _wanted(one) > 1 and not is_kept_apart(one)]
        hint = "add podAntiAffinity or topologySpreadConstraints: where they stand now is chance"
        return not loose, f"not kept apart: {_listed(loose)}" if loose else "kept apart", hint

    yield from judgement("replicas are kept apart", seen.workloads, judge)


def _budgets(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.budgets, Unread):
        for claim in ("disruption budgets", "budgets allow an eviction"):
            yield from judgement(claim, seen.budgets, _never)
        return
    budgets = seen.budgets

    def judge(workloads: list[Obj]) -> Judgement:
        bare = [_name(one) for one in workloads if _wanted(one) > 1 and not _of(budgets, one)]
        return not bare, f"none for {_listed(bare)}" if bare else f"{len(budgets)}", "add a PodDisruptionBudget"

    yield from judgement("disruption budgets", seen.workloads, judge)

    if isinstance(seen.workloads, Unread) or isinstance(seen.pods, Unread):
        yield from judgement("budgets allow an eviction", _unread(seen.workloads, seen.pods), _never)
        return
    yield from judgement("budgets allow an eviction", (budgets, seen.workloads, seen.pods), _leaves_room)


def _leaves_room(found: tuple[list[Obj], list[Obj], list[Pod]]) -> Judgement:
    """Whether each budget lets a pod go, and no pod has two of them."""
    budgets, workloads, pods = found
    tight = [
        _full(one) for one in budgets if lets_none_go(one, sum(_wanted(each) for each in workloads if _of([one], each)))
    ]
    twice = sorted(
        {pod.owner or pod.full_name for pod in pods if len(_covering(budgets, pod.namespace, pod.labels)) > 1}
    )
    wrong = [f"no pod may ever be evicted: {_listed(tight)}"] if tight else []
    wrong += [f"more than one for {_listed(twice)}, so that none of their pods can be evicted"] if twice else []
    return not wrong, "; ".join(wrong) or "each lets a pod go", "let at least one pod go, or no node can be drained"


def _scalers(seen: Seen) -> Iterator[Finding]:
    def judge(scalers: list[Obj]) -> Judgement:
        full = [
            f"{_full(one)} at {one['spec']['maxReplicas']}"
            for one in scalers
            if (one.get("status") or {}).get("currentReplicas", 0) >= one["spec"]["maxReplicas"]
        ]
        what = f"at the maximum: {_listed(full)}" if full else f"{len(scalers)} with room"
        return not full, what, "raise maxReplicas: what falls with a zone has to fit elsewhere"

    yield from judgement("autoscalers have room", seen.scalers, judge)


def _volumes(seen: Seen) -> Iterator[Finding]:
    claim = "volumes in reach of another zone"
    if isinstance(seen.volumes, Unread) or isinstance(seen.nodes, Unread) or isinstance(seen.workloads, Unread):
        yield from judgement(claim, _unread(seen.volumes, seen.nodes, seen.workloads), _never)
        return
    on_hosts = [f"{_name(one)} in a directory of its node" for one in seen.workloads if hosted(one)]
    tied = {str(one["metadata"]["name"]): ties(one, seen.nodes) for one in seen.volumes}

    def judge(claims: list[Obj]) -> Judgement:
        bound = [
            f"{_full(one)} {where}" for one in claims if (where := tied.get(str(one["spec"].get("volumeName", "")), ""))
        ] + on_hosts
        what = f"tied to one zone: {_listed(bound)}" if bound else f"{len(claims)} claims"
        return not bound, what, "its pod waits until that zone is back: replicate in the application, or by the storage"

    yield from judgement(claim, seen.claims, judge)


def _probes(seen: Seen) -> Iterator[Finding]:
    def judge(workloads: list[Obj]) -> Judgement:
        blind = [f"{_name(one)} ({why})" for one in workloads if (why := _blindness(one))]
        what = _listed(blind) if blind else "each container is asked"
        return not blind, what, "add a readinessProbe that fails when the container does not serve"

    yield from judgement("readiness is asked for", seen.workloads, judge)


def _drift(seen: Seen) -> Iterator[Finding]:
    def judge(found: list[Difference]) -> Judgement:
        what = _listed([str(one) for one in found]) if found else "all of it"
        what += f", by the manifests {seen.source}" if seen.source else ""
        return not found, what, "apply the manifests, or write down what was changed by hand"

    yield from judgement("as its manifests say", seen.drift, judge)


_CLAIMS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    _zones, _replicas, _spread, _apart, _budgets, _scalers, _volumes, _probes, _drift,
)  # fmt: skip


def _never(_: Any) -> Judgement:
    raise AssertionError("what was not read is not judged")


def _unread(*parts: Any) -> Unread:
    return next(one for one in parts if isinstance(one, Unread))


def _name(workload: Mapping[str, Any]) -> str:
    """As :func:`ftchaos.platforms.kubernetes.inventory.zones_of` names it."""
    return f"{workload['kind']} {_full(workload)}"


def _full(obj: Mapping[str, Any]) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _wanted(workload: Mapping[str, Any]) -> int:
    return int(workload["spec"].get("replicas", 1))


def _pod(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = workload["spec"]["template"]["spec"]
    return found


def _of(budgets: Sequence[Mapping[str, Any]], workload: Mapping[str, Any]) -> bool:
    """Whether a budget of its namespace selects its pods."""
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    return bool(_covering(budgets, workload["metadata"]["namespace"], labels))


def _covering(
    budgets: Sequence[Mapping[str, Any]], namespace: str, labels: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """The budgets that are for pods with these labels."""
    here = [one for one in budgets if one["metadata"]["namespace"] == namespace]
    return [one for one in here if selects(one["spec"].get("selector"), labels)]


def _blindness(workload: Mapping[str, Any]) -> str:
    """Why nobody would notice that a container of it does not serve; empty where somebody would."""
    for container in _pod(workload)["containers"]:
        probe = container.get("readinessProbe")
        if not probe:
            return f"{container['name']} is never asked"
        if says_always_yes((probe.get("exec") or {}).get("command") or ()):
            return f"{container['name']} always says yes"
    return ""


def _listed(items: Sequence[str]) -> str:
    more = f", and {len(items) - NAMED:,} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more
