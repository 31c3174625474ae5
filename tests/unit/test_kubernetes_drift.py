"""Whatever an object holds, it does not differ from itself, and each change of it is seen."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ftchaos.platforms.kubernetes import drift
from ftchaos.platforms.kubernetes.configuration import checks, objects
from ftchaos.platforms.kubernetes.manifests import Manifest, Name

Obj = dict[str, Any]

SCALARS = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=4)
NAMES = some.sampled_from(["a", "b", 53, "53", 1, True, None])
# Lists of maps with keys by which elements could be told apart, and values that are seldom unique.
ELEMENTS = some.dictionaries(some.sampled_from([*drift.KEYS, "protocol", "value"]), NAMES | SCALARS, max_size=4)
PARTS = some.recursive(
    SCALARS | some.lists(ELEMENTS, max_size=4),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
KINDS = some.sampled_from(["Deployment", "ConfigMap", "Secret", "NetworkPolicy", "RoleBinding", "Service"])


def _named(kind: str, spec: Any, **more: Any) -> tuple[Name, Obj]:
    return Name(kind, "app", "api"), {"kind": kind, "metadata": {"name": "api"}, "spec": spec, **more}


@given(KINDS, some.dictionaries(some.text(max_size=6), PARTS, max_size=4), PARTS)
def test_no_object_differs_from_itself(kind: str, spec: Obj, rest: Any) -> None:
    name, obj = _named(kind, spec, rest=rest)

    assert [] == objects.differences({name: obj}, {name: copy.deepcopy(obj)})
    assert [] == drift.compare([Manifest(name, obj, Path("x"))], {name: copy.deepcopy(obj)}, "")


def _mount(path: str) -> Obj:
    return {"name": "config", "mountPath": path, "subPath": path.strip("/")}


def _metric(name: str, percent: int) -> Obj:
    return {"type": "Resource", "resource": {"name": name, "target": {"averageUtilization": percent}}}


def _account(space: str) -> Obj:
    return {"kind": "ServiceAccount", "name": "default", "namespace": space}


POD: Obj = {
    "metadata": {"labels": {"app": "api", "db": ""}, "annotations": {"a": "b", "none": ""}},
    "spec": {
        "nodeSelector": {"disk": "ssd", "node-role.kubernetes.io/db": ""}, "volumes": [{"name": "a", "emptyDir": {}}],
        "topologySpreadConstraints": [{"topologyKey": "zone", "labelSelector": {}}],
    },
}  # fmt: skip
PEER: Obj = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "api"}}}
SPECS: dict[str, Obj] = {
    "NetworkPolicy": {"podSelector": {}, "ingress": [{"from": [PEER]}]},
    "PodDisruptionBudget": {"minAvailable": 1, "selector": {}},
    "Deployment": {"selector": {"matchLabels": {"app": "api", "db": ""}}, "template": POD},
    "StatefulSet": {"volumeClaimTemplates": [{"metadata": {"name": "a"}, "spec": {"storageClassName": ""}}]},
    "Service": {"selector": {"app": "api", "db": ""}},
}
PRESENT = [
    ("NetworkPolicy", "spec.podSelector"), ("NetworkPolicy", "spec.ingress[0].from[0].namespaceSelector"),
    ("PodDisruptionBudget", "spec.selector"), ("Deployment", "spec.selector.matchLabels.db"),
    ("Deployment", "spec.template.metadata.labels.db"), ("Deployment", "spec.template.metadata.annotations.none"),
    ("Deployment", "spec.template.spec.nodeSelector.node-role.kubernetes.io/db"),
    ("Deployment", "spec.template.spec.volumes[a].emptyDir"),
    ("Deployment", "spec.template.spec.topologySpreadConstraints[zone].labelSelector"),
    ("StatefulSet", "spec.volumeClaimTemplates[0].spec.storageClassName"), ("Service", "spec.selector.db"),
]  # fmt: skip
"""What is empty and says something by being there."""


def _less(value: Any, at: str, path: str = "spec") -> Any:
    """The same without what is at a path."""
    if isinstance(value, list):
        key = drift._key(value, value)
        return [_less(one, at, f"{path}[{one[key] if key else number}]") for number, one in enumerate(value)]
    if isinstance(value, dict):
        return {key: _less(one, at, f"{path}.{key}") for key, one in value.items() if at != f"{path}.{key}"}
    return value


@pytest.mark.parametrize(("kind", "path"), PRESENT)
def test_what_says_something_by_being_there_is_seen_to_be_lost_and_to_be_more(kind: str, path: str) -> None:
    name, whole = _named(kind, SPECS[kind])
    _, less = _named(kind, _less(SPECS[kind], path))
    lost, gained = (objects.differences({name: one}, {name: other}) for one, other in ((whole, less), (less, whole)))

    assert whole != less
    assert [path] == [one.path for one in lost]
    assert [path] == [one.path for one in gained]
    assert [path] == [one.path for one in drift.compare([Manifest(name, whole, Path("x"))], {name: less}, "")]


CONTAINER: Obj = {"name": "a", "env": [], "command": [], "resources": {}}
NOTHING: dict[str, tuple[Obj, Obj]] = {
    "Service": ({"selector": {}, "ports": [], "externalName": "a"}, {"externalName": "a"}),
    "Deployment": (
        {"strategy": {}, "template": {"metadata": {"labels": {}}, "spec": {
            "nodeSelector": {}, "tolerations": [], "priorityClassName": "", "containers": [CONTAINER]}}},
        {"template": {"metadata": {}, "spec": {"containers": [{"name": "a"}]}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOTHING)
def test_what_is_empty_and_says_nothing_is_no_drift(kind: str) -> None:
    (name, written), (_, found) = (_named(kind, one) for one in NOTHING[kind])

    assert [] == drift.compare([Manifest(name, written, Path("x"))], {name: found}, "")
    assert [] == objects.differences({name: written}, {name: found})
    assert [] == objects.differences({name: found}, {name: written})


@pytest.mark.parametrize("part", ["labels", "annotations"])
def test_template_of_pods_is_compared_but_for_the_note_of_a_restart(part: str) -> None:
    written = {"app.kubernetes.io/managed-by": "Helm"}
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-11-29T03:00:00Z"}
    name, before = _named("Deployment", {"template": {"metadata": {part: {**written, **restarted}}}})
    _, again = _named("Deployment", {"template": {"metadata": {part: written}}})
    _, less = _named("Deployment", {"template": {"metadata": {part: restarted}}})

    assert (part == "labels") == bool(objects.differences({name: before}, {name: again}))
    assert f"spec.template.metadata.{part}.app.kubernetes.io/managed-by" in [
        one.path for one in objects.differences({name: before}, {name: less})
    ]


BINDING: Obj = {"kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "ftchaos-faults"}}
OURS: dict[str, tuple[Name, Obj]] = {
    "a binding of an account's name": (Name("RoleBinding", "app", "chaos"), {**BINDING, "metadata": {"name": "chaos"}}),
    "a role": (Name("Role", "app", "ftchaos-read"), {"kind": "Role", "metadata": {"name": "ftchaos-read"}}),
    "a role of a game day": (
        Name("Role", "app", "monthly"),
        {"kind": "Role", "metadata": {"name": "monthly", "labels": {"app.kubernetes.io/name": "ftchaos"}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", OURS)
def test_what_lets_ftchaos_in_is_no_drift_and_does_not_fail_the_drill(which: str) -> None:
    name, obj = OURS[which]
    made = checks.checks({name: obj}, {}, [], True)

    assert [] == drift.compare([], {name: obj}, "")
    assert [] == [one for one in made if not one["passed"]]
    assert [name] == [one.name for one in objects.differences({name: obj}, {})]  # the undo gives it back
    other = {**obj, "metadata": {"name": "other"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}
    assert 1 == len(drift.compare([], {Name(name.kind, "app", "other"): other}, ""))
    assert 1 == len(
        [one for one in checks.checks({Name(name.kind, "app", "other"): other}, {}, [], True) if not one["passed"]]
    )


def test_plain_namespace_with_nothing_but_ours_before_the_workloads_is_comparable() -> None:
    kinds = [
        ("Role", "ftchaos-faults"),
        ("RoleBinding", "chaos"),
        ("Secret", "a"),
        ("Service", "b"),
        ("StatefulSet", "c"),
    ]
    held = {Name(kind, "app", name): {"kind": kind, "metadata": {"name": name}, "spec": {}} for kind, name in kinds}
    held[Name("RoleBinding", "app", "chaos")] |= {"roleRef": BINDING["roleRef"]}
    token = {"kind": "Secret", "type": objects.TOKEN, "metadata": {"name": "0-token"}}
    for one in ({}, {Name("Secret", "app", "0-token"): token}):
        before = {**held, **one}
        checks.ensure_comparable(before)

        assert checks.self_test(before)["passed"]
        assert "3 planted differences" == checks.self_test(before)["expected"]
    checks.ensure_comparable({Name("Secret", "app", "0-token"): token})


DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
CHANGES: dict[str, tuple[list[Obj], list[Obj], str]] = {
    "the place of a volume that is mounted twice": (
        [_mount("/a"), _mount("/b")], [_mount("/a"), _mount("/c")], "spec.list[/b] is not there, and was there",
    ),
    "the second metric": (
        [_metric("cpu", 70), _metric("memory", 80)], [_metric("cpu", 70), _metric("memory", 90)],
        "spec.list[1].resource.target.averageUtilization is 90, and was 80",
    ),
    "a port of one protocol less": (DNS, DNS[:1], "spec.list is 1, and was 2 elements"),
    "an account of another namespace": (
        [_account("a"), _account("b")], [_account("a"), _account("c")], "spec.list[1].namespace is 'c', and was 'b'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", CHANGES)
def test_change_in_a_list_whose_elements_have_one_name_is_seen(which: str) -> None:
    was, is_, words = CHANGES[which]
    name, before = _named("Deployment", {"list": was})
    _, after = _named("Deployment", {"list": is_})

    assert f"Deployment app/api: {words}" in [
        objects.words(one) for one in objects.differences({name: before}, {name: after})
    ]
