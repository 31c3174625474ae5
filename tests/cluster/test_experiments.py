"""The shipped experiments on Kubernetes, through the command line, against the real application in the stand-in."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster import real_app
from cluster.real_app import API, DB, SPACES, RealApp
from cluster.standin.server import Standin
from workplaces import Done, Workplace

pytestmark = pytest.mark.alone

KINDS = ("Node", "Deployment", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")
CONFIGURATION = """\
objectives: {{sustain: 500ms, rto: 2m, p95: 2s}}
environments:
  staging:
    platform: kubernetes
    api: {api}
    kubernetes:
      context: standin
      kubeconfig: {kubeconfig}
      namespaces: [{spaces}]
      mysql: {{service: {db}/mysql, address: "{mysql}", secret: {db}/database, database: filetransfer}}
    stop: {{after: 15m, longer_than: 10m}}
"""


@dataclass(frozen=True)
class Stage:
    """The application, and a folder in which ftchaos is run against it."""

    app: RealApp
    place: Workplace

    def configure(self, kubeconfig: Path | None = None, api: str = "") -> None:
        (self.place.folder / "ftchaos.yaml").write_text(
            CONFIGURATION.format(
                api=api or self.app.public_url,
                kubeconfig=kubeconfig or self.app.kubeconfig,
                spaces=", ".join(SPACES),
                mysql=":".join(map(str, self.app.mysql)),
                db=DB,
            )
        )

    def run(self, name: str, *options: str) -> Done:
        return self.place.run("experiment", "run", name, "--environment", "staging", *options)

    def evidence(self) -> dict[str, Any]:
        """That of the newest run."""
        found: dict[str, Any] = json.loads((self.place.runs()[-1] / "evidence.json").read_text())
        return found

    def whole(self) -> dict[str, Any]:
        """The objects that a fault may change, once all is ready."""
        wanted = ((DB, "mysql", 1), (API, "api", 3))
        self.app.cluster.until(
            lambda: all(len(self.app.ready(space, name)) == count for space, name, count in wanted), "all is ready", 60
        )
        return self.app.cluster.objects()


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
    done = stage.run("zone-outage", "--zone", "zone-a", "--dry-run", "--json")
    written = [one for one in stage.app.cluster.requests(writes=True) if one["resource"] != "selfsubjectaccessreviews"]

    assert 0 == done.exit_code, done.stderr
    assert ["zone-a lost its power"] == done.json["faults"]
    assert "zone-a" in done.json["targets"]
    assert [] == written
    assert before == stage.whole()
    assert [] == stage.place.runs()


def _zone_of(pod: Any) -> str:
    return f"zone-{pod.spec.node_name[5]}"


def test_a_zone_that_fails_is_proven_measured_audited_and_given_back(stage: Stage) -> None:
    before = stage.whole()
    (mysql,) = stage.app.ready(DB, "mysql")
    zone = next(one for one in real_app.ZONES if one != _zone_of(mysql))
    done = stage.run("zone-outage", "--zone", zone, "--json")
    found = json.loads(done.stdout)

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert found["witness"]["proven"]
    assert {"api", "database", "queue", "websocket"} == {one["name"] for one in found["components"] if one["hit"]}
    assert {"detected", "promoted"} <= {mark["name"] for mark in _component(found, "api")["marks"]}
    assert 0 == found["data"]["stores"]["mysql"]["lost"]
    assert found["data"]["stores"]["mysql"]["acknowledged"] > 100
    assert [] == found["undo"]["differences"]
    assert {"kubernetes:list pods", "kubernetes:delete pods"} <= {one["name"] for one in found["calls"]["operations"]}
    assert before.keys() == stage.whole().keys()
    folder = stage.place.runs()[-1]
    kept = [path for path in (*folder.rglob("*"), *stage.place.state.rglob("*")) if path.is_file()]
    assert [] == [path for path in kept if stage.app.password.encode() in path.read_bytes()]
    assert [] == _secrets(stage)


def test_a_database_whose_volume_is_tied_to_the_zone_fails_the_experiment_and_says_so(stage: Stage) -> None:
    before = stage.whole()
    (mysql,) = stage.app.ready(DB, "mysql")
    done = stage.run("zone-outage", "--zone", _zone_of(mysql), "--warm-timeout", "8s", "--json")
    found = json.loads(done.stdout)

    assert (1, "failed") == (done.exit_code, found["verdict"]), done.stderr
    assert "database" in found["reasons"][0]
    assert "unschedulable" in {mark["name"] for mark in _component(found, "database")["marks"]}
    assert before.keys() == stage.whole().keys()
