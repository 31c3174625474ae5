"""Faults, sight and the lease in the stand-in as it reconciles, and in a real cluster where there is one.

Nodes are harmed in a real cluster only where ``FTCHAOS_TEST_NODES`` names them, and else in the stand-in.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import seen
from cluster.ground import API, DB, Ground, begin
from cluster.manifests import node
from cluster.standin.server import Standin

from ftchaos import config, notes, witness
from ftchaos.errors import Locked
from ftchaos.platforms import heal
from ftchaos.platforms.kubernetes import lease
from ftchaos.platforms.kubernetes.examination import examine
from ftchaos.platforms.kubernetes.faults import pods as evicting
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.platforms.kubernetes.inventory import ZONE_LABEL
from ftchaos.platforms.kubernetes.lease import Lease
from ftchaos.undo import UndoLog


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Looks at the cluster often, and a lease that is not valid for a minute."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(settling, "EVERY_S", 0.1)
    monkeypatch.setattr(evicting, "ROUND_S", 0.1)
    for name, value in {"VALID_S": 10, "RENEW_S": 0.5, "GIVE_UP_S": 6.0, "LOOK_S": 0.1, "NOTED_S": 0.1}.items():
        monkeypatch.setattr(lease, name, value)


def test_instances_that_are_killed_are_replaced_and_no_others_are(ground: Ground) -> None:
    before, others = ground.pods(API), ground.pods(DB)
    harm = ground.plan("kill_instance", tier=API, count="2")
    with ground.harmed("kill_instance", harm) as said:
        pass
    after = ground.pods(API)

    assert "2 of 3 instances of the tier api were killed" in said
    assert (2, 3) == (len(set(before.values()) - set(after.values())), len(after))
    assert others == ground.pods(DB)


@pytest.mark.parametrize("manner", ["drain", "outage"])
def test_a_zone_is_emptied_and_its_nodes_are_as_before(node_ground: Ground, manner: str) -> None:
    ground = node_ground
    nodes = {name: ground.node(name) for name in ground.nodes}
    where = ground.cluster.request("GET", f"/api/v1/nodes/{ground.nodes[0]}")["metadata"]["labels"][ZONE_LABEL]
    harm = ground.plan("fail_zone", zone=where, manner=manner)
    with ground.harmed("fail_zone", harm):
        meanwhile = {name: ground.node(name) for name in ground.nodes}
        fallen = {one["uid"] for one in harm.undo["pods"]} & set(ground.pods().values())

    assert set() == fallen
    assert {one["name"] for one in harm.undo["nodes"]} <= set(ground.nodes)
    assert [True] == [meanwhile[one["name"]]["cordoned"] for one in harm.undo["nodes"][:1]]
    assert nodes == {name: ground.node(name) for name in ground.nodes}


def test_pods_are_seen_to_fall_and_not_before_they_do(ground: Ground, tmp_path: Path) -> None:
    harm = ground.plan("kill_instance", tier=API, count="2")
    with seen.sight(
        ground.cluster, ground.space, {key: dict(one) for key, one in harm.signs.items()}, tmp_path
    ) as file:
        at_first = {one.target: one.up for one in witness.read(file)}
        with ground.harmed("kill_instance", harm):
            ground.cluster.until(
                lambda: set(harm.signs) == {one.target for one in witness.read(file) if not one.up}, "both are down"
            )

    assert dict.fromkeys(harm.signs, True) == at_first


def test_a_lease_is_held_by_one_run_and_given_back_by_its_heal(ground: Ground, tmp_path: Path) -> None:
    logs = {name: UndoLog(tmp_path / f"{name}.jsonl") for name in ("first", "second", "third")}
    runs = {name: Lease(ground.access, ground.space) for name in logs}
    notes.stop_file("first").parent.mkdir(parents=True)
    try:
        runs["first"].begin("first", logs["first"], lambda _: None)
        with pytest.raises(Locked, match="is held by run first"):
            runs["second"].begin("second", logs["second"], lambda _: None)
        healed = [logs[name].heal(heal).failed for name in ("second", "first")]
        runs["third"].begin("third", logs["third"], lambda _: None)
    finally:
        for one in runs.values():
            one.end()

    assert [[], []] == healed
    assert [] == logs["third"].heal(heal).failed


def test_the_doctor_finds_what_lacks_a_budget(ground: Ground, tmp_path: Path) -> None:
    place = f"context: {ground.context}, kubeconfig: {ground.cluster.kubeconfig}, namespaces: [{ground.space}]"
    (tmp_path / "ftchaos.yaml").write_text(
        f"environments: {{staging: {{platform: kubernetes, kubernetes: {{{place}}}}}}}"
    )
    found = examine(config.load(tmp_path / "ftchaos.yaml"), "staging", lambda _: None)
    claims = {one.claim: one for one in found}

    assert f"none for StatefulSet {ground.space}/{DB}" == claims["disruption budgets"].seen
    assert "met" == claims["more than one replica"].status
    assert "met" == claims["budgets allow an eviction"].status


def test_a_test_that_ends_in_the_middle_leaves_nothing_behind(cluster: Standin) -> None:
    cluster.create(*(node(f"node-{zone}", zone) for zone in "abc"))
    before = cluster.objects()

    def end_in_the_middle() -> None:
        with begin(cluster, ("node-a",)):
            cluster.core.patch_node("node-a", {"spec": {"unschedulable": True}})
            cluster.until(lambda: cluster.core.read_node("node-a").spec.taints, "the taint of the cordon")
            raise RuntimeError("planted")

    def is_as_before() -> bool:
        found = cluster.objects()
        found["v1/Node//node-a"]["metadata"].pop("annotations", None)  # an empty one, as the stand-in keeps it
        return found == before

    with pytest.raises(RuntimeError, match="planted"):
        end_in_the_middle()
    cluster.until(is_as_before, "the cluster is as before")
