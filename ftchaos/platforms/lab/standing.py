"""Who stands where in a lab: what a fault is resolved against, before anything is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab import redis, serving
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import (
    API_PORT,
    MYSQL_PORT,
    QUEUE_REDIS_PORT,
    SENTINEL_PORT,
    ZONES,
    Layout,
)
from ftchaos.platforms.lab.tier import Tier

SHARDS = tuple(zone[-1] for zone in ZONES)


@dataclass(frozen=True)
class Member:
    """One server.

    Attributes:
        kind: as :class:`ftchaos.guard.Target` has it.
        watched: how the witness watches it, as :class:`ftchaos.witness.Target` takes it; empty where it has no port.
    """

    name: str
    kind: str
    zone: str
    watched: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """The roles of a lab at one moment.

    Attributes:
        lab: name of the lab; empty for one that is still to be begun for the run.
        members: every server that a fault may hit, by name.
        primary: the MySQL server that takes the writes.
        masters: the Redis Cluster's master of each shard: ``{"a": "redis-cluster-a1", ...}``.
        queue_master: the Redis server of the queue that takes the writes.
        sockets: the API instance that holds the clients' WebSocket sessions.
    """

    lab: str
    layout: Layout
    members: Mapping[str, Member]
    primary: str
    masters: Mapping[str, str]
    queue_master: str
    sockets: str = ""

    def of_kind(self, kind: str) -> list[Member]:
        """The servers of one kind, in order."""
        return [member for member in self.members.values() if member.kind == kind]

    def in_zone(self, zone: str) -> list[Member]:
        """The servers of one zone, in order."""
        return [member for member in self.members.values() if member.zone == zone]

    def zone_of(self, name: str) -> str:
        """The zone of a server."""
        return self.members[name].zone


def fresh(layout: Layout) -> Standing:
    """How a lab stands that has just come up."""
    masters = {SHARDS[node.shard]: node.name for node in redis.cluster_nodes(layout) if node.master is None}
    letter = ZONES[0][-1]
    return Standing("", layout, members(layout), f"mysql-{letter}", masters, f"redis-queue-{letter}", f"api-{letter}")


def of(lab: Lab) -> Standing:
    """How a lab stands at this moment, asked where clients are.

    Raises:
        StepFailed: nobody could say who leads.
    """
    facts = _ask(lab)
    return Standing(
        lab.name,
        lab.layout,
        members(lab.layout),
        Tier(lab).primary.name,
        facts["masters"],
        facts["queue_master"],
        serving.holder_of_sockets(lab),
    )


def members(layout: Layout) -> dict[str, Member]:
    """Every server of a lab that a fault may hit."""
    found: list[Member] = []
    for zone in ZONES:
        letter, at = zone[-1], layout.address(zone)
        http = {"host": at, "port": API_PORT, "kind": "http", "path": "/health"}
        found.append(Member(f"mysql-{letter}", "mysql", zone, {"host": at, "port": MYSQL_PORT}))
        found.append(Member(f"redis-queue-{letter}", "redis-queue", zone, _tcp(at, QUEUE_REDIS_PORT)))
        found.append(Member(f"sentinel-{letter}", "sentinel", zone, _tcp(at, SENTINEL_PORT)))
        found.append(Member(f"api-{letter}", "api", zone, http))
        found.append(Member(f"worker-{letter}", "worker", zone))
    for node in redis.cluster_nodes(layout):
        found.append(Member(node.name, "redis-cluster", node.place, _tcp(node.address, node.port)))
    return {member.name: member for member in sorted(found, key=lambda member: (member.zone, member.kind))}


def _tcp(host: str, port: int) -> dict[str, Any]:
    return {"host": host, "port": port, "kind": "tcp"}


def _ask(lab: Lab) -> dict[str, Any]:
    """The Redis roles, from a process in the clients' network: ours is another."""
    argv = lab.client_argv([sys.executable, "-m", "ftchaos.platforms.lab.standing", lab.mode, lab.layout.base])
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise StepFailed(f"nobody says who leads Redis: {done.stderr.strip()[-300:]}", "see `ftchaos lab status`")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _redis_roles(layout: Layout) -> dict[str, Any]:
    """The master of each shard and of the queue, by what the servers themselves say.

    Raises:
        StepFailed: a shard, or the queue, has no master that answers.
    """
    nodes = redis.cluster_nodes(layout)
    leads = "*3\r\n$6\r\nmaster"
    masters = {SHARDS[n.shard]: n.name for n in nodes if redis.ask(n.address, n.port, "ROLE").startswith(leads)}
    if missing := [shard for shard in SHARDS if shard not in masters]:
        raise StepFailed(f"the shard {missing[0]} of the Redis Cluster has no master", "see `ftchaos lab status`")
    for zone in ZONES:
        said = redis.ask(
            layout.address(zone), SENTINEL_PORT, f"SENTINEL GET-MASTER-ADDR-BY-NAME {redis.QUEUE_MASTER}"
        ).split("\r\n")
        by_address = {layout.address(place): place for place in ZONES}
        if len(said) > 2 and said[2] in by_address:
            return {"masters": masters, "queue_master": f"redis-queue-{by_address[said[2]][-1]}"}
    raise StepFailed("no Sentinel names the queue's master", "see `ftchaos lab status`")


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(_redis_roles(Layout(sys.argv[1], sys.argv[2]))))
    except StepFailed as error:
        sys.exit(error.fact)
