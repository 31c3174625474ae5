"""The real Redis servers behind a replication group: one for each node, each behind an address that outlives it."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import redis

from standin import processes
from standin.world import Place

_SLOTS = 16384


@dataclass
class Node:
    """One node.

    Attributes:
        name: the id of its cache cluster, for example ``ft-staging-0001-001``.
        shard: number of its node group, from 1.
        place: its address.
        primary: whether it takes the writes.
        port: where its server listens.
        bus: where the other nodes of a cluster reach it.
    """

    name: str
    shard: int
    place: Place
    primary: bool
    port: int = field(default_factory=processes.free_port)
    bus: int = field(default_factory=processes.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def identity(self) -> str:
        """Its id in a Redis Cluster."""
        return hashlib.sha1(f"{self.name}:{self.port}".encode()).hexdigest()

    def ask(self, *command: str | int) -> object:
        """What it answers to a command."""
        with redis.Redis("127.0.0.1", self.port, socket_timeout=5, decode_responses=True) as client:
            return client.execute_command(*command)

    def is_ready(self, clustered: bool) -> bool:
        """Whether it serves, and follows if it should."""
        try:
            if clustered and "cluster_state:ok" not in str(self.ask("CLUSTER", "INFO")):
                return False
            with redis.Redis("127.0.0.1", self.port, socket_timeout=5, decode_responses=True) as client:
                said = client.info("replication")
        except (redis.exceptions.RedisError, OSError):
            return False
        return bool(said["role"] == "master" or said.get("master_link_status") == "up")

    def kill(self) -> None:
        """Let it die; its address refuses."""
        self.place.proxy.lead(None)
        processes.end(self.process)
        self.process = None


class Servers:
    """The nodes of one replication group.

    Args:
        folder: where they keep their files; made by this.
        nodes: all of them.
        clustered: whether they are a Redis Cluster.
    """

    def __init__(self, folder: Path, nodes: list[Node], clustered: bool) -> None:
        self._folder = folder
        self.nodes = nodes
        self.clustered = clustered
        folder.mkdir(parents=True)

    def begin(self, node: Node) -> None:
        """Begin a node, the first time as its group was laid out, later as the others know it."""
        below = self._folder / node.name
        argv = [
            "redis-server", "--port", str(node.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--repl-diskless-sync-delay", "0", "--protected-mode", "no", "--maxmemory", "64mb",
            "--replica-announce-ip", "127.0.0.1", "--replica-announce-port", str(node.place.proxy.port),
        ]  # fmt: skip
        if self.clustered:
            argv += [
                "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "15000",
                "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", str(node.place.proxy.port),
                "--cluster-port", str(node.bus), "--cluster-require-full-coverage", "no",
                "--cluster-replica-validity-factor", "0",
            ]  # fmt: skip
        elif not node.primary:
            argv += ["--replicaof", "127.0.0.1", str(self.primary(node.shard).place.proxy.port)]
        if not below.exists():
            below.mkdir()
            if self.clustered:
                (below / "nodes.conf").write_text(self._met(node))
        node.process = processes.spawn(argv, below, self._folder / f"{node.name}.log")
        node.place.proxy.lead(node.port)

    def primary(self, shard: int) -> Node:
        """Who takes the writes of a shard."""
        return next(node for node in self.nodes if node.shard == shard and node.primary)

    def replicas(self, shard: int) -> list[Node]:
        """The other nodes of a shard."""
        return [node for node in self.nodes if node.shard == shard and not node.primary]

    def await_ready(self, *nodes: Node, timeout_s: float = 30) -> None:
        """Return as soon as nodes serve; all when none is named."""
        for node in nodes or self.nodes:
            processes.until(lambda node=node: node.is_ready(self.clustered), timeout_s, node.name)

    def promote(self, node: Node) -> None:
        """Let a replica take the writes of its shard at once."""
        before = self.primary(node.shard)
        if self.clustered:
            node.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        else:
            node.ask("REPLICAOF", "NO", "ONE")
        before.primary, node.primary = False, True
        if not self.clustered:
            for other in self.replicas(node.shard):
                if other.process:
                    other.ask("REPLICAOF", "127.0.0.1", node.place.proxy.port)

    def end(self) -> None:
        """Kill all nodes and close their addresses."""
        for node in self.nodes:
            node.kill()
            node.place.proxy.end()

    def slots(self, shard: int) -> str:
        """The hash slots of a shard."""
        count = max(node.shard for node in self.nodes)
        return f"{(shard - 1) * _SLOTS // count}-{shard * _SLOTS // count - 1}"

    def _met(self, myself: Node) -> str:
        """The cluster as a node has it in its file after all have met."""
        count = max(node.shard for node in self.nodes)
        lines = []
        for node in self.nodes:
            flags = ("myself," if node is myself else "") + ("master" if node.primary else "slave")
            source = "-" if node.primary else self.primary(node.shard).identity
            address = f"127.0.0.1:{node.place.proxy.port}@{node.bus}"
            line = f"{node.identity} {address} {flags} {source} 0 0 {node.shard} connected"
            lines.append(f"{line} {self.slots(node.shard)}" if node.primary else line)
        return "\n".join([*lines, f"vars currentEpoch {count} lastVoteEpoch 0", ""])
