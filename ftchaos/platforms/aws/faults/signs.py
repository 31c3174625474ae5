"""What the witness watches to see a fault from outside; see :class:`ftchaos.witness.Target`.

Each is a server's own address. A connection is held open: it breaks when the server dies or gives its role away, and
where the network drops all, the next one finds nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.platforms.aws.inventory import Copy, Instance
from ftchaos.platforms.aws.survey import PORT_TAG

__all__ = ["PORT_TAG", "PROOF_S", "instance", "mysql", "redis"]

PROOF_S = 120.0
"""RDS begins a failover some seconds after it was told, and a silent network takes two tries to notice."""


def mysql(copy: Copy) -> dict[str, Mapping[str, Any]]:
    """A server of a database; a standby has no address, and nothing shows of it."""
    return {copy.name: {"host": copy.host, "port": copy.port}} if copy.host else {}


def redis(node: Copy) -> dict[str, Mapping[str, Any]]:
    """A node of a cache lives whatever it answers, even that it wants a password; behind TLS it is only looked at."""
    if not node.host:
        return {}
    where = {"host": node.host, "port": node.port}
    if node.tls:
        return {node.name: {**where, "kind": "tcp"}}
    return {node.name: {**where, "kind": "redis", "command": "PING", "matches": r"^(\+PONG|-NOAUTH)"}}


def leads(node: Copy) -> dict[str, Mapping[str, Any]]:
    """A node of a cache that gives its lead away lives on, and says so itself; behind TLS nobody sees it."""
    if not node.host or node.tls:
        return {}
    asked = {"kind": "redis", "command": "ROLE", "matches": r"\A\*\d+\r\n\$\d+\r\nmaster\r"}
    return {f"{node.name} leads": {"host": node.host, "port": node.port, **asked}}


def instance(one: Instance) -> dict[str, Mapping[str, Any]]:
    """An instance that says by its tag where it listens."""
    return {one.id: {"host": one.address, "port": one.port, "kind": "tcp"}} if one.port and one.address else {}
