"""Instances of each tier die: one, as many as asked for, a share of each workload, or all that the guard allows."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from cluster.application import ALLOWED, READY, SPACE, build, hands, namespace, pod, pods, put
from cluster.standin.server import Standin

from ftchaos.errors import FtchaosError, Invalid, Refused
from ftchaos.guard import ensure_within
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.faults import crowd, settling
from ftchaos.undo import Record


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "EVERY_S", 0.05)
    monkeypatch.setattr(settling, "SETTLED_S", 30.0)


@pytest.fixture
def app(cluster: Standin) -> Standin:
    build(cluster)
    return cluster


def reach(cluster: Standin, *more: str, kubeconfig: Path | None = None) -> Access:
    return Access(Place("staging", "standin", (SPACE, *more), str(kubeconfig or cluster.kubeconfig)))


def plan(access: Access, **arguments: str) -> Harm:
    return faults.find("kill_instance").plan(survey.take(access), **arguments)


def undo(harm: Harm) -> str:
    return heal(Record(1, "kubernetes", "fault:kill_instance", json.loads(json.dumps(harm.undo)), harm.clause))


@pytest.mark.parametrize(("count", "killed"), [("1", 1), ("2", 2), ("50%", 3), ("10%", 1), ("all", 6)])
def test_as_many_as_asked_for_die_and_are_replaced(app: Standin, count: str, killed: int) -> None:
    before = {one["metadata"]["uid"] for one in pods(app, "api")}
    access = reach(app)
    harm = plan(access, count=count)
    with hands(app):
        faults.find("kill_instance").inject(access, harm)
        faults.await_effect(access, "kill_instance", harm)
        undo(harm)
        undo(harm)
    after = {one["metadata"]["uid"] for one in pods(app, "api")}

    assert (killed, 6) == (len(before - after), len(after))
    assert killed == len(harm.targets)


def test_pods_of_a_stateful_set_are_found_by_the_namespace_of_their_tier_and_all_of_them_are_too_many(
    app: Standin,
) -> None:
    namespace(app, "file-transfer-db", ALLOWED)
    for number in range(3):
        made = pod(f"mysql-{number}", f"node-{'abc'[number]}1", {"app": "mysql"}, "file-transfer-db")
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "mysql", "uid": "1", "controller": True}
        made["metadata"]["ownerReferences"] = [owner]
        put(app, made, READY)
    access = reach(app, "file-transfer-db")
    one, share, every = (plan(access, tier="db", count=count) for count in ("1", "67%", "all"))

    assert ["file-transfer-db/mysql-0"] == [target.name for target in one.targets]
    assert 2 == len(share.targets)
    ensure_within(None, share.targets)
    with pytest.raises(Refused, match="3 of 3 db"):
        ensure_within(None, every.targets)


@pytest.mark.parametrize("count", ["0", "-1", "x", "101%", "5%%", "", "7"])
def test_count_that_is_none_or_too_many_is_refused(app: Standin, count: str) -> None:
    with pytest.raises(Invalid):
        plan(reach(app), count=count)


def test_death_at_each_deletion_leaves_a_record_that_heals(app: Standin) -> None:
    for number in (1, 2, 3):
        access = reach(app)
        harm = plan(access, count="3")
        app.stop_at(number, effect=True, hang_up=True, writes=True)
        with pytest.raises(FtchaosError):
            faults.find("kill_instance").inject(access, harm)
        app.resume()
        with hands(app):
            undo(harm)

        assert 6 == len(pods(app, "api")), number


def test_error_of_one_among_many_is_raised_and_nothing_new_is_begun() -> None:
    begun = list[int]()

    def act(number: int) -> int:
        begun.append(number)
        if number == 0:
            raise Invalid("planted", "none")
        return number

    with pytest.raises(Invalid, match="planted"):
        crowd.each(range(5000), act)
    assert len(begun) < 5000
    assert [0, 2, 4] == crowd.each([0, 1, 2], lambda number: number * 2)


def test_several_errors_are_told_each_once() -> None:
    together = threading.Barrier(4)

    def act(number: int) -> None:
        together.wait(10)
        raise Invalid(f"planted {number // 2}", "none") if number < 3 else ValueError("another")

    with pytest.raises(Invalid) as error:
        crowd.each(range(4), act)

    assert "planted 0; and 2 more: planted 1; ValueError('another')" == error.value.fact
    assert "none" == error.value.hint
