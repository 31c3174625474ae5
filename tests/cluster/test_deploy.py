"""The manifests for ftchaos in a cluster: valid, applied to one, and with no more rights than the table of calls."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from cluster.kustomizations import ROOT, build, key
from cluster.standin.server import Standin
from cluster.standin.staging import Staging

from ftchaos import config as configuration
from ftchaos import definitions, fleet
from ftchaos.cli.policy import policy
from ftchaos.errors import Invalid, Refused
from ftchaos.gameday import kubernetes as gameday
from ftchaos.platforms.aws import access as aws_access
from ftchaos.platforms.aws.copies import methods
from ftchaos.platforms.findings import Unread
from ftchaos.platforms.kubernetes import faults, survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.calls import OF_NODES
from ftchaos.platforms.kubernetes.examination import examine
from ftchaos.platforms.kubernetes.inventory import selects
from ftchaos.platforms.kubernetes.lease import Lease
from ftchaos.platforms.kubernetes.place import OWN_NODE
from ftchaos.undo import UndoLog

Obj = dict[str, Any]
OPERATOR = ROOT / "chaostoolkit-operator"
OVERLAYS = [*sorted((ROOT / "overlays").iterdir()), OPERATOR]
SPACES = configuration.load(ROOT / "base" / "ftchaos.yaml").declared("staging").kubernetes.namespaces  # type: ignore[union-attr]
CRD: Obj = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "chaosexperiments.chaostoolkit.org"},
    "spec": {
        "group": "chaostoolkit.org",
        "scope": "Namespaced",
        "names": {"kind": "ChaosToolkitExperiment", "plural": "chaosexperiments", "singular": "chaosexperiment"},
        "versions": [
            {
                "name": "v1", "served": True, "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}  # fmt: skip


def named(overlay: str, kind: str, name: str = "") -> Obj:
    (found,) = [one for one in build(_folder(overlay)) if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    return found


def _folder(overlay: str) -> Path:
    return OPERATOR if overlay == OPERATOR.name else ROOT / "overlays" / overlay


def template(overlay: str) -> Obj:
    """The template of the pods of an overlay, or of the operator's."""
    if overlay == OPERATOR.name:
        return dict(named(overlay, "ChaosToolkitExperiment")["spec"]["pod"]["template"])
    spec = next(one for one in build(_folder(overlay)) if one["kind"] in ("Job", "CronJob"))["spec"]
    return dict(spec.get("jobTemplate", {}).get("spec", spec)["template"])


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_every_object_is_valid_and_a_misspelt_one_is_not(overlay: Path) -> None:
    objects = [one for one in build(overlay) if "chaostoolkit.org" not in one["apiVersion"]]
    for one in objects:
        kubernetes_validate.validate(one, "1.33", strict=True)
    (config,) = [one for one in objects if key(one)[0] == "ConfigMap" and key(one)[2] == "ftchaos"]

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**config, "dat": config["data"]}, "1.33", strict=True)


