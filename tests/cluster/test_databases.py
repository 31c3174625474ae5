"""Experiments with databases of a cluster, through the command line: real servers that come back on their volumes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster import real_app, real_stores
from cluster.real_app import DB, SPACES, RealApp
from cluster.real_stores import PASSWORD
from cluster.standin.server import Standin
from workplaces import Workplace

pytestmark = pytest.mark.alone

CONFIGURATION = """\
objectives: {{sustain: 1s, rto: 2m, p95: 2s}}
environments:
  staging:
    platform: kubernetes
    api: {api}
    blast_radius: {{share: 100%}}
    kubernetes:
      context: standin
      kubeconfig: {kubeconfig}
      namespaces: [{spaces}]
      mysql: {{service: {db}/mysql, secret: {db}/database}}
      redis: {{service: {db}/shards, secret: {db}/cache}}
    stop: {{after: 15m, longer_than: 10m}}
"""


@dataclass(frozen=True)
class Stage:
    """The application with a Redis Cluster that forgets all when it dies, and a folder to run ftchaos in."""

    app: RealApp
    place: Workplace

    def run(self, name: str, *options: str) -> tuple[int, str, dict[str, Any]]:
        done = self.place.run("experiment", "run", name, "--environment", "staging", "--json", *options)
        return done.exit_code, done.stderr, json.loads(done.stdout)


@pytest.fixture(scope="module")
def stage(process: Standin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    process.reset()
    folder = Path(tempfile.mkdtemp(prefix="ftchaos-cluster-"))
    with real_app.begin(process, tmp_path_factory.mktemp("outside")) as app:
        real_stores.secret(process, "cache", password=PASSWORD)
        real_stores.begin_redis(process, "shards", 6, clustered=True, appendonly=False)
        config = CONFIGURATION.format(api=app.public_url, kubeconfig=app.kubeconfig, spaces=", ".join(SPACES), db=DB)
        (folder / "ftchaos.yaml").write_text(config)
        yield Stage(app, Workplace(folder))
    shutil.rmtree(folder)

    assert process.messages() == ""


def test_primary_of_mysql_that_dies_comes_back_on_its_volume_and_has_lost_nothing(stage: Stage) -> None:
    (before,) = stage.app.ready(DB, "mysql")
    code, errors, found = stage.run("mysql-primary-kill")
    (after,) = stage.app.ready(DB, "mysql")
    hit = {one["name"] for one in found["components"] if one["hit"]}
    secrets = [*stage.place.state.rglob("*.secret")]
    known = PASSWORD.encode(), stage.app.password.encode()
    told = [
        one
        for one in stage.place.folder.rglob("*")
        if one.is_file() and any(word in one.read_bytes() for word in known)
    ]

    assert (0, "passed", []) == (code, found["verdict"], found["reasons"]), errors
    assert found["witness"]["proven"]
    assert {"database", "api", "queue", "websocket"} == hit
    assert {"cache-a", "cache-b", "cache-c"} <= {one["name"] for one in found["components"]}
    assert 0 == found["data"]["lost"]
    assert found["data"]["stores"]["redis"]["acknowledged"] > 100
    assert [] == found["undo"]["differences"]
    assert before.metadata.uid != after.metadata.uid
    assert ([], []) == (secrets, told)


def test_master_of_redis_that_comes_back_empty_fails_the_experiment(stage: Stage) -> None:
    code, errors, found = stage.run("redis-master-kill")
    stores = found["data"]["stores"]

    assert (1, "failed") == (code, found["verdict"]), errors
    assert any("acknowledged writes of redis-wait were lost" in one for one in found["reasons"])
    assert {"cache-a", "websocket"} == {one["name"] for one in found["components"] if one["hit"]}
    assert stores["redis"]["lost"] > 0
    assert 0 == stores["mysql"]["lost"]
    assert [] == found["undo"]["differences"]
    assert 6 == len(stage.app.ready(DB, "shards"))


def test_masters_that_clients_reach_through_port_forwards_are_not_cut_off(stage: Stage) -> None:
    known = stage.place.runs()
    options = ("--manner", "partition", "--environment", "staging", "--dry-run")
    done = stage.place.run("experiment", "run", "redis-master-kill", *options)

    assert 5 == done.exit_code, done.stderr
    assert "through port-forwards, which no NetworkPolicy cuts" in done.stderr
    assert known == stage.place.runs()
