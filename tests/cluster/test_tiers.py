"""Every namespace of the application has instances that an experiment kills, those of the monitoring too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cluster.standin.server import Standin
from cluster.standin.staging import DB, MONITORING, SPACES, Staging

from ftchaos import cli
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place

CONFIGURATION = """\
environments:
  staging:
    platform: kubernetes
    api: http://127.0.0.1:9
    kubernetes:
      context: standin
      kubeconfig: {kubeconfig}
      namespaces: [{spaces}]
      mysql: {{service: {db}/mysql, secret: {db}/database}}
"""


@pytest.fixture
def allowed(staged: Staging) -> Standin:
    """The application, whose namespaces may be harmed."""
    for space in SPACES:
        staged.cluster.core.patch_namespace(space, {"metadata": {"labels": {"ftchaos": "allowed"}}})
    assert isinstance(staged.cluster, Standin)
    return staged.cluster


def test_an_instance_of_every_namespace_is_killed_by_the_experiment_that_is_told_its_tier(
    allowed: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    config = CONFIGURATION.format(kubeconfig=allowed.kubeconfig, spaces=", ".join(SPACES), db=DB)
    (tmp_path / "ftchaos.yaml").write_text(config)
    for space in SPACES:
        monkeypatch.setenv("FTCHAOS_TIER", space.removeprefix("file-transfer-"))
        asked = ["experiment", "run", "instance-kill", "--environment", "staging", "--dry-run", "--json"]
        done = CliRunner().invoke(cli.cli, asked)
        (said,) = json.loads(done.stdout)["faults"]

        assert 0 == done.exit_code, done.stderr
        assert said.startswith(f"{space}/")
        assert said.endswith(" was killed")


def test_monitoring_is_proven_by_its_own_pods_and_all_that_clients_use_is_the_control_group(allowed: Standin) -> None:
    access = Access(Place("staging", "standin", SPACES, str(allowed.kubeconfig)))
    harm = faults.find("kill_instance").plan(survey.take(access), tier="monitoring")
    (hit,) = harm.targets

    assert () == harm.hits
    assert hit.name.startswith(f"{MONITORING}/")
    assert [hit.name] == list(harm.signs)
