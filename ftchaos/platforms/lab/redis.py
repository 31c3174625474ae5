"""The lab's Redis servers: a Cluster of three masters and three replicas, and a queue that three Sentinels watch.

Both are written down as if they had met before: every node's file already names its peers, so no
time goes into handshakes and elections. What remains is Redis' own rule that a master of a cluster
waits 2 s after it began before it takes writes.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from ftchaos.errors import MissingProgram, StepFailed
from ftchaos.platforms.lab.layout import QUEUE_REDIS_PORT, REDIS_CLUSTER_PORTS, SENTINEL_PORT, ZONES, Layout
from ftchaos.platforms.lab.service import ServiceSpec

QUEUE_MASTER = "queue"  # the name under which the Sentinels know the queue's master
NODE_TIMEOUT_MS = 2000  # failover after about 3.8 s; half of it would also notice a busy machine
# A Sentinel that began before its peers tries them again after 1 s, and must not call them dead by then.
DOWN_AFTER_MS = 1200
SLOTS = 16384

COMMON = """bind {address}
bind-source-addr {address}
port {port}
dir .
protected-mode no
save ""
repl-diskless-sync-delay 0
repl-timeout 10
tcp-backlog 128
"""
# A cache: it may forget, but it must not fill the machine. A shard without a master leaves the others alone.
CLUSTER = """cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout {timeout}
cluster-announce-ip {address}
cluster-replica-validity-factor 0
cluster-require-full-coverage no
appendonly no
maxmemory 64mb
maxmemory-policy allkeys-lru
"""
# A queue: it must not forget, so it rather refuses than evicts (BullMQ asks for noeviction).
QUEUE = """appendonly yes
appendfsync everysec
maxmemory 256mb
maxmemory-policy noeviction
replica-announce-ip {address}
"""
SENTINEL = """bind {address}
port {port}
dir .
protected-mode no
sentinel announce-ip {address}
sentinel myid {myid}
sentinel monitor {master} {master_address} {master_port} 2
sentinel down-after-milliseconds {master} {down_after}
sentinel failover-timeout {master} 5000
sentinel parallel-syncs {master} 1
"""


@dataclass(frozen=True)
class Node:
    """One node of the cluster as its peers know it; `master` is None for a master."""

    name: str
    place: str
    address: str
    port: int
    shard: int
    master: str | None

    @property
    def node_id(self) -> str:
        return _identity(self.name)


def cluster_nodes(layout: Layout) -> list[Node]:
    """The six nodes, masters first; each replica stands in the zone after its master's."""
    master_port, replica_port = REDIS_CLUSTER_PORTS
    masters = [
        Node(f"redis-cluster-{zone[-1]}1", zone, layout.address(zone), master_port, shard, None)
        for shard, zone in enumerate(ZONES)
    ]
    replicas = []
    for master in masters:
        zone = ZONES[(master.shard + 1) % len(ZONES)]
        name = f"redis-cluster-{zone[-1]}2"
        replicas.append(Node(name, zone, layout.address(zone), replica_port, master.shard, master.name))
    return masters + replicas


def cluster_addresses(layout: Layout, zone: str) -> list[tuple[str, int]]:
    """Where a client in a zone finds the cluster: the nodes of its own zone first."""
    nodes = sorted(cluster_nodes(layout), key=lambda node: node.place != zone)
    return [(node.address, node.port) for node in nodes]


def sentinel_addresses(layout: Layout, zone: str) -> list[tuple[str, int]]:
    """Where a client in a zone finds the Sentinels: the one of its own zone first."""
    return [(layout.address(place), SENTINEL_PORT) for place in sorted(ZONES, key=lambda place: place != zone)]


def nodes_conf(nodes: list[Node], myself: Node) -> str:
    """The cluster as one of its nodes would have saved it after the others had been met."""
    lines = []
    for node in nodes:
        flags = ("myself," if node is myself else "") + ("slave" if node.master else "master")
        master = _identity(node.master) if node.master else "-"
        address = f"{node.address}:{node.port}@{node.port + 10000}"
        line = f"{node.node_id} {address} {flags} {master} 0 0 {node.shard + 1} connected"
        lines.append(line if node.master else f"{line} {slots(node.shard)}")
    return "\n".join([*lines, f"vars currentEpoch {len(ZONES)} lastVoteEpoch 0", ""])


def slots(shard: int) -> str:
    """The range of hash slots of a shard, in Redis' notation."""
    first, last = slot_range(shard)
    return f"{first}-{last}"


def slot_range(shard: int) -> tuple[int, int]:
    """The first and the last hash slot of a shard."""
    return shard * SLOTS // len(ZONES), (shard + 1) * SLOTS // len(ZONES) - 1


