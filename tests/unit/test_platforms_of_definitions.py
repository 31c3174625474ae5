"""A definition may be for some platforms only, and a fault be told more on one platform than on another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from ftchaos import cli, definitions, planning
from ftchaos.actions import faults
from ftchaos.errors import Invalid

SHIPPED = definitions.find("experiment", "worker-kill")
CONFIG = "environments: {staging: {platform: kubernetes, kubernetes: {context: c, namespaces: [n]}}}\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment for Kubernetes only, one that is broken, and an environment there."""
    (tmp_path / "experiments").mkdir()
    data: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    data["extensions"][0] |= {"id": "namespace-only", "platforms": ["kubernetes"]}
    (tmp_path / "experiments" / "namespace-only.yaml").write_text(yaml.safe_dump(data))
    (tmp_path / "experiments" / "broken.yaml").write_text("title: nothing else\n")
    (tmp_path / "ftchaos.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_experiment_is_refused_on_a_platform_that_it_is_not_for(place: Path) -> None:
    with pytest.raises(Invalid, match="namespace-only is for kubernetes, and the environment 'lab' is on") as raised:
        planning.plan("experiment", "namespace-only", {})

    assert "name an environment on kubernetes: --environment NAME" == raised.value.hint
    assert planning.plan("experiment", "namespace-only", {"environment": "staging"}).platform.name == "kubernetes"


def test_plain_chaos_run_is_refused_there_as_well(place: Path) -> None:
    loaded = definitions.load(place / "experiments" / "namespace-only.yaml")

    with pytest.raises(Invalid, match="is for kubernetes"):
        planning.of(definitions.check(loaded.data), {"environment": "lab"})


def test_list_and_show_tell_for_which_platforms_it_is(place: Path) -> None:
    listed = CliRunner().invoke(cli.cli, ["experiment", "list", "--json"])
    told = CliRunner().invoke(cli.cli, ["experiment", "list"]).output.splitlines()
    rows = {row["name"]: row for row in json.loads(listed.output)}
    shown = CliRunner().invoke(cli.cli, ["experiment", "show", "namespace-only"]).output
    only = {line.split()[0]: line.rpartition("(")[2] for line in told if line.endswith(" only)")}

    assert ["kubernetes"] == rows["namespace-only"]["platforms"]
    assert ["lab", "kubernetes"] == rows["worker-kill"]["platforms"]
    assert ["lab", "aws", "kubernetes"] == rows["zone-outage"]["platforms"]
    assert [] == rows["broken"]["platforms"]
    assert ("on kubernetes only)", "on lab and kubernetes only)") == (only["namespace-only"], only["worker-kill"])
    assert "zone-outage" not in only
    assert shown.splitlines()[0].endswith(" (on kubernetes only)")


def test_all_experiments_of_a_platform_leave_out_those_of_others_and_keep_the_broken(place: Path) -> None:
    every, lab = definitions.names("experiment"), definitions.names_for("experiment", "lab")

    assert {"namespace-only"} <= set(every) - set(lab)
    assert {"broken", "worker-kill"} <= set(lab)
    assert "namespace-only" in definitions.names_for("experiment", "kubernetes")


def test_a_definition_for_no_platform_is_refused(place: Path) -> None:
    path = place / "experiments" / "namespace-only.yaml"
    for platforms in ([], ["moon"]):
        data = yaml.safe_load(path.read_text())
        data["extensions"][0]["platforms"] = platforms
        path.write_text(yaml.safe_dump(data))

        with pytest.raises(Invalid, match="platforms"):
            definitions.load(path)


def test_arguments_that_not_every_platform_knows_are_passed_on_only_where_they_were_given() -> None:
    assert {"tier": "api"} == faults.given({"tier": "api", "count": "", "instance": None})
    assert {"tier": "api", "count": 2} == faults.given({"tier": "api", "count": 2, "instance": ""})
    assert {"zone": ""} == faults.given({"zone": "", "label": ""})


def test_count_is_said_without_editing_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_COUNT", "2")

    with pytest.raises(Invalid, match="the fault kill_instance takes no 'count' on the lab") as raised:
        planning.plan("experiment", "worker-kill", {}).harms()

    assert "it takes tier, instance there" == raised.value.hint


def test_label_of_a_leader_is_refused_where_leaders_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTCHAOS_LABEL", "role=master")

    for name in ("mysql-primary-kill", "mysql-primary-partition", "redis-master-kill"):
        with pytest.raises(Invalid, match="takes no 'label' on the lab"):
            planning.plan("experiment", name, {}).harms()
