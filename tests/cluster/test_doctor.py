"""The doctor of a cluster: a sound application has no weakness, and each that is planted is found by its claim."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.roles import bound
from cluster.standin.server import Standin
from workplaces import Workplace

Obj = dict[str, Any]
SPACE, ZONES = "file-transfer-api", ("a", "b", "c")
LABELS = {"app": "api"}
POD: Obj = {
    "containers": [
        {
            "name": "api", "image": "api:1.2",
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        }
    ],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": LABELS},
        }
    ],
}  # fmt: skip


def _object(version: str, kind: str, name: str, spec: Obj, status: Obj | None = None, **metadata: Any) -> Obj:
    found = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
    return found | ({"status": status} if status else {})


def sound() -> list[Obj]:
    """Three nodes in as many zones, an application of three replicas, and what belongs to it."""
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    here = {"namespace": SPACE}
    template = {"metadata": {"labels": LABELS}, "spec": copy.deepcopy(POD)}
    select = {"matchLabels": LABELS}
    nodes = [
        _object("v1", "Node", f"node-{one}", {}, ready, labels={"topology.kubernetes.io/zone": f"eu-1{one}"})
        for one in ZONES
    ]
    scaled = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}, "maxReplicas": 9}
    budget = {"minAvailable": 2, "selector": select}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "files"}
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "nfs": {"server": "a", "path": "/"}}
    workload = {"replicas": 3, "selector": select, "template": template}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, *nodes,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **here}},
        _object("apps/v1", "Deployment", "api", copy.deepcopy(workload), **here),
        _object("policy/v1", "PodDisruptionBudget", "api", budget, **here),
        _object("autoscaling/v2", "HorizontalPodAutoscaler", "api", scaled, {"currentReplicas": 3}, **here),
        _object("v1", "PersistentVolume", "files", volume),
        _object("v1", "PersistentVolumeClaim", "files", claim, **here),
    ]  # fmt: skip


class Doctor:
    """A cluster with an application, and what the doctor says of it."""

    def __init__(self, cluster: Standin, place: Workplace) -> None:
        self.cluster, self.place = cluster, place

    def build(self, objects: list[Obj]) -> None:
        for obj in objects:
            if obj["kind"] == "ServiceAccount" and self.cluster.all("v1", "ServiceAccount", SPACE):
                continue  # the cluster has made it
            (made,) = self.cluster.create({key: one for key, one in obj.items() if key != "status"})
            if status := obj.get("status"):
                self.cluster.request("PATCH", f"{self.cluster.path(made)}/status", {"status": status})
        self.cluster.until(self._stands, "pods that are ready, and counted")
        written = [one for one in objects if one["metadata"].get("namespace") and one["kind"] != "ServiceAccount"]
        (self.place.folder / "manifests.yaml").write_text(
            yaml.safe_dump_all([{key: part for key, part in one.items() if key != "status"} for one in written])
        )
        (self.place.folder / "ftchaos.yaml").write_text(
            f"environments: {{staging: {{platform: kubernetes, kubernetes: {{context: standin, namespaces: [{SPACE}],"
            f" kubeconfig: {self.cluster.kubeconfig}, manifests: manifests.yaml}}}}}}\n"
        )

    def _stands(self) -> bool:
        pods = self.cluster.all("v1", "Pod", SPACE)
        wanted = 3 + 2 * len(self.cluster.all("apps/v1", "StatefulSet", SPACE))
        conditions = [one["status"].get("conditions") or [] for one in pods]
        ready = [any(one["type"] == "Ready" and one["status"] == "True" for one in each) for each in conditions]
        budgets = self.cluster.all("policy/v1", "PodDisruptionBudget", SPACE)
        counted = all(
            (one.get("status") or {}).get("currentHealthy") == {"db": 2}.get(one["metadata"]["name"], 3)
            for one in budgets
        )
        scalers = self.cluster.all("autoscaling/v2", "HorizontalPodAutoscaler", SPACE)
        scaled = all((one.get("status") or {}).get("currentReplicas") == 3 for one in scalers)
        return len(pods) == wanted and all(ready) and counted and scaled

    def examine(self) -> tuple[int, dict[str, Obj]]:
        """Its exit code, and its findings by claim."""
        done = self.place.run("doctor", "--environment", "staging", "--json")
        return done.exit_code, {one["claim"]: one for one in done.json}


@pytest.fixture
def doctor(cluster: Standin, tmp_path: Path) -> Doctor:
    return Doctor(cluster, Workplace(tmp_path))


def test_of_a_sound_application_every_claim_is_met_and_nothing_is_written(doctor: Doctor) -> None:
    doctor.build(sound())
    doctor.cluster.clear()
    code, findings = doctor.examine()

    assert (0, {"met"}) == (code, {one["status"] for one in findings.values()}), findings
    assert 10 == len(findings)
    assert [] == doctor.cluster.requests(writes=True)


def test_without_manifests_a_sound_application_fails_nobody_and_a_weak_one_does(doctor: Doctor) -> None:
    doctor.build(sound())
    file = doctor.place.folder / "ftchaos.yaml"
    file.write_text(file.read_text().replace(", manifests: manifests.yaml", ""))
    code, findings = doctor.examine()
    claim = findings["as its manifests say"]
    doctor.cluster.fail_next("Forbidden", "list", "poddisruptionbudgets", 10)
    unread, _ = doctor.examine()
    where = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "namespace": SPACE}}
    doctor.cluster.request("PATCH", doctor.cluster.path(where), {"spec": {"replicas": 1}})
    weak, _ = doctor.examine()

    assert (0, "not asked") == (code, claim["status"]), findings
    assert "name it in the configuration: kubernetes.manifests or kubernetes.git" == claim["hint"]
    assert (3, 1) == (unread, weak)


def _of(objects: list[Obj], kind: str) -> list[Obj]:
    return [one for one in objects if one["kind"] == kind]


def _tie(objects: list[Obj], key: str, value: str) -> None:
    """Let a volume be reached from some nodes alone."""
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
    _of(objects, "PersistentVolume")[0]["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}


def _everywhere(objects: list[Obj], change: Callable[[Obj], Any]) -> None:
    for one in _of(objects, "Deployment"):
        change(one["spec"]["template"]["spec"])


def _in_one_zone(pod: Obj) -> None:
    pod["nodeSelector"] = {"topology.kubernetes.io/zone": "eu-1a"}
    pod["topologySpreadConstraints"][0]["whenUnsatisfiable"] = "ScheduleAnyway"


WEAKNESSES: dict[str, tuple[Callable[[list[Obj]], Any], str, str]] = {
    "all replicas in one zone": (
        lambda objects: _everywhere(objects, _in_one_zone),
        "replicas in several zones",
        "Deployment file-transfer-api/api in eu-1a",
    ),
    "no budget": (
        lambda objects: objects.remove(_of(objects, "PodDisruptionBudget")[0]),
        "disruption budgets",
        "none for Deployment file-transfer-api/api",
    ),
    "a budget that forbids any eviction": (
        lambda objects: _of(objects, "PodDisruptionBudget")[0]["spec"].update(minAvailable=3),
        "budgets allow an eviction",
        "no pod may ever be evicted: file-transfer-api/api",
    ),
    "an autoscaler at its maximum": (
        lambda objects: _of(objects, "HorizontalPodAutoscaler")[0]["spec"].update(maxReplicas=3),
        "autoscalers have room",
        "at the maximum: file-transfer-api/api at 3",
    ),
    "nothing keeps them apart": (
        lambda objects: _everywhere(objects, lambda pod: pod.pop("topologySpreadConstraints")),
        "replicas are kept apart",
        "not kept apart: Deployment file-transfer-api/api",
    ),
    "a probe that always says yes": (
        lambda objects: _everywhere(
            objects, lambda pod: pod["containers"][0].update(readinessProbe={"exec": {"command": ["true"]}})
        ),
        "readiness is asked for",
        "api always says yes",
    ),
    "a volume of one zone": (
        lambda objects: _tie(objects, "topology.kubernetes.io/zone", "eu-1a"),
        "volumes in reach of another zone",
        "tied to one zone: file-transfer-api/files in eu-1a",
    ),
    "a volume of one node": (
        lambda objects: _tie(objects, "kubernetes.io/hostname", "node-b"),
        "volumes in reach of another zone",
        "file-transfer-api/files in eu-1b, on node-b alone",
    ),
    "a budget that lets none be unavailable": (
        lambda objects: _of(objects, "PodDisruptionBudget")[0].update(
            spec={"maxUnavailable": "0%", "selector": {"matchLabels": LABELS}}
        ),
        "budgets allow an eviction",
        "no pod may ever be evicted: file-transfer-api/api",
    ),
    "two budgets over the same pods": (
        lambda objects: objects.append(
            _object("policy/v1", "PodDisruptionBudget", "all", {"maxUnavailable": 1, "selector": {}}, namespace=SPACE)
        ),
        "budgets allow an eviction",
        "more than one for Deployment file-transfer-api/api",
    ),
    "a rule that keeps others apart": (
        lambda objects: _everywhere(
            objects,
            lambda pod: pod["topologySpreadConstraints"][0].update(labelSelector={"matchLabels": {"app": "worker"}}),
        ),
        "replicas are kept apart",
        "not kept apart: Deployment file-transfer-api/api",
    ),
    "a shell that always says yes": (
        lambda objects: _everywhere(
            objects,
            lambda pod: pod["containers"][0].update(
                readinessProbe={"exec": {"command": ["/bin/sh", "-c", "curl -f localhost:8080/ready || exit 0"]}}
            ),
        ),
        "readiness is asked for",
        "api always says yes",
    ),
    "a zone less": (
        lambda objects: objects.remove(_of(objects, "Node")[2]),
        "nodes in three zones",
        "ready nodes in eu-1a, eu-1b",
    ),
}


@pytest.mark.parametrize("which", WEAKNESSES)
def test_a_planted_weakness_is_found(which: str, doctor: Doctor) -> None:
    plant, claim, words = WEAKNESSES[which]
    objects = sound()
    plant(objects)
    doctor.build(objects)
    code, findings = doctor.examine()

    assert 1 == code
    assert "not met" == findings[claim]["status"]
    assert words in findings[claim]["seen"]
    assert findings[claim]["hint"]
    assert [claim] == [name for name, one in findings.items() if one["status"] != "met"]


def test_a_statefulset_that_cannot_be_rescheduled_is_found_by_the_volumes_it_was_given(doctor: Doctor) -> None:
    objects = sound()
    labels = {"app": "db"}
    pod = copy.deepcopy(POD)
    pod["topologySpreadConstraints"][0]["labelSelector"] = {"matchLabels": labels}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec = {
        "replicas": 2, "serviceName": "db", "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }  # fmt: skip
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    objects += [
        _object("policy/v1", "PodDisruptionBudget", "db", budget, namespace=SPACE),
        _object("apps/v1", "StatefulSet", "db", spec, namespace=SPACE),
    ]
    doctor.build(objects)
    code, findings = doctor.examine()
    seen = findings["volumes in reach of another zone"]["seen"]

    assert 1 == code
    assert "tied to one zone: " in seen
    assert f"{SPACE}/data-db-0 in eu-1" in seen
    assert f"{SPACE}/data-db-1 in eu-1" in seen


def test_what_was_changed_by_hand_is_found(doctor: Doctor) -> None:
    doctor.build(sound())
    where = _object("autoscaling/v2", "HorizontalPodAutoscaler", "api", {}, namespace=SPACE)
    doctor.cluster.request("PATCH", doctor.cluster.path(where), {"spec": {"maxReplicas": 5}})
    code, findings = doctor.examine()

    assert 1 == code
    assert "spec.maxReplicas is 5, and 9 is written" in findings["as its manifests say"]["seen"]


def test_secrets_are_held_against_their_manifests_by_name_and_key(doctor: Doctor) -> None:
    doctor.build(sound())
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": SPACE}}
    doctor.cluster.create({**secret, "data": {"user": "b25l"}})
    with (doctor.place.folder / "manifests.yaml").open("a") as file:
        file.write("---\n" + yaml.safe_dump({**secret, "stringData": {"user": "another", "password": "hidden"}}))
    code, findings = doctor.examine()

    assert 1 == code
    assert (
        f"Secret {SPACE}/db: data.password is not there, and a value is written"
        == (findings["as its manifests say"]["seen"])
    )


def test_secrets_that_may_not_be_listed_are_unknown_and_not_asked_for(doctor: Doctor) -> None:
    doctor.build(sound())
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": SPACE}}
    with (doctor.place.folder / "manifests.yaml").open("a") as file:
        file.write("---\n" + yaml.safe_dump({**secret, "stringData": {"user": "hidden"}}))
    config = doctor.place.folder / "ftchaos.yaml"
    reader = str(bound(doctor.cluster, "read", SPACE))
    config.write_text(config.read_text().replace(str(doctor.cluster.kubeconfig), reader))
    doctor.cluster.clear()
    code, findings = doctor.examine()

    assert 3 == code
    assert f"Secret {SPACE}/db" in findings["as its manifests say"]["seen"]
    assert [] == [one for one in doctor.cluster.requests() if one["resource"] == "secrets"]


def test_what_may_not_be_read_is_unknown_and_never_met(doctor: Doctor) -> None:
    doctor.build(sound())
    doctor.cluster.fail_next("Forbidden", "list", "poddisruptionbudgets", 10)
    code, findings = doctor.examine()

    assert 3 == code
    assert "unknown" == findings["disruption budgets"]["status"]
    assert "unknown" == findings["budgets allow an eviction"]["status"]


@pytest.mark.parametrize("spaces", ["[file-transfer-apo]", f"[{SPACE}, file-transfer-apo]"])
def test_of_a_namespace_that_is_not_there_nothing_is_met(spaces: str, doctor: Doctor) -> None:
    doctor.build(sound())
    file = doctor.place.folder / "ftchaos.yaml"
    file.write_text(file.read_text().replace(f"[{SPACE}]", spaces))
    code, findings = doctor.examine()

    assert 3 == code
    assert ["nodes in three zones"] == [name for name, one in findings.items() if one["status"] == "met"]
    assert "there is no namespace file-transfer-apo" == findings["more than one replica"]["seen"]
    assert "name it in the configuration: kubernetes.namespaces" == findings["more than one replica"]["hint"]