def sentinel_conf(layout: Layout, zone: str) -> str:
    """One Sentinel's file, with the replicas and the other Sentinels that it would otherwise need seconds to find."""
    address = layout.address(zone)
    values = {"master": QUEUE_MASTER, "master_address": layout.address(ZONES[0]), "master_port": QUEUE_REDIS_PORT}
    text = SENTINEL.format(
        address=address, port=SENTINEL_PORT, myid=_sentinel_id(zone), down_after=DOWN_AFTER_MS, **values
    )
    for other in ZONES[1:]:
        text += f"sentinel known-replica {QUEUE_MASTER} {layout.address(other)} {QUEUE_REDIS_PORT}\n"
    for other in ZONES:
        if other != zone:
            peer = f"{layout.address(other)} {SENTINEL_PORT} {_sentinel_id(other)}"
            text += f"sentinel known-sentinel {QUEUE_MASTER} {peer}\n"
    return text


def prepare(layout: Layout, folder: Path) -> list[ServiceSpec]:
    """Write the files of all twelve servers below a lab's folder and say how to begin them, in any order.

    Raises:
        MissingProgram: there is no redis-server on this machine.
    """
    if shutil.which("redis-server") is None:
        raise MissingProgram("redis-server is not installed", "run: apt-get install redis-server")
    return [*_cluster(layout, folder), *_queue(layout, folder), *_sentinels(layout, folder)]


def _cluster(layout: Layout, folder: Path) -> list[ServiceSpec]:
    nodes = cluster_nodes(layout)
    specs = []
    for node in nodes:
        text = COMMON.format(address=node.address, port=node.port)
        text += CLUSTER.format(address=node.address, timeout=NODE_TIMEOUT_MS)
        files = {"redis.conf": text, "nodes.conf": nodes_conf(nodes, node)}
        specs.append(_spec(folder, node.name, node.place, node.port, files))
    return specs


def _queue(layout: Layout, folder: Path) -> list[ServiceSpec]:
    specs = []
    for zone in ZONES:
        address = layout.address(zone)
        text = COMMON.format(address=address, port=QUEUE_REDIS_PORT) + QUEUE.format(address=address)
        if zone != ZONES[0]:
            text += f"replicaof {layout.address(ZONES[0])} {QUEUE_REDIS_PORT}\n"
        specs.append(_spec(folder, f"redis-queue-{zone[-1]}", zone, QUEUE_REDIS_PORT, {"redis.conf": text}))
    return specs


def _sentinels(layout: Layout, folder: Path) -> list[ServiceSpec]:
    return [
        _spec(folder, f"sentinel-{zone[-1]}", zone, SENTINEL_PORT, {"redis.conf": sentinel_conf(layout, zone)})
        for zone in ZONES
    ]


def _spec(folder: Path, name: str, place: str, port: int, files: dict[str, str]) -> ServiceSpec:
    home = folder / place / name
    home.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (home / file).write_text(text)
    sentinel = ("--sentinel",) if name.startswith("sentinel-") else ()
    argv = ("redis-server", "redis.conf", *sentinel)
    return ServiceSpec(name, place, argv, cwd=str(home), log=str(home / "redis.log"), port=port)


def unready(layout: Layout) -> list[str]:
    """What still keeps Redis from being whole, one fact a line; empty when cluster and queue take writes.

    It must run where the zones' addresses are reachable.
    """
    facts = []
    for node in cluster_nodes(layout):
        if "cluster_state:ok" not in ask(node.address, node.port, "CLUSTER INFO"):
            facts.append(f"{node.name} does not call the cluster ok")
        if node.master and "master_link_status:up" not in ask(node.address, node.port, "INFO replication"):
            facts.append(f"{node.name} has no link to its master")
    master = layout.address(ZONES[0])
    if "connected_slaves:2" not in ask(master, QUEUE_REDIS_PORT, "INFO replication"):
        facts.append("the queue's master has not got both replicas")
    for zone in ZONES:
        if "+OK 3 usable" not in ask(layout.address(zone), SENTINEL_PORT, f"SENTINEL CKQUORUM {QUEUE_MASTER}"):
            facts.append(f"sentinel-{zone[-1]} does not see its quorum")
    return facts


def ready(layout: Layout) -> bool:
    """Whether cluster and queue, as they were first written, are whole and take writes."""
    return not unready(layout)


def wait_ready(layout: Layout, timeout_s: float = 15) -> None:
    """Return as soon as Redis is whole.

    Raises:
        StepFailed: it was not within the time.
    """
    deadline = time.monotonic() + timeout_s
    while facts := unready(layout):
        if time.monotonic() > deadline:
            raise StepFailed(f"redis not ready after {timeout_s:g} s: {facts[0]}", "read redis.log in its folder")
        time.sleep(0.05)


def ask(address: str, port: int, command: str, timeout_s: float = 1.0) -> str:
    """A server's raw reply to one command; empty when it did not answer."""
    try:
        with socket.create_connection((address, port), timeout_s) as connection:
            connection.sendall(command.encode() + b"\r\n")
            reply = connection.recv(65536)
            if reply.startswith(b"$"):
                head, _, body = reply.partition(b"\r\n")
                while len(body) < int(head[1:]) and (more := connection.recv(65536)):
                    body += more
                reply = body
            return reply.decode(errors="replace")
    except OSError:
        return ""


def _identity(name: str) -> str:
    """The 40 hexadecimal digits by which Redis tells nodes apart, always the same for the same name."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def _sentinel_id(zone: str) -> str:
    return _identity(f"sentinel-{zone[-1]}")
