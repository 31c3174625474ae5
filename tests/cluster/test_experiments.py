"""The shipped experiments on Kubernetes, through the command line, against the real application in the stand-in."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import real_app
from cluster.real_app import API, DB
from cluster.stage import Stage
from cluster.standin.server import Standin
from workplaces import Workplace

from ftchaos import verification
from ftchaos.platforms.kubernetes.calls import LEASE_NAME

pytestmark = pytest.mark.alone

KINDS = ("Node", "Deployment", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")


@pytest.fixture(scope="module")
def built(process: Standin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    process.reset()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-cluster-"))
    with real_app.begin(process, tmp_path_factory.mktemp("outside")) as app:
        yield Stage(app, Workplace(folder))
    shutil.rmtree(folder)

    assert process.messages() == ""


@pytest.fixture
def stage(built: Stage) -> Stage:
    built.configure()
    built.whole()
    return built


def _component(evidence: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in evidence["components"] if one["name"] == name)
    return found


def _secrets(stage: Stage) -> list[Path]:
    return [*stage.place.state.rglob("*.secret")]


def test_a_preview_names_the_targets_and_changes_nothing(stage: Stage) -> None:
    before = stage.whole()
    stage.app.cluster.clear()
    zone = _zone_beside(stage)
    done = stage.run("zone-outage", "--zone", zone, "--dry-run", "--json")
    written = [one for one in stage.app.cluster.requests(writes=True) if one["resource"] != "selfsubjectaccessreviews"]

    assert 0 == done.exit_code, done.stderr
    assert [f"{zone} lost its power"] == done.json["faults"]
    assert zone in done.json["targets"]
    assert [] == written
    assert before == stage.whole()
    assert [] == stage.place.runs()


def test_a_zone_that_nobody_named_is_that_of_the_mysql_primary(stage: Stage) -> None:
    (mysql,) = stage.app.ready(DB, "mysql")
    done = stage.run("zone-outage", "--dry-run", "--json")

    assert 0 == done.exit_code, done.stderr
    assert done.json["faults"] == [f"{_zone_of(mysql)}, where the MySQL primary {DB}/mysql-0 is, lost its power"]


@pytest.mark.parametrize(
    ("name", "variable", "value", "said"),
    [
        ("api-instance-kill", "FTCHAOS_COUNT", "2", "2 of 3 instances of the tier api were killed"),
        ("api-instance-kill", "FTCHAOS_COUNT", "70%", "2 of 3 instances of the tier api were killed"),
    ],
)
def test_the_environment_says_whom_and_how_many_a_fault_hits(
    name: str, variable: str, value: str, said: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    done = stage.run(name, "--dry-run", "--json")

    assert 0 == done.exit_code, done.stderr
    assert [said] == done.json["faults"]


def test_the_environment_says_which_label_leaders_have_where_no_server_is_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_LABEL", "app=api")
    first = min(one.metadata.name for one in stage.app.ready(API, "api"))
    done = stage.run("redis-master-kill", "--dry-run", "--json")

    assert 0 == done.exit_code, done.stderr
    assert [f"{API}/{first} was killed"] == done.json["faults"]


def test_the_only_server_of_a_database_is_all_of_it_whatever_label_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTCHAOS_LABEL", "app=api")
    done = stage.run("mysql-primary-kill", "--dry-run")

    assert 5 == done.exit_code
    assert f"the fault would hit 1 of 1 mysql (100%: {DB}/mysql-0)" in done.stderr


def _zone_of(pod: Any) -> str:
    return f"zone-{pod.spec.node_name[5]}"


def _zone_beside(stage: Stage) -> str:
    """A zone that the API has pods in, and the database has none."""
    (mysql,) = stage.app.ready(DB, "mysql")
    return next(zone for zone in map(_zone_of, stage.app.ready(API, "api")) if zone != _zone_of(mysql))


def test_a_zone_that_fails_is_proven_measured_audited_and_given_back(stage: Stage) -> None:
    before = stage.whole()
    done = stage.run("zone-outage", "--zone", _zone_beside(stage), "--json")
    found = json.loads(done.stdout)

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert found["witness"]["proven"]
    assert {"api", "database", "queue", "websocket"} == {one["name"] for one in found["components"] if one["hit"]}
    assert {"detected", "promoted"} <= {mark["name"] for mark in _component(found, "api")["marks"]}
    assert 0 == found["data"]["stores"]["mysql"]["lost"]
    assert found["data"]["stores"]["mysql"]["acknowledged"] > 100
    assert [] == found["undo"]["differences"]
    assert [(True, "OK")] == [(one["passed"], one["actual"]) for one in found["verification"]["checks"]]
    assert {"kubernetes:list pods", "kubernetes:delete pods"} <= {one["name"] for one in found["calls"]["operations"]}
    assert before == stage.whole()
    folder = stage.place.runs()[-1]
    kept = [path for path in (*folder.rglob("*"), *stage.place.state.rglob("*")) if path.is_file()]
    assert [] == [path for path in kept if stage.app.password.encode() in path.read_bytes()]
    assert [] == _secrets(stage)


def test_a_zone_that_is_drained_ends_its_pods_politely_and_takes_them_again(stage: Stage) -> None:
    # Of as many requests as that takes, those under way when a pod ends are within the budget.
    stage.configure(sustain="2s")
    before = stage.whole()
    done = stage.run("zone-drain", "--zone", _zone_beside(stage), "--json")
    found = json.loads(done.stdout)
    called = {one["name"] for one in found["calls"]["operations"]}

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert (True, True) == (found["witness"]["proven"], found["recovery"]["gradual"])
    assert [] == verification.verify(stage.place.runs()[-1])
    assert {"kubernetes:create pods/eviction"} == called & {"kubernetes:create pods/eviction", "kubernetes:delete pods"}
    assert [] == found["undo"]["differences"]
    assert before == stage.whole()


def test_a_database_whose_volume_is_tied_to_the_zone_fails_the_experiment_and_says_so(stage: Stage) -> None:
    before = stage.whole()
    (mysql,) = stage.app.ready(DB, "mysql")
    done = stage.run("zone-outage", "--zone", _zone_of(mysql), "--warm-timeout", "8s", "--json")
    found = json.loads(done.stdout)

    assert (1, "failed") == (done.exit_code, found["verdict"]), done.stderr
    assert ["The steady state was not met after: the service meets its objectives."] == found["reasons"]
    assert "unschedulable" in {mark["name"] for mark in _component(found, "database")["marks"]}
    assert before == stage.whole()


def test_one_instance_that_dies_is_replaced_and_nobody_waits_for_it(stage: Stage) -> None:
    # Of as many requests as that takes, those under way at the kill are within the budget.
    stage.configure(sustain="4s")
    done = stage.run("api-instance-kill", "--json")
    found = json.loads(done.stdout)

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert found["witness"]["proven"]
    assert {"api"} == {one["name"] for one in found["components"] if one["hit"]}
    assert 3 == len(stage.app.ready(API, "api"))


def test_namespaces_that_are_cut_off_are_proven_by_the_application_and_given_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.configure(sustain="2s")  # instances that notice at different moments what they lack are no recovery
    monkeypatch.setenv("FTCHAOS_LASTS", "5s")
    before = stage.whole()
    done = stage.run("namespace-partition", "--json")
    found = json.loads(done.stdout)
    api = _component(found, "api")

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert (True, False) == (found["witness"]["proven"], _component(found, "database")["hit"])
    assert f"{API} and {DB} were cut off from each other" in done.stdout
    assert api["unavailable_s"] > 4
    assert api["recovery_time_s"] > 5
    assert 0 == found["data"]["lost"]
    assert [] == found["undo"]["differences"]
    assert before == stage.whole()


HASTY = """\
from ftchaos.__main__ import main
from ftchaos.platforms.kubernetes.faults import namespaces

