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
from ftchaos.platforms.kubernetes import drift, live, manifests, policy
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
    assert [] == [one for one in written if not live.is_read(one, [SPACE])]
    return [str(one) for one in drift.compare(written, live.read(access, written), SPACE)]


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
    "a label without a value": (
        lambda objects: objects[0]["metadata"]["labels"].update(a=""),
        "metadata.labels.a is not there, and '' is written",
    ),
    "a key without a value": (
        lambda objects: objects[1]["data"].update(more=""),
        "data.more is not there, and '' is written",
    ),
    "a key less": (lambda objects: objects[1].update(data={}), "data.limit is '5', and nothing is written"),
    "an object less, the only one of its kind": (
        lambda objects: objects.pop(),
        "PodDisruptionBudget file-transfer-api/api: it is there and nowhere written",
    ),
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

    assert 1 == len(differing), differing
    assert words in differing[0]


BY_HAND: tuple[Obj, ...] = (
    {"apiVersion": "v1", "kind": "ConfigMap"},
    {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {**WRITTEN[0]["spec"], "replicas": 0}},
    {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}},
)  # fmt: skip


@pytest.mark.parametrize("obj", BY_HAND, ids=lambda one: str(one["kind"]))
def test_object_that_nobody_has_written_is_named_whatever_kinds_are_written(
    obj: Obj, cluster: Standin, folder: Path
) -> None:
    cluster.create({**obj, "metadata": {"name": "by-hand", "namespace": SPACE}})

    assert [f"{obj['kind']} file-transfer-api/by-hand: it is there and nowhere written"] == compared(cluster, folder)


def test_what_others_make_without_owning_it_is_not_named(cluster: Standin, folder: Path) -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {}}}
    labels = {"app": "db"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}}
    spec = {"replicas": 1, "serviceName": "db", "selector": {"matchLabels": labels}, "template": pod,
            "volumeClaimTemplates": [claim]}  # fmt: skip
    database = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": SPACE}}
    cluster.create({**database, "spec": spec})
    write(folder, [*WRITTEN, {**database, "spec": spec}])
    cluster.until(lambda: cluster.all("v1", "PersistentVolumeClaim", SPACE), "the claim")
    for one in policy.documents("read", [SPACE]):
        cluster.create(one)

    assert [] == compared(cluster, folder)


def test_manifest_of_another_version_is_written_and_cannot_be_compared(cluster: Standin, folder: Path) -> None:
    scaler: Obj = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "api"},
                   "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "api"}, "maxReplicas": 4}}  # fmt: skip
    (one,) = (manifests.Manifest(manifests.Name(scaler["kind"], "", "api"), scaler, Path("x")),)
    found: dict[manifests.Name, Obj] = {manifests.Name(scaler["kind"], SPACE, "api"): {"metadata": {}, "spec": {}}}

    assert not live.is_read(one, [SPACE])
    assert [] == drift.compare([one], found, SPACE, {one.name})


ZEROS: Obj = {
    "replicas": 2, "minReadySeconds": 0, "paused": False,
    "template": {"spec": {"hostNetwork": False, "containers": [
        {"name": "api", "stdin": False, "volumeMounts": [{"name": "a", "readOnly": False}],
         "readinessProbe": {"initialDelaySeconds": 0}, "securityContext": {"allowPrivilegeEscalation": False}},
    ]}},
}  # fmt: skip


def _without_zeros(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_zeros(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_zeros(one) for key, one in value.items() if one not in (False, 0)}
    return value


def test_zeros_that_the_server_leaves_out_are_no_drift_and_others_are() -> None:
    name = manifests.Name("Deployment", SPACE, "api")
    written, found = ({"kind": "Deployment", "metadata": {}, "spec": one} for one in (ZEROS, _without_zeros(ZEROS)))
    differing = drift.compare([manifests.Manifest(name, written, Path("x"))], {name: found}, SPACE)

    assert ["allowPrivilegeEscalation"] == [one.path.rpartition(".")[2] for one in differing]
    turned = {"kind": "Deployment", "metadata": {}, "spec": {"template": {"spec": {"hostNetwork": True}}}}
    off = {"kind": "Deployment", "metadata": {}, "spec": {"template": {"spec": {"hostNetwork": False}}}}
    assert 1 == len(drift.compare([manifests.Manifest(name, off, Path("x"))], {name: turned}, SPACE))


@pytest.mark.parametrize(
    ("written", "is_", "same"),
    [("1", "1000m", True), ("1Gi", "1024Mi", True), ("1Gi", "1G", False), ("0.5", "500m", True), ("1", "2", False)],
)
@pytest.mark.parametrize(
    "path", ["spec.resources.requests.cpu", "spec.limits[Container].default.cpu", "spec.hard.pods"]
)
def test_quantities_are_compared_by_their_value(written: str, is_: str, same: bool, path: str) -> None:
    assert same is ([] == list(drift._value(path, written, is_)))


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
