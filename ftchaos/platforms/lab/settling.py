"""Whether the lab's Redis is whole again after a fault, whoever leads now; and how a shard without a leader gets one.

It asks the servers where clients are: ``python -m ftchaos.platforms.lab.settling MODE BASE cluster 30``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ftchaos.errors import StepFailed
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import QUEUE_REDIS_PORT, SENTINEL_PORT, ZONES, Layout
from ftchaos.platforms.lab.redis import QUEUE_MASTER, Node, ask, cluster_nodes

_POLL_S = 0.1
_BEGIN_S = 10.0  # for the process itself, on a busy machine
_LEADERLESS_S = 3.0


@dataclass(frozen=True)
class Role:
    """What a Redis server says of itself.

    Attributes:
        leads: whether it is a master.
        follows: address and port of its master, where it is a replica.
        linked: whether it hears its master.
        followers: how many replicas a master has.
    """

    leads: bool
    follows: tuple[str, int] | None = None
    linked: bool = False
    followers: int = 0


def role(address: str, port: int) -> Role | None:
    """The role of the server at an address; None when it does not answer."""
    return role_in(ask(address, port, "ROLE"))


def role_in(reply: str) -> Role | None:
    """The role that a server's raw reply to ROLE tells; None when there is none."""
    words = [line for line in reply.split("\r\n") if line and line[0] not in "*$"]
    if not words:
        return None
    if words[0] == "master":
        # offset, then address, port and offset of each replica
        return Role(True, followers=(len(words) - 2) // 3)
    if words[0] == "slave" and len(words) >= 4:
        return Role(False, (words[1], int(words[2].lstrip(":"))), words[3] == "connected")
    return None


def cluster_trouble(layout: Layout) -> str:
    """What keeps the Redis Cluster from being whole: all nodes well and of one mind, each shard led and copied."""
    nodes = cluster_nodes(layout)
    shards = sum(node.master is None for node in nodes)
    by_address = {(node.address, node.port): node for node in nodes}
    roles = {node.name: role(node.address, node.port) for node in nodes}
    for node in nodes:
        mine = roles[node.name]
        if mine is None:
            return f"{node.name} does not answer"
        said = ask(node.address, node.port, "CLUSTER INFO")
        if "cluster_state:ok" not in said or "cluster_slots_ok:16384" not in said:
            return f"{node.name} does not call the cluster ok"
        flags = [one.split(",") for one in _flags(node)]
        if any("fail" in flag for one in flags for flag in one if flag != "nofailover"):
            return f"{node.name} calls another node dead"
        if sum("master" in one for one in flags) != shards:  # who was led home may not know it yet, and would not vote
            return f"{node.name} does not know who leads"
        if mine.leads and mine.followers < 1:
            return f"{node.name} has no replica"
        if not mine.leads and (trouble := _follower_trouble(node, mine, by_address, roles)):
            return trouble
    return ""


def _flags(node: Node) -> list[str]:
    lines = [line.split() for line in ask(node.address, node.port, "CLUSTER NODES").splitlines()]
    return [words[2] for words in lines if len(words) > 7]


def _follower_trouble(
    node: Node, mine: Role, by_address: Mapping[tuple[str, int], Node], roles: Mapping[str, Role | None]
) -> str:
    master = by_address.get(mine.follows or ("", 0))
    if master is None or not mine.linked:
        return f"{node.name} has no link to its master"
    its = roles[master.name]
    return "" if _leads(its) else f"{node.name} follows {master.name}, which does not lead"


def queue_trouble(layout: Layout) -> str:
    """What keeps the queue from being whole: one master with two replicas, and three Sentinels that agree on it."""
    named = set()
    for zone in ZONES:
        sentinel = f"sentinel-{zone[-1]}"
        if "+OK 3 usable" not in ask(layout.address(zone), SENTINEL_PORT, f"SENTINEL CKQUORUM {QUEUE_MASTER}"):
            return f"{sentinel} does not see its quorum"
        replicas = ask(layout.address(zone), SENTINEL_PORT, f"SENTINEL REPLICAS {QUEUE_MASTER}")
        if "_down" in replicas or "disconnected" in replicas:
            return f"{sentinel} calls a replica down"
        said = ask(layout.address(zone), SENTINEL_PORT, f"SENTINEL GET-MASTER-ADDR-BY-NAME {QUEUE_MASTER}")
        named.add(said.split("\r\n")[2] if said.startswith("*2") else said)
    if len(named) != 1:
        return f"the Sentinels name different masters: {', '.join(sorted(named))}"
    (master,) = named
    for zone in ZONES:
        address, mine = layout.address(zone), role(layout.address(zone), QUEUE_REDIS_PORT)
        if mine is None:
            return f"redis-queue-{zone[-1]} does not answer"
        if mine.leads != (address == master):
            return f"redis-queue-{zone[-1]} {'leads too' if mine.leads else 'does not lead, as the Sentinels say'}"
        if not mine.leads and (not mine.linked or mine.follows != (master, QUEUE_REDIS_PORT)):
            return f"redis-queue-{zone[-1]} has no link to the master"
        if mine.leads and mine.followers != len(ZONES) - 1:
            return f"redis-queue-{zone[-1]} has not got both replicas"
    return ""


def heirs(layout: Layout, dead: Collection[str]) -> list[Node]:
    """For each master that died with no other in its place, a replica of it that could lead.

    Args:
        dead: servers without a process. One that is late with an answer lives: a replica that took its place, perhaps a
            former master that was cut off until now, would undo what it has acknowledged since.
    """
    by_address = {(node.address, node.port): node for node in cluster_nodes(layout)}
    found: dict[tuple[str, int], Node] = {}
    for node in by_address.values():
        mine = None if node.name in dead else role(node.address, node.port)
        if mine is not None and mine.follows in by_address and by_address[mine.follows].name in dead:
            found.setdefault(mine.follows, node)
    return list(found.values())


def take_over(layout: Layout, dead: Collection[str]) -> str:
    """Let a replica lead each shard whose master is dead, without asking a majority that may be gone too.

    Its master keeps nothing on disk: begun again before that, it would lead again, empty, and the replica would forget
    all that it has.

    Returns:
        What is wrong still; empty when each shard has a leader, or nobody who could be one.
    """
    for node in (nodes := heirs(layout, dead)):
        ask(node.address, node.port, "CLUSTER FAILOVER TAKEOVER")
    return f"{nodes[0].name} does not take over" if nodes else ""


def lead_home(layout: Layout) -> str:
    """Give each shard back to the master that it had when the lab was begun, politely.

    Else a zone would hold two masters after a failover, and the next outage of it would take the cluster's quorum.

    Returns:
        Which of them does not lead yet; empty when all do.
    """
    away = [node for node in cluster_nodes(layout) if node.master is None and not _leads(role(node.address, node.port))]
    for node in away:
        ask(node.address, node.port, "CLUSTER FAILOVER")
    return f"{away[0].name} does not lead its shard again" if away else ""


def _leads(mine: Role | None) -> bool:
    return mine is not None and mine.leads


_QUESTIONS: dict[str, Callable[[Layout, Collection[str]], str]] = {
    # Asked again at the end: a shard that was led home in between may have two leaders still.
    "cluster": lambda layout, _: cluster_trouble(layout) or lead_home(layout) or cluster_trouble(layout),
    "queue": lambda layout, _: queue_trouble(layout),
    "leaders": take_over,
}


def wait_cluster(lab: Lab, timeout_s: float) -> None:
    """Return as soon as the lab's Redis Cluster is whole.

    Raises:
        StepFailed: it was not within the time.
    """
    _wait(lab, "cluster", timeout_s)


def wait_queue(lab: Lab, timeout_s: float) -> None:
    """Return as soon as the lab's queue is whole.

    Raises:
        StepFailed: it was not within the time.
    """
    _wait(lab, "queue", timeout_s)


def ensure_led(lab: Lab) -> None:
    """Let the replica lead wherever a master of the Redis Cluster is dead; call it before dead masters begin.

    Raises:
        StepFailed: one did not.
    """
    services = lab.status()["services"]
    dead = [node.name for node in cluster_nodes(lab.layout) if not services[node.name]["alive"]]
    if dead:
        _wait(lab, "leaders", _LEADERLESS_S, dead)


def _wait(lab: Lab, what: str, timeout_s: float, dead: Collection[str] = ()) -> None:
    argv = [sys.executable, "-m", __name__, lab.mode, lab.layout.base, what, str(timeout_s), *dead]
    try:
        done = subprocess.run(
            lab.client_argv(argv), capture_output=True, text=True, check=False, timeout=timeout_s + _BEGIN_S
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(f"nobody says how Redis is after {timeout_s + _BEGIN_S:g} s") from None
    if done.returncode:
        raise StepFailed(done.stderr.strip()[-300:] or "Redis is not whole", "read redis.log in the servers' folders")


def main(mode: str, base: str, what: str, timeout_s: str, *dead: str) -> None:
    """Wait until nothing is wrong, or end with what is."""
    layout, question = Layout(mode, base), _QUESTIONS[what]
    deadline = time.monotonic() + float(timeout_s)
    while trouble := question(layout, dead):
        if time.monotonic() > deadline:
            sys.exit(f"{trouble}, {float(timeout_s):g} s after the heal began")
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
