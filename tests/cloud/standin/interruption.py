"""What actions of AWS FIS do to a zone in the stand-in, each with the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from standin.aurora import Aurora
from standin.caches import Caches, Group
from standin.call import Call, Refused
from standin.instances import Instances
from standin.nodes import Node
from standin.world import World, ec2
from standin.zones import Zones

Back = Callable[[], None]


@dataclass(frozen=True)
class Effect:
    """One action, on these, in this zone where it is told one."""

    action: str
    arns: list[str]
    zone: str

    @property
    def names(self) -> list[str]:
        return [arn.replace("/", ":").rsplit(":", 1)[-1] for arn in self.arns]


class Interruption:
    """Does what an action says, and answers how that is taken back."""

    def __init__(self, world: World, databases: Instances, clusters: Aurora, caches: Caches, zones: Zones) -> None:
        self.world = world
        self._databases, self._clusters, self._caches, self._zones = databases, clusters, caches, zones
        self.stays_down = False  # as when the role of an experiment may not take back what it did
        world.resets.append(lambda: self.stay_down(False))

    def stay_down(self, yes: bool) -> None:
        """Whether the ends of experiments take nothing back."""
        self.stays_down = yes

    def begin(self, effect: Effect, call: Call) -> Back:
        """Begin one; what it does to servers takes as long as it would otherwise.

        Raises:
            Refused: it cannot be done to one of them.
        """
        does = {
            "aws:fis:wait": self._nothing,
            # Nothing in here launches instances by itself, so there is nothing to hold back.
            "aws:ec2:asg-insufficient-instance-capacity-error": self._nothing,
            "aws:ec2:stop-instances": self._stop,
            "aws:network:disrupt-connectivity": self._disrupt,
            "aws:rds:failover-db-cluster": self._fail_over,
            "aws:rds:reboot-db-instances": self._reboot,
            "aws:elasticache:replicationgroup-interrupt-az-power": self._interrupt,
        }.get(effect.action)
        if does is None:
            raise Refused("ValidationException", f"the stand-in has no {effect.action}")
        back = does(effect, call)
        return lambda: None if self.stays_down else back()

    def _nothing(self, effect: Effect, call: Call) -> Back:
        return lambda: None

    def _stop(self, effect: Effect, call: Call) -> Back:
        ec2(call.region).stop_instances(effect.names)
        return lambda: ec2(call.region).start_instances(effect.names) and None

    def _disrupt(self, effect: Effect, call: Call) -> Back:
        backend, made, had = ec2(call.region), {}, {}
        for name in effect.names:
            vpc = backend.get_subnet(name).vpc_id
            if vpc not in made:
                made[vpc] = backend.create_network_acl(vpc, tags=[{"Key": "managedByFIS", "Value": "true"}]).id
            had[name] = self._associate(call.region, name, made[vpc])
        self._zones.changed(call.region)

        def back() -> None:
            for name, acl in had.items():
                self._associate(call.region, name, acl)
            for acl in made.values():
                backend.delete_network_acl(acl)
            self._zones.changed(call.region)

        return back

    def _associate(self, region: str, subnet: str, acl: str) -> str:
        """Give a subnet another network ACL; the answer is the one that it had."""
        for one in ec2(region).network_acls.values():
            for association in one.associations:
                if association.subnet_id == subnet:
                    ec2(region).replace_network_acl_association(association.id, acl)
                    return str(one.id)
        raise Refused("ResourceNotFoundException", f"{subnet} has no network ACL")

    def _fail_over(self, effect: Effect, call: Call) -> Back:
        for name in effect.names:
            self._clusters.failover(dataclasses.replace(call, params={"DBClusterIdentifier": name}))
        return lambda: None

    def _reboot(self, effect: Effect, call: Call) -> Back:
        for name in effect.names:
            asked = {"DBInstanceIdentifier": name, "ForceFailover": True}
            self._databases.reboot(dataclasses.replace(call, params=asked))
        return lambda: None

    def _interrupt(self, effect: Effect, call: Call) -> Back:
        down: list[tuple[Group, Node]] = []
        for (region, name), group in list(self._caches.groups.items()):
            if region == call.region and name in effect.names:
                down += [(group, node) for node in self._power_off(group, effect.zone)]
        return lambda: self._power_on(down)

    def _power_off(self, group: Group, zone: str) -> list[Node]:
        down = [node for node in group.servers.nodes if node.place.zone == zone]
        group.describe("modifying")
        for node in down:
            node.kill()
            heirs = [one for one in group.servers.replicas(node.shard) if one.place.zone != zone and one.process]
            if node.primary and heirs:
                group.servers.promote(heirs[0])
        group.lead()
        group.describe("modifying")
        return down

    def _power_on(self, down: list[tuple[Group, Node]]) -> None:
        for group, node in down:
            if not group.gone:
                group.servers.begin(node)
                group.servers.await_ready(node)
        for group in {id(group): group for group, _ in down}.values():
            if not group.gone:
                group.lead()
                group.describe("available")
