"""Who leads, by the word of the servers: all are asked at once, and each of their answers is waited for some seconds.

Left out, not guessed, is who does not answer, may not be asked, or answers for another: a proxy in a pod of its own
would pass on what the leader says of itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from pymysql.constants import ER
from pymysql.err import MySQLError

from ftchaos.errors import FtchaosError
from ftchaos.mysql.session import Session, rows
from ftchaos.platforms.kubernetes.inventory import MYSQL_PRIMARY, Pod
from ftchaos.workload import cluster
from ftchaos.workload.cluster import Address
from ftchaos.workload.link import Link, Manner
from ftchaos.workload.resp import Refusal, Reply, command

ASK_S = 5.0
AT_ONCE = 16
PRIMARY, REPLICA, UNCLEAR = MYSQL_PRIMARY, "mysql-replica", "mysql-unclear"
MASTER, SLAVE = "redis-master", "redis-replica"

SELF = "SELECT @@hostname AS host, USER() AS asker, @@GLOBAL.read_only AS read_only"
# Of MariaDB with all its sources, of MySQL, and of MySQL before 8.0.22.
FOLLOWS = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")


def mysql(where: Mapping[str, Address], every: Sequence[Pod], connect: Callable[[Address], Session]) -> dict[str, str]:
    """The roles of servers of MySQL or MariaDB, by the full names of their pods.

    One leads if it takes writes and follows nobody; several may. Where the account may not know whether one follows, it
    leads if it is the only one that takes writes, and all have answered; else who leads is unclear.

    Args:
        where: each of them is reached.
        every: the pods that there are.
        connect: opens a session that waits for no answer longer than :data:`ASK_S`.
    """
    pods = {one.full_name: one for one in every}

    def ask(name: str) -> str | None:
        with suppress(FtchaosError, MySQLError, OSError), connect(where[name]) as session:
            return _mysql(session, pods[name], {one.name for one in every} - {pods[name].name})
        return None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = dict(zip(where, threads.map(ask, where), strict=True))
    roles = [*found.values()]
    is_clear = roles.count(UNCLEAR) == 1 and PRIMARY not in roles and None not in roles
    return {name: PRIMARY if role == UNCLEAR and is_clear else role for name, role in found.items() if role}


def _mysql(session: Session, pod: Pod, others: set[str]) -> str:
    (said,) = rows(session, SELF)
    if said["host"] in others or _is_at(str(said["asker"]).rpartition("@")[2], pod):
        return ""
    if str(said["read_only"]).upper() not in ("0", "OFF"):
        return REPLICA
    try:
        return REPLICA if _follows(session) else PRIMARY
    except MySQLError as error:
        if error.args[0] != ER.SPECIFIC_ACCESS_DENIED_ERROR:
            raise
        return UNCLEAR


def _follows(session: Session) -> bool:
    """Whether it receives or applies what another writes.

    Raises:
        MySQLError: the account may not know.
    """
    for statement in FOLLOWS:
        try:
            found = rows(session, statement)
        except MySQLError as error:
            if error.args[0] != ER.PARSE_ERROR or statement == FOLLOWS[-1]:
                raise
            continue
        states = [value for one in found for name, value in one.items() if name.endswith(("IO_Running", "SQL_Running"))]
        return any(value != "No" for value in states)
    raise AssertionError("the last statement answers or raises")


def _is_at(asker: str, pod: Pod) -> bool:
    """Whether who asks a server has the address of the pod that was asked, so that it only passed the question on.

    Args:
        asker: an address, or a name that the server's DNS has for it, as ``10-1-2-3.web.app.svc.cluster.local``.
    """
    meant = re.escape(pod.address.replace(".", "-"))
    return bool(meant) and re.search(rf"(?<!\d){meant}(?!\d)", asker.replace(".", "-")) is not None


@dataclass(frozen=True)
class Node:
    """What a server of Redis says of itself.

    Attributes:
        role: see :attr:`ftchaos.platforms.kubernetes.inventory.Inventory.roles`; empty for a master without slots.
        clustered: whether it is one of a Redis Cluster.
        slots: first and last of each range that it leads; all of them where there is no Redis Cluster.
        replicas: how many follow it.
        others: the hosts of the nodes that it knows.
        version: of the server.
    """

    role: str
    clustered: bool
    slots: tuple[tuple[int, int], ...]
    replicas: int
    others: frozenset[str] = frozenset()
    version: str = ""


def redis(where: Mapping[str, Address], every: Sequence[Pod], manner: Manner) -> dict[str, Node]:
    """What servers of Redis say, by the full names of their pods."""
    pods = {one.full_name: one for one in every}

    async def ask() -> list[Node | None]:
        return await asyncio.gather(*(_redis(address, pods[name], manner) for name, address in where.items()))

    return {name: node for name, node in zip(where, asyncio.run(ask()), strict=True) if node is not None}


async def _redis(address: Address, pod: Pod, manner: Manner) -> Node | None:
    try:
        link = await Link.to(address, ASK_S, manner)
        try:
            asked = ("ROLE",), ("CLUSTER", "NODES"), ("CLIENT", "INFO"), ("INFO", "server")
            role, nodes, client, server = await link.ask(b"".join(command(*one) for one in asked), len(asked), ASK_S)
        finally:
            link.close()
        return _node(role, nodes, _words(client, "="), _words(server, ":").get("redis_version", ""), pod)
    except (OSError, ValueError):
        return None


def _words(said: Reply, between: str) -> dict[str, str]:
    """The fields of an answer that is text; none where it is something else."""
    return dict(one.partition(between)[::2] for one in said.decode().split()) if isinstance(said, bytes) else {}


def _node(role: Reply, nodes: Reply, client: Mapping[str, str], version: str, pod: Pod) -> Node | None:
    """From its answers to what it is; None where they are not its own, or none.

    Raises:
        ValueError: it is no Redis.
    """
    if not isinstance(role, list) or _is_at(client.get("addr", "").rpartition(":")[0], pod):
        return None
    leads = role[0] == b"master"
    if role[0] not in (b"master", b"slave"):
        return None  # a Sentinel
    replicas = len(role[2]) if leads and isinstance(role[2], list) else 0
    slots: tuple[tuple[int, int], ...]
    if isinstance(nodes, Refusal) and nodes.kind != "NOPERM":  # it is no node of a Redis Cluster
        slots = ((0, cluster.SLOTS - 1),) if leads else ()
        return Node(MASTER if leads else SLAVE, False, slots, replicas, version=version)
    if not isinstance(nodes, bytes):
        return None
    view = cluster.view(nodes.decode())
    slots = tuple((first, last) for first, last, node in view.slots if node == view.myself)
    others = frozenset(host for host, _ in view.addresses.values())
    if not leads:
        return Node(SLAVE, True, (), replicas, others, version)
    return Node(MASTER if slots else "", True, slots, replicas, others, version)
