"""A plan for a scheduler is accepted by that scheduler's own schema or program, and grants no more than it must."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gameday_samples as samples
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from ftchaos import cloud
from ftchaos.cli import cli
from ftchaos.errors import Invalid
from ftchaos.gameday import github, kubernetes, schedule, systemd
from ftchaos.gameday.schedule import Wanted
from ftchaos.platforms.kubernetes import drift, manifests, policy

SCHEDULED = samples.PLAN.replace("parts:", "schedule: {cron: '0 9 15 1,4,7,10 *', start_within: 30m}\nparts:")
CLUSTER = cloud.Kubernetes(
    context="in-cluster",
    namespaces=["app", "queue"],
    mysql=cloud.ClusterMysql(service="app/mysql", secret="app/database"),
    redis=cloud.ClusterRedis(service="queue/redis", secret="queue/cache"),
)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
IMAGE = "registry.example/ftchaos@sha256:" + "a" * 64


def _wanted(where: Path, text: str = SCHEDULED, **more: Any) -> Wanted:
    loaded = samples.loaded(where, text)
    given = {"given": "gamedays/sample.yaml", "environment": "lab", "platform": "lab", "image": IMAGE}
    return Wanted(**{"loaded": loaded, **given, **more})


@pytest.mark.parametrize("platform", ["lab", "aws", "kubernetes"])
def test_the_manifests_are_valid_kubernetes(tmp_path: Path, platform: str) -> None:
    more = {"config": b"objectives: {rto: 4h}\n", "kubernetes": CLUSTER if platform == "kubernetes" else None}
    text = schedule.text(_wanted(tmp_path, platform=platform, **more), "kubernetes")

    documents = list(yaml.safe_load_all(text))
    roles = [*("ClusterRole", "ClusterRoleBinding"), *("Role", "RoleBinding") * 3] if platform == "kubernetes" else []
    kinds = ["ServiceAccount", *roles, "ConfigMap", "PersistentVolumeClaim", "CronJob"]
    assert kinds == [one["kind"] for one in documents]
    for one in documents:
        kubernetes_validate.validate(one, "1.30", strict=True)
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_the_check_of_the_manifests_finds_a_planted_flaw(tmp_path: Path) -> None:
    *_, job = kubernetes.documents(_wanted(tmp_path))
    job["spec"]["concurencyPolicy"] = job["spec"].pop("concurrencyPolicy")

    with pytest.raises(kubernetes_validate.ValidationError, match="concurencyPolicy"):
        kubernetes_validate.validate(job, "1.30", strict=True)


def test_the_job_runs_once_at_a_time_in_time_and_without_rights(tmp_path: Path) -> None:
    *_, job = kubernetes.documents(_wanted(tmp_path))

    spec = job["spec"]
    assert ("0 9 15 1,4,7,10 *", "Etc/UTC", "Forbid") == (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"])
    assert 1800 == spec["startingDeadlineSeconds"]
    inner = spec["jobTemplate"]["spec"]
    assert 7200 + schedule.HEAL_S == inner["activeDeadlineSeconds"]
    pod = inner["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["terminationGracePeriodSeconds"] == schedule.HEAL_S
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == set(container["resources"])
        written = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert ["/var/lib/ftchaos", "/tmp"] == written


def test_the_pod_after_one_that_died_ends_its_day_and_heals_and_no_day_is_held_twice(tmp_path: Path) -> None:
    *_, job = kubernetes.documents(_wanted(tmp_path, config=b"objectives: {rto: 4h}\n"))
    inner = job["spec"]["jobTemplate"]["spec"]
    end, recover = inner["template"]["spec"]["initContainers"]
    final = {one["onExitCodes"]["containerName"]: one["onExitCodes"] for one in inner["podFailurePolicy"]["rules"]}
    killed, ended = 137, 130

    # The pod that died and the one that ended its day are two failures, and with that the Job has failed.
    assert 1 == inner["backoffLimit"]
    assert {"FailJob"} == {one["action"] for one in inner["podFailurePolicy"]["rules"]}
    assert {"gameday": True, "recover": False} == {name: ended in one["values"] for name, one in final.items()}
    assert not any(killed in one["values"] for one in final.values())
    assert ["gameday", "stop", "--died"] == end["args"][:3]
    assert ["recover"] == recover["args"]
    (main,) = inner["template"]["spec"]["containers"]
    for one in (end, recover):
        assert {key: main[key] for key in ("image", "env", "volumeMounts")} == {
            key: one[key] for key in ("image", "env", "volumeMounts")
        }
    for words in (one["args"] for one in (end, recover, main)):
        name = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        done = CliRunner().invoke(cli, [*words[: min(name, 2)], "--help"])
        assert 0 == done.exit_code
        assert [] == [word for word in words if word.startswith("--") and word not in done.output]


@pytest.mark.parametrize(
    ("platform", "kept_out"), [("lab", []), ("aws", ["us-east-1a"]), ("kubernetes", ["us-east-1a"])]
)
def test_the_pod_is_kept_out_of_the_zones_that_the_plan_names(
    tmp_path: Path, platform: str, kept_out: list[str]
) -> None:
    zone = "  - {experiment: zone-outage, name: again, options: {zone: us-east-1a}}\n"
    primary = "  - {experiment: zone-outage, name: hardest, options: {zone: primary}}\n"
    text = SCHEDULED.replace("parts:\n", f"parts:\n{zone}{primary}")
    *_, job = kubernetes.documents(_wanted(tmp_path, text, platform=platform, kubernetes=CLUSTER))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    kubernetes_validate.validate(job, "1.30", strict=True)

    terms = pod.get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {}).get("nodeSelectorTerms", [])
    rule = {"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["us-east-1a"]}
    assert ([] if platform == "lab" else [{"matchExpressions": [rule]}]) == terms


@pytest.mark.parametrize("platform", ["lab", "aws"])
def test_where_the_api_is_not_needed_there_is_no_token_and_no_rule(tmp_path: Path, platform: str) -> None:
    account, _, _, job = kubernetes.documents(_wanted(tmp_path, platform=platform))

    assert account["automountServiceAccountToken"] is False
    assert job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


OF_SAMPLE = "transfer.ftchaos-sample.ftchaos-"


def test_the_roles_are_those_that_are_printed_for_the_environment_and_bound_to_the_account_alone(
    tmp_path: Path,
) -> None:
    wanted = _wanted(tmp_path, platform="kubernetes", namespace="transfer", kubernetes=CLUSTER)
    documents = kubernetes.documents(wanted)
    roles = [one for one in documents if one["kind"] in ("ClusterRole", "Role")]
    bindings = [one for one in documents if one["kind"] in ("ClusterRoleBinding", "RoleBinding")]
    named = [(one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", "")) for one in roles]

    printed = policy.documents("faults", ["app", "queue"], secrets=["app/database", "queue/cache"])
    secrets = [rule for one in roles for rule in one["rules"] if rule.get("resources") == ["secrets"]]

    assert [["database"], ["cache"]] == [rule["resourceNames"] for rule in secrets]
    assert [one["rules"] for one in printed] == [one["rules"] for one in roles]
    assert [
        ("ClusterRole", f"{OF_SAMPLE}faults", ""), ("Role", f"{OF_SAMPLE}faults", "app"),
        ("Role", f"{OF_SAMPLE}faults", "queue"), ("Role", "ftchaos-lease", "default"),
    ] == named  # fmt: skip
    assert [(one["kind"], one["metadata"]["name"]) for one in roles] == [
        (one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings
    ]
    assert [[{"kind": "ServiceAccount", "name": "ftchaos-sample", "namespace": "transfer"}]] * 4 == [
        one["subjects"] for one in bindings
    ]
    assert [f"{OF_SAMPLE}faults"] * 3 + [f"{OF_SAMPLE}lease"] == [one["metadata"]["name"] for one in bindings]
    for one in documents:
        name = manifests.Name(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
        assert drift.is_ours(name, one)


def test_a_cluster_that_a_pod_could_not_reach_is_refused(tmp_path: Path) -> None:
    for given in (None, CLUSTER.model_copy(update={"context": "staging"})):
        with pytest.raises(Invalid, match="a pod has no kubeconfig for the environment 'lab'"):
            schedule.text(_wanted(tmp_path, platform="kubernetes", kubernetes=given), "kubernetes")


def test_the_plan_travels_whole(tmp_path: Path) -> None:
    wanted = _wanted(tmp_path)

    (plan,) = (one for one in yaml.safe_load_all(kubernetes.manifests(wanted)) if one["kind"] == "ConfigMap")

    assert wanted.loaded.content.decode() == plan["data"]["plan.yaml"]


HOSTILE = SCHEDULED.replace("A sample day", "'100% $HOME %n \\ ; rm -rf'")


@pytest.mark.parametrize("text", [SCHEDULED, HOSTILE])
def test_systemd_accepts_the_units(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "a plan; with 'odd' $names %n"
    folder.mkdir()
    for name, unit in systemd.files(_wanted(folder, text, program="/bin/true", user="root")).items():
        (tmp_path / name).write_text(unit)

    assert "" == _verified(tmp_path)


def test_the_check_of_the_units_finds_a_planted_flaw(tmp_path: Path) -> None:
    wanted = _wanted(tmp_path, program="/bin/true", user="root")
    for name, unit in systemd.files(wanted).items():
        (tmp_path / name).write_text(unit.replace("OnCalendar=*", "OnCalendar=?"))

    assert "Failed to parse calendar" in _verified(tmp_path)


def _verified(folder: Path) -> str:
    """What systemd says of the units in a folder."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, folder.glob("ftchaos-*"))],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def test_systemd_begins_it_when_cron_would(tmp_path: Path) -> None:
    wanted = _wanted(tmp_path)
    at = wanted.schedule.cron.next(datetime.now(UTC))
    done = subprocess.run(
        ["systemd-analyze", "calendar", wanted.schedule.cron.on_calendar], capture_output=True, text=True, check=True
    )

    assert f"{at:%Y-%m-%d %H:%M}" in done.stdout


