"""The faults of Kubernetes: they bite, heal, heal twice, and heal after a crash at each write."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import manifests
from cluster.application import ALLOWED, READY, SPACE, ZONE, budget, build, hands, namespace, pod, pods, put, reconcile
from cluster.standin.server import Standin

from ftchaos.errors import FtchaosError, HealFailed, Inconclusive, Invalid, Refused
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import faults, policy, survey
from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.calls import CALLS, FORWARD, LEASE, OF_NODES, WATCH
from ftchaos.platforms.kubernetes.faults import nodes, settling
from ftchaos.platforms.kubernetes.faults import pods as evicting
from ftchaos.undo import Record

Obj = dict[str, Any]
KINDS = ("Node", "Deployment", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")
ZONE_MANNERS = ("drain", "outage", "nodes", "out-of-service", "partition")


@pytest.fixture(autouse=True)
def hurried(accesses: list[Access], monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of hundredths of seconds, while all that is called is in the table."""
    monkeypatch.setattr(settling, "EVERY_S", 0.05)
    monkeypatch.setattr(settling, "SETTLED_S", 30.0)
    monkeypatch.setattr(nodes, "READY_S", 30.0)
    monkeypatch.setattr(nodes, "EVERY_S", 0.05)
    monkeypatch.setattr(evicting, "ROUND_S", 0.05)
    monkeypatch.setattr(evicting, "DRAINED_S", 30.0)


@pytest.fixture
def app(cluster: Standin) -> Standin:
    """A cluster with the application in it."""
    build(cluster)
    return cluster


def reach(cluster: Standin, kubeconfig: Path | None = None) -> Access:
    return Access(Place("staging", "standin", (SPACE,), str(kubeconfig or cluster.kubeconfig)))


def plan(access: Access, fault: str = "fail_zone", **arguments: str) -> Harm:
    """A fault, whose undo has been on disk."""
    found = survey.take(access, everywhere=arguments.get("manner") in OF_NODES)
    harm = faults.find(fault).plan(found, **arguments)

    assert harm.undo == json.loads(json.dumps(harm.undo))
    return harm


def inject(access: Access, harm: Harm, fault: str = "fail_zone") -> str:
    faults.ensure_allowed(access, harm)
    return faults.find(fault).inject(access, harm)


def undo(harm: Harm, fault: str = "fail_zone") -> str:
    """Heal as another process does: by the record alone."""
    return heal(Record(1, "kubernetes", f"fault:{fault}", json.loads(json.dumps(harm.undo)), harm.clause))


def state(cluster: Standin, manner: str) -> dict[str, Obj]:
    """All that a heal must give back; pods have other names afterwards, unless none was deleted."""
    return cluster.objects(derived=manner == "partition")


def on_zone(cluster: Standin, zone: str, name: str = "") -> list[str]:
    nodes = {one["metadata"]["name"] for one in cluster.all("v1", "Node") if one["metadata"]["labels"][ZONE] == zone}
    return [one["metadata"]["name"] for one in pods(cluster, name) if one["spec"]["nodeName"] in nodes]


@pytest.mark.parametrize("manner", ZONE_MANNERS)
def test_zone_fails_is_seen_to_fail_and_is_as_it_was_after_a_heal_and_a_second_one(app: Standin, manner: str) -> None:
    before = state(app, manner)
    access = reach(app)
    harm = plan(access, zone="a", manner=manner)
    unharmed = faults.find("fail_zone").effect(access, harm.undo)
    with hands(app):
        said = inject(access, harm)
        harmed = state(app, manner)
        if manner == "partition":  # nothing here keeps to policies, so no pod suffers: that is said, and is no proof
            assert faults.find("fail_zone").effect(access, harm.undo)
        else:
            faults.await_effect(access, "fail_zone", harm)
        healed = undo(harm)
        again = undo(harm)

    assert unharmed
    assert before != harmed
    assert before == state(app, manner)
    assert said.startswith("a ")
    assert "" not in (healed, again)


@pytest.mark.parametrize("effect", [False, True])
@pytest.mark.parametrize("manner", ZONE_MANNERS)
def test_crash_at_each_write_is_healed_object_by_object(
    app: Standin, manner: str, effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evicting, "DRAINED_S", 0.0)  # nobody's hands are there to let the evicted go
    before, number, crashed = state(app, manner), 0, True
    while crashed:
        number += 1
        access = reach(app)
        harm = plan(access, manner=manner)  # of the zone that most pods are in by now
        app.stop_at(number, effect=effect, hang_up=True, writes=True)
        with suppress(FtchaosError):
            faults.find("fail_zone").inject(access, harm)
        crashed = app.stopped
        app.resume()
        with hands(app):
            undo(harm)

        assert before == state(app, manner), number

    assert number > 2


