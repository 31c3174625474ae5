"""What databases are put into: subnet, parameter and option groups and keys, all of one region."""

from __future__ import annotations

from typing import Any

from moto.kms.models import kms_backends
from moto.rds.models import DBClusterParameterGroup, DBSubnetGroup, OptionGroup

from standin.call import Call, Refused
from standin.world import ACCOUNT, Instance, ec2, rds

REACHING = ("event_scheduler", "read_only", "max_connections", "local_infile")
"""Parameters that reach the real servers; all of them are dynamic."""


class Groups:
    """The handlers of groups."""

    def __init__(self) -> None:
        self.handlers: dict[tuple[str, str], Any] = {
            ("rds", "CreateDBSubnetGroup"): self.create_subnet_group,
            ("rds", "DeleteDBSubnetGroup"): self.delete_subnet_group,
            ("rds", "DeleteDBParameterGroup"): self.delete_parameter_group,
        }

    def create_subnet_group(self, call: Call) -> Any:
        zones = {ec2(call.region).get_subnet(subnet).availability_zone for subnet in call.params["SubnetIds"]}
        if len(zones) < 2:
            raise Refused(
                "DBSubnetGroupDoesNotCoverEnoughAZs",
                "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement.",
            )
        return None

    def delete_subnet_group(self, call: Call) -> Any:
        name = call.params["DBSubnetGroupName"].lower()
        for model in [*rds(call.region).databases.values(), *rds(call.region).clusters.values()]:
            group = getattr(model, "db_subnet_group", None)
            if getattr(group, "name", group) == name:
                raise Refused(
                    "InvalidDBSubnetGroupStateFault",
                    f"Cannot delete the subnet group '{name}' because at least one database instance:"
                    f" {model.resource_id} is still using it.",
                )
        return None

    def delete_parameter_group(self, call: Call) -> Any:
        name = call.params["DBParameterGroupName"]
        for model in rds(call.region).databases.values():
            if model.db_parameter_group_name == name:
                raise Refused("InvalidDBParameterGroupState", f"{model.resource_id} still uses {name}.")
        return None


def check_groups(region: str, params: dict[str, Any]) -> None:
    """Refuse groups that are not in this region, and security groups that are not in the VPC of the subnets."""
    name = params.get("DBSubnetGroupName")
    if name and name not in rds(region).subnet_groups:
        raise Refused("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    for one in params.get("VpcSecurityGroupIds", []):
        group = ec2(region).get_security_group_from_id(one)
        if group is None:
            raise Refused("InvalidParameterValue", f"Invalid security group: {one}")
        if name and group.vpc_id != rds(region).subnet_groups[name].vpc_id:
            raise Refused(
                "InvalidParameterCombination", f"The DB instance and EC2 security group {one} are in different VPCs."
            )
    for kind, key in (
        ("DBParameterGroup", "db_parameter_groups"),
        ("DBClusterParameterGroup", "db_cluster_parameter_groups"),
    ):
        wanted = params.get(f"{kind}Name")
        if wanted and not wanted.startswith("default.") and wanted not in getattr(rds(region), key):
            raise Refused("DBParameterGroupNotFound", f"{kind} not found: {wanted}", 404)


def put_into_groups(region: str, cluster: Any, params: dict[str, Any]) -> None:
    """Put moto's model of a cluster into the groups that a call names, and into defaults where it names none."""
    name = params.get("DBSubnetGroupName")
    subnets = rds(region).subnet_groups[name] if name else default_subnet_group(region)
    cluster.db_subnet_group_name = subnets.name
    default = ec2(region).get_default_security_group(subnets.vpc_id).id
    cluster.vpc_security_group_ids = list(params.get("VpcSecurityGroupIds", [])) or [default]
    family = family_of(cluster)
    known = rds(region).db_cluster_parameter_groups
    usual = f"default.{family}"
    if usual not in known:
        known[usual] = DBClusterParameterGroup(rds(region), usual, f"Default of {family}", family)
    cluster.parameter_group = params.get("DBClusterParameterGroupName") or usual


def family_of(model: Any) -> str:
    """The family of parameter groups of an instance or a cluster, such as ``aurora-mysql8.0``."""
    return f"{model.engine}{'.'.join(model.engine_version.split('.')[:2])}"


def options(record: Instance) -> dict[str, Any]:
    """The server options that its parameter group asks for, and that of its cluster."""
    model = record.model
    groups = list(model.db_parameter_groups())
    if model.db_cluster_identifier:
        groups.insert(0, rds(model.region).db_cluster_parameter_groups[model.cluster.parameter_group])
    wanted = {}
    for group in groups:
        for name, parameter in group.parameters.items():
            value = parameter.get("ParameterValue")
            if name in REACHING and value and not value.startswith("{"):  # "{TrueIfReplica}" is what we do anyway
                wanted[name.replace("_", "-")] = value
    return wanted


def have_default_options(region: str, name: str, source: Any) -> None:
    """Default option groups are there always; moto knows none."""
    if name.startswith("default:"):
        version = ".".join(source.engine_version.split(".")[:2])
        rds(region).option_groups.setdefault(name, OptionGroup(rds(region), name, source.engine, version))


def check_key(region: str, key: str) -> None:
    """Refuse a key of another region, and one that nobody can use any more."""
    found = kms_backends[ACCOUNT][region].keys.get(key.rpartition("/")[2])
    if key.startswith("arn:") and (found is None or found.key_state != "Enabled"):
        raise Refused("KMSKeyNotAccessibleFault", f"The KMS key {key} does not exist, is not enabled, or is not yours.")


def default_subnet_group(region: str) -> Any:
    """The subnet group of who names none: the subnets of the default VPC."""
    backend = rds(region)
    if "default" not in backend.subnet_groups:
        vpc = ec2(region).default_vpc
        subnets = [subnet for subnet in ec2(region).get_default_subnets().values() if subnet.vpc_id == vpc.id]
        backend.subnet_groups["default"] = DBSubnetGroup(backend, "default", "default", subnets, [])
    return backend.subnet_groups["default"]
