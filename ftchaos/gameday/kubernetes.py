"""A plan as Kubernetes manifests: an account that may do no more than it must, and a CronJob.

The lab and AWS need nothing of the cluster's API, so that there the account's role is empty and its token is not even
mounted. On Kubernetes the roles are those that ``ftchaos policy kubernetes --kind faults`` prints for the environment,
under names with that of the plan and its namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from ftchaos.errors import Invalid
from ftchaos.gameday import steps
from ftchaos.gameday.schedule import HEAL_S, Wanted
from ftchaos.platforms.kubernetes import policy
from ftchaos.platforms.kubernetes.inventory import ZONE_LABEL
from ftchaos.platforms.kubernetes.place import IN_CLUSTER, OWN_NODE

USER = 10001
LONGEST_NAME = 52
LABELS = {**policy.LABELS, "app.kubernetes.io/component": "gameday"}
PRIMARY = "primary"
"""What the option ``zone`` says for that of the MySQL primary, whichever it is."""
VERDICTS = (1, 2, 3, 4, 5, 70)
"""Exit codes with which ftchaos says what it came to; any other one is that of a pod that was killed."""
_END = ("--by", "the next pod", "--reason", "its pod died")
_PLAN, _CONFIG, _DATA = "/etc/ftchaos/plan.yaml", "/etc/ftchaos/ftchaos.yaml", "/var/lib/ftchaos"


class _Literal(str):
    """A text that is written as a block, as people read it."""


class _Dumper(yaml.SafeDumper):
    """Plain YAML without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Literal, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def manifests(wanted: Wanted) -> str:
    """ServiceAccount, roles with their bindings, ConfigMap, PersistentVolumeClaim and CronJob, as one YAML stream.

    Raises:
        Invalid: the plan's name is too long for a CronJob, or a pod could not reach the cluster of the environment.
    """
    if len(wanted.name) > LONGEST_NAME:
        fact = f"{wanted.name!r} is longer than the {LONGEST_NAME} characters of a CronJob's name"
        raise wanted.loaded.file.problem(("name",), fact, "shorten it")
    return yaml.dump_all(documents(wanted), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def documents(wanted: Wanted) -> list[dict[str, Any]]:
    """The same as data."""
    reaches_api = wanted.platform == "kubernetes"
    files = {"plan.yaml": _Literal(wanted.loaded.content.decode())}
    if wanted.config is not None:
        files["ftchaos.yaml"] = _Literal(wanted.config.decode())
    return [
        _object(wanted, "v1", "ServiceAccount", automountServiceAccountToken=False),
        *(_roles(wanted) if reaches_api else []),
        _object(wanted, "v1", "ConfigMap", data=files),
        _object(
            wanted,
            "v1",
            "PersistentVolumeClaim",
            spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
        ),
        _object(
            wanted,
            "batch/v1",
            "CronJob",
            spec={
                "schedule": wanted.schedule.cron.plain,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": wanted.late_s,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {"metadata": {"labels": LABELS}, "spec": _job(wanted, reaches_api)},
            },
        ),
    ]


def _roles(wanted: Wanted) -> list[dict[str, Any]]:
    """What the environment takes, each role with its binding; all but that of the one lease belong to this plan."""
    given = wanted.kubernetes
    if given is None or not given.namespaces or given.context != IN_CLUSTER:
        raise Invalid(
            f"a pod has no kubeconfig for the environment {wanted.environment!r}",
            f"name with --config one that says kubernetes: {{context: {IN_CLUSTER}, namespaces: [NAME]}}",
        )
    found = []
    allowed = policy.documents("faults", given.namespaces, secrets=given.secrets, lease_namespace=given.lease_namespace)
    for role in allowed:
        bound = policy.binding(role, wanted.name, wanted.namespace)
        bound["metadata"] = {**bound["metadata"], "labels": LABELS}
        if role["metadata"]["name"] != policy.LEASE_ROLE:
            role["metadata"] = bound["metadata"]
            bound["roleRef"]["name"] = bound["metadata"]["name"]
        found += [role, bound]
    return found


def _job(wanted: Wanted, reaches_api: bool) -> dict[str, Any]:
    return {
        # A day that failed is not tried again by itself: people look first. One whose pod died is healed and ended by
        # the next pod, which ends with that, and the Job with it; on the next date nothing of it is in the way. A third
        # pod there is not, as it could hold the same day twice.
        "backoffLimit": 1,
        "podFailurePolicy": {
            "rules": [_final("gameday", [*VERDICTS, steps.INTERRUPTED]), _final("recover", VERDICTS)],
        },
        "activeDeadlineSeconds": wanted.longest_s,
        "template": {"metadata": {"labels": LABELS}, "spec": _pod(wanted, reaches_api)},
    }


def _final(container: str, codes: Sequence[int]) -> dict[str, Any]:
    return {
        "action": "FailJob",
        "onExitCodes": {"containerName": container, "operator": "In", "values": list(codes)},
    }


def _pod(wanted: Wanted, reaches_api: bool) -> dict[str, Any]:
    return {
        "serviceAccountName": wanted.name,
        "automountServiceAccountToken": reaches_api,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": HEAL_S,
        **_elsewhere(wanted),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            _container(wanted, "end", ["gameday", "stop", "--died", *_END, *_configured(wanted)]),
            _container(wanted, "recover", ["recover"]),
        ],
        "containers": [_container(wanted, "gameday", _run(wanted))],
        "volumes": [
            {"name": "plan", "configMap": {"name": wanted.name}},
            {"name": "data", "persistentVolumeClaim": {"claimName": wanted.name}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
        ],
    }


def _elsewhere(wanted: Wanted) -> dict[str, Any]:
    """Out of the zones that the plan names, as a pod's own zone never falls; the zones of the lab are no nodes'."""
    zones = sorted(
        {str(part.options["zone"]) for part in wanted.loaded.plan.parts if "zone" in part.options} - {PRIMARY}
    )
    if wanted.platform == "lab" or not zones:
        return {}
    term = {"matchExpressions": [{"key": ZONE_LABEL, "operator": "NotIn", "values": zones}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


def _run(wanted: Wanted) -> list[str]:
    arguments = ["gameday", "run", _PLAN, "--environment", wanted.environment, "--reports", f"{_DATA}/reports"]
    return [*arguments, "--approvals", f"{_DATA}/approvals", *_configured(wanted)]


def _configured(wanted: Wanted) -> list[str]:
    return [] if wanted.config is None else ["--config", _CONFIG]


def _container(wanted: Wanted, name: str, arguments: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": wanted.image,
        "command": ["ftchaos"],
        "args": arguments,
        "workingDir": _DATA,
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": "FTCHAOS_STATE", "value": f"{_DATA}/state"},
            {"name": "FTCHAOS_CACHE", "value": f"{_DATA}/cache"},
            {"name": OWN_NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
            "limits": {"memory": "4Gi", "ephemeral-storage": "4Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "plan", "mountPath": "/etc/ftchaos", "readOnly": True},
            {"name": "data", "mountPath": _DATA},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _object(wanted: Wanted, version: str, kind: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": wanted.name, "namespace": wanted.namespace, "labels": LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
