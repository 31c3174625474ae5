"""A load on an autoscaler: refused early where it could not scale, bounded, seen to bite, and ended whatever dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster.application import SPACE, build
from cluster.counting import Api
from cluster.roles import bound
from cluster.standin.server import Standin

from ftchaos import process
from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Inconclusive, Invalid, Refused, StepFailed
from ftchaos.guard import ensure_within
from ftchaos.platforms import heal
from ftchaos.platforms.base import Harm, ScalingSeen
from ftchaos.platforms.kubernetes import faults, load, standing, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.calls import KILL, LOAD, Action, needed
from ftchaos.platforms.kubernetes.faults import autoscaler, settling
from ftchaos.process import Identity
from ftchaos.undo import Record
from ftchaos.workload import pressure

Obj = dict[str, Any]
FAULT = "load_autoscaler"
QUICK = {"rate": "200", "rise": "0s", "bites_within": "10s", "lasts": "60s"}
PATH = f"/apis/autoscaling/v2/namespaces/{SPACE}/horizontalpodautoscalers"


@pytest.fixture(autouse=True)
def hasty(accesses: list[Access], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Little patience, a state folder, and no call that is not in the table of the roles."""
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(settling, "EVERY_S", 0.05)
    monkeypatch.setattr(settling, "SETTLED_S", 5.0)
    monkeypatch.setattr(autoscaler, "EVERY_S", 0.05)


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.server.shutdown()


@pytest.fixture
def app(cluster: Standin) -> Standin:
    """The application, with an autoscaler that is within its target."""
    build(cluster)
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    spec = {"scaleTargetRef": reference, "minReplicas": 6, "maxReplicas": 9, "metrics": [metric]}
    metadata = {"name": "api", "namespace": SPACE}
    cluster.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
    stand(cluster)
    return cluster


def stand(cluster: Standin, used: int | None = 50, replicas: int = 6, wanted: int = 6, **active: str) -> None:
    """What its controller would say."""
    current = {"averageUtilization": used, "averageValue": f"{used}m"}
    metrics = None if used is None else [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    now = "2026-11-29T00:00:00Z"
    conditions = [
        {"type": "AbleToScale", "status": "True", "lastTransitionTime": now},
        {"type": "ScalingActive", "status": "True", "lastTransitionTime": now, **active},
    ]
    status = {"currentReplicas": replicas, "desiredReplicas": wanted, "currentMetrics": metrics}
    cluster.request("PATCH", f"{PATH}/api/status", {"status": {**status, "conditions": conditions}})


def reach(cluster: Standin, kubeconfig: Path | None = None) -> Access:
    return Access(Place("staging", "standin", (SPACE,), str(kubeconfig or cluster.kubeconfig)))


def plan(access: Access, api: str, **arguments: str) -> Harm:
    harm = faults.find(FAULT).plan(survey.take(access, api=api), **{**QUICK, **arguments})

    assert harm.undo == json.loads(json.dumps(harm.undo))
    return harm


def inject(access: Access, harm: Harm) -> str:
    faults.ensure_allowed(access, harm)
    return faults.find(FAULT).inject(access, harm)


def undo(harm: Harm) -> str:
    return heal(Record(1, "kubernetes", f"fault:{FAULT}", json.loads(json.dumps(harm.undo)), harm.clause))


def quiet(app: Standin, api: Api) -> int:
    """How often it was asked, once what a killed process had sent has come as well."""
    counted, since_at = api.asked, now()

    def rests() -> bool:
        nonlocal counted, since_at
        if counted != api.asked:
            counted, since_at = api.asked, now()
        return now() - since_at > 0.3

    app.until(rests, "nothing more comes")
    return counted


def process_of(harm: Harm) -> Identity | None:
    return Identity.read(Path(harm.undo["load"]["folder"]) / load.OWN)


# What is refused before anything is touched -------------------------------------------------------------------------


def test_nobody_says_where_requests_go(app: Standin) -> None:
    with pytest.raises(Invalid, match="nobody says where requests go"):
        plan(reach(app), "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"target": "app/other"}, "no HorizontalPodAutoscalers are those of 'app/other'"),
        ({"rate": "0"}, "'0' is no number of requests"),
        ({"rate": "nan"}, "'nan' is no number of requests"),
        ({"rate": "many"}, "'many' is no number of requests"),
        ({"lasts": "5s"}, "would end before it must have bitten"),
        ({"rise": "soon"}, "'soon' is not a duration"),
        ({"path": ".example.com/"}, "'.example.com/' is no path"),
    ],
)
def test_argument_that_cannot_be_used_is_refused(app: Standin, arguments: dict[str, str], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        plan(reach(app), "http://127.0.0.1:1", **arguments)


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        ({"replicas": 9, "wanted": 9}, "is at its maximum of 9"),
        ({"used": None, "status": "False", "reason": "FailedGetResourceMetric"}, "does not scale: FailedGetResource"),
        ({"used": None}, "knows no metric"),
        ({"used": 90}, "is above its target before the load: cpu 90 % of 70 %"),
        ({"wanted": 7}, "is scaling just now"),
    ],
)
def test_autoscaler_that_could_not_scale_is_refused(app: Standin, standing: dict[str, Any], told: str) -> None:
    stand(app, **standing)

    with pytest.raises(Refused, match=told):
        plan(reach(app), "http://127.0.0.1:1")


