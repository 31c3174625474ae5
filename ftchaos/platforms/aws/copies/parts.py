"""The parameters of restores, every one of them explicit: what is left out falls to defaults of the account.

The defaults are the default security group and subnet group, and the source's own protection, or none.

Source: RDS API reference, RestoreDBInstanceToPointInTime, RestoreDBInstanceFromDBSnapshot,
RestoreDBClusterToPointInTime and RestoreDBClusterFromSnapshot.
"""

from __future__ import annotations

from typing import Any

from ftchaos.platforms.aws.copies import waiting
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.base import Progress

LEAST_RETENTION_DAYS = 1  # of a cluster; an instance may go without backups


def instance(making: Making, chosen: Chosen, isolated: Isolated) -> dict[str, Any]:
    """What the restores of an instance have in common."""
    return {
        "DBInstanceClass": chosen.instance_class, "Port": chosen.port, "DBSubnetGroupName": isolated.subnet_group,
        "VpcSecurityGroupIds": [isolated.security_group], "DBParameterGroupName": isolated.parameter_group,
        "OptionGroupName": chosen.option_group, "MultiAZ": False, "PubliclyAccessible": False,
        "DeletionProtection": False, "AutoMinorVersionUpgrade": False, "CopyTagsToSnapshot": False,
        "BackupRetentionPeriod": 0, "Tags": making.tags("instance"), **chosen.storage,
    }  # fmt: skip


def cluster(making: Making, chosen: Chosen, isolated: Isolated) -> dict[str, Any]:
    """What the restores of a cluster have in common; the servers of a Multi-AZ cluster come with it."""
    common = {
        "Port": chosen.port, "DBSubnetGroupName": isolated.subnet_group,
        "VpcSecurityGroupIds": [isolated.security_group],
        "DBClusterParameterGroupName": isolated.cluster_parameter_group, "DeletionProtection": False,
        "CopyTagsToSnapshot": False, "BackupRetentionPeriod": LEAST_RETENTION_DAYS, "Tags": making.tags("cluster"),
        **chosen.storage,
    }  # fmt: skip
    if chosen.serverless:
        common["ServerlessV2ScalingConfiguration"] = dict(chosen.serverless)
    if chosen.is_aurora:
        return common
    return common | {"DBClusterInstanceClass": chosen.instance_class, "PubliclyAccessible": False}


def create_server(making: Making, chosen: Chosen, isolated: Isolated, progress: Progress) -> None:
    """Give a restored Aurora cluster, which is storage alone, the one server that it is read with."""
    if not chosen.is_aurora:
        return
    waiting.await_cluster(making, progress)
    making.client("rds", once=True).create_db_instance(
        DBInstanceIdentifier=making.announce("instance"), DBClusterIdentifier=making.name("cluster"),
        DBInstanceClass=chosen.instance_class, Engine=chosen.engine, DBParameterGroupName=isolated.parameter_group,
        PubliclyAccessible=False, AutoMinorVersionUpgrade=False, CopyTagsToSnapshot=False,
        Tags=making.tags("instance"),
    )  # fmt: skip
