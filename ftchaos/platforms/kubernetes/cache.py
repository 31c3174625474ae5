"""The cache of an application in a cluster, as clients of a run write to it: who has what, by the word of its servers.

A Redis Cluster answers with the addresses of its pods, which nobody outside of the cluster can reach. So each pod has a
port-forward of its own there, and clients ask every node about itself alone. Of what is no Redis Cluster, clients know
the Service, which leads to its master.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftchaos import encryption
from ftchaos.errors import Refused
from ftchaos.platforms.base import Address
from ftchaos.platforms.kubernetes import asking, backends
from ftchaos.platforms.kubernetes.asking import MASTER, Node
from ftchaos.platforms.kubernetes.faults.redis_masters import LETTERS
from ftchaos.platforms.kubernetes.inventory import Pod
from ftchaos.platforms.kubernetes.ways import Ways
from ftchaos.platforms.login import Account
from ftchaos.workload import cluster
from ftchaos.workload.link import Manner

if TYPE_CHECKING:
    from ftchaos.cloud import ClusterRedis
    from ftchaos.platforms.kubernetes.access import Access

REACH_S = 2.0
"""How long a connection through a port-forward may take to stand: two calls to an API server that may be far away."""


@dataclass(frozen=True)
class Cache:
    """What was found.

    Attributes:
        pods: full names of its pods.
        roles: see :attr:`ftchaos.platforms.kubernetes.inventory.Inventory.roles`.
        leads: see :attr:`ftchaos.platforms.kubernetes.inventory.Inventory.shards`.
        nodes, shards, follow, waits: see :class:`ftchaos.platforms.base.Traffic`.
        manner: that which needs no account.
        version: of its servers.
    """

    pods: frozenset[str]
    roles: Mapping[str, str]
    leads: Mapping[str, str]
    nodes: tuple[Address, ...]
    shards: Mapping[str, str]
    follow: bool
    waits: bool
    manner: Mapping[str, Any]
    version: str


def find(access: Access, given: ClusterRedis, account: Account | None, every: Sequence[Pod], ways: Ways) -> Cache:
    """The cache as it is now.

    Raises:
        Refused: nobody behind the Service says that it leads, or nobody or several lead a part of what is kept, or the
            Service of a single master leads to replicas as well.
        Invalid: the Service is of no use, or the certificates are not.
    """
    namespace, _, service = given.service.partition("/")
    pods, port = backends.members(access, namespace, service, given.port, every)
    manner = _manner(given, ways)
    asked = _asked(given, account, manner)
    said = asking.redis(ways.to(pods, port), every, asked)
    # Of those that are known to each other some may be behind another Service.
    others = {host for node in said.values() for host in node.others}
    met = [one for one in every if one.address in others and one not in pods and not one.terminating]
    if met:
        said |= asking.redis(ways.to(met, port), every, asked)
        pods = [*pods, *met]
    masters = sorted((name for name, node in said.items() if node.role == MASTER), key=lambda name: said[name].slots)
    if not masters:
        raise Refused(
            f"none of {len(pods)} servers of Redis behind {given.service} "
            + ("says that it leads" if said else "answers and lets us in"),
            "see whether it is up, and kubernetes.redis: service, port, secret and tls",
        )
    clustered = said[masters[0]].clustered
    if clustered:
        _ensure_whole(given, [said[name] for name in masters])
    else:
        _ensure_leads_to_master(access, given, masters, namespace)
    written = dict(zip(LETTERS, masters, strict=False))
    where = ways.to(pods, port).values() if clustered else [ways.to_service(namespace, service, given.port)]
    return Cache(
        frozenset(one.full_name for one in pods),
        {name: node.role for name, node in said.items() if node.role},
        {name: letter for letter, name in written.items()},
        tuple(Address(*one) for one in where),
        {letter: cluster.tag(*said[name].slots[0]) for letter, name in written.items()},
        ways.within and clustered,
        all(said[name].replicas for name in written.values()),
        {**manner, "clustered": clustered},
        said[masters[0]].version,
    )


def _manner(given: ClusterRedis, ways: Ways) -> dict[str, Any]:
    found: dict[str, Any] = {"reach_s": 0.0 if ways.within else REACH_S}
    if given.tls:
        found |= {"tls": True, "ca": str(given.ca or ""), "server_name": given.server_name or ""}
    return found


def _asked(given: ClusterRedis, account: Account | None, manner: Mapping[str, Any]) -> Manner:
    return Manner(
        encryption.context(manner["ca"]) if given.tls else None,
        account.password if account else "",
        account.user if account else "",
        given.server_name or "",
        manner["reach_s"],
    )


def _ensure_whole(given: ClusterRedis, masters: Sequence[Node]) -> None:
    """See that each slot is led by one of those that answered: who is silent could not be counted in a quorum.

    Raises:
        Refused: it is not so.
    """
    led = Counter(slot for node in masters for first, last in node.slots for slot in range(first, last + 1))
    if len(led) < cluster.SLOTS or led.total() > cluster.SLOTS:
        several = sum(many > 1 for many in led.values())
        raise Refused(
            f"of the slots of the Redis Cluster behind {given.service} nobody that answers leads "
            f"{cluster.SLOTS - len(led):,}, and several lead {several:,}",
            "wait until a failover is over; all of its pods are to be in the namespaces of the environment",
        )


def _ensure_leads_to_master(access: Access, given: ClusterRedis, masters: Sequence[str], namespace: str) -> None:
    """See that whoever comes through the Service meets the one master.

    Raises:
        Refused: there are several, or the Service leads elsewhere, too.
    """
    if len(masters) > 1:
        raise Refused(
            f"{', '.join(masters)} all lead behind {given.service}, and are no Redis Cluster",
            "wait until a failover is over",
        )
    behind = backends.ready(access, namespace, given.service.partition("/")[2], given.port)
    if beside := sorted(f"{namespace}/{one.pod}" for one in behind if f"{namespace}/{one.pod}" not in masters):
        raise Refused(
            f"the Service {given.service} leads to {', '.join(beside)} too, and the master is {masters[0]}",
            "name the Service in kubernetes.redis that leads to the master alone",
        )