def test_heal_that_crashed_at_each_write_is_completed_by_the_next(
    app: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for zone, manner in (("a", "outage"), ("b", "nodes"), ("c", "partition")):
        for number in (1, 2, 3):
            before = state(app, manner)
            harm = plan(reach(app), zone=zone, manner=manner)
            inject(reach(app), harm)
            app.stop_at(number, effect=number == 2, hang_up=True, writes=True)
            with suppress(FtchaosError), monkeypatch.context() as hasty:
                hasty.setattr(settling, "SETTLED_S", 0.0)  # nobody's hands are there to bring anything back
                hasty.setattr(nodes, "READY_S", 0.0)
                undo(harm)
            app.resume()
            with hands(app):
                undo(harm)

            assert before == state(app, manner), (manner, number)


def test_what_was_cordoned_and_tainted_before_stays_so_and_so_does_what_others_did_meanwhile(app: Standin) -> None:
    theirs = {"key": "theirs", "value": "1", "effect": "NoSchedule"}
    app.request("PATCH", "/api/v1/nodes/node-a1", {"spec": {"unschedulable": True, "taints": [theirs]}})
    before = state(app, "outage")
    harm = plan(reach(app), zone="a", manner="outage")
    inject(reach(app), harm)
    later = {"key": "later", "value": "2", "effect": "NoSchedule"}
    node = app.request("GET", "/api/v1/nodes/node-a2")
    app.request("PATCH", "/api/v1/nodes/node-a2", {"spec": {"taints": [*node["spec"]["taints"], later]}})
    with hands(app):
        undo(harm)
    app.request("PATCH", "/api/v1/nodes/node-a2", {"spec": {"unschedulable": True}})
    undo(harm)
    node = app.request("GET", "/api/v1/nodes/node-a2")

    assert (True, [later]) == (node["spec"]["unschedulable"], node["spec"]["taints"])
    app.request("PATCH", "/api/v1/nodes/node-a2", {"spec": {"unschedulable": None, "taints": None}})
    assert before == state(app, "outage")


@pytest.mark.parametrize("manner", ["drain", "outage", "nodes", "out-of-service"])
def test_cluster_that_reconciles_by_itself_loses_a_zone_and_is_as_it_was_after_the_heal(
    cluster: Standin, manner: str
) -> None:
    namespace(cluster, SPACE, ALLOWED)
    made = [manifests.node(f"node-{zone}{number}", zone, **ALLOWED) for zone in "abc" for number in (1, 2)]
    api, redis = (manifests.workload(*one, SPACE) for one in (("Deployment", "api", 6), ("StatefulSet", "redis", 3)))
    cluster.create(*made, api, redis, manifests.budget("api", SPACE, minAvailable=5))
    access = reach(cluster)

    def ready() -> dict[str, int]:
        found = survey.take(access)
        return stock.ready_counts(found.pods, [one.name for one in found.nodes])

    whole = {"Deployment app/api": 6, "StatefulSet app/redis": 3}
    cluster.until(lambda: ready() == whole, "the application")
    before = _declared(cluster)
    harm = plan(access, zone="a", manner=manner)
    inject(access, harm)
    faults.await_effect(access, "fail_zone", harm)
    harmed = _declared(cluster)
    undo(harm)
    cluster.until(lambda: _declared(cluster) == before, "what was declared")

    assert before != harmed
    assert whole == ready()


def _declared(cluster: Standin) -> dict[str, Obj]:
    """What people wrote; the rest controllers keep, as the leases of nodes and the sums of rollouts."""
    return {name: one for name, one in cluster.objects().items() if name.split("/")[-3] in KINDS}


def test_drain_waits_for_its_budget_and_leaves_and_names_what_nobody_brings_back(app: Standin) -> None:
    put(app, pod("bare", "node-a1", {"app": "bare"}), READY)
    app.create(budget(5))
    reconcile(app)
    harm = plan(reach(app), zone="a", manner="drain")
    with hands(app):
        said = inject(reach(app), harm)
    statuses = [one["status"] for one in app.requests(writes=True) if one["subresource"] == "eviction"]

    assert 429 in statuses
    assert f"the budget {SPACE}/api said no " in said
    assert {"bare", "agent-0", "agent-3"} == set(on_zone(app, "a"))
    assert {f"{SPACE}/bare", f"{SPACE}/agent-0", f"{SPACE}/agent-3"} == set(harm.undo["spared"])
    assert "no controller would bring it back" in harm.clause


def test_budget_that_forbids_any_eviction_is_reported_after_the_deadline_and_is_no_proof(
    app: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evicting, "DRAINED_S", 0.3)
    app.create(budget(6))
    reconcile(app)
    before = state(app, "drain")
    access = reach(app)
    harm = plan(access, zone="a", manner="drain")
    with hands(app):
        said = inject(access, harm)
        missing = faults.find("fail_zone").effect(access, harm.undo)
        undo(harm)

    assert "would violate the pod's disruption budget" in said
    assert [f"{SPACE}/api-1-0 is still there", f"{SPACE}/api-1-3 is still there"] == sorted(missing)
    assert before == state(app, "drain")


def test_pod_of_a_stateful_set_that_stays_terminating_is_found_and_its_remedy_told(
    app: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evicting, "DRAINED_S", 0.3)
    monkeypatch.setattr(settling, "SETTLED_S", 0.3)
    harm = plan(reach(app), zone="a", manner="drain")
    with hands(app, kubelets=False):
        said = inject(reach(app), harm)
        with pytest.raises(HealFailed, match="StatefulSet app/redis has 2 of 3 ready") as failed:
            undo(harm)

    assert "kubectl delete pod redis-0 --namespace app --grace-period=0 --force" in said
    assert "out-of-service" in failed.value.fact


@pytest.mark.parametrize(("manner", "harmless"), [("outage", True), ("nodes", False), ("out-of-service", False)])
def test_pods_of_others_are_not_harmed(app: Standin, manner: str, harmless: bool) -> None:
    namespace(app, "others")
    put(app, pod("theirs", "node-a1", {"app": "theirs"}, "others"), {"phase": "Running"})
    if not harmless:
        with pytest.raises(Refused, match="also run others/theirs"):
            plan(reach(app), zone="a", manner=manner)
        return
    inject(reach(app), plan(reach(app), zone="a", manner=manner))

    assert ["theirs"] == [one["metadata"]["name"] for one in app.all("v1", "Pod", "others")]


@pytest.mark.parametrize("manner", OF_NODES)
def test_nodes_are_not_lost_with_a_pod_that_nobody_would_bring_back(app: Standin, manner: str) -> None:
    put(app, pod("bare", "node-a1", {"app": "bare"}), READY)

    with pytest.raises(Refused, match="app/bare would be gone for good"):
        plan(reach(app), zone="a", manner=manner)


def test_who_tolerates_for_ever_that_a_node_is_out_of_service_is_left_out_and_named(app: Standin) -> None:
    namespace(app, "others")
    for name, space in (("bare", SPACE), ("theirs", "others")):
        _put_tolerating(app, name, space, {})
    harm = plan(reach(app), zone="a", manner="out-of-service")

    assert {f"{SPACE}/bare": "it tolerates that its node is out of service"} == harm.undo["spared"]


def test_who_tolerates_for_a_while_that_a_node_is_out_of_service_falls(app: Standin) -> None:
    _put_tolerating(app, "bare", SPACE, {"tolerationSeconds": 3600})

    with pytest.raises(Refused, match="app/bare would be gone for good"):
        plan(reach(app), zone="a", manner="out-of-service")


def _put_tolerating(app: Standin, name: str, space: str, limit: Obj) -> None:
    made = pod(name, "node-a1", {"app": name}, space)
    made["spec"]["tolerations"] = [{"operator": "Exists", "effect": "NoExecute", **limit}]
    put(app, made, READY)


def test_a_zone_with_a_node_that_is_out_of_service_already_is_refused(app: Standin) -> None:
    taint = {"key": stock.OUT_OF_SERVICE_TAINT, "value": "nodeshutdown", "effect": "NoExecute"}
    app.request("PATCH", "/api/v1/nodes/node-a1", {"spec": {"taints": [taint]}})

    with pytest.raises(Refused, match="node-a1 is out of service already"):
        plan(reach(app), zone="a", manner="out-of-service")


def test_node_that_registered_anew_gets_its_labels_and_taints_back(app: Standin) -> None:
    taint = {"key": "dedicated", "value": "x", "effect": "NoSchedule"}
    app.request("PATCH", "/api/v1/nodes/node-a1", {"spec": {"taints": [taint]}})
    before = state(app, "nodes")
    harm = plan(reach(app), zone="a", manner="nodes")
    inject(reach(app), harm)
    anew = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a1"}, "spec": {"providerID": "cloud://a1"}}
    app.create(anew)
    with hands(app):
        undo(harm)

    assert before == state(app, "nodes")


def test_policy_that_would_let_traffic_through_makes_a_partition_refused(app: Standin) -> None:
    spec = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]}, "ingress": [{}]}
    metadata = {"name": "open", "namespace": SPACE}
    app.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec})

    with pytest.raises(Refused, match="cannot take back what another allows"):
        plan(reach(app), zone="a", manner="partition")