def test_without_an_autoscaler_there_is_nothing_to_load(app: Standin) -> None:
    app.request("DELETE", f"{PATH}/api")

    with pytest.raises(Invalid, match="there is no HorizontalPodAutoscaler in app"):
        plan(reach(app), "http://127.0.0.1:1")


def test_autoscaler_whose_pods_are_nobodys_that_we_know_is_refused(app: Standin) -> None:
    reference = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "api"}
    app.request("PATCH", f"{PATH}/api", {"spec": {"scaleTargetRef": reference}})
    stand(app)

    with pytest.raises(Refused, match="no pods of Rollout app/api are seen, which the autoscaler app/api scales"):
        plan(reach(app), "http://127.0.0.1:1", target="api")


def test_guard_holds_the_top_rate_against_the_blast_radius_even_where_there_is_but_one_workload(app: Standin) -> None:
    harm = plan(reach(app), "http://127.0.0.1:1", rate="501")
    harm = replace(harm, targets=tuple(replace(one, of=1) for one in harm.targets))

    with pytest.raises(Refused, match="up to 501 requests a second, and the blast radius allows 500"):
        ensure_within(None, harm.targets, requests_per_s=harm.requests_per_s)
    ensure_within(None, harm.targets, requests_per_s=500.0)


# What it does -------------------------------------------------------------------------------------------------------


def test_load_goes_on_once_it_has_bitten_and_ends_with_the_heal_and_nothing_else_was_changed(
    app: Standin, api: Api
) -> None:
    api.at[30] = lambda: stand(app, used=140, wanted=9)
    access = reach(app, bound(app, "faults", SPACE))  # with the roles for faults, and no more
    before = app.objects()
    harm = plan(access, f"{api.url}/")
    said = inject(access, harm)
    own, bitten = process_of(harm), api.asked
    app.until(lambda: api.asked > bitten + 100, "the load goes on")

    def arrived() -> ScalingSeen | None:
        found = autoscaler.look(access, harm.undo, "")
        return found if (found.arrives or 0.0) > 0.9 else None

    seen = app.until(arrived, "the load arrives")
    stand(app, used=60, replicas=9, wanted=9)
    healed = undo(harm)
    ended = quiet(app, api)
    again = undo(harm)

    assert own is not None
    assert not own.alive
    assert "Deployment app/api got up to 200 requests a second more: cpu 140 % of 70 %" in said
    assert (False, 6, 9, 6) == (seen.within, seen.before, seen.wanted, seen.ready)
    assert seen.arrives > 0.9
    assert "the load was ended" in healed
    assert "still has 9 replicas, 6 before: going down takes it 5 min" in healed
    assert "the load had ended" in again
    assert ended == api.asked
    assert not Path(harm.undo["load"]["folder"]).exists()
    assert before == app.objects()


