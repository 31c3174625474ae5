"""A Redis Cluster as its clients need to know it: hash slots, the ledger's keys, and what a node says. Pure."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ftchaos.errors import Invalid
from ftchaos.workload.resp import Reply

SLOTS = 16384
ALONE = "alone"
"""What takes the place of a node's id where there is no Redis Cluster."""
STORE = "redis"
"""The first word of every kind whose writes lie in a Redis Cluster."""

Address: TypeAlias = tuple[str, int]


def slot_of(key: str) -> int:
    """The hash slot of a key: of what stands in its first braces, or of all of it.

    Source: Redis Cluster specification, CRC16 (XMODEM) modulo 16384.
    """
    begin = key.find("{")
    end = key.find("}", begin + 1) if begin >= 0 else -1
    hashed = key[begin + 1 : end] if end > begin + 1 else key
    return crc_hqx(hashed.encode(), 0) % SLOTS


def tag(first: int, last: int) -> str:
    """The first of the numbers 0, 1, 2, ... whose slot lies in a range, so that keys with it in braces do too.

    Raises:
        Invalid: there is no such range of slots.
    """
    if not 0 <= first <= last < SLOTS:
        raise Invalid(f"{first}-{last} is no range of hash slots", f"they go from 0 to {SLOTS - 1}")
    number = 0
    while not first <= slot_of(str(number)) <= last:
        number += 1
    return str(number)


def key_prefix(shard_tag: str, ledger: str) -> str:
    """What the keys of one ledger in one shard begin with; the write's id follows.

    With the ledger's random id, so that nothing that an earlier run left there can pass for a survivor.
    """
    return f"ftchaos:{{{shard_tag}}}:{ledger}:"


def lies_in_redis(kind: str) -> bool:
    """Whether the writes of a kind of writer lie in a Redis Cluster."""
    return kind.partition("-")[0] == STORE


def shard_of(kind: str) -> str:
    """The shard that a kind of writer writes to: the last word of its name."""
    return kind.rpartition("-")[2]


@dataclass(frozen=True)
class View:
    """The cluster as one of its nodes sees it.

    Attributes:
        myself: the node's own id.
        slots: first and last of each range of slots, and the id of the node that has it.
        addresses: where each node is, by id, as far as it says.
    """

    myself: str
    slots: tuple[tuple[int, int, str], ...]
    addresses: dict[str, Address]

    def owner(self, slot: int) -> str | None:
        """The id of the node that has a slot."""
        return next((node for first, last, node in self.slots if first <= slot <= last), None)

    def claims(self, slot: int) -> bool:
        """Whether the node says of itself that it has a slot: no other one takes writes to it."""
        return self.owner(slot) == self.myself


def view(text: str) -> View:
    """What a node's answer to CLUSTER NODES says.

    Raises:
        ValueError: this is no such answer.
    """
    myself, slots, addresses = "", list[tuple[int, int, str]](), dict[str, Address]()
    for line in text.splitlines():
        node, where, flags, *rest = line.split()
        if "myself" in flags.split(","):
            myself = node
        host, _, port = where.partition("@")[0].rpartition(":")
        if host and port != "0":
            addresses[node] = host, int(port)
        slots.extend((*_range(word), node) for word in rest[5:] if not word.startswith("["))
    if not myself:
        raise ValueError("no node calls itself")
    return View(myself, tuple(slots), addresses)


def view_alone(role: Reply) -> View:
    """What a server's answer to ROLE says, where there is no Redis Cluster: a master has all slots, a replica none.

    Raises:
        ValueError: this is no such answer.
    """
    if not isinstance(role, list) or role[:1] not in ([b"master"], [b"slave"]):
        raise ValueError(f"{role!r} is no role")
    return View(ALONE, ((0, SLOTS - 1, ALONE),) if role[0] == b"master" else (), {})


def _range(word: str) -> tuple[int, int]:
    first, _, last = word.partition("-")
    return int(first), int(last or first)


def agreed(views: Sequence[tuple[Address, View]], slots: Sequence[int]) -> dict[int, Address]:
    """Where each slot's master is, if all nodes that answered say the same.

    Raises:
        ValueError: they do not, or a master is not among them; it says so.
    """
    found = {}
    at = {seen.myself: address for address, seen in views}
    for slot in slots:
        owners = {seen.owner(slot) for _, seen in views}
        (owner, *others) = owners or {None}
        if others:
            raise ValueError(f"its nodes do not agree on who has slot {slot}")
        if owner is None:
            raise ValueError(f"nobody has slot {slot}")
        if owner not in at:
            raise ValueError(f"the master of slot {slot} does not answer")
        found[slot] = at[owner]
    return found