def test_instance_is_killed_and_replaced(app: Standin) -> None:
    access = reach(app)
    harm = plan(access, "kill_instance", tier="api")
    with hands(app):
        inject(access, harm, "kill_instance")
        faults.await_effect(access, "kill_instance", harm)
        undo(harm, "kill_instance")
        undo(harm, "kill_instance")

    assert ["app/api-1-0"] == [one.name for one in harm.targets]
    assert 6 == len(pods(app, "api"))
    assert "api-1-0" not in [one["metadata"]["name"] for one in pods(app, "api")]


def test_planning_alone_harms_nothing_and_proves_nothing(app: Standin) -> None:
    before = app.objects(derived=True)
    app.clear()
    access = reach(app)
    harm = plan(access, zone="a", manner="outage")
    harm = Harm(**{**vars(harm), "proof_s": 0.0})
    faults.ensure_allowed(access, harm)

    with pytest.raises(Inconclusive, match="the damage is not seen"):
        faults.await_effect(access, "fail_zone", harm)
    assert {"selfsubjectaccessreviews"} == {one["resource"] for one in app.requests(writes=True)}
    assert "the zone" not in undo(harm)
    assert before == app.objects(derived=True)


def test_credentials_that_may_only_read_are_refused_before_anything_is_touched(app: Standin) -> None:
    access = reach(app, app.read_only())
    before = app.objects(derived=True)
    harms = [plan(access, zone="a", manner=manner) for manner in ZONE_MANNERS]

    for harm in [*harms, plan(access, "kill_instance")]:
        with pytest.raises(Refused, match="is not allowed to these credentials"):
            faults.ensure_allowed(access, harm)
    assert before == app.objects(derived=True)