namespaces.PROOF_S = 2.0
main()
"""


def test_a_network_that_keeps_to_no_policies_is_never_a_success(stage: Stage) -> None:
    (stage.place.folder / "hasty.py").write_text(HASTY)
    before = stage.whole()
    stage.app.cluster.settings(policies=False)
    try:
        done = stage.run("namespace-partition", "--json", program="hasty")
    finally:
        stage.app.cluster.settings(policies=True)
    found = json.loads(done.stdout)

    assert (3, "inconclusive") == (done.exit_code, found["verdict"]), done.stderr
    assert "the fault was never seen" in found["reasons"][0].lower()
    assert (False, 0) == (found["witness"]["proven"], found["undo"]["recorded"] - found["undo"]["healed"])
    assert before == stage.whole()


def test_a_cut_that_no_client_would_notice_is_refused(stage: Stage) -> None:
    config = stage.place.folder / "ftchaos.yaml"
    kept = config.read_text().replace(f"api: {stage.app.public_url}", "")
    config.write_text(kept.replace(f'address: "{":".join(map(str, stage.app.mysql))}",', ""))
    namespaces = stage.run("namespace-partition")
    zone = stage.run("zone-partition", "--zone", _zone_beside(stage))

    assert (2, 2) == (namespaces.exit_code, zone.exit_code)
    assert "nobody of ours uses the application" in namespaces.stderr
    assert "by a port-forward, which no policy cuts off" in zone.stderr
    assert "run it in the cluster: docs/in-cluster.md" in zone.stderr


def test_a_database_of_the_cluster_is_reached_through_a_port_forward(stage: Stage) -> None:
    config = stage.place.folder / "ftchaos.yaml"
    config.write_text(config.read_text().replace(f'address: "{":".join(map(str, stage.app.mysql))}",', ""))
    done = stage.run("zone-outage", "--zone", _zone_beside(stage), "--json")
    found = json.loads(done.stdout)

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert f"through a port-forward to {DB}/mysql" in done.stderr
    assert found["data"]["stores"]["mysql"]["acknowledged"] > 100


@contextmanager
def _autoscaled(stage: Stage, most: int) -> Iterator[None]:
    """The API with an autoscaler by requests a second: clients of ours send 50, so that three have 17 each."""
    stage.configure(sustain="1s")
    stage.app.cluster.settings(autoscale_s=25, usage_s=75, scale_down_s=30_000)
    metric = {"metric": {"name": "http_requests_per_second"}, "target": {"type": "AverageValue", "averageValue": "28"}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    spec = {"scaleTargetRef": reference, "minReplicas": 3, "maxReplicas": most,
            "metrics": [{"type": "Pods", "pods": metric}]}  # fmt: skip
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}
    scaler["metadata"] = {"name": "api", "namespace": API}
    stage.app.cluster.create(scaler)
    stage.app.cluster.until(
        lambda: (stage.app.cluster.request("GET", stage.app.cluster.path(scaler)).get("status") or {}).get(
            "currentMetrics"
        ),
        "it measures",
    )
    try:
        yield
    finally:
        stage.app.cluster.request("DELETE", stage.app.cluster.path(scaler))
        api = f"/apis/apps/v1/namespaces/{API}/deployments/api"
        stage.app.cluster.request("PATCH", api, {"spec": {"replicas": 3}})
        stage.app.cluster.settings(autoscale_s=15, usage_s=60, scale_down_s=300)


def test_an_autoscaler_makes_more_pods_under_a_load_that_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stage.app.cluster.objects()
    for name, value in {"RATE": "80", "RISE": "2s", "BITES_WITHIN": "20s"}.items():
        monkeypatch.setenv(f"FTCHAOS_{name}", value)
    with _autoscaled(stage, most=8):
        done = stage.run("autoscaler-load", "--warm-timeout", "60s", "--json")
        found = json.loads(done.stdout)
    did, folder = found["scaling"], stage.place.runs()[-1]

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert (3, 8, True, False) == tuple(did[name] for name in ("replicas_before", "replicas_most", "enough", "at_top"))
    assert did["objectives_kept"] is not None
    assert 3 < did["replicas_highest"] <= 8
    assert 0 < did["decided_s"] <= did["ready_s"]
    assert did["decided_s"] < did["within_s"]
    assert did["words"] in found["summary"]
    assert any("replicas, 3 before: going down takes it" in one["detail"] for one in found["undo"]["harms"])
    assert [] == found["undo"]["differences"]
    assert [] == [*(stage.place.state / "loads").iterdir()]
    assert [] == verification.verify(folder)
    assert before == stage.whole()


def test_credentials_that_may_only_read_are_refused_before_anything_is_touched(stage: Stage) -> None:
    stage.configure(stage.app.cluster.read_only())
    known, before = stage.place.runs(), stage.whole()
    done = stage.run("zone-outage", "--zone", _zone_beside(stage))

    assert 5 == done.exit_code, done.stderr
    assert "is not allowed to these credentials" in done.stderr
    assert "ftchaos policy kubernetes" in done.stderr
    assert (known, before) == (stage.place.runs(), stage.whole())


def test_a_fault_that_nobody_of_ours_would_notice_is_refused(stage: Stage) -> None:
    config = stage.place.folder / "ftchaos.yaml"
    config.write_text(
        config.read_text().replace(f"api: {stage.app.public_url}", "").replace(f"service: {DB}/mysql,", "")
    )
    done = stage.run("api-instance-kill")

    assert 2 == done.exit_code, done.stderr
    assert "no client of ours would notice" in done.stderr


def test_a_drill_that_restores_a_database_is_refused_before_anything_is_touched(stage: Stage) -> None:
    known = stage.place.runs()
    done = stage.place.run("drill", "restore", "--environment", "staging")

    assert 2 == done.exit_code, done.stderr
    assert "nothing that restore could restore from" in done.stderr
    assert known == stage.place.runs()


def test_a_run_is_locked_out_by_one_that_lives_on_another_host(stage: Stage) -> None:
    known = stage.place.runs()
    metadata = {"name": LEASE_NAME, "namespace": "default"}
    held: dict[str, Any] = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    path = stage.app.cluster.path(held)
    if not stage.app.cluster.all(held["apiVersion"], "Lease", "default"):
        stage.app.cluster.create(held)
    spec = {"holderIdentity": "drill@elsewhere", "leaseDurationSeconds": 60}
    stage.app.cluster.request("PATCH", path, {"spec": spec})
    process = stage.place.begin("experiment", "run", "api-instance-kill", "--environment", "staging")
    for number in itertools.count():
        if process.poll() is not None:
            break
        stage.app.cluster.request("PATCH", path, {"spec": {**spec, "leaseTransitions": number}})
        time.sleep(0.2)
    stage.app.cluster.request("PATCH", path, {"spec": {"holderIdentity": None}})
    _, errors = process.communicate()

    assert 5 == process.returncode, errors
    assert "is held by run drill on elsewhere" in errors
    assert 1 == len(stage.place.runs()) - len(known)


def test_whoever_recovers_after_a_kill_gives_everything_back(stage: Stage) -> None:
    before = stage.whole()
    known = set(stage.place.runs())
    options = ("--zone", _zone_beside(stage), "--environment", "staging")
    process = stage.place.begin("experiment", "run", "zone-outage", *options)
    deadline = time.monotonic() + 60
    while not (injected := [one for one in stage.place.runs() if one not in known and _injected(one)]):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    during = stage.app.cluster.objects()
    process.kill()
    process.communicate()
    done = stage.place.run("recover")
    found = json.loads((injected[0] / "evidence.json").read_text())

    assert 0 == done.exit_code, done.stderr
    assert before != during
    assert before == stage.whole()
    assert 130 == found["exit_code"]
    assert found["undo"]["recorded"] == found["undo"]["healed"] == 3
    assert [] == verification.verify(injected[0])
    assert ("", []) == (_holder(stage), _secrets(stage))
    assert "nothing to recover" in stage.place.run("recover").stdout


def _injected(folder: Path) -> bool:
    return "inject" in json.loads((folder / "run.json").read_text())["facts"]


def _holder(stage: Stage) -> str:
    """Who holds the lease."""
    found = stage.app.cluster.all("coordination.k8s.io/v1", "Lease", "default")
    return "".join(str(one["spec"].get("holderIdentity") or "") for one in found)