def test_a_folder_that_no_unit_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be the folder"):
        systemd.units(_wanted(tmp_path, folder=Path("/var/my files")))


@pytest.mark.parametrize("flaw", [False, True])
def test_github_accepts_the_workflow(tmp_path: Path, flaw: bool) -> None:
    document = github.document(_wanted(tmp_path))
    if flaw:
        document["jobs"]["gameday"]["time-out-minutes"] = 3
    (tmp_path / "workflow.yml").write_text(yaml.safe_dump(document))

    words = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(tmp_path / "workflow.yml")]
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)

    assert (done.returncode != 0) is flaw, done.stdout


def test_the_workflow_puts_no_text_of_the_plan_into_a_command(tmp_path: Path) -> None:
    document = github.document(_wanted(tmp_path, given="gamedays/x.yaml"))

    steps = document["jobs"]["gameday"]["steps"]
    assert "gamedays/x.yaml" not in json.dumps([step.get("run") for step in steps])
    assert {"contents": "read"} == document["permissions"]
    assert document["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize("given", ["/etc/x.yaml", "../x.yaml", "a b.yaml", "${{ x }}.yaml", "-x.yaml"])
def test_a_plan_outside_the_repository_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(Invalid, match="no file of the repository"):
        github.document(_wanted(tmp_path, given=given))


def test_a_plan_that_cannot_be_scheduled_is_refused_with_its_line(tmp_path: Path) -> None:
    wanted = _wanted(tmp_path)
    for text, to, words in (
        (samples.PLAN, "systemd", "has no schedule"),
        (SCHEDULED.replace("time_box: 2h", "time_box: 9h"), "github", "line 3, time_box"),
        (SCHEDULED.replace("start_within: 30m", "window: daily 08:50-09:10"), "systemd", "line 6, schedule.window"),
        (SCHEDULED.replace("name: sample", f"name: {'a' * 50}"), "kubernetes", "line 1, name"),
    ):
        with pytest.raises(Invalid, match=words):
            schedule.text(replace(wanted, loaded=samples.loaded(tmp_path, text)), to)
    with pytest.raises(Invalid, match="needs a container image"):
        schedule.text(replace(wanted, image=""), "kubernetes")
