"""The damage of a zone as it shows in a cluster that reconciles by itself, in the time that that takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cluster import manifests, seen
from cluster.application import ALLOWED, SPACE, namespace
from cluster.standin.server import Standin

from ftchaos import witness
from ftchaos.clock import now
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.undo import Record

Obj = dict[str, Any]


@pytest.fixture(autouse=True)
def hurried(accesses: list[Access], monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, while all that is called is in the table."""
    monkeypatch.setattr(settling, "EVERY_S", 0.05)


@pytest.fixture
def access(cluster: Standin) -> Access:
    """To six nodes in three zones with an API of six pods and a database of three, all ready."""
    namespace(cluster, SPACE, ALLOWED)
    made = [manifests.node(f"node-{zone}{number}", zone, **ALLOWED) for zone in "abc" for number in (1, 2)]
    cluster.create(*made, manifests.workload("Deployment", "api", 6, SPACE))
    cluster.create(manifests.workload("StatefulSet", "db", 3, SPACE))
    found = Access(Place("staging", "standin", (SPACE,), str(cluster.kubeconfig)))
    cluster.until(lambda: sum(one.ready for one in survey.take(found).pods) == 9, "the application")
    return found


def _undo(harm: Harm) -> str:
    return heal(Record(1, "kubernetes", "fault:fail_zone", json.loads(json.dumps(harm.undo)), harm.clause))


@pytest.mark.parametrize(
    ("manner", "slow"), [("nodes", {"pod_gc_s": 300}), ("out-of-service", {"stop_s": 30}), ("drain", {"stop_s": 30})]
)
def test_pods_that_live_on_for_a_while_are_not_taken_for_lost_before_they_are(
    cluster: Standin, access: Access, tmp_path: Path, manner: str, slow: dict[str, float]
) -> None:
    cluster.settings(**slow)  # a hundred of them are a second
    harm = faults.find("fail_zone").plan(survey.take(access, everywhere=True), zone="a", manner=manner)
    meant = {one["uid"] for one in harm.undo["pods"]}
    with seen.sight(cluster, SPACE, harm.signs, tmp_path) as file:
        fault_at = now()
        faults.find("fail_zone").inject(access, harm)
        left = faults.find("fail_zone").effect(access, harm.undo)
        faults.await_effect(access, "fail_zone", harm)
        shown_at = now()
        cluster.until(lambda: witness.proven_at(witness.read(file), [*harm.signs], fault_at), "the damage is seen")
    _undo(harm)
    proven_at = witness.proven_at(witness.read(file), [*harm.signs], fault_at)
    gone = [one["at"] for one in cluster.changes("pods", fault_at) if one["sort"] == "DELETED"
            and one["object"]["metadata"]["uid"] in meant]  # fmt: skip

    assert (manner == "drain") == (not left)  # which waits itself
    assert len(meant) == len(gone) == len(harm.signs) > 0
    assert proven_at is not None
    assert proven_at >= max(gone)
    assert shown_at >= max(gone)
