"""Two namespaces cut off from each other: nobody else is, all is given back, and what nobody could see is refused."""

from __future__ import annotations

import dataclasses
import itertools
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cluster.application import ALLOWED, namespace
from cluster.manifests import node, workload
from cluster.standin.policies import OUTSIDE
from cluster.standin.server import Standin

from ftchaos.errors import FtchaosError, Invalid, Refused
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import access as way
from ftchaos.platforms.kubernetes import faults, policy, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.calls import CALLS
from ftchaos.platforms.kubernetes.faults import namespaces, network, settling
from ftchaos.platforms.kubernetes.inventory import Inventory
from ftchaos.undo import Record

Obj = dict[str, Any]
FAULT = "partition_namespaces"
NEAR, FAR, ELSE = "files", "store", "other"
SPACES = (NEAR, FAR, ELSE)
URL = "http://files.example.com"
BOTH = {(NEAR, FAR), (FAR, NEAR)}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(settling, "EVERY_S", 0.05)
    monkeypatch.setattr(settling, "SETTLED_S", 5.0)


@pytest.fixture
def app(cluster: Standin) -> Standin:
    """Two pods that listen in each of three namespaces."""
    cluster.create(*(node(f"node-{zone}1", zone, **ALLOWED) for zone in "abc"))
    for space in SPACES:
        namespace(cluster, space, ALLOWED)
        cluster.create(workload("Deployment", space, 2, space, annotations={"standin/listen": "yes"}))
    cluster.until(lambda: all(len(addresses(cluster)[space]) == 2 for space in SPACES), "the pods")
    return cluster


def addresses(cluster: Standin) -> dict[str, list[str]]:
    """Those of the pods of each namespace that are ready, the newest last."""
    found: dict[str, list[str]] = {space: [] for space in SPACES}
    for one in sorted(cluster.all("v1", "Pod"), key=lambda one: int(one["metadata"]["resourceVersion"])):
        conditions = one["status"].get("conditions") or []
        if any((each["type"], each["status"]) == ("Ready", "True") for each in conditions):
            found[one["metadata"]["namespace"]].append(one["status"]["podIP"])
    return found