def test_load_that_does_not_bite_is_inconclusive_and_says_how_far_it_came(app: Standin, api: Api) -> None:
    access = reach(app)
    harm = plan(access, api.url, bites_within="1s")
    begun_at = now()

    with pytest.raises(Inconclusive, match=r"above its target: cpu 50 % of 70 % at most, with \d+ requests"):
        inject(access, harm)
    undo(harm)
    assert 0 < api.asked <= 200 * (now() - begun_at)


def test_load_rises_in_a_line_holds_where_it_was_told_to_and_stays_below_its_top(app: Standin, api: Api) -> None:
    access = reach(app)
    harm = plan(access, api.url, rate="400", rise="8s")
    api.at[50] = lambda: stand(app, used=140, wanted=9)
    inject(access, harm)
    log = load.log_of(harm.undo["load"], "")
    told = len(load.read(log))
    app.until(lambda: len(load.read(log)) > told + 1, "it tells more")
    first, *_, before, last = [one["rate"] for one in load.read(log)]
    undo(harm)

    assert first < before == last < 400


@pytest.mark.parametrize("status", [503, 429, 403, 302])
def test_what_does_not_arrive_is_told(app: Standin, api: Api, status: int) -> None:
    api.status = status
    api.at[30] = lambda: stand(app, used=140, wanted=9)
    access = reach(app)
    harm = plan(access, api.url)
    inject(access, harm)
    seen = autoscaler.look(access, harm.undo, "")
    undo(harm)

    assert 0.0 == seen.arrives
    assert "of them failed" in seen.load


def test_load_that_ended_of_itself_is_no_recovery(app: Standin, api: Api) -> None:
    api.at[10] = lambda: stand(app, used=140, wanted=9)
    access = reach(app)
    harm = plan(access, api.url)
    harm = replace(harm, undo={**harm.undo, "load": {**harm.undo["load"], "lasts_s": 1.0}})
    inject(access, harm)
    own = process_of(harm)
    app.until(lambda: own is not None and not own.alive, "its time is up")

    with pytest.raises(StepFailed, match="the load ended early: its time was up"):
        autoscaler.look(access, harm.undo, "")
    assert "the load had ended" in undo(harm)


# Whatever dies ------------------------------------------------------------------------------------------------------


def test_death_of_the_api_server_at_each_call_leaves_a_record_that_heals(app: Standin, api: Api) -> None:
    for number in (1, 2, 3):  # from then on it only looks again
        access = reach(app)
        access.ensure_right_place()
        harm = plan(access, api.url, bites_within="1s")
        api.at[api.asked + 10] = lambda: stand(app, used=140, wanted=9)
        app.stop_at(number, hang_up=True)
        with suppress(FtchaosError):
            faults.find(FAULT).inject(access, harm)
            faults.await_effect(access, FAULT, harm)
        stopped = app.stopped
        app.resume()
        own = process_of(harm)
        undo(harm)
        stand(app)

        assert stopped
        assert own is not None
        assert not own.alive, number


_INJECT = """
import json, sys
from ftchaos.platforms.kubernetes import load
load.begin(json.loads(sys.argv[1]), "")
print("sends", flush=True)
sys.stdin.read()
"""


