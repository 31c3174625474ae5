"""What must not be lost is refused before anything is touched, and who may lose something is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from cluster import velero
from cluster.configured import SPACE, Place, application, leases, told
from cluster.roles import bound

from ftchaos import planning
from ftchaos.errors import FtchaosError, Locked, Refused
from ftchaos.platforms.kubernetes import drift, lease
from ftchaos.platforms.kubernetes.access import Access
from ftchaos.platforms.kubernetes.access import Place as Where
from ftchaos.undo import UndoLog


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


def _of_another_version(place: Place) -> None:
    place.cluster.create(velero.definition("Widget", "example.com"))
    place.cluster.create(velero.definition("Gadget", "example.com", "v1alpha1"))
    metadata = {"name": "one", "namespace": SPACE}
    place.cluster.create({"apiVersion": "example.com/v1alpha1", "kind": "Gadget", "metadata": metadata})


def _silent(place: Place) -> None:
    place.cluster.create(velero.definition("Widget", "example.com"))
    place.cluster.fail_next("ServiceUnavailable", "get", times=100, path="/apis/example.com/v1")


def _narrow(place: Place) -> None:
    kubeconfig = bound(place.cluster, "configuration", SPACE)
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ftchaos-configuration"
    rules = [one for one in place.cluster.request("GET", path)["rules"] if one.get("resources") != ["*"]]
    place.cluster.request("PATCH", path, {"rules": rules})
    place.config(manifests="deploy", kubeconfig=str(kubeconfig))


def _who_could_not_give_a_role_back(place: Place) -> None:
    kubeconfig = bound(place.cluster, "configuration", SPACE)
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ftchaos-configuration"
    rules = place.cluster.request("GET", path)["rules"]
    for one in rules:
        one["verbs"] = [verb for verb in one["verbs"] if verb != "escalate"]
    place.cluster.request("PATCH", path, {"rules": rules})
    place.config(manifests="deploy", kubeconfig=str(kubeconfig))


def _lease_at_home(place: Place) -> None:
    place.config(manifests="deploy", lease_namespace=SPACE)


REFUSED: dict[str, tuple[Callable[[Place], None], str]] = {
    "no tag": (_untagged, "does not carry the label"),
    "a volume": (_claim, "the data of app/data would be lost"),
    "no permission": (_reader, "is not allowed to these credentials"),
    "an unknown kind": (_unknown, "of a kind that this drill cannot restore"),
    "roles of others": (_who_could_not_give_a_role_back, "escalate roles is not allowed to these credentials"),
    "the lease's namespace": (_lease_at_home, "app holds the lease of this run, and would be lost"),
    "a custom resource": (_custom, "Widget app/one would be gone for good"),
    "a kind of another version than its group prefers": (_of_another_version, "Gadget app/one would be gone for good"),
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


@pytest.mark.parametrize(("radius", "words"), [({"share": 0.5}, "the fault would hit 1 of 1 namespace"), ({}, "")])
def test_share_that_is_configured_holds_for_namespaces_too(radius: dict[str, float], words: str, place: Place) -> None:
    file = place.folder / "ftchaos.yaml"
    said = yaml.safe_load(file.read_text())
    said["environments"]["staging"]["blast_radius"] = {"zones": 1, **radius}
    file.write_text(yaml.safe_dump(said))
    if words:
        with pytest.raises(Refused, match=words):
            place.run()
    else:
        assert "that is all of 1" in " ".join(planning.preview(place.plan())["targets"])


def test_what_the_comparison_does_not_know_again_is_not_lost(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_tells_apart", lambda key, elements: all(key in one for one in elements))
    before = place.state()

    with pytest.raises(Refused, match="does not know Deployment app/api, HorizontalPodAutoscaler app/api, NetworkPol"):
        place.run()
    assert before == place.state()


def test_objects_of_other_kinds_that_are_made_again_do_not_stop_the_drill(place: Place) -> None:
    api = place.cluster.request("GET", f"/apis/apps/v1/namespaces/{SPACE}/deployments/api")
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": api["metadata"]["uid"]}
    pod = place.cluster.all("v1", "Pod", SPACE)[0]["metadata"]
    of_pod = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
    place.cluster.create(velero.definition("Widget", "example.com"))
    for name, owners in (("one", [{**owner, "controller": True}]), ("two", [of_pod])):
        metadata = {"name": name, "namespace": SPACE, "ownerReferences": owners}
        place.cluster.create({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata})
    made_by = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    metadata = {"name": "api-1", "namespace": SPACE, "labels": made_by}
    endpoints = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    place.cluster.create({**endpoints, "addressType": "IPv4", "endpoints": []})

    assert "passed" == place.run().verdict


def test_account_with_the_printed_roles_may_run_the_drill(place: Place) -> None:
    place.config(manifests="deploy", kubeconfig=str(bound(place.cluster, "configuration", SPACE)))
    found = place.run()

    assert "passed" == found.verdict, told(found)
    assert ["default/ftchaos: "] == leases(place)


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
