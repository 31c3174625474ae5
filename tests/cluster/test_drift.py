"""What is written is compared with what a server has made of it: its defaults are no drift, all else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.standin.server import Standin

from ftchaos.errors import Invalid
from ftchaos.platforms.kubernetes import drift, live, manifests
from ftchaos.platforms.kubernetes.access import Access, Place

Obj = dict[str, Any]
SPACE = "file-transfer-api"
CONTAINER = {
    "name": "api",
    "image": "registry.example.com/api:1.2",
    "env": [{"name": "LEVEL", "value": "info"}],
    "ports": [{"containerPort": 8080}],
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
}
WRITTEN: list[Obj] = [
    {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "labels": {"app": "api"}},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "api"}},
            "template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [CONTAINER]}},
        },
    },
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "api"}, "data": {"limit": "5"}},
    {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"},
        "spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": 8080}]},
    },
    {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "api"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "api"}}},
    },
]  # fmt: skip


@pytest.fixture
def folder(cluster: Standin, tmp_path: Path) -> Path:
    """The manifests, and a cluster that was made of them."""
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    for obj in WRITTEN:
        cluster.create({**copy.deepcopy(obj), "metadata": {**obj["metadata"], "namespace": SPACE}})
    write(tmp_path, WRITTEN)
    return tmp_path


def write(folder: Path, objects: list[Obj]) -> None:
    (folder / "app.yaml").write_text(yaml.safe_dump_all(objects))


def compared(cluster: Standin, folder: Path) -> list[str]:
    context = yaml.safe_load(cluster.kubeconfig.read_text())["current-context"]
    access = Access(Place("staging", context, (SPACE,), str(cluster.kubeconfig)))
    written = manifests.read(folder)
    found, unread = live.read(access, written)
    assert [] == unread
    return [str(one) for one in drift.compare(written, found, SPACE)]


def changed(change: Callable[[list[Obj]], Any]) -> list[Obj]:
    objects = copy.deepcopy(WRITTEN)
    change(objects)
    return objects


def test_what_a_server_has_filled_in_is_no_drift(cluster: Standin, folder: Path) -> None:
    assert [] == compared(cluster, folder)


def _container(objects: list[Obj]) -> Obj:
    found: Obj = objects[0]["spec"]["template"]["spec"]["containers"][0]
    return found


API = "Deployment file-transfer-api/api: spec.template.spec.containers[api]"
CHANGES: dict[str, tuple[Callable[[list[Obj]], Any], str]] = {
    "another image": (lambda objects: _container(objects).update(image="x:2"), f"{API}.image is 'registry.example"),
    "a variable less": (lambda objects: _container(objects).update(env=[]), f"{API}.env[LEVEL] is there, and nothing"),
    "another limit": (
        lambda objects: _container(objects)["resources"]["limits"].update(memory="2Gi"),
        f"{API}.resources.limits.memory is '1Gi', and '2Gi' is written",
    ),
    "fewer replicas": (lambda objects: objects[0]["spec"].update(replicas=1), "spec.replicas is 2, and 1 is written"),
    "a label": (lambda objects: objects[0]["metadata"]["labels"].update(a="b"), "metadata.labels.a is not there"),
    "a key less": (lambda objects: objects[1].update(data={}), "data.limit is '5', and nothing is written"),
    "an object less": (lambda objects: objects.pop(), "PodDisruptionBudget"),
    "an object more": (
        lambda objects: objects.append({**copy.deepcopy(WRITTEN[1]), "metadata": {"name": "other"}}),
        "ConfigMap file-transfer-api/other: it is written and not there",
    ),
}


@pytest.mark.parametrize("which", CHANGES)
def test_whatever_else_differs_is_named(which: str, cluster: Standin, folder: Path) -> None:
    change, words = CHANGES[which]
    write(folder, changed(change))
    differing = compared(cluster, folder)

    if which == "an object less":  # nothing of its kind is written any more, so nothing of it is looked for
        assert [] == differing
    else:
        assert 1 == len(differing), differing
        assert words in differing[0]


def test_an_object_that_nobody_has_written_is_named(cluster: Standin, folder: Path) -> None:
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand", "namespace": SPACE}})

    assert ["ConfigMap file-transfer-api/by-hand: it is there and nowhere written"] == compared(cluster, folder)


@pytest.mark.parametrize(
    ("written", "is_", "same"),
    [("1", "1000m", True), ("1Gi", "1024Mi", True), ("1Gi", "1G", False), ("0.5", "500m", True), ("1", "2", False)],
)
def test_quantities_are_compared_by_their_value(written: str, is_: str, same: bool) -> None:
    assert same is not list(drift._value("spec.resources.requests.cpu", written, is_))


def test_replicas_are_the_autoscalers_where_there_is_one() -> None:
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "api"},
              "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "api"}}}  # fmt: skip
    api = {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 2}}
    written = [manifests.Manifest(manifests.Name(one["kind"], "", "api"), one, Path("x")) for one in (scaler, api)]  # type: ignore[arg-type]
    found: dict[manifests.Name, Obj] = {
        manifests.Name("HorizontalPodAutoscaler", SPACE, "api"): scaler,
        manifests.Name("Deployment", SPACE, "api"): {**api, "spec": {"replicas": 7}},
    }

    assert [] == drift.compare(written, found, SPACE)


def test_the_value_of_a_secret_is_compared_and_never_told() -> None:
    name = manifests.Name("Secret", SPACE, "api")
    written = {"kind": "Secret", "metadata": {"name": "api"}, "data": {"password": "b25l", "user": "eA=="}}
    is_ = {**written, "data": {"password": "dHdv", "user": "eA=="}}
    differing = drift.compare([manifests.Manifest(name, written, Path("x"))], {name: is_}, SPACE)

    assert ["Secret file-transfer-api/api: data.password is there, and something else is written"] == [
        str(one) for one in differing
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no manifest in"),
        ("kind: Kustomization\nmetadata: {name: x}\n", "is to be rendered first"),
        ("name: {{ .Values.name }}\n", "line 1: this is no YAML"),
        ("a: 1\n", "without kind and name"),
        (json.dumps({**WRITTEN[1], "data": {}}) + "\n---\n" + json.dumps(WRITTEN[1]), "and, otherwise, in"),
    ],
)
def test_what_is_no_manifest_is_told(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(text)

    with pytest.raises(Invalid, match=words):
        manifests.read(tmp_path)


def test_a_list_is_its_items_and_what_is_in_plain_text_is_as_the_server_keeps_it(tmp_path: Path) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "a", "namespace": SPACE}, "stringData": {"one": "two"}}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"kind": "List", "items": [secret]}))
    (found,) = manifests.read(tmp_path)

    assert {"one": "dHdv"} == found.obj["data"]
    assert "dHdv" not in repr(found)
