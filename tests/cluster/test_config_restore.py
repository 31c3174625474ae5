"""Namespaces are lost and come back; what does not is found, and put back by the heal, wherever the drill dies."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import manifests, velero
from cluster.application import ALLOWED
from cluster.roles import bound
from cluster.standin.server import Standin
from cluster.velero import Velero

import ftchaos
from ftchaos import engine, evidence, notes, planning, platforms
from ftchaos import run as runs
from ftchaos.errors import FtchaosError, Locked, Refused
from ftchaos.platforms.kubernetes import access as way
from ftchaos.platforms.kubernetes import lease
from ftchaos.platforms.kubernetes.access import Access
from ftchaos.platforms.kubernetes.access import Place as Where
from ftchaos.platforms.kubernetes.calls import CALLS, in_table
from ftchaos.platforms.kubernetes.configuration import making, objects, recovery
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.undo import UndoLog

Obj = dict[str, Any]
SPACE = "app"
SECRET = "of-nobody-else"
LABELS = {**ALLOWED, "team": "files"}
KINDS = ("Namespace", *objects.ORDER)


def application() -> list[Obj]:
    """What a repository holds of it."""
    meta: Obj = {"namespace": SPACE, "labels": {"app": "api"}}
    rbac = "rbac.authorization.k8s.io"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    found: list[Obj] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": LABELS}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**meta, "name": "api"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "api"}, "data": {"LEVEL": "info"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**meta, "name": "api"}, "stringData": {"key": SECRET}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {**meta, "name": "api"},
         "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {**meta, "name": "api"},
         "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "api"},
         "subjects": [{"kind": "ServiceAccount", "name": "api", "namespace": SPACE}]},
        manifests.workload("Deployment", "api", 2, SPACE),
        manifests.workload("StatefulSet", "redis", 1, SPACE, more={"serviceName": "redis"}),
        manifests.service("api", 80, SPACE),
        manifests.budget("api", SPACE, minAvailable=1),
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {**meta, "name": "api"},
         "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {**meta, "name": "api"},
         "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}},
    ]  # fmt: skip
    return copy.deepcopy(found)


@pytest.fixture(autouse=True)
def accesses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Access]]:
    """All that was called; fails a test in which a call was made that the table, and so the roles, do not have."""
    made: list[Access] = []
    begin = Access.__post_init__

    def noted(self: Access) -> None:
        begin(self)
        made.append(self)

    monkeypatch.setattr(Access, "__post_init__", noted)
    monkeypatch.setattr(way, "FIRST_WAIT_S", 0.01)
    for module in (making, recovery, settling):
        monkeypatch.setattr(module, "EVERY_S", 0.02)
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    yield made

    assert set() == {(one.verb, in_table(one.resource)) for each in made for one in each.calls} - {
        (one.verb, one.resource) for one in CALLS
    }


class Place:
    """An application in a cluster, its manifests in a folder, and the configuration of both.

    Attributes:
        written: what the folder holds.
    """

    def __init__(self, cluster: Standin, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        cluster.create(*(manifests.node(f"node-{zone}", zone) for zone in "abc"))
        whole = application()
        cluster.create(whole[0])
        cluster.until(lambda: cluster.all("v1", "ServiceAccount", SPACE), "the account")
        cluster.create(*whole[1:])
        cluster.until(self.is_ready, "the application")
        self.config(manifests="deploy")
        self.write(whole)

    def is_ready(self) -> bool:
        found = [*self.cluster.all("apps/v1", "Deployment", SPACE), *self.cluster.all("apps/v1", "StatefulSet", SPACE)]
        return len(found) == 2 and all(
            one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] for one in found
        )

    def config(self, **more: Any) -> None:
        given = {"context": "standin", "namespaces": [SPACE], "kubeconfig": str(self.cluster.kubeconfig), **more}
        environments = {"staging": {"platform": "kubernetes", "kubernetes": given}}
        (self.folder / "ftchaos.yaml").write_text(yaml.safe_dump({"environments": environments}))

    def write(self, whole: list[Obj]) -> None:
        (self.folder / "deploy").mkdir(exist_ok=True)
        (self.folder / "deploy" / "app.yaml").write_text(yaml.safe_dump_all(whole))

    def plan(self, **options: Any) -> planning.Plan:
        given = {"environment": "staging", "config": str(self.folder / "ftchaos.yaml"), "warm_timeout": "5s"}
        return planning.plan("drill", "config-restore", {**given, "reports": str(self.folder / "reports"), **options})

    def run(self, **options: Any) -> evidence.Evidence:
        return engine.run(self.plan(**options), runs.SilentProgress()).evidence

    def state(self) -> dict[str, Obj]:
        """What was declared, without what the cluster gives anew."""
        found = {name: one for name, one in self.cluster.objects().items() if name.split("/")[-3] in KINDS}
        for name, one in found.items():
            if "/Service/" in name:
                found[name] = objects.without_addresses(one)
            if "annotations" in one["metadata"]:
                notes_ = one["metadata"]["annotations"]
                notes_.pop("deployment.kubernetes.io/revision", None)
                if not notes_:
                    del one["metadata"]["annotations"]
        return found

    def uid(self) -> str:
        return str(self.cluster.request("GET", f"/api/v1/namespaces/{SPACE}")["metadata"]["uid"])


@pytest.fixture
def place(cluster: Standin, tmp_path: Path) -> Place:
    return Place(cluster, tmp_path)


def told(found: evidence.Evidence) -> str:
    return "\n".join(found.reasons)


def test_namespace_is_lost_comes_back_from_its_manifests_and_is_as_it_was(place: Place) -> None:
    before, uid = place.state(), place.uid()
    found = place.run()

    assert ("passed", []) == (found.verdict, found.reasons)
    assert uid != place.uid()
    assert before == place.state()
    assert found.witness.proven
    assert found.recovery.recovery_time_s
    assert ["lose", "fetch", "provision", "create", "become ready"] == [one.name for one in found.recovery.phases]
    assert [] == found.undo.differences
    assert "all workloads were as ready as before" in found.summary
    assert [] == list((place.folder / "state" / "runs").glob("*"))
    secret = SECRET.encode()
    assert not [one for one in (place.folder / "reports").rglob("*") if one.is_file() and secret in one.read_bytes()]
    assert_tells_of_a_configuration(place, "restored from the manifests in deploy")


def assert_tells_of_a_configuration(place: Place, *words: str) -> None:
    """The pages of the newest run, for people and for tickets, have these words and none of databases."""
    folder = max((place.folder / "reports").glob("*-config-restore-*"))
    pages = [(folder / name).read_text() for name in ("report.html", "report.md")]
    shown = [pages[0].partition("</style>")[2], pages[1]]
    of_databases = (
        "data loss",
        "RPO",
        "backup age",
        "restored data",
        "public address",
        "writes",
        "replay",
        "the service",
    )

    assert [] == [one for page in shown for one in of_databases if one in page]
    assert [] == [one for one in words if one not in pages[1]]


def drop(kind: str) -> Callable[[list[Obj]], None]:
    def change(whole: list[Obj]) -> None:
        whole[:] = [one for one in whole if one["kind"] != kind]

    return change


def level(whole: list[Obj]) -> None:
    next(one for one in whole if one["kind"] == "ConfigMap")["data"]["LEVEL"] = "debug"


def more(whole: list[Obj]) -> None:
    whole.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", "namespace": SPACE}})


PLANTED: dict[str, tuple[Callable[[list[Obj]], None], str, str]] = {
    "an object less": (drop("NetworkPolicy"), "NetworkPolicy app/api: is not there any more", "create networkpolicies"),
    "a budget less": (
        drop("PodDisruptionBudget"), "PodDisruptionBudget app/api: is not there any more",
        "create poddisruptionbudgets",
    ),
    "a changed ConfigMap": (level, "ConfigMap app/api: data.LEVEL is 'debug', and was 'info'", "update configmaps"),
    "a Secret less": (
        drop("Secret"), "Secret app/api: is not there any more: the configuration alone does not", "create secrets",
    ),
    "an object more": (more, "ConfigMap app/more: is there, and was not before", "delete configmaps"),
    "labels of the namespace": (
        drop("Namespace"), "metadata.labels.team is not there, and was 'files'", "patch namespaces",
    ),
}  # fmt: skip
"""What is done to the manifests, how it is told, and the call of the heal, which the drill itself does not make."""


@pytest.mark.parametrize("which", PLANTED)
def test_whatever_does_not_come_back_as_it_was_is_named_fails_the_drill_and_is_put_back(
    which: str, place: Place
) -> None:
    change, words, healing = PLANTED[which]
    whole = application()
    change(whole)
    place.write(whole)
    before = place.state()
    found = place.run()

    assert (1, "failed") == (found.exit_code, found.verdict), told(found)
    assert words in told(found)
    assert before == place.state()
    assert [] == found.undo.differences
    assert found.calls is not None
    assert f"kubernetes:{healing}" in {one.name for one in found.calls.operations}
    assert SECRET not in found.model_dump_json()


def test_preview_names_what_would_be_lost_and_made_and_touches_nothing(place: Place) -> None:
    whole = application()
    drop("Secret")(whole)
    place.write(whole)
    place.cluster.clear()
    preview = planning.preview(place.plan())

    assert "namespace app with 12 objects" in preview["targets"][0]
    assert "Secret app/api" in " ".join(preview["makes"])
    assert "drift of 1 before the loss" in " ".join(preview["makes"])
    assert {"selfsubjectaccessreviews"} == {one["resource"] for one in place.cluster.requests(writes=True)}


def _untagged(place: Place) -> None:
    change = {"metadata": {"labels": {"ftchaos": None}}}
    place.cluster.request("PATCH", f"/api/v1/namespaces/{SPACE}", change)


def _claim(place: Place) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "data", "namespace": SPACE}
    place.cluster.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})


def _reader(place: Place) -> None:
    place.config(manifests="deploy", kubeconfig=str(place.cluster.read_only()))


def _unknown(place: Place) -> None:
    metadata = {"name": "cert", "namespace": SPACE}
    place.write([*application(), {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata}])


def _custom(place: Place) -> None:
    place.cluster.create(velero.definition("Widget", "example.com"))
    metadata = {"name": "one", "namespace": SPACE}
    place.cluster.create({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata})


def _silent(place: Place) -> None:
    place.cluster.create(velero.definition("Widget", "example.com"))
    place.cluster.fail_next("ServiceUnavailable", "get", times=100, path="/apis/example.com/v1")


def _narrow(place: Place) -> None:
    kubeconfig = bound(place.cluster, "configuration", SPACE)
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ftchaos-configuration"
    rules = [one for one in place.cluster.request("GET", path)["rules"] if one.get("resources") != ["*"]]
    place.cluster.request("PATCH", path, {"rules": rules})
    place.config(manifests="deploy", kubeconfig=str(kubeconfig))


def _lease_at_home(place: Place) -> None:
    place.config(manifests="deploy", lease_namespace=SPACE)


REFUSED: dict[str, tuple[Callable[[Place], None], str]] = {
    "no tag": (_untagged, "does not carry the label"),
    "a volume": (_claim, "the data of app/data would be lost"),
    "no permission": (_reader, "is not allowed to these credentials"),
    "an unknown kind": (_unknown, "of a kind that this drill cannot restore"),
    "the lease's namespace": (_lease_at_home, "app holds the lease of this run, and would be lost"),
    "a custom resource": (_custom, "Widget app/one would be gone for good"),
    "a silent API": (_silent, "does not say what it serves at /apis/example.com/v1"),
    "kinds that may not be listed": (_narrow, "whether the kind EndpointSlice would be lost cannot be seen"),
    "no Velero": (lambda place: place.config(), "Velero is not installed"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_could_not_be_put_back_is_refused_before_anything_is_touched(which: str, place: Place) -> None:
    change, words = REFUSED[which]
    change(place)
    before = place.state()

    with pytest.raises(Refused, match=words):
        place.run()
    assert before == place.state()


def test_objects_of_other_kinds_that_a_restored_one_makes_again_do_not_stop_the_drill(place: Place) -> None:
    api = place.cluster.request("GET", f"/apis/apps/v1/namespaces/{SPACE}/deployments/api")
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": api["metadata"]["uid"]}
    metadata = {"name": "one", "namespace": SPACE, "ownerReferences": [{**owner, "controller": True}]}
    place.cluster.create(velero.definition("Widget", "example.com"))
    place.cluster.create({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata})

    assert "passed" == place.run().verdict


def test_account_with_the_printed_roles_may_run_the_drill(place: Place) -> None:
    place.config(manifests="deploy", kubeconfig=str(bound(place.cluster, "configuration", SPACE)))
    found = place.run()

    assert "passed" == found.verdict, told(found)
    assert ["default/ftchaos: "] == leases(place)


def leases(place: Place) -> list[str]:
    """Each lease, and who holds it."""
    return [
        f"{one['metadata']['namespace']}/{one['metadata']['name']}: {one['spec'].get('holderIdentity') or ''}"
        for one in place.cluster.all("coordination.k8s.io/v1", "Lease")
        if one["metadata"]["namespace"] != "kube-node-lease"
    ]


def test_drill_is_locked_out_by_a_run_of_an_environment_with_other_namespaces(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.2)
    uid = place.uid()
    held = lease.Lease(Access(Where("other", "standin", ("elsewhere",), str(place.cluster.kubeconfig))), "default")
    held.begin("other", UndoLog(place.folder / "other.jsonl"), lambda _: None)
    with pytest.raises(Locked, match="the lease default/ftchaos is held by run other"):
        place.run()
    held.end()

    assert uid == place.uid()
    assert leases(place)[0].startswith("default/ftchaos: other@")


def test_missing_manifests_are_refused(place: Place) -> None:
    place.config(manifests="elsewhere")
    uid = place.uid()

    with pytest.raises(FtchaosError, match="there is no manifest in"):
        place.run()
    assert uid == place.uid()


def test_namespace_comes_back_from_a_git_repository(place: Place) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(place.folder)]
    for arguments in (["init", "-q"], ["add", "deploy"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    place.config(git={"repository": ".", "folder": "deploy"})
    before = place.state()
    found = place.run(method="git")

    assert "passed" == found.verdict, told(found)
    assert found.backup is not None
    assert 40 == len(found.backup.id or "")
    assert before == place.state()


def unlabelled(state: dict[str, Obj]) -> dict[str, Obj]:
    """What was declared beside Velero, without the label that it leaves on all that it restored."""
    found = {name: one for name, one in state.items() if velero.SPACE not in name.split("/")}
    for one in found.values():
        (one["metadata"].get("labels") or {}).pop("velero.io/restore-name", None)
        if one["metadata"].get("labels") == {}:
            del one["metadata"]["labels"]
    return found


def test_namespace_comes_back_from_a_backup_of_velero(place: Place) -> None:
    place.config()
    before = place.state()
    with Velero(place.cluster, application()):
        found = place.run()

    assert "passed" == found.verdict, told(found)
    assert found.backup is not None
    assert (velero.NAME, "velero", velero.TAKEN_AT) == (found.backup.id, found.backup.method, found.backup.taken_at)
    assert before == unlabelled(place.state())
    assert [] == place.cluster.all("velero.io/v1", "Restore")
    assert_tells_of_a_configuration(place, f"restored from the Velero backup {velero.NAME}")


def test_what_velero_does_not_bring_back_is_found_and_what_it_brought_is_removed(place: Place) -> None:
    place.config()
    backup = application()
    drop("NetworkPolicy")(backup)
    more(backup)
    before = place.state()
    with Velero(place.cluster, backup):
        found = place.run()
    reasons = told(found)

    assert "failed" == found.verdict
    assert "NetworkPolicy app/api: is not there any more" in reasons
    assert "ConfigMap app/more: is there, and was not before" in reasons
    assert before == unlabelled(place.state())
    assert_tells_of_a_configuration(place, "2 objects are not as before")


def _restore(place: Place, undo: UndoLog) -> None:
    """All that the drill calls, as far as it comes."""
    drill = place.plan().platform.recovery()
    with suppress(FtchaosError):
        drill.destroy(undo, "run", lambda: None)
        drill.detect(0.0)
        drill.decide("last")
        drill.provision()
        drill.restore(lambda done, total: None)


def _undo_log() -> UndoLog:
    path = notes.undo_log("run")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return UndoLog(path)


@pytest.mark.parametrize("effect", [False, True])
def test_death_at_each_write_is_undone_object_by_object(
    place: Place, effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number, died = place.state(), 0, True
    planning.preview(place.plan())
    asked = len([one for one in place.cluster.requests(writes=True) if one["resource"] == "selfsubjectaccessreviews"])
    while died:
        number += 1
        undo = _undo_log()
        place.cluster.stop_at(asked + number, effect=effect, hang_up=True, writes=True)
        with monkeypatch.context() as hasty:
            hasty.setattr(way, "ATTEMPTS", 1)
            hasty.setattr(making, "GONE_S", 3.0)
            _restore(place, undo)
        died = place.cluster.stopped
        place.cluster.resume()
        healed = undo.heal(platforms.heal)
        again = undo.heal(platforms.heal)

        assert [] == healed.failed, number
        assert [] == again.healed
        assert before == place.state(), number
        assert [] == list((place.folder / "state" / "runs").glob("*.secret"))
    assert number > 12


def test_heal_that_died_is_completed_by_the_next_and_keeps_its_file_until_then(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.state()
    for number in (1, 4, 9):
        undo = _undo_log()
        place.plan().platform.recovery().destroy(undo, "run", lambda: None)
        place.cluster.stop_at(number, effect=number == 4, hang_up=True, writes=True)
        with monkeypatch.context() as hasty:
            hasty.setattr(settling, "SETTLED_S", 0.0)
            hasty.setattr(way, "ATTEMPTS", 1)
            first = undo.heal(platforms.heal)
        place.cluster.resume()
        modes = [one.stat().st_mode & 0o777 for one in (place.folder / "state" / "runs").glob("*.secret")]
        second = undo.heal(platforms.heal)

        assert 2 == len(first.failed), number
        assert [0o600] == modes
        assert [] == second.failed
        assert before == place.state(), number


def test_killed_drill_is_undone_by_recover(place: Place) -> None:
    before = place.state()
    environment = {**os.environ, "PYTHONPATH": str(Path(ftchaos.__file__).parent.parent)}
    command = [sys.executable, "-m", "ftchaos"]
    options = ["--environment", "staging", "--reports", "reports"]
    place.cluster.clear()
    place.cluster.fail_next("HangUp", "create", "deployments", slow_s=60.0)
    with (place.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "drill", "config-restore", *options], cwd=place.folder, env=environment, stdout=log, stderr=log
        )
        place.cluster.until(
            lambda: any(one["verb"] == "create" and one["resource"] == "services" for one in place.cluster.requests()),
            "the drill",
        )
        process.kill()
        process.wait()
    place.cluster.clear()
    harmed = place.state()
    done = subprocess.run([*command, "recover"], cwd=place.folder, env=environment, capture_output=True, check=False)
    again = subprocess.run([*command, "recover"], cwd=place.folder, env=environment, capture_output=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert before != harmed
    assert before == place.state()
    assert b"nothing to recover" in again.stdout
    assert [] == list((place.folder / "state" / "runs").glob("*"))
