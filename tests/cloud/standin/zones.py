"""EC2 where moto is too kind: cut subnets cut the servers in them off, and what is in use is not deleted."""

from __future__ import annotations

from typing import Any

from standin.caches import Caches
from standin.call import Call, Refused
from standin.instances import Instances
from standin.world import Instance, World, ec2, rds

_ACL_CALLS = (
    "ReplaceNetworkAclAssociation",
    "CreateNetworkAclEntry",
    "DeleteNetworkAclEntry",
    "ReplaceNetworkAclEntry",
)


class Zones:
    """The handlers of EC2."""

    def __init__(self, world: World, databases: Instances, caches: Caches) -> None:
        self.world = world
        self._databases = databases
        self._caches = caches
        self.handlers: dict[tuple[str, str], Any] = {("ec2", name): self.change_acl for name in _ACL_CALLS}
        self.handlers["ec2", "DeleteSecurityGroup"] = self.delete_security_group

    def change_acl(self, call: Call) -> Any:
        answer = call.moto()
        if answer.ok:
            self.changed(call.region)
        return answer

    def changed(self, region: str) -> None:
        """Let the servers of a region have the network that their subnets' ACLs give them now."""
        for place in self.world.places():
            if place.region == region:
                self.world.place_changed(place)
        self._notice(region)
        self._caches.notice(region)

    def delete_security_group(self, call: Call) -> Any:
        group = call.params.get("GroupId")
        users = [
            model.resource_id
            for model in [*rds(call.region).databases.values(), *rds(call.region).clusters.values()]
            if group in (getattr(model, "vpc_security_group_ids", None) or ())
        ]
        users += [
            instance.id
            for reservation in ec2(call.region).reservations.values()
            for instance in reservation.instances
            if instance.state != "terminated" and group in [one.id for one in instance.security_groups]
        ]
        if users:
            raise Refused("DependencyViolation", f"resource {group} has a dependent object")
        return None

    def _notice(self, region: str) -> None:
        """The service sees a Multi-AZ writer that is cut off, and fails over after a while."""
        if not self.world.settings.detect_s:
            return
        for record in list(self.world.instances.values()):
            if record.model.region == region and record.model.multi_az and record.place.notice():
                self.world.beside(self._fail_over_if_still_cut, record, record.place.cut_at)

    def _fail_over_if_still_cut(self, record: Instance, cut_at: float) -> None:
        self.world.last("detect_s", cut_at)
        if record.place.cut_at == cut_at and record.model.status == "available" and not record.gone:
            self._databases.failover(record, "Multi-AZ instance failover")