def test_kill_of_whoever_began_it_ends_the_load_by_the_kernel(app: Standin, api: Api) -> None:
    harm = plan(reach(app), api.url)
    argv = [sys.executable, "-c", _INJECT, json.dumps(harm.undo["load"])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert b"sends\n" == run.stdout.readline()
        own = process_of(harm)
        run.kill()

    assert own is not None
    app.until(lambda: not own.alive, "it is dead")
    assert "the load had ended" in undo(harm)


@pytest.mark.parametrize(
    ("place", "told"),
    [({"cluster": "another"}, "and another was meant"), ({"kubeconfig": "/gone"}, "/gone")],
    ids=["another cluster", "no kubeconfig"],
)
def test_load_ends_even_where_the_cluster_is_not_found_by_now(
    app: Standin, api: Api, place: dict[str, str], told: str
) -> None:
    api.at[10] = lambda: stand(app, used=140, wanted=9)
    access = reach(app)
    harm = plan(access, api.url)
    inject(access, harm)
    own = process_of(harm)
    elsewhere = {**harm.undo, "place": {**harm.undo["place"], **place}}

    with pytest.raises(FtchaosError, match=told):
        undo(replace(harm, undo=elsewhere))
    assert own is not None
    assert not own.alive
    undo(harm)


def test_heal_that_comes_before_the_process_is_known_keeps_it_from_sending(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "load"
    folder.mkdir()
    config = {"url": api.url, "rate": 200.0, "rise_s": 0.0, "under_way": 10, "timeout_s": 1.0, "lasts_s": 30.0,
              "own": str(folder / load.OWN), "log": str(tmp_path / "load.jsonl")}  # fmt: skip
    (folder / load.CONFIG).write_text(json.dumps(config))
    read = pressure.Config.load(folder / load.CONFIG)
    healed = load.end({"folder": str(folder)})
    late = subprocess.run([sys.executable, "-m", "ftchaos.workload.pressure", str(folder / load.CONFIG)], check=False)

    with pytest.raises(FileNotFoundError):  # one that had read what it is to do
        pressure.announce(read)
    assert "the load had ended" == healed
    assert 0 != late.returncode
    assert 0 == api.asked
    assert [] == [*tmp_path.iterdir()]


def test_heal_that_died_half_way_ends_the_load_when_it_is_repeated(app: Standin, api: Api) -> None:
    harm = plan(reach(app), api.url)
    load.begin(harm.undo["load"], "")
    own, folder = process_of(harm), Path(harm.undo["load"]["folder"])
    folder.rename(f"{folder}.ended")
    healed = undo(harm)

    assert own is not None
    assert not own.alive
    assert "the load was ended" in healed
    assert [] == [*folder.parent.iterdir()]


def test_process_that_has_the_number_of_one_that_is_gone_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "30"]) as other:
        mine = Identity.of(other.pid)
        gone = [replace(mine, began=mine.began - 1), replace(mine, boot="before"), replace(mine, space="pid:[1]")]
        ended = [one.end(1.0) for one in gone]
        stayed = process.alive(other.pid)
        killed = mine.end(5.0)
        status = other.wait()

    assert [False, False, False] == ended
    assert stayed
    assert killed
    assert -signal.SIGKILL == status


# How it stands before and after -------------------------------------------------------------------------------------


def test_replicas_that_an_autoscaler_added_are_no_difference_and_those_that_are_not_ready_are(app: Standin) -> None:
    inventory = survey.take(reach(app))
    more = replace(inventory, wanted={**inventory.wanted, "Deployment app/api": 9})
    lost = next(one for one in inventory.pods if one.owner == "Deployment app/api")
    less = replace(inventory, pods=tuple(one for one in inventory.pods if one != lost))
    usual, unready, fewer = (standing.state(one)["Deployment app/api"] for one in (inventory, more, less))

    assert "all ready, as many as the autoscaler app/api wants" == usual
    assert "6 of 9 ready, as many as the autoscaler app/api wants" == unready
    assert "5 of 6 ready, as many as the autoscaler app/api wants" == fewer


def test_watch_of_an_autoscaler_is_asked_for_and_allowed_by_the_roles(app: Standin) -> None:
    access = reach(app, bound(app, "faults", SPACE))
    _, version = access.listed(autoscaler.RESOURCE, SPACE)
    stand(app, used=140, wanted=9)
    kind, obj = next(access.watch(autoscaler.RESOURCE, SPACE, version))

    assert ("MODIFIED", 9) == (kind, obj["status"]["desiredReplicas"])
    assert Action("watch", autoscaler.RESOURCE, SPACE) in needed(LOAD, [SPACE])
    assert Action("watch", autoscaler.RESOURCE, SPACE) not in needed(KILL, [SPACE])
