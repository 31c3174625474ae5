"""Whether a copy is where it was meant to be: read back, as what a restore was not given falls to defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated

REMOVED = "it is removed with the run; nothing was read from it"


def ensure_instance_isolated(isolated: Isolated, found: Mapping[str, Any]) -> None:
    """Find a server in our groups and closed to the public.

    Raises:
        StepFailed: it is elsewhere, which is named.
    """
    name = found["DBInstanceIdentifier"]
    _ensure_groups(name, isolated, found)
    subnets = (found.get("DBSubnetGroup") or {}).get("DBSubnetGroupName", "none")
    _ensure(name, "subnet group", isolated.subnet_group, subnets)
    parameters = [one["DBParameterGroupName"] for one in found.get("DBParameterGroups", [])]
    _ensure(name, "parameter group", isolated.parameter_group, ", ".join(parameters) or "none")
    if found.get("PubliclyAccessible"):
        raise StepFailed(f"the copy {name} is open to the public", REMOVED)


def ensure_cluster_isolated(isolated: Isolated, found: Mapping[str, Any]) -> None:
    """Find a cluster in our groups and closed to the public.

    Raises:
        StepFailed: it is elsewhere, which is named.
    """
    name = found["DBClusterIdentifier"]
    _ensure_groups(name, isolated, found)
    _ensure(name, "subnet group", isolated.subnet_group, found.get("DBSubnetGroup") or "none")
    _ensure(
        name, "cluster parameter group", isolated.cluster_parameter_group, found.get("DBClusterParameterGroup", "none")
    )
    if found.get("PubliclyAccessible"):
        raise StepFailed(f"the copy {name} is open to the public", REMOVED)


def _ensure_groups(name: str, isolated: Isolated, found: Mapping[str, Any]) -> None:
    groups = sorted(one["VpcSecurityGroupId"] for one in found.get("VpcSecurityGroups", []))
    _ensure(name, "security group", isolated.security_group, ", ".join(groups) or "none")


def _ensure(name: str, what: str, ours: str, its: str) -> None:
    if its != ours:
        raise StepFailed(f"the copy {name} is in the {what} {its}, not in {ours}", REMOVED)


def ensure_of_source(chosen: Chosen, found: Mapping[str, Any]) -> None:
    """Find a copy to run the engine of its source, and to be encrypted as that is.

    Raises:
        StepFailed: it is not.
    """
    if found["Engine"] != chosen.engine or (chosen.encrypted and not found.get("StorageEncrypted")):
        disk = "encrypted" if found.get("StorageEncrypted") else "not encrypted"
        raise StepFailed(f"the copy of {chosen.source} is {found['Engine']} and {disk}", REMOVED)