@pytest.mark.parametrize("overlay", [one.name for one in OVERLAYS])
def test_pods_have_no_rights_that_they_do_not_need_and_write_to_one_volume_alone(overlay: str) -> None:
    pod = template(overlay)["spec"]
    names = {key(one) for one in build(_folder(overlay))}

    assert (True, 10001) == (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"])
    assert ("ServiceAccount", "ftchaos", pod["serviceAccountName"]) in names
    for one in [*pod.get("initContainers", []), *pod["containers"]]:
        context = one["securityContext"]
        assert (False, True) == (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"])
        assert ["ALL"] == context["capabilities"]["drop"]
        assert ["/var/lib/ftchaos"] == [
            mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")
        ]
    for volume in pod["volumes"]:
        for kind, reference in (("ConfigMap", "configMap"), ("PersistentVolumeClaim", "persistentVolumeClaim")):
            if reference in volume:
                name = volume[reference].get("name") or volume[reference]["claimName"]
                assert (kind, "ftchaos", name) in names


@pytest.mark.parametrize("kind", ["read", "faults"])
def test_roles_are_what_the_command_prints_and_bound_in_the_listed_namespaces_alone(kind: str) -> None:
    asked = ["kubernetes", "--kind", kind, "--environment", "staging", "--account", f"ftchaos/ftchaos-{kind}"]
    asked += ["--config", str(ROOT / "base" / "ftchaos.yaml")]
    printed = CliRunner().invoke(policy, asked, catch_exceptions=False).output
    documents = list(yaml.safe_load_all(printed))
    roles = [one for one in documents if not one["kind"].endswith("Binding")]
    bindings = [one for one in documents if one["kind"].endswith("Binding")]

    assert printed == (ROOT / "components" / kind / "roles.yaml").read_text().split("\n", 1)[1], (
        f"ftchaos policy {asked}"
    )
    known = [("", f"ftchaos-{kind}-staging"), *((space, f"ftchaos-{kind}-staging") for space in SPACES)]
    known += [("default", "ftchaos-lease")] if kind == "faults" else []
    assert known == [(one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in roles]
    assert known == [(one["metadata"].get("namespace", ""), one["roleRef"]["name"]) for one in bindings]
    for role, one in zip(roles, bindings, strict=True):
        name = f"ftchaos.ftchaos-{kind}.{role['metadata']['name']}"
        assert (f"{role['kind']}Binding", name) == (one["kind"], one["metadata"]["name"])
        assert [("ServiceAccount", f"ftchaos-{kind}", "ftchaos")] == [
            (subject["kind"], subject["name"], subject["namespace"]) for subject in one["subjects"]
        ]


def test_other_namespaces_and_another_one_for_the_lock_are_bound_by_what_is_printed(tmp_path: Path) -> None:
    place: Obj = {"context": "in-cluster", "namespaces": ["app", "db"], "lease_namespace": "app"}
    place["mysql"] = {"service": "db/mysql", "secret": "db/account"}
    said = {"environments": {"staging": {"platform": "kubernetes", "kubernetes": place}}}
    (tmp_path / "ftchaos.yaml").write_text(yaml.safe_dump(said))
    asked = ["kubernetes", "--environment", "staging", "--config", str(tmp_path / "ftchaos.yaml")]
    bound = CliRunner().invoke(policy, [*asked, "--account", "transfer/chaos"], catch_exceptions=False).output
    bindings = [one for one in yaml.safe_load_all(bound) if "subjects" in one]

    faults = "faults-staging"
    assert [("", faults), ("app", faults), ("db", faults), ("app", "lease")] == [
        (one["metadata"].get("namespace", ""), one["metadata"]["name"].removeprefix("transfer.chaos.ftchaos-"))
        for one in bindings
    ]
    assert [{"kind": "ServiceAccount", "name": "chaos", "namespace": "transfer"}] == bindings[-1]["subjects"]
    with pytest.raises(Invalid, match="'chaos' is no ServiceAccount"):
        CliRunner().invoke(policy, [*asked, "--account", "chaos"], catch_exceptions=False)


@pytest.fixture
def deployed(staged: Staging, cluster: Standin) -> Standin:
    """The application in a cluster, and every overlay applied to it."""
    cluster.create(CRD, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chaostoolkit-crd"}})
    objects = {key(one): one for overlay in OVERLAYS for one in build(overlay)}
    late = ("Job", "CronJob", "ChaosToolkitExperiment")  # kustomize sorts them so, too
    for one in sorted(objects.values(), key=lambda one: (one["kind"] in late, one["kind"] != "Namespace")):
        cluster.create(copy.deepcopy(one))
    return cluster


def access(cluster: Standin, account: str) -> Access:
    return Access(Place("staging", "standin", tuple(SPACES), str(cluster.kubeconfig_of(account, "ftchaos"))))


def test_account_for_faults_may_harm_and_that_for_reading_may_not(deployed: Standin, tmp_path: Path) -> None:
    for kind in ("Node", "Namespace"):
        for one in deployed.all("v1", kind):
            path = deployed.path({"apiVersion": "v1", "kind": kind, "metadata": one["metadata"]})
            deployed.request("PATCH", path, {"metadata": {"labels": {"ftchaos": "allowed"}}})
    harms, reads = access(deployed, "ftchaos-faults"), access(deployed, "ftchaos-read")
    for manner in ("drain", "outage", "out-of-service"):
        planned = faults.find("fail_zone").plan(survey.take(harms, everywhere=manner in OF_NODES), manner=manner)
        faults.ensure_allowed(harms, planned)
        with pytest.raises(Refused, match="is not allowed to these credentials"):
            faults.ensure_allowed(reads, planned)
    taken = Lease(harms, "default")
    taken.begin("run", UndoLog(tmp_path / "undo.jsonl"), lambda _: None)
    taken.end()

    with pytest.raises(Refused, match="get leases"):
        Lease(reads, "default").begin("other", UndoLog(tmp_path / "other.jsonl"), lambda _: None)


def test_account_for_reading_suffices_for_the_doctor(deployed: Standin, tmp_path: Path) -> None:
    said = yaml.safe_load((ROOT / "base" / "ftchaos.yaml").read_text())
    place = said["environments"]["staging"]["kubernetes"]
    place |= {"context": "standin", "kubeconfig": str(deployed.kubeconfig_of("ftchaos-read", "ftchaos"))}
    (tmp_path / "ftchaos.yaml").write_text(yaml.safe_dump(said))
    deployed.clear()
    findings = examine(configuration.load(tmp_path / "ftchaos.yaml"), "staging", lambda _: None)

    assert [] == [one for one in findings if isinstance(one, Unread) or getattr(one, "denied", "")]
    assert [] == [one["path"] for one in deployed.requests() if one["status"] == 403]
    assert len(findings) > 8


def test_copies_of_the_fleet_are_verified_by_the_certificates_that_are_mounted(tmp_path: Path) -> None:
    """They are asked for before anything else: without them no drill begins."""
    place = aws_access.Place("staging", "111122223333", "us-east-1")
    (path,) = (one["mountPath"] for one in template("fleet")["spec"]["containers"][0]["volumeMounts"][:1])
    for name, content in named("fleet", "ConfigMap", "ftchaos-fleet")["data"].items():
        (tmp_path / name).write_text(content.replace(f"{path}/", f"{tmp_path}/"))
    known = configuration.load(tmp_path / "ftchaos.yaml")
    asked = [methods.certificates(place, known.environment(one)) for one in known.environments]

    assert [tmp_path / "rds-global-bundle.pem"] * 3 == asked
    without = known.environment("orders-us-east").model_copy(update={"mysql": None})
    with pytest.raises(Invalid, match="nothing says by which certificates"):
        methods.certificates(place, without)


def test_fleet_has_an_environment_for_each_index_and_a_verdict_is_not_tried_again() -> None:
    spec, folder = named("fleet", "Job")["spec"], _folder("fleet")
    known = configuration.load(folder / "ftchaos.yaml")
    names = [line for line in (folder / "environments.txt").read_text().splitlines() if not line.startswith("#")]
    with pytest.MonkeyPatch.context() as pod:
        chosen = []
        for index in range(spec["completions"]):
            pod.setenv(fleet.INDEX, str(index))
            chosen.append(fleet.environment_of_index(folder / "environments.txt"))
    rules = {one["action"]: one for one in spec["podFailurePolicy"]["rules"]}

    assert names == chosen
    assert ["aws"] * len(names) == [known.environment(one).platform for one in names]
    assert ("Indexed", 1) == (spec["completionMode"], spec["backoffLimitPerIndex"])
    assert "backoffLimit" not in spec
    assert [1, 2, 4, 5, 70] == rules["FailIndex"]["onExitCodes"]["values"]
    assert "--environment-of-index=/etc/ftchaos/environments.txt" in template("fleet")["spec"]["containers"][0]["args"]


@pytest.mark.parametrize("overlay", ["experiment", "schedule", OPERATOR.name])
def test_what_a_dead_pod_left_is_healed_before_the_next_one_harms(overlay: str) -> None:
    pod = template(overlay)["spec"]
    (recover,), (main,) = pod["initContainers"], pod["containers"]

    assert ["recover"] == recover["args"]
    assert [one for one in main["volumeMounts"] if one["name"] != "experiment"] == recover["volumeMounts"]
    assert {"name": OWN_NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}} in main["env"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "ftchaos"}} in pod["volumes"]


@pytest.mark.parametrize("overlay", ["experiment", "schedule"])
def test_what_a_dead_pod_left_is_healed_without_harm_by_a_job_of_the_same_account_and_volume(overlay: str) -> None:
    """And by the same image, with the same configuration, as the note of a run names its file."""
    harms, heals = template(overlay)["spec"], template("recover")["spec"]
    (recover,), (init,) = heals["containers"], harms["initContainers"]

    assert init == recover
    assert harms["volumes"] == heals["volumes"]
    for same in ("serviceAccountName", "automountServiceAccountToken", "securityContext", "restartPolicy"):
        assert harms[same] == heals[same]


@pytest.mark.parametrize(("overlay", "verdicts"), [("experiment", 2), ("schedule", 2), ("recover", 1)])
def test_a_recovery_that_was_killed_is_tried_again_and_what_it_says_is_not(overlay: str, verdicts: int) -> None:
    (spec,) = (one["spec"] for one in build(_folder(overlay)) if one["kind"] in ("Job", "CronJob"))
    job = spec.get("jobTemplate", {}).get("spec", spec)
    final = [one["onExitCodes"] for one in job["podFailurePolicy"]["rules"] if one["action"] == "FailJob"]

    assert [("In", [1, 2, 3, 4, 5, 70])] * verdicts == [(one["operator"], one["values"]) for one in final]
    assert "recover" in [one["containerName"] for one in final]
    assert job["backoffLimit"] > 2


@pytest.mark.parametrize("overlay", ["experiment", "schedule"])
def test_pod_is_in_another_zone_than_the_one_that_it_lets_fail(overlay: str) -> None:
    pod = template(overlay)["spec"]
    (zone,) = (word.partition("=")[2] for word in pod["containers"][0]["args"] if word.startswith("--zone="))
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]

    assert [{"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": [zone]}] == term["matchExpressions"]


def test_evidence_is_read_in_a_pod_that_may_do_nothing_and_has_the_volume_of_the_runs() -> None:
    pod = template("reports")["spec"]

    assert template("experiment")["spec"]["volumes"][1:] == pod["volumes"]
    assert ["sleep", "3600"] == pod["containers"][0]["command"]
    assert not pod["automountServiceAccountToken"]
    assert not [one for one in build(_folder("reports")) if one["kind"].endswith("Binding")]


@pytest.mark.parametrize("overlay", ["doctor", "experiment", "schedule", "fleet", "recover"])
def test_commands_of_the_containers_are_understood(overlay: str) -> None:
    pod = template(overlay)["spec"]
    for one in [*pod.get("initContainers", []), *pod["containers"]]:
        words = [word for word in one["args"] if not word.startswith("--")]
        asked = [sys.executable, "-m", "ftchaos", *words, "--help"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)

        assert (0, "") == (done.returncode, done.stderr)
        for option in (word.partition("=")[0] for word in one["args"] if word.startswith("--")):
            assert option in done.stdout


def _may(policies: list[Obj], direction: str, mine: tuple[str, Obj], other: tuple[str, Obj], port: int) -> bool:
    """Whether the policies of one pod's namespace let it speak with another: namespace and labels of each."""
    mine_here = [
        one["spec"]
        for one in policies
        if one["metadata"]["namespace"] == mine[0]
        and direction in one["spec"]["policyTypes"]
        and selects(one["spec"]["podSelector"], mine[1])
    ]
    rules = [rule for spec in mine_here for rule in spec.get(direction.lower()) or []]
    return not mine_here or any(_lets(rule, direction, other, port) for rule in rules)


def _lets(rule: Mapping[str, Any], direction: str, other: tuple[str, Obj], port: int) -> bool:
    if "ports" in rule and port not in [one["port"] for one in rule["ports"]]:
        return False
    return any(
        "ipBlock" not in peer
        and selects(peer.get("namespaceSelector") or {}, {"kubernetes.io/metadata.name": other[0]})
        and selects(peer.get("podSelector") or {}, other[1])
        for peer in rule["from" if direction == "Ingress" else "to"]
    )


def test_database_of_a_drill_is_reached_by_the_pods_of_drills_alone_and_reaches_nobody() -> None:
    policies = [one for one in build(_folder("fleet")) if one["kind"] == "NetworkPolicy"]
    database = ("ftchaos-drill", {"app": "mysql"})
    drill = ("ftchaos", template("fleet")["metadata"]["labels"])
    others = [
        ("ftchaos", template("experiment")["metadata"]["labels"]),
        ("file-transfer-api", dict(drill[1])),
        ("ftchaos-drill", {"app": "other"}),
    ]

    def reaches(one: tuple[str, Obj], port: int = 3306, policies: list[Obj] = policies) -> bool:
        return _may(policies, "Egress", one, database, port) and _may(policies, "Ingress", database, one, port)

    assert reaches(drill)
    assert not reaches(drill, 22)
    assert [False] * 3 == [reaches(one) for one in others]
    assert [False] * 4 == [_may(policies, "Egress", database, one, 3306) for one in [drill, *others]]
    # The check sees a policy that is missing.
    assert reaches(others[1], policies=[one for one in policies if one["metadata"]["name"] != "drills-alone"])


def test_pods_of_ftchaos_are_reached_by_nobody_and_reach_only_what_is_named() -> None:
    policies = [one for one in build(_folder("experiment")) if one["kind"] == "NetworkPolicy"]
    mine = ("ftchaos", template("experiment")["metadata"]["labels"])

    assert [True] * len(SPACES) == [_may(policies, "Egress", mine, (one, {}), 8080) for one in SPACES]
    assert not _may(policies, "Egress", mine, ("elsewhere", {}), 8080)
    assert not _may(policies, "Ingress", mine, (SPACES[0], {}), 8080)
    assert not _may(policies, "Egress", ("ftchaos", {"app": "stray"}), (SPACES[0], {}), 8080)


def test_databases_outside_of_the_cluster_are_reached_by_drills_and_by_experiments_that_are_to_alone() -> None:
    (databases,) = build(ROOT / "components" / "databases")
    chosen = [
        name
        for name in ("doctor", "experiment", "fleet", "recover", "reports")
        if selects(databases["spec"]["podSelector"], template(name)["metadata"]["labels"])
    ]

    assert ["experiment", "fleet"] == chosen
    assert selects(databases["spec"]["podSelector"], gameday.LABELS)
    assert [3306, 6379] == [one["port"] for one in databases["spec"]["egress"][0]["ports"]]
    assert [True, False] == [databases in build(_folder(name)) for name in ("fleet", "experiment")]


def test_operator_runs_one_of_our_experiments_as_it_is(tmp_path: Path) -> None:
    pod = template(OPERATOR.name)["spec"]["containers"][0]
    given = named(OPERATOR.name, "ConfigMap", "experiment-worker-kill")["data"]["worker-kill.yaml"]
    path = OPERATOR / "worker-kill.yaml"
    chaos = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "validate", str(path)]
    validated = subprocess.run(chaos, capture_output=True, text=True, check=False, cwd=tmp_path)
    configured = {one["key"] for one in definitions.load(path).data["configuration"].values()}

    assert definitions.find("experiment", "worker-kill").read_text() == given
    assert ["chaos"] == pod["command"]
    assert ["run", "/etc/experiment/worker-kill.yaml"] == pod["args"]
    assert {one["name"] for one in pod["env"]} <= {*configured, OWN_NODE}
    assert 0 == validated.returncode, validated.stderr
