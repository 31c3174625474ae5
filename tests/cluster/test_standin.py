"""The stand-in for a cluster, held to what was measured on a real one, through the real client."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

import pytest
from cluster.standin.reach import Reach
from cluster.standin.server import Standin
from kubernetes import client, config, watch
from kubernetes.client import ApiException

Obj = dict[str, Any]
_CLOSED = re.compile("Connection|Remote")


def _map(space: str, name: str, labels: dict[str, str] | None = None, **data: str) -> Obj:
    metadata: Obj = {"name": name, "namespace": space, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _refusal(work: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    with pytest.raises(ApiException) as refusal:
        work(*arguments, **named)
    return refusal.value.status, json.loads(refusal.value.body)["reason"]


def test_what_is_created_can_be_read_changed_and_deleted(reached: Reach, space: str) -> None:
    core = reached.core
    made = core.create_namespaced_config_map(space, _map(space, "one", a="1"))
    made.data["a"] = "2"
    core.replace_namespaced_config_map("one", space, made)
    read = core.read_namespaced_config_map("one", space)
    core.delete_namespaced_config_map("one", space)

    assert {"a": "2"} == read.data
    assert int(read.metadata.resource_version) > int(made.metadata.resource_version)
    assert (404, "NotFound") == _refusal(core.read_namespaced_config_map, "one", space)


def test_a_stale_write_is_a_conflict(reached: Reach, space: str) -> None:
    core = reached.core
    old = core.create_namespaced_config_map(space, _map(space, "one", a="1"))
    core.patch_namespaced_config_map("one", space, {"data": {"a": "2"}})

    assert (409, "Conflict") == _refusal(core.replace_namespaced_config_map, "one", space, old)
    assert (409, "AlreadyExists") == _refusal(core.create_namespaced_config_map, space, _map(space, "one"))


def test_selectors_select(reached: Reach, space: str) -> None:
    for name, zone in (("one", "a"), ("two", "b"), ("three", "c")):
        reached.create(_map(space, name, {"zone": zone, "app": "x"}))

    def names(**selectors: str) -> set[str]:
        return {one.metadata.name for one in reached.core.list_namespaced_config_map(space, **selectors).items}

    assert {"one"} == names(label_selector="app=x,zone=a")
    assert {"two", "three"} == names(label_selector="zone in (b, c)")
    assert {"three"} == names(label_selector="zone notin (a,b),app")
    assert {"one", "three"} == names(label_selector="zone!=b,app", field_selector="metadata.name!=two")
    assert set() == names(label_selector="!app,zone")
    assert (400, "BadRequest") == _refusal(names, field_selector="spec.color=red")


def test_pages_come_from_one_snapshot_until_it_is_too_old(cluster: Standin) -> None:
    for number in range(5):
        cluster.core.create_namespaced_secret("default", {"metadata": {"name": f"map-{number}"}})
    core = cluster.core
    first = core.list_namespaced_secret("default", limit=2)
    core.delete_namespaced_secret("map-4", "default")
    second = core.list_namespaced_secret("default", limit=2, _continue=first.metadata._continue)
    third = core.list_namespaced_secret("default", limit=2, _continue=second.metadata._continue)
    cluster.compact()

    names = [one.metadata.name for page in (first, second, third) for one in page.items]
    assert [f"map-{number}" for number in range(5)] == names
    assert 3 == first.metadata.remaining_item_count
    assert third.metadata._continue is None
    expired = _refusal(core.list_namespaced_secret, "default", limit=2, _continue=first.metadata._continue)
    assert (410, "Expired") == expired


def test_a_watch_tells_what_changed_since_a_version(reached: Reach, space: str) -> None:
    reached.create(_map(space, "before", {"app": "x"}))
    version = reached.core.list_namespaced_config_map(space).metadata.resource_version

    def change() -> None:
        time.sleep(0.1)
        reached.create(_map(space, "one", {"app": "x"}), _map(space, "other"))
        reached.core.patch_namespaced_config_map("one", space, {"data": {"a": "1"}})
        reached.core.patch_namespaced_config_map("one", space, {"metadata": {"labels": {"app": "y"}}})

    changes = threading.Thread(target=change)
    changes.start()
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(
        reached.core.list_namespaced_config_map, space, label_selector="app=x", resource_version=version,
        timeout_seconds=30,
    ):  # fmt: skip
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watcher.stop()
    changes.join()

    assert [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")] == seen


def test_a_watch_from_before_a_compaction_is_told_that_it_is_gone(cluster: Standin) -> None:
    version = cluster.core.list_namespaced_config_map("default").metadata.resource_version
    cluster.compact()
    stream = watch.Watch().stream(
        cluster.core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=1
    )
    with pytest.raises(ApiException) as refusal:
        list(stream)

    assert 410 == refusal.value.status


def test_three_sorts_of_patches_differ(cluster: Standin) -> None:
    containers = [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]
    spec = {"containers": containers, "nodeName": "n"}
    cluster.settings(controllers=False)
    metadata = {"name": "pod", "namespace": "default"}
    cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    core = cluster.core
    strategic = core.patch_namespaced_pod("pod", "default", {"spec": {"containers": [{"name": "b", "image": "b:2"}]}})
    json_patch = [{"op": "replace", "path": "/spec/containers/0/image", "value": "a:3"}]
    patched = core.patch_namespaced_pod("pod", "default", json_patch)
    path = "/api/v1/namespaces/default/pods/pod"
    merged = _refusal(cluster.request, "PATCH", path, {"spec": {"containers": [{"name": "b", "image": "b:2"}]}})

    assert ["a:1", "b:2"] == [one.image for one in strategic.spec.containers]
    assert ["a:3", "b:2"] == [one.image for one in patched.spec.containers]
    assert (422, "Invalid") == merged


def test_a_dry_run_keeps_nothing(reached: Reach, space: str) -> None:
    made = reached.core.create_namespaced_config_map(space, _map(space, "one"), dry_run="All")

    assert made.metadata.uid
    assert (404, "NotFound") == _refusal(reached.core.read_namespaced_config_map, "one", space)


def test_a_reader_may_read_and_nothing_else(cluster: Standin) -> None:
    cluster.create(_map("default", "one"))
    reader = config.new_client_from_config(str(cluster.read_only()))
    core = client.CoreV1Api(reader)

    def may(verb: str) -> bool:
        wanted = {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "default"}}
        review = client.AuthorizationV1Api(reader).create_self_subject_access_review({"spec": wanted})
        return bool(review.status.allowed)

    with pytest.raises(ApiException) as refusal:
        core.delete_namespaced_config_map("one", "default")
    rules = client.AuthorizationV1Api(reader).create_self_subject_rules_review({"spec": {"namespace": "default"}})

    said = (
        'configmaps "one" is forbidden: User "reader" cannot delete resource "configmaps" in API group "" '
        'in the namespace "default"'
    )
    assert 403 == refusal.value.status
    assert said == json.loads(refusal.value.body)["message"]
    assert core.read_namespaced_config_map("one", "default").metadata.name == "one"
    assert (True, False) == (may("list"), may("delete"))
    assert ["get", "list", "watch"] in [one.verbs for one in rules.status.resource_rules]


def test_nobody_gives_more_than_he_has_unless_he_may_escalate_or_bind(cluster: Standin) -> None:
    group = "rbac.authorization.k8s.io"
    held: list[Obj] = [
        {"apiGroups": [group], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    ]
    role: Obj = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "giver"}, "rules": held}
    reference = {"kind": "ClusterRole", "name": "giver", "apiGroup": group}
    subjects = [{"kind": "User", "name": "giver", "apiGroup": group}]
    cluster.create(role, {**role, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects})
    rbac = client.RbacAuthorizationV1Api(config.new_client_from_config(str(cluster.kubeconfig_of("giver"))))

    def give(name: str, *verbs: str) -> Any:
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}]
        return rbac.create_namespaced_role("default", {"metadata": {"name": name}, "rules": rules})

    def bind(to: str) -> Any:
        body = {"metadata": {"name": to}, "roleRef": {**reference, "name": to}, "subjects": subjects}
        return rbac.create_namespaced_role_binding("default", body)

    give("as-much", "get")
    assert (403, "Forbidden") == _refusal(give, "more", "delete")
    assert (403, "Forbidden") == _refusal(give, "all", "*")
    bind("giver")
    assert (403, "Forbidden") == _refusal(bind, "cluster-admin")
    more = [
        {"apiGroups": [group], "resources": ["roles"], "verbs": ["escalate"]},
        {"apiGroups": [group], "resources": ["clusterroles"], "verbs": ["bind"]},
    ]
    cluster.request("PATCH", cluster.path(role), {"rules": [*held, *more]})
    give("more", "delete")
    bind("cluster-admin")


def test_a_lease_is_taken_by_one_of_two(reached: Reach, space: str) -> None:
    leases = client.CoordinationV1Api(reached.api)
    made = leases.create_namespaced_lease(space, {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "none"}})
    one, other = (reached.api.sanitize_for_serialization(made) for _ in range(2))
    one["spec"]["holderIdentity"], other["spec"]["holderIdentity"] = "one", "other"
    leases.replace_namespaced_lease("lock", space, one)

    assert (409, "Conflict") == _refusal(leases.replace_namespaced_lease, "lock", space, other)
    assert "one" == leases.read_namespaced_lease("lock", space).spec.holder_identity


def test_a_definition_adds_a_kind_and_takes_it_away(cluster: Standin) -> None:
    names = {"plural": "experiments", "kind": "ChaosToolkitExperiment", "shortNames": ["ctk"]}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]
    spec = {"group": "chaostoolkit.org", "names": names, "scope": "Namespaced", "versions": versions}
    cluster.create({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                    "metadata": {"name": "experiments.chaostoolkit.org"}, "spec": spec})  # fmt: skip
    experiment = {"apiVersion": "chaostoolkit.org/v1", "kind": "ChaosToolkitExperiment"}
    cluster.create({**experiment, "metadata": {"name": "one", "namespace": "default"}, "spec": {"a": 1}})
    custom = client.CustomObjectsApi(cluster.api)
    listed = custom.list_namespaced_custom_object("chaostoolkit.org", "v1", "default", "experiments")
    client.ApiextensionsV1Api(cluster.api).delete_custom_resource_definition("experiments.chaostoolkit.org")

    assert [{"a": 1}] == [one["spec"] for one in listed["items"]]
    gone = _refusal(custom.list_namespaced_custom_object, "chaostoolkit.org", "v1", "default", "experiments")
    assert (404, "NotFound") == gone


def test_a_finalizer_keeps_what_was_deleted_until_it_is_taken_off(reached: Reach, space: str) -> None:
    obj = _map(space, "one")
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    reached.create(obj)
    try:
        reached.core.delete_namespaced_config_map("one", space)
        held = reached.core.read_namespaced_config_map("one", space)
    finally:
        reached.core.patch_namespaced_config_map("one", space, {"metadata": {"finalizers": None}})

    assert held.metadata.deletion_timestamp is not None
    assert (404, "NotFound") == _refusal(reached.core.read_namespaced_config_map, "one", space)


def test_every_request_is_on_record(cluster: Standin) -> None:
    cluster.create(_map("default", "one"))
    cluster.clear()
    cluster.core.patch_namespaced_config_map("one", "default", {"data": {"a": "1"}})
    made = cluster.requests()

    assert [("patch", "configmaps", "one", 200)] == [
        tuple(one[key] for key in ("verb", "resource", "name", "status")) for one in made
    ]


def test_requests_fail_as_a_test_wants(cluster: Standin) -> None:
    cluster.fail_next("Conflict", "patch", "configmaps")
    cluster.fail_next("HangUp", "create", "configmaps", after=True)
    with pytest.raises(Exception, match=_CLOSED):
        cluster.create(_map("default", "one"))
    conflict = _refusal(cluster.core.patch_namespaced_config_map, "one", "default", {"data": {"a": "1"}})
    cluster.throttle(retry_after_s=7, verb="patch")
    with pytest.raises(ApiException) as refusal:
        cluster.core.patch_namespaced_config_map("one", "default", {"data": {"a": "1"}})

    assert (409, "Conflict") == conflict
    assert (429, "7") == (refusal.value.status, refusal.value.headers["Retry-After"])


@pytest.mark.parametrize("effect", [True, False])
def test_the_server_stops_at_a_request_and_answers_again(cluster: Standin, effect: bool) -> None:
    cluster.create(_map("default", "zero"))
    cluster.stop_at(1, effect=effect, hang_up=True, writes=True)
    with pytest.raises(Exception, match=_CLOSED):
        cluster.create(_map("default", "one"))
    with pytest.raises(Exception, match=_CLOSED):
        cluster.create(_map("default", "two"))
    stopped = cluster.stopped
    cluster.resume()

    maps = {one["metadata"]["name"] for one in cluster.all("v1", "ConfigMap", "default")}
    assert stopped
    assert {"zero", "one"} & maps == ({"zero", "one"} if effect else {"zero"})
    assert "two" not in maps


def test_a_paused_server_answers_nobody_in_time(cluster: Standin) -> None:
    cluster.stop_at(1)
    with pytest.raises(Exception, match="timed out"):
        cluster.core.list_node(_request_timeout=0.2)
    cluster.resume()

    assert [] == cluster.core.list_node().items
