"""What databases are put into: subnet, parameter and option groups and keys, all of one region."""

from __future__ import annotations

from typing import Any

from moto.kms.models import kms_backends
from moto.rds.models import DBSubnetGroup, OptionGroup

from standin.call import Call, Refused
from standin.world import ACCOUNT, Instance, ec2, rds


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
    """Refuse groups that are not in this region."""
    name = params.get("DBSubnetGroupName")
    if name and name not in rds(region).subnet_groups:
        raise Refused("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    for group in params.get("VpcSecurityGroupIds", []):
        if ec2(region).get_security_group_from_id(group) is None:
            raise Refused("InvalidParameterValue", f"Invalid security group: {group}")
    group = params.get("DBParameterGroupName")
    if group and not group.startswith("default.") and group not in rds(region).db_parameter_groups:
        raise Refused("DBParameterGroupNotFound", f"DBParameterGroup not found: {group}", 404)


def options(record: Instance) -> dict[str, Any]:
    """The server options that its parameter group asks for."""
    wanted = {}
    for group in record.model.db_parameter_groups():
        for name, parameter in group.parameters.items():
            if name in ("event_scheduler", "read_only", "max_connections", "local_infile"):
                wanted[name.replace("_", "-")] = parameter["ParameterValue"]
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
