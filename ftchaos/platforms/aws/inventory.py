"""What of an AWS account may be harmed, at one moment: only what carries the tag that allows it, in every zone.

Data alone; :mod:`ftchaos.platforms.aws.survey` reads it. Faults are resolved against it, so what they would hit, and
all that their undo has to keep, is known before anything is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftchaos.errors import Invalid, Refused

OUTSIDE = "outside"
"""The zone of clients that sit in none of the region's."""

TESTS_A_DAY = 15
"""Shards whose failover may be tested in 24 hours. Source: ElastiCache API reference, TestFailover."""


def tags(one: Mapping[str, Any], key: str = "Tags") -> dict[str, str]:
    """The tags of a resource as services answer them."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in one.get(key) or []}


@dataclass(frozen=True)
class Instance:
    """An EC2 instance.

    Attributes:
        state: ``pending``, ``running``, ``stopping`` or ``stopped``; others are not in the inventory.
        spared: why it is never stopped, in words; empty where it may be.
        address: its private address.
        port: where the witness finds it listening, from its tag ``ftchaos-port``; 0 for nowhere.
    """

    id: str
    zone: str
    subnet: str
    state: str
    spared: str = ""
    address: str = ""
    port: int = 0


@dataclass(frozen=True)
class Subnet:
    """A subnet, and the network ACL that it is associated with."""

    id: str
    zone: str
    vpc: str
    acl: str


@dataclass(frozen=True)
class Group:
    """An auto scaling group.

    Attributes:
        subnets: as in its ``VPCZoneIdentifier``, in that order.
        zone_of: the zone of each of these, as far as it is known.
        suspended: the processes that are suspended already.
    """

    name: str
    zones: tuple[str, ...]
    subnets: tuple[str, ...]
    zone_of: Mapping[str, str]
    suspended: tuple[str, ...] = ()


@dataclass(frozen=True)
class Balancer:
    """A load balancer of the second generation.

    Attributes:
        kind: ``application``, ``network`` or ``gateway``.
        mappings: for each subnet what ``SetSubnets`` takes to have it back, addresses included.
        zone_of: the zone of each of these subnets.
    """

    arn: str
    name: str
    kind: str
    mappings: tuple[Mapping[str, str], ...]
    zone_of: Mapping[str, str]


@dataclass(frozen=True)
class Copy:
    """One server of a database or a cache: who takes writes, a reader, or a standby that nobody reaches.

    Attributes:
        host, port: its own address; empty for a standby.
        tier: for Aurora, who is promoted first.
        tls: whether it speaks nothing but TLS.
    """

    name: str
    zone: str
    host: str = ""
    port: int = 0
    tier: int = 0
    tls: bool = False


@dataclass(frozen=True)
class Database:
    """A MySQL database of RDS.

    Attributes:
        kind: ``instance`` (with or without a standby), ``replica``, ``multi-az-cluster`` or ``aurora``.
        writer: the server that takes writes, or of a replica the server itself.
        others: readers, best to promote first; for an instance its standby, if it has one.
        subnets: the subnets that its servers may stand in, by zone.
        status: as RDS says, ``available`` when it is well.
        host, port: the address that leads to the writer of the moment, also after a failover.
        source: of a replica, the database that it follows.
    """

    name: str
    kind: str
    writer: Copy
    others: tuple[Copy, ...]
    subnets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    status: str = "available"
    host: str = ""
    port: int = 0
    source: str = ""

    @property
    def clustered(self) -> bool:
        return self.kind in ("aurora", "multi-az-cluster")

    @property
    def copies(self) -> tuple[Copy, ...]:
        return (self.writer, *self.others)


@dataclass(frozen=True)
class Shard:
    """One node group of a replication group of ElastiCache.

    Attributes:
        group: the replication group; ``shard`` is the node group in it.
        primary: the node that takes writes.
        replicas: the others.
        clustered: whether the group is a Redis Cluster, whose primaries vote.
        fails_over: whether its automatic failover is on; ``multi_az`` whether its nodes are held in several zones.
        subnets: the subnets that its nodes may stand in, by zone; empty where nobody says.
        slots: the hash slots that it has, like ``0-5461``; empty where it is alone or nobody says.
    """

    group: str
    shard: str
    primary: Copy
    replicas: tuple[Copy, ...]
    clustered: bool = False
    fails_over: bool = True
    status: str = "available"
    subnets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    slots: str = ""
    multi_az: bool = False

    def __str__(self) -> str:
        return f"{self.group}/{self.shard}"

    @property
    def copies(self) -> tuple[Copy, ...]:
        return (self.primary, *self.replicas)


@dataclass(frozen=True)
class Shifts:
    """What a zonal shift can lead away from a zone.

    Attributes:
        zone_ids: the id of each zone, such as ``use1-az1``, by its name in this account.
        zones_of: for each load balancer that takes part, by its ARN, the ids of the zones that it is in.
        under_way: those whose traffic is led away from a zone already, with that zone's id.
    """

    zone_ids: Mapping[str, str]
    zones_of: Mapping[str, Sequence[str]]
    under_way: Mapping[str, str]


@dataclass(frozen=True)
class Inventory:
    """All that carries the tag.

    Attributes:
        place: account and region, as the undo keeps it.
        tag: ``key=value``, for the words of an error.
        client_zone: where the clients are that the ledger hears of; :data:`OUTSIDE` for no zone, empty where nobody
            knows.
        mysql: the database that the application uses.
        tested: shards whose failover was tested within the last 24 hours.
        template: the experiment template of AWS FIS that is configured, as ``GetExperimentTemplate`` has it.
        shifts: None where no zonal shift is to be the recovery from a zone that failed.
    """

    place: Mapping[str, Any]
    tag: str
    client_zone: str = ""
    mysql: str = ""
    redis: str = ""
    instances: tuple[Instance, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    groups: tuple[Group, ...] = ()
    balancers: tuple[Balancer, ...] = ()
    databases: tuple[Database, ...] = ()
    shards: tuple[Shard, ...] = ()
    tested: int = 0
    shifts: Shifts | None = None
    template: Mapping[str, Any] | None = None

    @property
    def zones(self) -> list[str]:
        """The zones in which something of it stands."""
        found = {one.zone for one in self.instances} | {one.zone for one in self.subnets}
        found |= {copy.zone for one in self.databases for copy in one.copies}
        found |= {node.zone for one in self.shards for node in one.copies}
        found |= {zone for one in self.groups for zone in one.zones}
        return sorted(found - {""})

    def database(self) -> Database:
        """The database that the application uses.

        Raises:
            Refused: it is not tagged.
            Invalid: none is configured, and there is not just one.
        """
        found = [one for one in self.databases if (one.name == self.mysql if self.mysql else one.kind != "replica")]
        if len(found) == 1:
            return found[0]
        if self.mysql:
            raise Refused(
                f"the database {self.mysql} is not there with the tag {self.tag}",
                f"tag it where faults are allowed: aws rds add-tags-to-resource ... Key={self.tag.partition('=')[0]}",
            )
        raise Invalid(
            f"{len(found)} databases carry the tag {self.tag}, and none is configured",
            "name one: mysql: {instance: ...}",
        )

    def cache(self) -> list[Shard]:
        """The shards that the application uses, in order.

        Raises:
            Refused: there are none with the tag.
        """
        found = sorted((one for one in self.shards if one.group == self.redis or not self.redis), key=str)
        if not found:
            raise Refused(
                f"no replication group {self.redis or 'at all'} carries the tag {self.tag}",
                "tag it where faults are allowed",
            )
        if len({one.group for one in found}) > 1:
            raise Invalid(
                f"several replication groups carry the tag {self.tag}, and none is configured",
                "name one: redis: {replication_group: ...}",
            )
        return found

    def ensure_clients_outside(self, zone: str) -> None:
        """Refuse to harm the zone that the ledger's own clients are in: its record of writes would end there.

        Raises:
            Refused: they are in it, or nobody knows where they are.
        """
        if not self.client_zone:
            raise Refused(
                "nobody knows in which zone the clients of this run are",
                f"set client_zone for the environment in ftchaos.yaml: a zone, or {OUTSIDE!r}",
            )
        if self.client_zone == zone:
            raise Refused(
                f"the clients of this run are in {zone}, the zone that would fail",
                "run from another zone, or from outside the region; or choose another zone",
            )