def reaches(source: str, target: str) -> bool:
    """Whether somebody at one address is answered by the pod at another."""
    try:
        with socket.create_connection((target, 8080), 2, (source, 0)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def cut_off(cluster: Standin) -> set[tuple[str, str]]:
    """From which namespace to which at least one pod does not reach another; ``outside`` is no pod."""
    where = {**addresses(cluster), "outside": [OUTSIDE]}
    return {
        (source, target)
        for source, target in itertools.product(where, SPACES)
        if not all(reaches(one, two) for one in where[source] for two in where[target])
    }


def reach(cluster: Standin, kubeconfig: Path | None = None) -> Access:
    return Access(Place("staging", "standin", SPACES, str(kubeconfig or cluster.kubeconfig)))


def look(cluster: Standin) -> Inventory:
    return survey.take(reach(cluster), api=URL)


def plan(inventory: Inventory, **arguments: str) -> Harm:
    harm = faults.find(FAULT).plan(inventory, **{"between": NEAR, "and_": FAR, **arguments})

    assert harm.undo == json.loads(json.dumps(harm.undo))
    return harm


def undo(harm: Harm) -> str:
    return heal(Record(1, "kubernetes", f"fault:{FAULT}", json.loads(json.dumps(harm.undo)), harm.clause))


def allow(cluster: Standin, space: str, rules: Mapping[str, Any]) -> None:
    """A NetworkPolicy of the application's own."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], **rules}
    metadata = {"name": "theirs", "namespace": space}
    cluster.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec})


def test_both_ways_are_cut_and_no_other_until_the_heal_and_a_second_one_changes_nothing(app: Standin) -> None:
    before = app.objects()
    access = reach(app, app.kubeconfig)
    harm = plan(look(app))
    unharmed = namespaces.effect(access, harm.undo)
    open_ = cut_off(app)
    faults.ensure_allowed(access, harm)
    said = faults.find(FAULT).inject(access, harm)
    faults.await_effect(access, FAULT, harm)
    app.until(lambda: cut_off(app) == BOTH, "the cut")
    healed, again = undo(harm), undo(harm)
    app.until(lambda: not cut_off(app), "the end of the cut")

    assert set() == open_
    assert 2 == len(unharmed)
    assert f"{NEAR} and {FAR} were cut off from each other: by policies in {NEAR} and {FAR}" == said
    assert "2 NetworkPolicies were removed" in healed
    assert "NetworkPolicies" not in again
    assert before == app.objects()


def test_policies_that_the_network_does_not_keep_to_are_no_proof_which_the_application_alone_gives(
    app: Standin,
) -> None:
    app.settings(policies=False)
    access = reach(app)
    harm = plan(look(app))
    faults.find(FAULT).inject(access, harm)
    shown = namespaces.effect(access, harm.undo)
    cut = cut_off(app)
    undo(harm)

    assert ([], set()) == (shown, cut)
    assert [f"{URL}/health"] == [*harm.signs]
    assert harm.stays_s >= namespaces.STAYS_S


def test_pod_that_is_made_meanwhile_is_cut_off_from_those_that_were_there(app: Standin) -> None:
    old = addresses(app)[FAR]
    harm = plan(look(app))
    faults.find(FAULT).inject(reach(app), harm)
    app.apps.patch_namespaced_deployment_scale(NEAR, NEAR, {"spec": {"replicas": 3}})
    app.until(lambda: len(addresses(app)[NEAR]) == 3, "another pod")
    new = addresses(app)[NEAR][-1]
    app.until(lambda: reaches(new, addresses(app)[ELSE][0]), "it reaches others")

    assert [False] * 2 == [reaches(new, one) for one in old]
    undo(harm)


def test_two_faults_have_policies_of_different_names(app: Standin) -> None:
    inventory = look(app)
    names = {one["name"] for _ in range(2) for one in plan(inventory).undo["policies"]}

    assert 2 == len(names)


@pytest.mark.parametrize("effect", [False, True])
def test_death_at_each_write_is_healed_object_by_object(app: Standin, effect: bool) -> None:
    before, number, died = app.objects(), 0, True
    while died:
        number += 1
        harm = plan(look(app))
        app.stop_at(number, effect=effect, hang_up=True, writes=True)
        with suppress(FtchaosError):
            faults.find(FAULT).inject(reach(app), harm)
        died = app.stopped
        app.resume()
        undo(harm)

        assert before == app.objects(), number

    assert 3 == number


def test_heal_that_died_at_each_write_is_completed_by_the_next(app: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    before = app.objects()
    for number, effect in itertools.product((1, 2), (False, True)):
        harm = plan(look(app))
        faults.find(FAULT).inject(reach(app), harm)
        app.stop_at(number, effect=effect, hang_up=True, writes=True)
        with suppress(FtchaosError), monkeypatch.context() as hasty:
            hasty.setattr(settling, "SETTLED_S", 0.0)
            undo(harm)
        died = app.stopped
        app.resume()
        undo(harm)

        assert died
        assert before == app.objects(), (number, effect)


def test_namespace_with_policies_of_its_own_keeps_them_and_the_other_side_is_enough(app: Standin) -> None:
    allow(app, FAR, {"ingress": [{"from": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]}]})
    harm = plan(look(app))
    faults.find(FAULT).inject(reach(app), harm)
    app.until(lambda: cut_off(app) == BOTH, "the cut")
    undo(harm)

    assert [NEAR] == [one["namespace"] for one in harm.undo["policies"]]


def test_two_namespaces_with_policies_are_refused_as_ours_would_open_what_theirs_close(app: Standin) -> None:
    for space in (NEAR, FAR):
        allow(app, space, {})

    with pytest.raises(Refused, match=f"{NEAR}/theirs, {FAR}/theirs.*cannot be taken back"):
        plan(look(app))


def test_namespaces_that_are_not_two_of_the_environment_are_refused(app: Standin) -> None:
    inventory = look(app)
    with pytest.raises(Invalid, match="'absent' is none of the environment"):
        plan(inventory, and_="absent")
    with pytest.raises(Invalid, match="cannot be cut off from itself"):
        plan(inventory, and_=NEAR)
    with pytest.raises(Refused, match=r"does not carry the label kubernetes\.io/metadata\.name"):
        plan(dataclasses.replace(inventory, nameless=(FAR,)))
    with pytest.raises(Refused, match=f"the clients of this run are in {NEAR}"):
        plan(dataclasses.replace(inventory, client_namespace=NEAR))
    app.request("PATCH", f"/api/v1/namespaces/{FAR}", {"metadata": {"labels": {"ftchaos": None}}})
    with pytest.raises(Refused, match=f"the namespace {FAR} does not carry the label ftchaos=allowed"):
        look(app)


def test_pods_on_the_network_of_their_node_are_left_out_and_named_or_refused_if_there_are_no_others(
    app: Standin,
) -> None:
    inventory = look(app)
    far = [one for one in inventory.pods if one.namespace == FAR]

    def on_hosts(*names: str) -> Inventory:
        pods = [dataclasses.replace(one, host_network=one.name in names) for one in inventory.pods]
        return dataclasses.replace(inventory, pods=tuple(pods))

    harm = plan(on_hosts(far[0].name))
    shut = next(one for one in harm.undo["policies"] if one["namespace"] == NEAR)

    assert f"{far[0].full_name} is left out: it uses the network of its node" in harm.clause
    assert [far[1].address] == shut["addresses"]
    with pytest.raises(Refused, match=f"no pod of {FAR} has a network of its own"):
        plan(on_hosts(*(one.name for one in far)))


def test_addresses_of_both_families_are_shut_out(app: Standin) -> None:
    inventory = look(app)
    six = {one.name: f"fd00::{number}" for number, one in enumerate(inventory.pods, 1)}
    pods = tuple(dataclasses.replace(one, addresses=(one.address, six[one.name])) for one in inventory.pods)
    harm = plan(dataclasses.replace(inventory, pods=pods))
    faults.find(FAULT).inject(reach(app), harm)
    made = next(iter(app.all("networking.k8s.io/v1", "NetworkPolicy", NEAR)))
    blocks = [one["ipBlock"] for one in made["spec"]["egress"][0]["to"] if "ipBlock" in one]
    shut = [six[one.name] for one in pods if one.namespace == FAR]
    undo(harm)

    assert ["0.0.0.0/0", "::/0"] == [one["cidr"] for one in blocks]
    assert [{f"{one}/32" for one in addresses(app)[FAR]}, {f"{one}/128" for one in shut}] == [
        set(one["except"]) for one in blocks
    ]
    assert made["spec"]["ingress"][0]["from"] == made["spec"]["egress"][0]["to"]


def test_sign_is_a_path_of_the_application_or_a_workload_that_is_asked_for_its_readiness(app: Standin) -> None:
    inventory = look(app)
    probed = tuple(dataclasses.replace(one, probed=True) for one in inventory.pods)
    path = plan(inventory)
    far = plan(dataclasses.replace(inventory, pods=probed), seen=f"{NEAR}/{NEAR}")
    secure = plan(dataclasses.replace(inventory, api="https://files.example.com:8443/v1/"), seen="/ready")

    assert {f"{URL}/health": {"host": "files.example.com", "port": 80, "kind": "http", "path": "/health"}} == path.signs
    assert [{"host": "files.example.com", "port": 8443, "kind": "https", "path": "/v1/ready"}] == [
        *secure.signs.values()
    ]
    assert {one.full_name for one in inventory.pods if one.namespace == NEAR} == far.signs.keys()
    with pytest.raises(Invalid, match="are not asked for their readiness"):
        plan(inventory, seen=f"{NEAR}/{NEAR}")
    with pytest.raises(Invalid, match="is neither a path nor a workload"):
        plan(inventory, seen=f"{ELSE}/{ELSE}")
    with pytest.raises(Invalid, match="nobody of ours uses the application"):
        plan(dataclasses.replace(inventory, api=""))
    with pytest.raises(Invalid, match="duration"):
        plan(inventory, lasts="soon")


def test_the_printed_role_suffices_and_that_for_reading_is_refused(app: Standin) -> None:
    harm = plan(look(app))
    with pytest.raises(Refused, match="is not allowed to these credentials"):
        faults.ensure_allowed(reach(app, app.read_only()), harm)
    for one in policy.documents("faults", SPACES, CALLS):
        app.create(one)
    _bind(app)
    access = reach(app, app.kubeconfig_of("chaos"))
    faults.ensure_allowed(access, harm)
    faults.find(FAULT).inject(access, harm)
    undo(harm)

    assert {("create", "networkpolicies")} == {
        (one.verb, one.resource) for one in access.calls if one.verb not in ("list", "get", "watch")
    } - {("create", "selfsubjectaccessreviews")}


def _bind(app: Standin) -> None:
    """Give the printed roles to ``chaos``."""
    subject = [{"kind": "User", "name": "chaos", "apiGroup": "rbac.authorization.k8s.io"}]
    for kind, space in (("ClusterRole", ""), *(("Role", space) for space in SPACES)):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "ftchaos-faults"}
        metadata = {"name": "chaos", **({"namespace": space} if space else {})}
        binding = {"kind": f"{kind}Binding", "metadata": metadata, "roleRef": reference, "subjects": subject}
        app.create({"apiVersion": "rbac.authorization.k8s.io/v1", **binding})


def test_within_the_cluster_a_pod_that_stays_ready_is_no_doubt_of_a_cut_as_the_witness_is_its_proof(
    app: Standin,
) -> None:
    inventory = look(app)
    access = reach(app)
    mark = "ftchaos-test"
    hit = [one for one in inventory.pods if one.namespace == NEAR]
    record = {"place": dict(inventory.place), "mark": mark, "pods": [one.key for one in hit],
              "policies": network.plan(inventory, hit, mark)}  # fmt: skip
    network.cut(access, record["policies"], record["pods"], mark)
    outside = network.not_cut(access, record)
    within = network.not_cut(access, {**record, "place": {**inventory.place, "context": "in-cluster"}})

    assert ["every pod that was cut off is still Ready: the network may not keep to policies"] == outside
    assert [] == within
