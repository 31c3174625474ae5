"""Whatever an object holds, it does not differ from itself, and each change of it is seen."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ftchaos.platforms.kubernetes import drift
from ftchaos.platforms.kubernetes.configuration import objects
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