def test_namespace_or_nodes_without_the_label_are_refused(app: Standin) -> None:
    for name in ("node-a1", "node-a2"):
        app.request("PATCH", f"/api/v1/nodes/{name}", {"metadata": {"labels": {"ftchaos": None}}})
    with pytest.raises(Refused, match="no node in a carries the label ftchaos=allowed"):
        plan(reach(app), zone="a")
    with pytest.raises(Invalid, match="no node is in the zone 'd'"):
        plan(reach(app), zone="d")
    app.request("PATCH", f"/api/v1/namespaces/{SPACE}", {"metadata": {"labels": {"ftchaos": None}}})
    with pytest.raises(Refused, match="does not carry the label"):
        plan(reach(app), zone="b")


def test_another_cluster_under_the_same_context_is_neither_harmed_nor_healed(app: Standin) -> None:
    harm = plan(reach(app), zone="a")
    harm = Harm(**{**vars(harm), "undo": {**harm.undo, "place": {**harm.undo["place"], "cluster": "x" * 36}}})
    app.clear()

    with pytest.raises(Refused, match="leads to the cluster"):
        undo(harm)
    assert [] == app.requests(writes=True)


def test_roles_of_the_policy_allow_all_faults_with_their_heals_and_nothing_is_allowed_in_vain(
    app: Standin, accesses: list[Access]
) -> None:
    group = "rbac.authorization.k8s.io"
    for document in policy.documents("faults", [SPACE]):
        text: Obj = yaml.safe_load(yaml.safe_dump(document))
        reference = {"apiGroup": group, "kind": text["kind"], "name": text["metadata"]["name"]}
        subjects = [{"kind": "User", "name": "chaos", "apiGroup": group}]
        kind = f"{text['kind']}Binding"
        app.create(text, {**text, "kind": kind, "roleRef": reference, "subjects": subjects, "rules": None})
    limited = app.kubeconfig_of("chaos")
    for manner in ZONE_MANNERS:
        access = reach(app, limited)
        harm = plan(access, zone="a", manner=manner)
        with hands(app):
            inject(access, harm)
            undo(harm)
    access = reach(app, limited)
    harm = plan(access, "kill_instance")
    with hands(app):
        inject(access, harm, "kill_instance")
        undo(harm, "kill_instance")
    made = {(one.verb, one.resource) for each in accesses for one in each.calls}
    wanted = {
        (one.verb, one.resource) for one in CALLS
        if one.kind == "faults" and {*one.manners} - {LEASE, FORWARD} and one.verb != WATCH  # which the witness does
    }  # fmt: skip

    assert set() == wanted - made
